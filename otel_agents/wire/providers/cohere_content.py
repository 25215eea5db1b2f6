"""Messages of Cohere's chat in the conventions' schema. Runs on the export thread."""

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
    documents: msgspec.Raw = _EMPTY
    tools: msgspec.Raw = _EMPTY


class _Message(msgspec.Struct):
    role: Any = None
    content: msgspec.Raw = _EMPTY
    tool_plan: msgspec.Raw = _EMPTY
    tool_calls: Any = None
    tool_call_id: Any = None


class _Part(msgspec.Struct):
    type: Any = None
    text: msgspec.Raw = _EMPTY
    thinking: msgspec.Raw = _EMPTY
    image_url: msgspec.Raw = _EMPTY


class _Link(msgspec.Struct):
    url: msgspec.Raw = _EMPTY


class _Response(msgspec.Struct):
    message: msgspec.Raw = _EMPTY
    finish_reason: Any = None


class _Event(msgspec.Struct):
    type: Any = None
    index: Any = None
    delta: Any = None


_request = msgspec.json.Decoder(_Request)
_message = msgspec.json.Decoder(_Message)
_part = msgspec.json.Decoder(_Part)
_link = msgspec.json.Decoder(_Link)
_response = msgspec.json.Decoder(_Response)
_event = msgspec.json.Decoder(_Event)


def read_input(body: bytes, limit: int) -> Content:
    """Messages (system ones among them, as they were sent) and tools. Documents follow as a message."""
    request = tolerant.decode(_request, body)
    content: Content = {}
    messages = [
        _read_message(tolerant.decode(_message, raw), limit) for raw in parts.items(request.messages) or ()
    ]
    documents = [
        {"type": "document", "content": parts.anything(raw, limit)}
        for raw in parts.items(request.documents) or ()
    ]
    if documents:
        messages.append({"role": "user", "parts": documents})
    if messages:
        content[semconv.INPUT_MESSAGES] = messages
    tools = [_read_tool(raw, limit) for raw in parts.items(request.tools) or ()]
    if tools:
        content[semconv.TOOL_DEFINITIONS] = tools
    return content


def read_output(body: bytes, limit: int) -> Content:
    """The message of a response that was not streamed; nothing for an error."""
    response = tolerant.decode(_response, body)
    if tolerant.opens(response.message) != b"{":
        return {}
    message = _read_message(tolerant.decode(_message, response.message), limit)
    return _finished(message, response.finish_reason)


def read_streamed(body: bytes, limit: int) -> Content:
    """The message that the events of a stream make, as far as they came."""
    plan: list[str] = []
    blocks: dict[int, tuple[str, list[str]]] = {}
    calls: dict[int, dict[str, Any]] = {}
    reason: object = None
    started = False
    for event in sse.events((body,)):
        try:
            item = tolerant.decode(_event, event.data)
        except ValueError:
            continue
        started = started or item.type == "message-start"
        index = tolerant.count(item.index) or 0
        delta = tolerant.mapping(item.delta)
        message = tolerant.mapping(delta.get("message"))
        if item.type in ("content-start", "content-delta"):
            _grow_block(blocks, index, tolerant.mapping(message.get("content")))
        elif item.type == "tool-plan-delta":
            plan.append(tolerant.text(message.get("tool_plan")) or "")
        elif item.type in ("tool-call-start", "tool-call-delta"):
            _grow_call(calls, index, tolerant.mapping(message.get("tool_calls")))
        elif item.type == "message-end":
            reason = delta.get("finish_reason")
    if not started:
        return {}
    found: list[Part] = [parts.reasoning("".join(plan))] if any(plan) else []
    for index in sorted(blocks):
        kind, pieces = blocks[index]
        found.append((parts.reasoning if kind == "thinking" else parts.text)("".join(pieces)))
    for index in sorted(calls):
        call = calls[index]
        found.append(parts.tool_call(call["id"], call["name"], parts.arguments(call["arguments"])))
    return _finished({"role": "assistant", "parts": found}, reason)


def _grow_block(blocks: dict[int, tuple[str, list[str]]], index: int, content: dict[str, Any]) -> None:
    kind = "thinking" if isinstance(content.get("thinking"), str) else "text"
    _, pieces = blocks.setdefault(index, (tolerant.text(content.get("type")) or kind, []))
    pieces.append(tolerant.text(content.get(kind)) or "")


def _grow_call(calls: dict[int, dict[str, Any]], index: int, call: dict[str, Any]) -> None:
    known = calls.setdefault(index, {"id": None, "name": None, "arguments": ""})
    function = tolerant.mapping(call.get("function"))
    known["id"] = known["id"] or call.get("id")
    known["name"] = known["name"] or function.get("name")
    known["arguments"] += tolerant.text(function.get("arguments")) or ""


def _finished(message: dict[str, Any], reason: object) -> Content:
    if isinstance(reason, str):
        message["finish_reason"] = reason
    return {semconv.OUTPUT_MESSAGES: [message]}


def _read_message(message: _Message, limit: int) -> dict[str, Any]:
    role = tolerant.text(message.role) or "user"
    said = _read_content(message.content, limit)
    if role == "tool":
        texts = [part["content"] for part in said if part["type"] == "text"]
        whole = "\n".join(texts) if len(texts) == len(said) else said
        return {"role": role, "parts": [parts.tool_response(message.tool_call_id, whole)]}
    plan = parts.cut_string(message.tool_plan, limit)
    found = [parts.reasoning(plan)] if plan else []
    found += said
    for call in message.tool_calls if isinstance(message.tool_calls, list) else ():
        call = tolerant.mapping(call)
        function = tolerant.mapping(call.get("function"))
        arguments = parts.arguments(tolerant.text(function.get("arguments")) or "")
        found.append(parts.tool_call(call.get("id"), function.get("name"), arguments))
    return {"role": role, "parts": found}


def _read_content(raw: msgspec.Raw, limit: int) -> list[Part]:
    """Content that is one string, a list of parts, or null."""
    if tolerant.opens(raw) == b'"':
        return [parts.text(parts.cut_string(raw, limit))]
    return [_read_part(item, limit) for item in parts.items(raw) or ()]


def _read_part(raw: msgspec.Raw, limit: int) -> Part:
    part = tolerant.decode(_part, raw)
    if part.type == "text":
        return parts.text(parts.cut_string(part.text, limit))
    if part.type == "thinking":
        return parts.reasoning(parts.cut_string(part.thinking, limit))
    if part.type == "image_url" and tolerant.opens(part.image_url) == b"{":
        return parts.link(tolerant.decode(_link, part.image_url).url, limit, "image")
    return parts.generic(raw, limit)


def _read_tool(raw: msgspec.Raw, limit: int) -> dict[str, Any]:
    tool = tolerant.mapping(parts.anything(raw, limit))
    function = tolerant.mapping(tool.get("function")) or tool
    wanted = ("name", "description", "parameters")
    return {"type": "function", **{name: function[name] for name in wanted if name in function}}
