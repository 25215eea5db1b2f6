"""Input and output: the first convention that has either side gives both, the others are ignored."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from otel_agents.local.codec import dump
from otel_agents.local.findings import Notes
from otel_agents.local.mapping.kinds import text
from otel_agents.local.rows import SpanEvent
from otel_agents.local.values import plain

#: (input, output) of one convention; None when it has neither side.
Sides = tuple[Any, Any] | None

INPUT: Final = "langfuse.observation.input"
OUTPUT: Final = "langfuse.observation.output"

#: Attributes that never show in the metadata, whether they were used or not.
CONTENT_KEYS: Final = frozenset(
    {
        INPUT,
        OUTPUT,
        "gcp.vertex.agent.llm_request",
        "gcp.vertex.agent.llm_response",
        "gcp.vertex.agent.tool_call_args",
        "gcp.vertex.agent.tool_response",
        "prompt",
        "all_messages_events",
        "events",
        "mlflow.spanInputs",
        "mlflow.spanOutputs",
        "traceloop.entity.input",
        "traceloop.entity.output",
        "input.value",
        "output.value",
        "input",
        "output",
        "tool_arguments",
        "tool_response",
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "gen_ai.tool.definitions",
        "gen_ai.tool.call.arguments",
        "gen_ai.tool.call.result",
    }
)
#: Any key that starts like this is content, `gen_ai.prompt.name` too.
PREFIXES: Final = ("gen_ai.prompt", "gen_ai.completion", "llm.input_messages", "llm.output_messages")
_PROMPT_ONLY: Final = ("gen_ai.prompt.name", "gen_ai.prompt.version", "gen_ai.prompt.variable")

_MESSAGE_EVENTS: Final = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}


def is_content(key: str) -> bool:
    """True for attributes that are left out of the metadata."""
    return key in CONTENT_KEYS or key.startswith(PREFIXES)


def content(
    attributes: Mapping[str, Any],
    events: Sequence[SpanEvent],
    strict: bool,
    notes: Notes,
) -> tuple[str | None, str | None]:
    """Input and output as the strings that are stored."""
    for branch in _branches(attributes, events, strict):
        sides = branch()
        if sides is not None:
            _note_losses(attributes, sides, notes)
            return _stored(sides[0]), _stored(sides[1])
    if "gen_ai.system_instructions" in attributes:
        notes.add("system_instructions_lost")
    return None, None


def _branches(
    attributes: Mapping[str, Any], events: Sequence[SpanEvent], strict: bool
) -> list[Callable[[], Sides]]:
    def pair(first: str, second: str) -> Callable[[], Sides]:
        return lambda: _pair(attributes, first, second)

    return [
        pair(INPUT, OUTPUT),
        lambda: _details_event(events),
        lambda: _message_events(events),
        lambda: _content_events(events),
        pair("gcp.vertex.agent.llm_request", "gcp.vertex.agent.llm_response"),
        pair("gcp.vertex.agent.tool_call_args", "gcp.vertex.agent.tool_response"),
        pair("prompt", "all_messages_events"),
        lambda: _pair(attributes, "events", ""),
        pair("mlflow.spanInputs", "mlflow.spanOutputs"),
        pair("traceloop.entity.input", "traceloop.entity.output"),
        pair("input.value", "output.value"),
        pair("input", "output"),
        pair("tool_arguments", "tool_response"),
        lambda: _indexed(attributes, "gen_ai.prompt", "gen_ai.completion", () if strict else _PROMPT_ONLY),
        lambda: _indexed(attributes, "llm.input_messages", "llm.output_messages", ()),
        lambda: _messages(attributes),
        pair("gen_ai.tool.call.arguments", "gen_ai.tool.call.result"),
    ]


def _pair(attributes: Mapping[str, Any], first: str, second: str) -> Sides:
    if first in attributes or second in attributes:
        return attributes.get(first), attributes.get(second)
    return None


def _details_event(events: Sequence[SpanEvent]) -> Sides:
    for event in events:
        if event.name == "gen_ai.client.inference.operation.details":
            given = event.attributes
            sides = plain(given.get("gen_ai.input.messages")), plain(given.get("gen_ai.output.messages"))
            if sides != (None, None):
                return sides
    return None


def _message_events(events: Sequence[SpanEvent]) -> Sides:
    messages = [
        {"role": _MESSAGE_EVENTS[event.name], **_plain_attributes(event)}
        for event in events
        if event.name in _MESSAGE_EVENTS
    ]
    choices = [_plain_attributes(event) for event in events if event.name == "gen_ai.choice"]
    if not messages and not choices:
        return None
    output: Any = choices[0] if len(choices) == 1 else choices
    return messages or None, output or None


def _content_events(events: Sequence[SpanEvent]) -> Sides:
    found: dict[str, Any] = {}
    for event in events:
        if event.name == "gen_ai.content.prompt":
            found["input"] = plain(event.attributes.get("gen_ai.prompt"))
        elif event.name == "gen_ai.content.completion":
            found["output"] = plain(event.attributes.get("gen_ai.completion"))
    return (found.get("input"), found.get("output")) if found else None


def _plain_attributes(event: SpanEvent) -> dict[str, Any]:
    return {key: plain(value) for key, value in event.attributes.items()}


def _indexed(attributes: Mapping[str, Any], first: str, second: str, without: tuple[str, ...]) -> Sides:
    """Flattened attributes (``gen_ai.prompt.0.role``) put together again."""
    keys = [key for key in attributes if key.startswith((first, second)) and not key.startswith(without)]
    if not keys:
        return None
    return _nested(attributes, keys, first), _nested(attributes, keys, second)


def _nested(attributes: Mapping[str, Any], keys: Sequence[str], prefix: str) -> Any:
    if prefix in attributes:
        return attributes[prefix]
    found: dict[str, Any] = {}
    for key in keys:
        if not key.startswith(prefix + "."):
            continue
        place = found
        *path, last = key.removeprefix(prefix + ".").split(".")
        for part in path:
            below = place.get(part)
            if not isinstance(below, dict):
                below = place[part] = {}
            place = below
        place[last] = attributes[key]
    return _as_lists(found)


def _as_lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    items = {key: _as_lists(item) for key, item in value.items()}
    if items and all(key.isdigit() for key in items):
        return [items[key] for key in sorted(items, key=int)]
    return items


def _messages(attributes: Mapping[str, Any]) -> Sides:
    given = _pair(attributes, "gen_ai.input.messages", "gen_ai.output.messages")
    if given is None:
        return None
    messages, output = given
    parsed = _json_list(messages)
    system = attributes.get("gen_ai.system_instructions")
    if parsed is not None and system and not any(_role(message) == "system" for message in parsed):
        parsed = [{"role": "system", "content": system}, *parsed]
        messages = dump(parsed)
    tools = _json_list(attributes.get("gen_ai.tool.definitions"))
    if tools and all(isinstance(tool, dict) and _tool_name(tool) for tool in tools) and messages is not None:
        messages = {"messages": parsed if parsed is not None else messages, "tools": tools}
    return messages, output


def _role(message: Any) -> Any:
    return message.get("role") if isinstance(message, dict) else None


def _tool_name(tool: dict[str, Any]) -> Any:
    function = tool.get("function")
    return tool.get("name") or (function.get("name") if isinstance(function, dict) else None)


def _json_list(value: Any) -> list[Any] | None:
    if not isinstance(value, str):
        return None
    try:
        found = json.loads(value)
    except ValueError:
        return None
    return found if isinstance(found, list) else None


def _stored(value: Any) -> str | None:
    return None if value is None else text(value)


def _note_losses(attributes: Mapping[str, Any], sides: tuple[Any, Any], notes: Notes) -> None:
    explicit = INPUT in attributes or OUTPUT in attributes
    messages = {
        side
        for side in ("gen_ai.input.messages", "gen_ai.output.messages")
        if attributes.get(side) not in (None, "")
    }
    if explicit:
        if (sides[0] is None and "gen_ai.input.messages" in messages) or (
            sides[1] is None and "gen_ai.output.messages" in messages
        ):
            notes.add("io_side_lost", missing="input" if sides[0] is None else "output")
        return
    prompts = [key for key in attributes if key.startswith(_PROMPT_ONLY)]
    if prompts and isinstance(sides[0], dict) and "messages" not in sides[0]:
        notes.add("input_lost_to_prompt_attributes", keys=prompts, lost=sorted(messages))
    if "gen_ai.system_instructions" in attributes and (
        sides[0] is None or "gen_ai.input.messages" not in messages
    ):
        notes.add("system_instructions_lost")
