"""Messages of the Responses API in the conventions' schema. Runs on the export thread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from otel_agents import semconv
from otel_agents.wire import parts, sse, tolerant
from otel_agents.wire.formats import Content
from otel_agents.wire.parts import Part
from otel_agents.wire.providers import openai_responses_items as items

_EMPTY: Final = msgspec.Raw(b"")


class _Request(msgspec.Struct):
    input: msgspec.Raw = _EMPTY
    instructions: msgspec.Raw = _EMPTY
    tools: msgspec.Raw = _EMPTY


class _Response(msgspec.Struct):
    status: Any = None
    output: msgspec.Raw = _EMPTY


class _Event(msgspec.Struct):
    type: Any = None
    output_index: Any = None
    content_index: Any = None
    summary_index: Any = None
    item: msgspec.Raw = _EMPTY
    delta: Any = None
    response: msgspec.Raw = _EMPTY


_request = msgspec.json.Decoder(_Request)
_response = msgspec.json.Decoder(_Response)
_event = msgspec.json.Decoder(_Event)

#: Streamed pieces → (kind of the item, the field that they fill).
_DELTAS: Final = {
    "response.output_text.delta": ("message", "output_text"),
    "response.refusal.delta": ("message", "refusal"),
    "response.audio.transcript.delta": ("message", "output_text"),
    "response.reasoning_summary_text.delta": ("reasoning", "summary"),
    "response.reasoning_text.delta": ("reasoning", "content"),
    "response.function_call_arguments.delta": ("function_call", "arguments"),
    "response.custom_tool_call_input.delta": ("custom_tool_call", "input"),
    "response.mcp_call_arguments.delta": ("mcp_call", "arguments"),
    "response.code_interpreter_call_code.delta": ("code_interpreter_call", "code"),
}


def read_input(body: bytes, limit: int) -> Content:
    """Messages, system instructions and tools of a request.

    With ``previous_response_id`` or a conversation, what went before is with the provider and not here.
    """
    request = tolerant.decode(_request, body)
    content: Content = {}
    messages = _messages(request.input, limit)
    if messages:
        content[semconv.INPUT_MESSAGES] = messages
    instructions = _instructions(request.instructions, limit)
    if instructions:
        content[semconv.SYSTEM_INSTRUCTIONS] = instructions
    tools = [items.tool(raw, limit) for raw in parts.items(request.tools) or ()]
    if tools:
        content[semconv.TOOL_DEFINITIONS] = tools
    return content


def read_output(body: bytes, limit: int) -> Content:
    """The message of a response that was not streamed; nothing for an error body."""
    response = tolerant.decode(_response, body)
    output = parts.items(response.output)
    return _answer([items.read(raw, limit) for raw in output]) if output else {}


def read_streamed(body: bytes, limit: int) -> Content:
    """The message of a stream: as the last event repeats it, or put together from what came."""
    growing: dict[int, _Growing] = {}
    last: list[msgspec.Raw] = []
    for event in _events(body):
        if tolerant.opens(event.response) == b"{":
            # Some servers leave the output out of the last event; then the items before it count.
            last = parts.items(tolerant.decode(_response, event.response).output) or last
            continue
        index = tolerant.count(event.output_index) or 0
        if event.type in ("response.output_item.added", "response.output_item.done"):
            if tolerant.opens(event.item) == b"{":
                growing[index] = _Growing(event.item, event.type.endswith("done"))
        elif event.type in _DELTAS and isinstance(event.delta, str):
            kind, field = _DELTAS[event.type]
            item = growing.setdefault(index, _Growing(msgspec.Raw(b'{"type":"%b"}' % kind.encode()), False))
            position = event.summary_index if field == "summary" else event.content_index
            item.grow(field, tolerant.count(position) or 0, event.delta)
    if not last:
        last = [growing[index].item() for index in sorted(growing)]
    return _answer([items.read(raw, limit) for raw in last]) if last else {}


def _events(body: bytes) -> Iterator[_Event]:
    for found in sse.events((body,)):
        if found.data.startswith(b"{"):
            try:
                yield tolerant.decode(_event, found.data)
            except ValueError:
                pass  # one garbled event does not spoil the others


class _Growing:
    """An item of a stream: as it was announced, with what was added, until it comes whole."""

    __slots__ = ("_added", "_start", "_whole")

    def __init__(self, start: msgspec.Raw, whole: bool) -> None:
        self._start = start
        self._whole = whole
        self._added: dict[tuple[str, int], list[str]] = {}

    def grow(self, field: str, position: int, piece: str) -> None:
        self._added.setdefault((field, position), []).append(piece)

    def item(self) -> msgspec.Raw:
        if self._whole or not self._added:
            return self._start
        item = tolerant.mapping(tolerant.decode_any(self._start))
        for (field, _), pieces in sorted(self._added.items()):
            said = "".join(pieces)
            if field in ("output_text", "refusal"):
                name = "refusal" if field == "refusal" else "text"
                item.setdefault("content", []).append({"type": field, name: said})
            elif field in ("summary", "content"):
                kind = "summary_text" if field == "summary" else "reasoning_text"
                item.setdefault(field, []).append({"type": kind, "text": said})
            else:
                item[field] = said
        return msgspec.Raw(tolerant.encode(item).encode("utf-8", "replace"))


def _answer(read: list[items.Read]) -> Content:
    """One message for everything: one choice is one message."""
    found = [part for item in read for part in item.parts]
    return {semconv.OUTPUT_MESSAGES: [{"role": "assistant", "parts": found}]}


def _messages(raw: msgspec.Raw, limit: int) -> list[dict[str, Any]]:
    """Items as messages; items of the assistant that follow each other are one turn of its."""
    if tolerant.opens(raw) == b'"':
        return [{"role": "user", "parts": [parts.text(parts.cut_string(raw, limit))]}]
    messages: list[dict[str, Any]] = []
    for item in parts.items(raw) or ():
        read = items.read(item, limit)
        if messages and read.role == "assistant" == messages[-1]["role"]:
            messages[-1]["parts"] += read.parts
        else:
            messages.append({"role": read.role, "parts": read.parts})
    return messages


def _instructions(raw: msgspec.Raw, limit: int) -> list[Part]:
    """A text, or items as the last response repeats them."""
    if tolerant.opens(raw) == b'"':
        return [parts.text(parts.cut_string(raw, limit))]
    return [part for item in parts.items(raw) or () for part in items.read(item, limit).parts]
