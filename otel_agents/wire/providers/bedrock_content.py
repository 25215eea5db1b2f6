"""Messages of Bedrock's Converse in the conventions' schema. Runs on the export thread."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from otel_agents import semconv
from otel_agents.wire import parts, tolerant
from otel_agents.wire.formats import Content
from otel_agents.wire.parts import Part

_EMPTY: Final = msgspec.Raw(b"")
_MEDIA: Final = ("image", "document", "video", "audio")
#: Formats whose media type is not ``{kind}/{format}``.
_MIME_TYPES: Final = {
    "pdf": "application/pdf",
    "csv": "text/csv",
    "html": "text/html",
    "md": "text/markdown",
    "txt": "text/plain",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "three_gp": "video/3gpp",
    "mp3": "audio/mpeg",
}


class _Request(msgspec.Struct):
    messages: msgspec.Raw = _EMPTY
    system: msgspec.Raw = _EMPTY
    toolConfig: msgspec.Raw = _EMPTY


class _ToolConfig(msgspec.Struct):
    tools: msgspec.Raw = _EMPTY


class _Message(msgspec.Struct):
    role: Any = None
    content: msgspec.Raw = _EMPTY


class _Output(msgspec.Struct):
    message: msgspec.Raw = _EMPTY


class _Response(msgspec.Struct):
    output: _Output | None = None
    stopReason: Any = None


class _ToolUse(msgspec.Struct):
    toolUseId: Any = None
    name: Any = None
    input: msgspec.Raw = _EMPTY


class _ToolResult(msgspec.Struct):
    toolUseId: Any = None
    content: msgspec.Raw = _EMPTY


class _Media(msgspec.Struct):
    format: Any = None
    source: dict[str, msgspec.Raw] = {}


_request = msgspec.json.Decoder(_Request)
_tool_config = msgspec.json.Decoder(_ToolConfig)
_message = msgspec.json.Decoder(_Message)
_response = msgspec.json.Decoder(_Response)
_tool_use = msgspec.json.Decoder(_ToolUse)
_tool_result = msgspec.json.Decoder(_ToolResult)
_media = msgspec.json.Decoder(_Media)
_object: msgspec.json.Decoder[dict[str, msgspec.Raw]] = msgspec.json.Decoder(dict[str, msgspec.Raw])


def read_input(body: bytes, limit: int) -> Content:
    """Messages, system prompt and tools of a request."""
    request = tolerant.decode(_request, body)
    content: Content = {}
    messages = [_read_message(raw, limit) for raw in parts.items(request.messages) or ()]
    if messages:
        content[semconv.INPUT_MESSAGES] = messages
    system = _read_blocks(request.system, limit)
    if system:
        content[semconv.SYSTEM_INSTRUCTIONS] = system
    if tolerant.opens(request.toolConfig) == b"{":
        config = tolerant.decode(_tool_config, request.toolConfig)
        tools = [_read_tool(raw, limit) for raw in parts.items(config.tools) or ()]
        tools = [tool for tool in tools if tool["type"] != "cachePoint"]
        if tools:
            content[semconv.TOOL_DEFINITIONS] = tools
    return content


def read_output(body: bytes, limit: int) -> Content:
    """The message of a response that was not streamed; nothing for an error body."""
    response = tolerant.decode(_response, body)
    if response.output is None or tolerant.opens(response.output.message) != b"{":
        return {}
    message = tolerant.decode(_message, response.output.message)
    return _answer(_read_blocks(message.content, limit), tolerant.text(response.stopReason))


def read_events(events: Iterable[tuple[str, bytes]], limit: int) -> Content:
    """The message that the events (kind and payload) of a stream make, as far as they came."""
    blocks: dict[int, _Growing] = {}
    reason: str | None = None
    started = False
    for kind, payload in events:
        try:
            event = tolerant.mapping(tolerant.decode_any(payload))
        except ValueError:
            continue
        if not kind:  # Nova's own stream: the kind is the one key of the payload
            kind, event = next(((k, v) for k, v in event.items() if isinstance(v, dict)), ("", {}))
        started = started or kind == "messageStart"
        index = tolerant.count(event.get("contentBlockIndex")) or 0
        if kind == "contentBlockStart":
            blocks.setdefault(index, _Growing()).start(tolerant.mapping(event.get("start")))
        elif kind == "contentBlockDelta":
            started = True
            blocks.setdefault(index, _Growing()).grow(tolerant.mapping(event.get("delta")))
        elif kind == "messageStop":
            reason = tolerant.text(event.get("stopReason")) or reason
    if not started:
        return {}
    return _answer([blocks[index].part(limit) for index in sorted(blocks)], reason)


class _Growing:
    """A content block of a stream."""

    __slots__ = ("_kind", "_others", "_pieces", "_tool")

    def __init__(self) -> None:
        self._kind = "text"
        self._tool: dict[str, Any] = {}
        self._pieces: list[str] = []
        self._others: dict[str, Any] = {}

    def start(self, start: dict[str, Any]) -> None:
        if isinstance(start.get("toolUse"), dict):
            self._kind, self._tool = "toolUse", start["toolUse"]
        elif start:
            self._kind, self._others = "other", start

    def grow(self, delta: dict[str, Any]) -> None:
        if "text" in delta:
            self._add(delta["text"])
        elif "toolUse" in delta:
            self._kind = "toolUse"
            self._add(tolerant.mapping(delta["toolUse"]).get("input"))
        elif "reasoningContent" in delta:
            self._kind = "reasoning"
            self._add(tolerant.mapping(delta["reasoningContent"]).get("text"))

    def _add(self, piece: object) -> None:
        if isinstance(piece, str):
            self._pieces.append(piece)

    def part(self, limit: int) -> Part:
        whole = "".join(self._pieces)
        if self._kind == "toolUse":
            tool = self._tool
            return parts.tool_call(tool.get("toolUseId"), tool.get("name"), parts.arguments(whole))
        if self._kind == "other":
            return _named(self._others)
        return parts.reasoning(whole) if self._kind == "reasoning" else parts.text(whole)


def _answer(blocks: list[Part], reason: str | None) -> Content:
    message: dict[str, Any] = {"role": "assistant", "parts": blocks}
    if reason is not None:
        message["finish_reason"] = reason
    return {semconv.OUTPUT_MESSAGES: [message]}


def _read_message(raw: msgspec.Raw, limit: int) -> dict[str, Any]:
    message = tolerant.decode(_message, raw)
    return {"role": tolerant.text(message.role) or "user", "parts": _read_blocks(message.content, limit)}


def _read_blocks(raw: msgspec.Raw, limit: int) -> list[Part]:
    """Content is a list of blocks; cache points are no content."""
    found: list[Part] = []
    for item in parts.items(raw) or ():
        if tolerant.opens(item) != b"{":
            continue
        for kind, value in tolerant.decode(_object, item).items():
            if kind != "cachePoint":
                found.append(_read_block(kind, value, limit))
            break  # a block has one key
    return found


def _read_block(kind: str, raw: msgspec.Raw, limit: int) -> Part:
    if kind == "text":
        return parts.text(parts.cut_string(raw, limit))
    if tolerant.opens(raw) != b"{":
        return _named({kind: parts.anything(raw, limit)})
    if kind == "toolUse":
        use = tolerant.decode(_tool_use, raw)
        arguments = parts.anything(use.input, limit) if tolerant.size(use.input) else {}
        return parts.tool_call(use.toolUseId, use.name, arguments)
    if kind == "toolResult":
        result = tolerant.decode(_tool_result, raw)
        return parts.tool_response(result.toolUseId, _read_result(result.content, limit))
    if kind == "reasoningContent":
        return _read_reasoning(raw, limit)
    if kind in _MEDIA:
        return _read_media(kind, raw, limit)
    return _named({kind: parts.anything(raw, limit)})


def _read_reasoning(raw: msgspec.Raw, limit: int) -> Part:
    said = tolerant.decode(_object, raw).get("reasoningText", _EMPTY)
    if tolerant.opens(said) != b"{":
        return parts.reasoning("")  # redacted
    return parts.reasoning(parts.cut_string(tolerant.decode(_object, said).get("text", _EMPTY), limit))


def _read_media(kind: str, raw: msgspec.Raw, limit: int) -> Part:
    """An image, document, video or sound: base64, a place in S3, or a document's text."""
    media = tolerant.decode(_media, raw)
    form = tolerant.text(media.format) or ""
    source = media.source
    if "bytes" in source:
        blob = parts.blob(_MIME_TYPES.get(form, f"{kind}/{form}"), source["bytes"], limit)
        return {**blob, "modality": kind}
    if "s3Location" in source:
        place = tolerant.mapping(parts.anything(source["s3Location"], limit))
        return {"type": "uri", "modality": kind, "uri": place.get("uri", "")}
    if "text" in source:
        return parts.text(parts.cut_string(source["text"], limit))
    if "content" in source:
        return {"type": kind, "content": _read_result(source["content"], limit)}
    return _named({kind: parts.anything(raw, limit)})


def _read_result(raw: msgspec.Raw, limit: int) -> Any:
    """What a tool answered: its text or JSON when it is only that, else its blocks as parts."""
    items = parts.items(raw) or []
    if len(items) == 1 and tolerant.opens(items[0]) == b"{":
        only = tolerant.decode(_object, items[0])
        if "json" in only:
            return parts.anything(only["json"], limit)
    blocks = _read_blocks(raw, limit)
    if blocks and all(block["type"] == "text" for block in blocks):
        return "\n".join(block["content"] for block in blocks)
    return blocks


def _read_tool(raw: msgspec.Raw, limit: int) -> dict[str, Any]:
    """A tool of the app's own as a function, one of the provider's as it came."""
    tool = tolerant.mapping(parts.anything(raw, limit))
    spec = tool.get("toolSpec")
    if not isinstance(spec, dict):
        return _named(tool)
    definition = {"type": "function", "name": spec.get("name")}
    if "description" in spec:
        definition["description"] = spec["description"]
    if "inputSchema" in spec:
        definition["parameters"] = tolerant.mapping(spec["inputSchema"]).get("json", spec["inputSchema"])
    return definition


def _named(block: dict[str, Any]) -> Part:
    """A block of a kind that the schema has no name for: its key becomes its type."""
    kind = next(iter(block), "generic")
    value = block.get(kind)
    return {**value, "type": kind} if isinstance(value, dict) else {"type": kind, "value": value}
