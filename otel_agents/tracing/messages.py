"""Content in the GenAI conventions' message schema, from whatever users hand over.

A message is ``{"role": ..., "parts": [...]}``. Chat messages as the OpenAI and Anthropic SDKs have them
are rewritten; anything else becomes one text part.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from otel_agents import values
from otel_agents.values.objects import is_a, public_fields

Message = dict[str, Any]

_MAX_MESSAGES: Final = 500


def messages_json(value: object, role: str, limit: int) -> tuple[str, bool]:
    """``value`` as JSON list of messages of at most about ``limit`` characters.

    Args:
        value: text, messages, or anything else (as the text of its JSON).
        role: of everything that has no role of its own.

    Returns:
        The JSON, and whether something was left out.
    """
    try:
        found = _messages(value, role)
    except Exception:  # a mapping of the user's that raises
        found = None
    if found is None:
        text, truncated = values.bounded_text(value, limit)
        found = [{"role": role, "parts": [_text(text)]}]
        # The text is cut already; quoting may make its JSON longer, never shorter.
        made, again = values.bounded_json(found, limit + values.MARKER_ROOM)
        return made, truncated or again
    made, truncated = values.bounded_json(found, limit)
    return made, truncated or (is_a(value, list, tuple) and len(value) > _MAX_MESSAGES)


def documents_json(value: object, limit: int) -> tuple[str, bool]:
    """What a retrieval found as JSON list of documents; text becomes ``{"content": text}``."""
    if is_a(value, list, tuple):
        return values.bounded_json([_document(one) for one in value[:_MAX_MESSAGES]], limit)
    return values.bounded_json([_document(value)], limit)


def _document(value: object) -> object:
    return {"content": value} if is_a(value, str) else value


def _messages(value: object, role: str) -> list[Message] | None:
    if is_a(value, list, tuple):
        found = [_as_message(one) for one in itertools.islice(value, _MAX_MESSAGES)]
        return [_message(one, role) for one in found if one] if found and all(found) else None
    one = _as_message(value)
    return [_message(one, role)] if one else None


def _as_message(value: object) -> Mapping[str, Any] | None:
    """A mapping with the shape of a message, taken from a dict or from an SDK's object; else None."""
    fields = value if is_a(value, dict) else dict(_named_fields(value))
    if isinstance(fields.get("role"), str) and ("content" in fields or "parts" in fields):
        return fields
    return None


def _named_fields(value: object) -> list[tuple[str, object]]:
    if is_a(value, str, bytes, int, float) or value is None:
        return []
    try:
        return [(str(name), one) for name, one in public_fields(value) or ()]
    except Exception:
        return []


def _message(fields: Mapping[str, Any], role: str) -> Message:
    made: Message = {"role": fields.get("role") or role}
    if isinstance(fields.get("name"), str):
        made["name"] = fields["name"]
    if isinstance(fields.get("parts"), (list, tuple)):
        return {**made, "parts": fields["parts"]}
    if made["role"] == "tool" and fields.get("tool_call_id"):
        response = {"type": "tool_call_response", "id": fields["tool_call_id"], "response": fields["content"]}
        return {**made, "parts": [response]}
    parts = _parts(fields.get("content"))
    calls = fields.get("tool_calls")
    if isinstance(calls, (list, tuple)):
        parts += [_openai_call(call) for call in calls]
    return {**made, "parts": parts}


def _parts(content: object) -> list[object]:
    if content is None:
        return []
    if is_a(content, str):
        return [_text(content)]
    if is_a(content, list, tuple):
        return [_part(one) for one in content]
    return [_part(content)]


def _part(value: object) -> object:
    if is_a(value, str):
        return _text(value)
    fields = value if is_a(value, dict) else dict(_named_fields(value))
    kind = fields.get("type")
    if kind in ("text", "input_text", "output_text") and "text" in fields:
        return _text(fields["text"])
    if kind == "thinking":
        return {"type": "reasoning", "content": fields.get("thinking")}
    if kind == "tool_use":
        name, arguments = fields.get("name"), fields.get("input")
        return {"type": "tool_call", "id": fields.get("id"), "name": name, "arguments": arguments}
    if kind == "tool_result":
        return {
            "type": "tool_call_response",
            "id": fields.get("tool_use_id"),
            "response": fields.get("content"),
        }
    if isinstance(kind, str):
        return fields  # a part of the conventions, or one of a kind that they have no name for
    return {"type": "text", "content": values.to_text(value, 100_000)}


def _openai_call(value: object) -> object:
    fields = value if is_a(value, dict) else dict(_named_fields(value))
    function = fields.get("function")
    function = function if is_a(function, dict) else dict(_named_fields(function))
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        try:
            arguments = msgspec.json.decode(arguments)
        except (msgspec.DecodeError, UnicodeError):  # models write what they like
            pass
    return {"type": "tool_call", "id": fields.get("id"), "name": function.get("name"), "arguments": arguments}


def _text(content: object) -> dict[str, object]:
    return {"type": "text", "content": content}
