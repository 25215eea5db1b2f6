"""Messages of Anthropic's API in the conventions' schema. Runs on the export thread."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from otel_agents import semconv
from otel_agents.wire import parts, sse, tolerant
from otel_agents.wire.formats import Content
from otel_agents.wire.parts import Part

_EMPTY: Final = msgspec.Raw(b"")
_OWN_TOOL_RESULTS: Final = ("tool_result", "mcp_tool_result")
_SERVER_TOOLS: Final = ("server_tool_use", "mcp_tool_use")
_KNOWN: Final = ("text", "thinking", "tool_use", "image", "document", "compaction", *_SERVER_TOOLS)


class _Request(msgspec.Struct):
    messages: msgspec.Raw = _EMPTY
    system: msgspec.Raw = _EMPTY
    tools: msgspec.Raw = _EMPTY


class _Message(msgspec.Struct):
    role: Any = None
    content: msgspec.Raw = _EMPTY
    stop_reason: Any = None


class _Source(msgspec.Struct):
    type: Any = None
    media_type: Any = None
    data: msgspec.Raw = _EMPTY
    url: msgspec.Raw = _EMPTY
    file_id: Any = None
    content: msgspec.Raw = _EMPTY


class _Block(msgspec.Struct):
    text: msgspec.Raw = _EMPTY
    thinking: msgspec.Raw = _EMPTY
    id: Any = None
    name: Any = None
    input: msgspec.Raw = _EMPTY
    source: msgspec.Raw = _EMPTY
    content: msgspec.Raw = _EMPTY
    tool_use_id: Any = None
    server_name: Any = None


class _Event(msgspec.Struct):
    type: Any = None
    index: Any = None
    message: msgspec.Raw = _EMPTY
    content_block: msgspec.Raw = _EMPTY
    delta: Any = None


_request = msgspec.json.Decoder(_Request)
_message = msgspec.json.Decoder(_Message)
_source = msgspec.json.Decoder(_Source)
_block = msgspec.json.Decoder(_Block)
_event = msgspec.json.Decoder(_Event)


def read_input(body: bytes, limit: int) -> Content:
    """Messages, system instructions and tools of a request."""
    request = tolerant.decode(_request, body)
    content: Content = {}
    messages = [_read_message(raw, limit) for raw in parts.items(request.messages) or ()]
    if messages:
        content[semconv.INPUT_MESSAGES] = messages
    system = _read_blocks(request.system, limit)
    if system:
        content[semconv.SYSTEM_INSTRUCTIONS] = system
    tools = [_read_tool(raw, limit) for raw in parts.items(request.tools) or ()]
    if tools:
        content[semconv.TOOL_DEFINITIONS] = tools
    return content


def read_output(body: bytes, limit: int) -> Content:
    """The message of a response that was not streamed; nothing for an error body."""
    message = tolerant.decode(_message, body)
    if tolerant.opens(message.content) != b"[":
        return {}
    return _answer(_read_blocks(message.content, limit), tolerant.text(message.stop_reason))


def read_streamed(body: bytes, limit: int) -> Content:
    """The message that the events of a stream make, as far as they came."""
    blocks: dict[int, _Growing] = {}
    reason: str | None = None
    started = False
    for event in sse.events((body,)):
        try:
            item = tolerant.decode(_event, event.data)
        except ValueError:
            continue
        started = started or item.type == "message_start"
        index = tolerant.count(item.index) or 0
        delta = tolerant.mapping(item.delta)
        if item.type == "content_block_start" and tolerant.opens(item.content_block) == b"{":
            blocks[index] = _Growing(item.content_block)
        elif item.type == "content_block_delta" and index in blocks:
            blocks[index].grow(delta)
        elif item.type == "message_delta":
            reason = tolerant.text(delta.get("stop_reason")) or reason
    if not started:
        return {}
    return _answer([blocks[index].part(limit) for index in sorted(blocks)], reason)


class _Growing:
    """A content block of a stream: how it started and what was added."""

    __slots__ = ("added", "start")

    def __init__(self, start: msgspec.Raw) -> None:
        self.start = start
        self.added: dict[str, list[str]] = {}

    def grow(self, delta: dict[str, Any]) -> None:
        for name in ("text", "thinking", "partial_json", "content"):
            piece = delta.get(name)
            if isinstance(piece, str):
                self.added.setdefault(name, []).append(piece)

    def part(self, limit: int) -> Part:
        part = _read_block(self.start, limit)
        added = {name: "".join(pieces) for name, pieces in self.added.items()}
        if "partial_json" in added:
            arguments = parts.arguments(added["partial_json"])
            if part["type"] == "server_tool_call":
                part["server_tool_call"] = {**part["server_tool_call"], "arguments": arguments}
            else:
                part["arguments"] = arguments
        for name in ("text", "thinking", "content"):
            if name in added:
                before = part.get("content")
                part["content"] = (before if isinstance(before, str) else "") + added[name]
        return part


def _answer(blocks: list[Part], reason: str | None) -> Content:
    message: dict[str, Any] = {"role": "assistant", "parts": blocks}
    if reason is not None:
        message["finish_reason"] = reason
    return {semconv.OUTPUT_MESSAGES: [message]}


def _read_message(raw: msgspec.Raw, limit: int) -> dict[str, Any]:
    message = tolerant.decode(_message, raw)
    return {"role": tolerant.text(message.role) or "user", "parts": _read_blocks(message.content, limit)}


def _read_blocks(raw: msgspec.Raw, limit: int) -> list[Part]:
    """Content that is either one string or a list of blocks."""
    if tolerant.opens(raw) == b'"':
        return [parts.text(parts.cut_string(raw, limit))]
    return [_read_block(item, limit) for item in parts.items(raw) or ()]


def _read_block(raw: msgspec.Raw, limit: int) -> Part:
    kind = parts.kind(raw)
    if kind in _KNOWN:
        return _read_known(kind, tolerant.decode(_block, raw), raw, limit)
    if kind in _OWN_TOOL_RESULTS:
        block = tolerant.decode(_block, raw)
        return parts.tool_response(block.tool_use_id, _read_result(block.content, limit))
    if kind.endswith("_tool_result"):
        block = tolerant.decode(_block, raw)
        result = {"type": kind.removesuffix("_tool_result"), "result": _value(block.content, limit)}
        return {
            "type": "server_tool_call_response",
            "id": block.tool_use_id,
            "server_tool_call_response": result,
        }
    if kind == "redacted_thinking":
        return parts.reasoning("")
    return parts.generic(raw, limit)


def _read_known(kind: str, block: _Block, raw: msgspec.Raw, limit: int) -> Part:
    if kind == "text":
        return parts.text(parts.cut_string(block.text, limit))
    if kind == "thinking":
        return parts.reasoning(parts.cut_string(block.thinking, limit))
    if kind == "tool_use":
        return parts.tool_call(block.id, block.name, _value(block.input, limit))
    if kind in _SERVER_TOOLS:
        call = {
            "type": tolerant.text(block.server_name) or block.name,
            "arguments": _value(block.input, limit),
        }
        return {"type": "server_tool_call", "id": block.id, "name": block.name, "server_tool_call": call}
    if kind == "compaction":
        return {"type": "compaction", "content": parts.cut_string(block.content, limit)}
    if tolerant.opens(block.source) != b"{":
        return parts.generic(raw, limit)
    return _read_source(kind, tolerant.decode(_source, block.source), limit)


def _read_source(kind: str, source: _Source, limit: int) -> Part:
    """An image or a document, which comes as base64, URL, file id, plain text or blocks."""
    mime_type = tolerant.text(source.media_type)
    if source.type == "url":
        return parts.link(source.url, limit, kind)
    if source.type == "file":
        return {"type": "file", "modality": kind, "file_id": source.file_id}
    if source.type == "text":
        return parts.text(parts.cut_string(source.data, limit))
    if source.type == "content":
        return {"type": kind, "content": _read_result(source.content, limit)}
    return {**parts.blob(mime_type, source.data, limit), "modality": kind}


def _read_result(raw: msgspec.Raw, limit: int) -> Any:
    """What a tool answered: its text when it is only that, else its blocks as parts."""
    blocks = _read_blocks(raw, limit)
    if blocks and all(block["type"] == "text" for block in blocks):
        return "\n".join(block["content"] for block in blocks)
    return blocks


def _read_tool(raw: msgspec.Raw, limit: int) -> dict[str, Any]:
    """A tool of the app's own as a function, one of the provider's as it came."""
    tool = parts.anything(raw, limit)
    if not isinstance(tool, dict):
        return {"type": "generic"}
    if tool.get("type") not in (None, "custom"):
        return tool
    definition = {"type": "function", "name": tool.get("name")}
    if "description" in tool:
        definition["description"] = tool["description"]
    if "input_schema" in tool:
        definition["parameters"] = tool["input_schema"]
    return definition


def _value(raw: msgspec.Raw, limit: int) -> Any:
    return parts.anything(raw, limit) if tolerant.size(raw) else {}
