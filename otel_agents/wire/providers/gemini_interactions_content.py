"""Messages of Google's Interactions API in the conventions' schema. Runs on the export thread."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from otel_agents import semconv
from otel_agents.wire import parts, sse, tolerant
from otel_agents.wire.formats import Content
from otel_agents.wire.parts import Part

Fields = dict[str, msgspec.Raw]

_fields: msgspec.json.Decoder[Fields] = msgspec.json.Decoder(Fields)
_EMPTY: Final = msgspec.Raw(b"")
_MEDIA: Final = ("image", "audio", "video", "document")


def read_input(body: bytes, limit: int) -> Content:
    """Messages, system instructions and tools of a request."""
    request = tolerant.decode(_fields, body)
    content: Content = {}
    given = request.get("input", _EMPTY)
    messages: list[dict[str, Any]] = []
    if tolerant.opens(given) == b'"':
        _say(messages, "user", [parts.text(parts.cut_string(given, limit))])
    for raw in [given] if tolerant.opens(given) == b"{" else parts.items(given) or ():
        _say(messages, *_read(_object(raw), raw, "user", limit))
    if messages:
        content[semconv.INPUT_MESSAGES] = messages
    system = parts.cut_string(request.get("system_instruction", _EMPTY), limit)
    if system:
        content[semconv.SYSTEM_INSTRUCTIONS] = [parts.text(system)]
    tools = [
        _read_tool(parts.anything(raw, limit)) for raw in parts.items(request.get("tools", _EMPTY)) or ()
    ]
    if tools:
        content[semconv.TOOL_DEFINITIONS] = tools
    return content


def read_output(body: bytes, limit: int) -> Content:
    """One message with what all steps of the model came to."""
    fields = tolerant.decode(_fields, body)
    return _output(parts.items(fields.get("steps", fields.get("outputs", _EMPTY))) or [], limit)


def read_streamed(body: bytes, limit: int) -> Content:
    """The same, put together from the events of a stream."""
    steps: dict[int, dict[str, Any]] = {}
    for event in sse.events((body,)):
        try:
            said = tolerant.mapping(tolerant.decode_any(event.data))
        except ValueError:
            continue
        whole = tolerant.mapping(said.get("interaction")).get("steps")
        if isinstance(whole, list) and whole:
            return _output([_raw(step) for step in whole], limit)
        index = tolerant.count(said.get("index"))
        if index is None:
            continue
        if "step" in said:
            steps[index] = dict(tolerant.mapping(said["step"]))
        delta = tolerant.mapping(said.get("delta"))
        if delta:
            _add(steps.setdefault(index, {"type": "model_output"}), delta)
    return _output([_raw(steps[index]) for index in sorted(steps)], limit)


def _add(step: dict[str, Any], delta: dict[str, Any]) -> None:
    """Puts a piece to the step that it belongs to."""
    kind = delta.get("type")
    if kind == "arguments_delta":
        before = step.get("arguments")
        step["arguments"] = f"{before if isinstance(before, str) else ''}{delta.get('arguments') or ''}"
    elif kind == "thought_summary":
        _append(step, "summary", tolerant.mapping(delta.get("content")))
    elif kind in ("text", *_MEDIA):
        _append(step, "content", delta)
    elif kind != "thought_signature":
        step.update((name, value) for name, value in delta.items() if name != "type")


def _append(step: dict[str, Any], field: str, piece: dict[str, Any]) -> None:
    found = step.get(field)
    pieces: list[Any] = step.setdefault(field, []) if not isinstance(found, list) else found
    last = pieces[-1] if pieces else None
    if isinstance(last, dict) and last.get("type") == piece.get("type") == "text":
        last["text"] = f"{last.get('text') or ''}{piece.get('text') or ''}"
    else:
        pieces.append(dict(piece))


def _output(steps: list[msgspec.Raw], limit: int) -> Content:
    found: list[Part] = []
    for raw in steps:
        role, said = _read(_object(raw), raw, "assistant", limit)
        if role == "assistant":
            found += said
    return {semconv.OUTPUT_MESSAGES: [{"role": "assistant", "parts": found}]} if found else {}


def _say(messages: list[dict[str, Any]], role: str, said: list[Part]) -> None:
    """Steps of one side in a row are one message."""
    if said and messages and messages[-1]["role"] == role and role != "tool":
        messages[-1]["parts"] += said
    elif said:
        messages.append({"role": role, "parts": said})


def _read(fields: Fields, raw: msgspec.Raw, role: str, limit: int) -> tuple[str, list[Part]]:
    """A step, or a piece of content, as a role and parts."""
    kind = _text(fields, "type")
    if kind in ("user_input", "model_output"):
        role = "user" if kind == "user_input" else "assistant"
        return role, _contents(fields.get("content", _EMPTY), limit)
    if kind == "thought":
        summary = _contents(fields.get("summary", _EMPTY), limit)
        thoughts = [part["content"] for part in summary if part["type"] == "text"]
        return "assistant", [parts.reasoning("\n".join(thoughts))] if thoughts else []
    if kind == "function_call":
        given = parts.anything(fields.get("arguments", msgspec.Raw(b"{}")), limit)
        given = parts.arguments(given) if isinstance(given, str) else given
        return "assistant", [parts.tool_call(_text(fields, "id"), _text(fields, "name"), given)]
    if kind == "function_result":
        result = parts.anything(fields.get("result", msgspec.Raw(b"null")), limit)
        return "tool", [parts.tool_response(_text(fields, "call_id"), result)]
    if kind.endswith(("_call", "_result")):
        return "assistant", [_server_tool(fields, kind, limit)]
    if "role" in fields:  # a turn, as the API had them first
        role = "assistant" if _text(fields, "role") == "model" else "user"
        return role, _contents(fields.get("content", _EMPTY), limit)
    return role, [_content(fields, raw, limit)]


def _server_tool(fields: Fields, kind: str, limit: int) -> Part:
    """A call of a tool that Google runs, or what came of it."""
    name, _, half = kind.rpartition("_")
    told = {
        field: parts.anything(value, limit)
        for field, value in fields.items()
        if field not in ("type", "id", "call_id", "signature")
    }
    if half == "call":
        said = {"type": name, **told}
        return {"type": "server_tool_call", "id": _text(fields, "id"), "name": name, "server_tool_call": said}
    return {
        "type": "server_tool_call_response", "id": _text(fields, "call_id"),
        "server_tool_call_response": {"type": name, **told},
    }  # fmt: skip


def _contents(raw: msgspec.Raw, limit: int) -> list[Part]:
    if tolerant.opens(raw) == b'"':
        return [parts.text(parts.cut_string(raw, limit))]
    listed = [raw] if tolerant.opens(raw) == b"{" else parts.items(raw) or ()
    return [_content(_object(item), item, limit) for item in listed]


def _content(fields: Fields, raw: msgspec.Raw, limit: int) -> Part:
    kind = _text(fields, "type")
    if kind == "text" or (not kind and "text" in fields):
        return parts.text(parts.cut_string(fields.get("text", _EMPTY), limit))
    mime_type = _text(fields, "mime_type") or None
    if kind in _MEDIA and "data" in fields:
        return {**parts.blob(mime_type, fields["data"], limit), "modality": kind}
    if kind in _MEDIA and "uri" in fields:
        return {"type": "uri", "mime_type": mime_type, "modality": kind, "uri": _text(fields, "uri")}
    return parts.generic(raw, limit)


def _read_tool(tool: Any) -> dict[str, Any]:
    known = tolerant.mapping(tool)
    return {"name": known.get("name") or known.get("type"), **known}


def _text(fields: Fields, name: str) -> str:
    return parts.cut_string(fields.get(name, _EMPTY), 10_000)


def _object(raw: msgspec.Raw) -> Fields:
    return tolerant.decode(_fields, raw) if tolerant.opens(raw) == b"{" else {}


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(tolerant.encode(value).encode())
