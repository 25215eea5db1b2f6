"""Messages that travel as log records, made into what their span would carry.

Instrumentations that are told to keep content off the spans (``EVENT_ONLY``) send it as events: one with
all messages of a call, or, in conventions before 1.37, one for each message. Langfuse has no endpoint for
logs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from otel_agents import semconv as sc
from otel_agents.bridge.otlp_logs import DETAILS_EVENTS, MESSAGE_EVENTS, Event
from otel_agents.langfuse import content
from otel_agents.tracing.messages import messages_json

_SAID: Final = (sc.INPUT_MESSAGES, sc.OUTPUT_MESSAGES, sc.SYSTEM_INSTRUCTIONS, sc.TOOL_DEFINITIONS)
_CHOICE: Final = "gen_ai.choice"
#: Where some instrumentations put what belongs into the body.
_BODY_ATTRIBUTES: Final = ("gen_ai.event.content", "body")
#: No bound of ours: what was sent has one already.
_NO_LIMIT: Final = 2**31
_ID_LENGTHS: Final = (32, 16)
_LATEST: Final = 2**63 - 1  # SQLite's integers


@dataclass(frozen=True, slots=True)
class Said:
    """What one event says about a span.

    Attributes:
        span: trace id and span id, 24 bytes.
        at_ns: when it was said.
        event: the event's name.
        body: JSON: of a details event the attributes that hold content, of another its message.
    """

    span: bytes
    at_ns: int
    event: str
    body: str

    @property
    def digest(self) -> bytes:
        """The same for a record that comes again."""
        return hashlib.blake2b(f"{self.event}\0{self.body}".encode(), digest_size=16).digest()


def said_of(event: Event) -> Said | None:
    """What an event says; None when it names no span or holds no content."""
    span = _span(event.trace_id, event.span_id)
    if span is None:
        return None
    found = _details(event) if event.name in DETAILS_EVENTS else _message(event)
    if not found:
        return None
    try:
        body = json.dumps(found, ensure_ascii=False)
        body.encode()
    except (ValueError, RecursionError):  # lone surrogates are no UTF-8
        return None
    return Said(span, min(event.timestamp_ns, _LATEST), event.name, body)


def is_whole(said: Sequence[Said]) -> bool:
    """Whether nothing more is to be expected: all was said at once, or there is an answer."""
    return any(one.event in DETAILS_EVENTS or one.event == _CHOICE for one in said)


def input_output(said: Sequence[Said], operation: str) -> tuple[str | None, str | None]:
    """Input and output for Langfuse of a span about which this was said, by the rules of its own content.

    Args:
        said: in the order in which it was said.
        operation: the span's.
    """
    attributes: dict[str, Any] = {}
    messages: list[Any] = []
    choices: list[tuple[int, Any]] = []
    for one in said:
        body = json.loads(one.body)
        if one.event in DETAILS_EVENTS:
            attributes.update(body)
        elif one.event == _CHOICE:
            choices.append((body.pop("index"), body))
        else:
            messages.append(body)
    if messages:
        attributes.setdefault(sc.INPUT_MESSAGES, json.dumps(messages, ensure_ascii=False))
    if choices:
        answers = [body for _, body in sorted(choices, key=lambda one: one[0])]
        attributes.setdefault(sc.OUTPUT_MESSAGES, json.dumps(answers, ensure_ascii=False))
    content.add(attributes, operation, None)
    return attributes.get(content.INPUT), attributes.get(content.OUTPUT)


def _details(event: Event) -> dict[str, str]:
    """The content among the attributes, as JSON text. Older ones have it in the body."""
    holders: list[Mapping[str, Any]] = [event.attributes]
    if (body := _object(event.body)) is not None:
        holders.append(body)
    found: dict[str, str] = {}
    for name in _SAID:
        value = next((holder[name] for holder in holders if holder.get(name)), None)
        if value is not None:
            found[name] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return found


def _message(event: Event) -> dict[str, Any]:
    """One message in the conventions' schema; of a choice also its index."""
    body = _object(event.body)
    if body is None:
        body = next(
            (one for name in _BODY_ATTRIBUTES if (one := _object(event.attributes.get(name))) is not None),
            None,
        )
    if body is None:
        text = event.body if isinstance(event.body, str) else None
        body = {"content": text} if text else event.attributes
    message: Any = body
    if event.name == _CHOICE and body.get("message") is not None:
        message = body["message"]
        message = message if isinstance(message, Mapping) else {"content": message}
    if not any(message.get(name) is not None for name in ("content", "parts", "tool_calls")):
        return {}
    role = message.get("role")
    shaped: dict[str, Any] = {
        "content": None,
        **message,
        "role": role if isinstance(role, str) and role else MESSAGE_EVENTS[event.name],
    }
    if event.name == "gen_ai.tool.message":
        shaped["tool_call_id"] = message.get("id") or message.get("tool_call_id")
    made: dict[str, Any] = json.loads(messages_json([shaped], shaped["role"], _NO_LIMIT)[0])[0]
    if event.name == _CHOICE:
        if isinstance(reason := body.get("finish_reason"), str):
            made["finish_reason"] = reason
        index = body.get("index")
        made["index"] = index if isinstance(index, int) else 0
    return made


def _object(value: Any) -> Mapping[str, Any] | None:
    """A map, or the JSON text of one."""
    if isinstance(value, str) and value.lstrip()[:1] == "{":
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, Mapping) else None


def _span(trace_id: str | None, span_id: str | None) -> bytes | None:
    if (len(trace_id or ""), len(span_id or "")) != _ID_LENGTHS:
        return None
    try:
        return bytes.fromhex(f"{trace_id}{span_id}")
    except ValueError:
        return None
