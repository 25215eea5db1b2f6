"""Messages in the forms of chat APIs, events and LangChain, as the conventions have them. Python only."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from otel_agents.normalize.record import EventFacts
from otel_agents.normalize.rules import as_text, parsed
from otel_agents.tracing.messages import messages_json

#: No bound of ours: what was recorded has one already.
_NO_LIMIT: Final = 2**31
#: Classes of LangChain's messages, and their ``type``, → role.
_LANGCHAIN: Final[Mapping[str, str]] = {
    "SystemMessage": "system", "HumanMessage": "user", "AIMessage": "assistant", "ToolMessage": "tool",
    "AIMessageChunk": "assistant", "FunctionMessage": "tool", "HumanMessageChunk": "user", "system": "system",
    "human": "user", "ai": "assistant", "tool": "tool",
}  # fmt: skip


def from_chat(given: Any, role: str) -> list[dict[str, Any]] | None:
    """Messages of a chat API (OpenAI's, Anthropic's); ``role`` is of those that have none of their own."""
    if not isinstance(given, list) or not given:
        return None
    made: list[dict[str, Any]] = json.loads(messages_json(given, role, _NO_LIMIT)[0])
    return made


def from_events(
    events: Iterable[EventFacts],
) -> tuple[list[dict[str, Any]] | None, list[dict[str, Any]] | None]:
    """Input and output messages told by events: ``gen_ai.user.message``, ``gen_ai.choice`` and the like.

    A choice may have its message as one attribute, or its fields as attributes of the event.
    """
    given: list[Mapping[str, Any]] = []
    produced: list[dict[str, Any]] = []
    for name, attributes in events:
        role = name.removeprefix("gen_ai.").removesuffix(".message")
        if name == "gen_ai.choice":
            attributes = _fields(attributes)
            inner = parsed(attributes.get("message"))
            fields = inner if isinstance(inner, Mapping) else attributes
            made = from_chat([_chat_message(fields, "assistant")], "assistant")
            produced += made or []
        elif name.startswith("gen_ai.") and role in ("system", "user", "assistant", "tool"):
            given.append(_chat_message(_fields(attributes), role))
        elif name == "gen_ai.content.prompt":
            given += _listed(attributes.get("gen_ai.prompt"), "user")
        elif name == "gen_ai.content.completion":
            produced += (
                from_chat(_listed(attributes.get("gen_ai.completion"), "assistant"), "assistant") or []
            )
    return from_chat(given, "user"), produced or None


def _fields(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """An event's own fields; Azure's SDKs have all of them as JSON in one."""
    told = parsed(attributes.get("gen_ai.event.content"))
    return told if isinstance(told, Mapping) else attributes


def _listed(told: Any, role: str) -> list[Any]:
    """A list of messages as JSON, or the plain text that some have instead."""
    found = parsed(told)
    if isinstance(found, list):
        return found
    return [{"role": role, "content": told}] if isinstance(told, str) and told else []


def _chat_message(fields: Mapping[str, Any], role: str) -> dict[str, Any]:
    content = fields.get("content")
    inner = parsed(content) if isinstance(content, str) and content[:1] in ("[", "{") else None
    message: dict[str, Any] = {
        "role": fields.get("role") or role,
        "content": inner if isinstance(inner, list) else content,
    }
    calls = parsed(fields.get("tool_calls"))
    if isinstance(calls, list):
        message["tool_calls"] = calls
    if (identity := fields.get("tool_call_id") or fields.get("id")) is not None and role == "tool":
        message["tool_call_id"] = identity
    return message


def from_langchain(given: Any) -> list[dict[str, Any]] | None:
    """LangChain's messages, as its serialiser writes them: lists of lists of constructors, or plain."""
    if isinstance(given, Mapping):
        given = given.get("messages", given.get("input"))
    if isinstance(given, list) and given and isinstance(given[0], list):
        given = given[0]
    if isinstance(given, Mapping):
        given = [given]
    if not isinstance(given, list):
        return None
    made = [_langchain_message(one) for one in given if isinstance(one, Mapping)]
    return [one for one in made if one is not None] or None


def from_generations(given: Any) -> list[dict[str, Any]] | None:
    """What a model answered, as LangChain's ``LLMResult`` is written."""
    generations = given.get("generations") if isinstance(given, Mapping) else None
    if isinstance(generations, list) and generations and isinstance(generations[0], list):
        generations = generations[0]
    made = []
    for one in generations if isinstance(generations, list) else ():
        if not isinstance(one, Mapping):
            continue
        inner = one.get("message")
        message = _langchain_message(inner) if isinstance(inner, Mapping) else None
        if message is None and isinstance(one.get("text"), str):
            message = {"role": "assistant", "parts": [{"type": "text", "content": one["text"]}]}
        if message is not None:
            info = one.get("generation_info")
            if isinstance(info, Mapping) and isinstance(info.get("finish_reason"), str):
                message["finish_reason"] = info["finish_reason"]
            made.append(message)
    return made or None


def from_choices(given: Any) -> list[dict[str, Any]] | None:
    """What a chat completion answered, as OpenAI's API says it."""
    choices = given.get("choices") if isinstance(given, Mapping) else None
    made: list[dict[str, Any]] = []
    for one in choices if isinstance(choices, list) else ():
        message = one.get("message") if isinstance(one, Mapping) else None
        if isinstance(message, Mapping) and (found := from_chat([dict(message)], "assistant")):
            if isinstance(reason := one.get("finish_reason"), str):
                found[0]["finish_reason"] = reason
            made += found
    return made or None


def _langchain_message(given: Mapping[str, Any]) -> dict[str, Any] | None:
    fields = given.get("kwargs") if isinstance(given.get("kwargs"), Mapping) else given
    assert isinstance(fields, Mapping)
    path = given.get("id")
    kind = path[-1] if isinstance(path, list) and path else fields.get("type") or fields.get("role")
    role = _LANGCHAIN.get(str(kind), str(kind) if kind else "")
    if not role:
        return None
    content = fields.get("content")
    if role == "tool":
        answer = {"type": "tool_call_response", "id": fields.get("tool_call_id"), "response": content}
        return {"role": role, "parts": [answer]}
    chat = from_chat([{"role": role, "content": content}], role) if content not in (None, "") else None
    parts = chat[0]["parts"] if chat else []
    for call in fields.get("tool_calls") or ():
        if isinstance(call, Mapping) and call.get("name"):
            parts.append(
                {
                    "type": "tool_call",
                    "id": call.get("id"),
                    "name": call["name"],
                    "arguments": call.get("args"),
                }
            )
    return {"role": role, "parts": parts}


def text_message(value: Any, role: str) -> list[dict[str, Any]]:
    """One message of text."""
    return [{"role": role, "parts": [{"type": "text", "content": as_text(value)}]}]
