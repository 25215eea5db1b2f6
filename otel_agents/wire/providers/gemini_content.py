"""Messages of Gemini's API in the conventions' schema. Runs on the export thread."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from otel_agents import semconv
from otel_agents.wire import parts, tolerant
from otel_agents.wire.formats import Content
from otel_agents.wire.parts import Part

Fields = dict[str, msgspec.Raw]

_fields: msgspec.json.Decoder[Fields] = msgspec.json.Decoder(Fields)
_ROLES: Final = {"model": "assistant", "function": "tool"}
_HUMP: Final = re.compile(r"(?<=[a-z])([A-Z])")


def read_input(body: bytes, limit: int) -> Content:
    """Messages, system instructions and tools of a request."""
    request = tolerant.decode(_fields, body)
    content: Content = {}
    contents = request.get("contents", msgspec.Raw(b""))
    listed = [contents] if tolerant.opens(contents) == b"{" else parts.items(contents) or ()
    messages = [_read_message(_object(raw), "user", limit) for raw in listed]
    if messages:
        content[semconv.INPUT_MESSAGES] = messages
    system = _read_parts(_object(_get(request, "systemInstruction")), limit)
    if system:
        content[semconv.SYSTEM_INSTRUCTIONS] = system
    tools: list[dict[str, Any]] = []
    for raw in parts.items(_get(request, "tools")) or ():
        tools += _read_tools(_object(raw), limit)
    if tools:
        content[semconv.TOOL_DEFINITIONS] = tools
    return content


def read_output(chunks: Iterable[bytes], limit: int) -> Content:
    """One message for each candidate, put together from the chunks that came."""
    candidates: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        try:
            listed = parts.items(_get(_object(msgspec.Raw(chunk)), "candidates")) or []
        except ValueError:
            continue
        for position, raw in enumerate(listed):
            fields = _object(raw)
            index = tolerant.count(_value(fields, "index", limit))
            message = candidates.setdefault(
                position if index is None else index, {"role": "assistant", "parts": []}
            )
            for part in _read_parts(_object(_get(fields, "content")), limit):
                _append(message["parts"], part)
            reason = _value(fields, "finishReason", limit)
            if isinstance(reason, str):
                message["finish_reason"] = reason
    for message in candidates.values():
        message["parts"] = [_closed(part) for part in message["parts"]]
    messages = [candidates[index] for index in sorted(candidates)]
    return {semconv.OUTPUT_MESSAGES: messages} if messages else {}


def _append(found: list[Part], part: Part) -> None:
    """Adds a part; pieces of one text, thought or call follow each other."""
    last = found[-1] if found else None
    if last is not None and last["type"] == part["type"]:
        if part["type"] in ("text", "reasoning"):
            last["content"] += part["content"]
            return
        if "partial" in part and "partial" in last and part["name"] in (None, last["name"]):
            last["partial"] += part["partial"]
            return
    if part["type"] == "text" and not part["content"] and found:
        return  # the last chunk often has an empty text beside its finish reason
    found.append(part)


def _closed(part: Part) -> Part:
    """A call whose arguments came in pieces, each with the path of what it belongs to."""
    pieces = part.pop("partial", None)
    if pieces is None:
        return part
    arguments: dict[str, Any] = part["arguments"] if isinstance(part["arguments"], dict) else {}
    for piece in pieces:
        path = str(piece.get("jsonPath", "")).removeprefix("$.")
        if "stringValue" in piece:
            before = arguments.get(path)
            arguments[path] = f"{before if isinstance(before, str) else ''}{piece['stringValue']}"
        else:
            known = ("numberValue", "boolValue", "nullValue")
            arguments[path] = next((piece[name] for name in known if name in piece), None)
    return {**part, "arguments": arguments}


def _read_message(fields: Fields, role: str, limit: int) -> dict[str, Any]:
    said = _value(fields, "role", limit)
    role = said if isinstance(said, str) and said else role
    return {"role": _ROLES.get(role, role), "parts": _read_parts(fields, limit)}


def _read_parts(fields: Fields, limit: int) -> list[Part]:
    raw = _get(fields, "parts")
    listed = [raw] if tolerant.opens(raw) == b"{" else parts.items(raw) or ()
    return [_read_part(item, limit) for item in listed]


def _read_part(raw: msgspec.Raw, limit: int) -> Part:
    fields = _object(raw)
    if "text" in fields:
        text = parts.cut_string(fields["text"], limit)
        return parts.reasoning(text) if _value(fields, "thought", limit) is True else parts.text(text)
    for name, read in _READERS.items():
        carried = _get(fields, name)
        if tolerant.opens(carried) == b"{":
            return read(_object(carried), limit)
    return parts.generic(raw, limit)


def _read_call(call: Fields, limit: int) -> Part:
    arguments = _value(call, "args", limit)
    name = _value(call, "name", limit)
    part = parts.tool_call(_value(call, "id", limit), name, {} if arguments is None else arguments)
    pieces = _value(call, "partialArgs", limit)
    if isinstance(pieces, list) or _value(call, "willContinue", limit) is not None:
        part["partial"] = [piece for piece in pieces or () if isinstance(piece, dict)]
    return part


def _read_response(answer: Fields, limit: int) -> Part:
    """The id is optional; without it the name of the function says whose answer it is."""
    call_id = _value(answer, "id", limit) or _value(answer, "name", limit)
    return parts.tool_response(call_id, _value(answer, "response", limit))


def _read_blob(blob: Fields, limit: int) -> Part:
    return parts.blob(tolerant.text(_value(blob, "mimeType", limit)), _get(blob, "data"), limit)


def _read_file(file: Fields, limit: int) -> Part:
    mime_type = tolerant.text(_value(file, "mimeType", limit))
    uri = _value(file, "fileUri", limit)
    return {"type": "uri", "mime_type": mime_type, "modality": parts.modality(mime_type), "uri": uri or ""}


def _read_code(code: Fields, limit: int) -> Part:
    call = {"type": "code_execution", **_values(code, limit)}
    return {
        "type": "server_tool_call",
        "id": call.pop("id", None),
        "name": "code_execution",
        "server_tool_call": call,
    }


def _read_result(result: Fields, limit: int) -> Part:
    answer = {"type": "code_execution", **_values(result, limit)}
    return {
        "type": "server_tool_call_response",
        "id": answer.pop("id", None),
        "server_tool_call_response": answer,
    }


def _read_server_call(call: Fields, limit: int) -> Part:
    kind = str(_value(call, "toolType", limit) or "tool").lower()
    return {
        "type": "server_tool_call",
        "id": _value(call, "id", limit),
        "name": kind,
        "server_tool_call": {"type": kind, "arguments": _value(call, "args", limit)},
    }


def _read_server_response(answer: Fields, limit: int) -> Part:
    kind = str(_value(answer, "toolType", limit) or "tool").lower()
    return {
        "type": "server_tool_call_response",
        "id": _value(answer, "id", limit),
        "server_tool_call_response": {"type": kind, "result": _value(answer, "response", limit)},
    }


_READERS: Final = {
    "functionCall": _read_call,
    "functionResponse": _read_response,
    "inlineData": _read_blob,
    "fileData": _read_file,
    "executableCode": _read_code,
    "codeExecutionResult": _read_result,
    "toolCall": _read_server_call,
    "toolResponse": _read_server_response,
}


def _read_tools(tool: Fields, limit: int) -> list[dict[str, Any]]:
    """A tool is a list of functions, or one of Google's own under its name."""
    found: list[dict[str, Any]] = []
    for raw in parts.items(_get(tool, "functionDeclarations")) or ():
        declared = _object(raw)
        definition: dict[str, Any] = {"type": "function", "name": _value(declared, "name", limit)}
        for name, ours in _DECLARED:
            value = _value(declared, name, limit)
            if value is not None:
                definition[ours] = value
        found.append(definition)
    for name, raw in tool.items():
        if name not in ("functionDeclarations", "function_declarations"):
            kind = _snake(name)
            found.append({"type": kind, "name": kind, **tolerant.mapping(parts.anything(raw, limit))})
    return found


_DECLARED: Final = (
    ("description", "description"),
    ("parameters", "parameters"),
    ("parametersJsonSchema", "parameters"),
)


def _snake(name: str) -> str:
    return _HUMP.sub(lambda found: f"_{found[1]}", name).lower()


def _get(fields: Fields, name: str) -> msgspec.Raw:
    """A field in either spelling, undecoded; empty when it is not there."""
    found = fields.get(name)
    if found is None:
        found = fields.get(_snake(name))
    return msgspec.Raw(b"") if found is None else found


def _value(fields: Fields, name: str, limit: int) -> Any:
    raw = _get(fields, name)
    return parts.anything(raw, limit) if tolerant.size(raw) else None


def _values(fields: Fields, limit: int) -> dict[str, Any]:
    return {name: parts.anything(raw, limit) for name, raw in fields.items()}


def _object(raw: msgspec.Raw) -> Fields:
    return tolerant.decode(_fields, raw) if tolerant.size(raw) and tolerant.opens(raw) == b"{" else {}
