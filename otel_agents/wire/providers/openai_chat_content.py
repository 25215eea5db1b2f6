"""Messages of Chat Completions in the conventions' schema. Runs on the export thread."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from otel_agents import semconv
from otel_agents.wire import parts, sse, tolerant
from otel_agents.wire.formats import Content
from otel_agents.wire.parts import Part

_EMPTY: Final = msgspec.Raw(b"")


class _Request(msgspec.Struct):
    messages: msgspec.Raw = _EMPTY
    tools: msgspec.Raw = _EMPTY
    functions: msgspec.Raw = _EMPTY


class _Message(msgspec.Struct):
    """A message of the request or of a choice. ``reasoning*`` are what compatible servers call thoughts."""

    role: Any = None
    name: Any = None
    content: msgspec.Raw = _EMPTY
    refusal: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    tool_calls: Any = None
    function_call: Any = None
    tool_call_id: Any = None
    audio: msgspec.Raw = _EMPTY


class _Part(msgspec.Struct):
    type: Any = None
    text: msgspec.Raw = _EMPTY
    refusal: msgspec.Raw = _EMPTY
    image_url: msgspec.Raw = _EMPTY
    input_audio: msgspec.Raw = _EMPTY
    file: msgspec.Raw = _EMPTY


class _Carrier(msgspec.Struct):
    """What an image, audio or file part carries."""

    url: msgspec.Raw = _EMPTY
    data: msgspec.Raw = _EMPTY
    format: Any = None
    file_id: Any = None
    file_data: msgspec.Raw = _EMPTY
    transcript: Any = None
    id: Any = None


class _Choice(msgspec.Struct):
    index: Any = None
    finish_reason: Any = None
    message: msgspec.Raw = _EMPTY
    delta: Any = None


class _Response(msgspec.Struct):
    choices: list[_Choice] = []


_request = msgspec.json.Decoder(_Request)
_message = msgspec.json.Decoder(_Message)
_part = msgspec.json.Decoder(_Part)
_carrier = msgspec.json.Decoder(_Carrier)
_response = msgspec.json.Decoder(_Response)


def read_input(body: bytes, limit: int) -> Content:
    """Messages (system ones among them, as they were sent) and tools."""
    request = tolerant.decode(_request, body)
    content: Content = {}
    messages = [
        _read_message(tolerant.decode(_message, raw), limit) for raw in parts.items(request.messages) or ()
    ]
    if messages:
        content[semconv.INPUT_MESSAGES] = messages
    tools = [_read_tool(raw, limit) for raw in parts.items(request.tools) or ()]
    tools += [_read_tool(raw, limit) for raw in parts.items(request.functions) or ()]
    if tools:
        content[semconv.TOOL_DEFINITIONS] = tools
    return content


def read_output(body: bytes, limit: int) -> Content:
    """One message for each choice of a response that was not streamed."""
    messages: list[dict[str, Any]] = []
    for choice in tolerant.decode(_response, body).choices:
        if tolerant.opens(choice.message) == b"{":
            message = _read_message(tolerant.decode(_message, choice.message), limit)
            messages.append(_finished(message, choice.finish_reason))
    return {semconv.OUTPUT_MESSAGES: messages} if messages else {}


def read_streamed(body: bytes, limit: int) -> Content:
    """One message for each choice, put together from the deltas that came."""
    choices: dict[int, _Growing] = {}
    for event in sse.events((body,)):
        if not event.data.startswith(b"{"):
            continue
        try:
            chunk = tolerant.decode(_response, event.data)
        except ValueError:
            continue
        for choice in chunk.choices:
            growing = choices.setdefault(tolerant.count(choice.index) or 0, _Growing())
            growing.grow(tolerant.mapping(choice.delta))
            growing.reason = tolerant.text(choice.finish_reason) or growing.reason
    messages = [choices[index].message() for index in sorted(choices)]
    return {semconv.OUTPUT_MESSAGES: messages} if messages else {}


class _Growing:
    """A choice of a stream, as far as it came."""

    __slots__ = ("calls", "reason", "role", "texts")

    def __init__(self) -> None:
        self.role = "assistant"
        self.reason: str | None = None
        self.texts: dict[str, list[str]] = {}
        self.calls: dict[int, dict[str, str]] = {}

    def grow(self, delta: dict[str, Any]) -> None:
        self.role = tolerant.text(delta.get("role")) or self.role
        for name in ("reasoning_content", "reasoning", "content", "refusal"):
            piece = delta.get(name)
            if isinstance(piece, str):
                self.texts.setdefault(name, []).append(piece)
        audio = tolerant.mapping(delta.get("audio"))
        if isinstance(audio.get("transcript"), str):
            self.texts.setdefault("transcript", []).append(audio["transcript"])
        calls = delta.get("tool_calls")
        for position, call in enumerate(calls if isinstance(calls, list) else ()):
            if isinstance(call, dict):
                index = tolerant.count(call.get("index"))
                self._grow_call(position if index is None else index, call, call.get("function"))
        if isinstance(delta.get("function_call"), dict):
            self._grow_call(0, {}, delta["function_call"])

    def _grow_call(self, index: int, call: dict[str, Any], function: object) -> None:
        known = self.calls.setdefault(index, {"id": "", "name": "", "arguments": ""})
        function = tolerant.mapping(function)
        known["id"] = known["id"] or tolerant.text(call.get("id")) or ""
        # The name comes whole in the first piece; some servers repeat it in every one.
        known["name"] = known["name"] or tolerant.text(function.get("name")) or ""
        arguments = function.get("arguments")
        if isinstance(arguments, str):
            known["arguments"] += arguments

    def message(self) -> dict[str, Any]:
        said = {name: "".join(pieces) for name, pieces in self.texts.items()}
        found: list[Part] = []
        thought = said.get("reasoning_content") or said.get("reasoning")
        if thought:
            found.append(parts.reasoning(thought))
        for name in ("content", "transcript"):
            if said.get(name):
                found.append(parts.text(said[name]))
        if said.get("refusal"):
            found.append({"type": "refusal", "content": said["refusal"]})
        for index in sorted(self.calls):
            call = self.calls[index]
            found.append(
                parts.tool_call(call["id"] or None, call["name"], parts.arguments(call["arguments"]))
            )
        return _finished({"role": self.role, "parts": found}, self.reason)


def _finished(message: dict[str, Any], reason: object) -> dict[str, Any]:
    return {**message, "finish_reason": reason} if isinstance(reason, str) else message


def _read_message(message: _Message, limit: int) -> dict[str, Any]:
    role = tolerant.text(message.role) or "user"
    if role in ("tool", "function"):
        answer = _read_content(message.content, limit)
        whole = answer[0]["content"] if len(answer) == 1 and answer[0]["type"] == "text" else answer
        found = [parts.tool_response(message.tool_call_id or message.name, whole)]
    else:
        found = _read_said(message, limit)
    read: dict[str, Any] = {"role": role, "parts": found}
    if role != "function" and isinstance(message.name, str):
        read["name"] = message.name
    return read


def _read_said(message: _Message, limit: int) -> list[Part]:
    found: list[Part] = []
    thought = tolerant.text(message.reasoning_content) or tolerant.text(message.reasoning)
    if thought:
        found.append(parts.reasoning(thought))
    found += _read_content(message.content, limit)
    if tolerant.text(message.refusal):
        found.append({"type": "refusal", "content": message.refusal})
    if tolerant.opens(message.audio) == b"{":
        audio = tolerant.decode(_carrier, message.audio)
        if tolerant.text(audio.transcript):
            found.append(parts.text(audio.transcript))
        if tolerant.size(audio.data):
            found.append(parts.blob("audio/*", audio.data, limit))
    for call in message.tool_calls if isinstance(message.tool_calls, list) else ():
        found.append(_read_call(tolerant.mapping(call)))
    if isinstance(message.function_call, dict):
        found.append(_read_call({"function": message.function_call}))
    return found


def _read_call(call: dict[str, Any]) -> Part:
    if isinstance(call.get("custom"), dict):
        return parts.tool_call(call.get("id"), call["custom"].get("name"), call["custom"].get("input"))
    function = tolerant.mapping(call.get("function"))
    arguments = function.get("arguments")
    decoded = parts.arguments(arguments) if isinstance(arguments, str) else arguments
    return parts.tool_call(call.get("id"), function.get("name"), decoded)


def _read_content(raw: msgspec.Raw, limit: int) -> list[Part]:
    """Content that is one string, a list of parts, or null."""
    if tolerant.opens(raw) == b'"':
        return [parts.text(parts.cut_string(raw, limit))]
    return [_read_part(item, limit) for item in parts.items(raw) or ()]


def _read_part(raw: msgspec.Raw, limit: int) -> Part:
    part = tolerant.decode(_part, raw)
    if part.type == "text":
        return parts.text(parts.cut_string(part.text, limit))
    if part.type == "refusal":
        return {"type": "refusal", "content": parts.cut_string(part.refusal, limit)}
    if part.type == "image_url":
        if tolerant.opens(part.image_url) == b'"':
            return parts.link(part.image_url, limit, "image")
        return parts.link(tolerant.decode(_carrier, part.image_url).url, limit, "image")
    if part.type == "input_audio" and tolerant.opens(part.input_audio) == b"{":
        carrier = tolerant.decode(_carrier, part.input_audio)
        return parts.blob(f"audio/{tolerant.text(carrier.format) or '*'}", carrier.data, limit)
    if part.type == "file" and tolerant.opens(part.file) == b"{":
        carrier = tolerant.decode(_carrier, part.file)
        if isinstance(carrier.file_id, str):
            return {"type": "file", "modality": "document", "file_id": carrier.file_id}
        return parts.link(carrier.file_data, limit, "document")
    return parts.generic(raw, limit)


def _read_tool(raw: msgspec.Raw, limit: int) -> dict[str, Any]:
    tool = parts.anything(raw, limit)
    if not isinstance(tool, dict):
        return {"type": "generic"}
    if tool.get("type") not in (None, "function"):
        return tool
    function = tolerant.mapping(tool.get("function")) or tool
    wanted = ("name", "description", "parameters")
    return {"type": "function", **{name: function[name] for name in wanted if name in function}}
