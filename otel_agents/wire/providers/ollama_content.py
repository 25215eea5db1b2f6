"""Messages of Ollama's own API in the conventions' schema. Runs on the export thread."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from otel_agents import semconv
from otel_agents.wire import ndjson, parts, tolerant
from otel_agents.wire.formats import Content
from otel_agents.wire.parts import Part

_EMPTY: Final = msgspec.Raw(b"")


class _Chat(msgspec.Struct):
    messages: msgspec.Raw = _EMPTY
    tools: msgspec.Raw = _EMPTY


class _Generate(msgspec.Struct):
    prompt: msgspec.Raw = _EMPTY
    suffix: msgspec.Raw = _EMPTY
    system: msgspec.Raw = _EMPTY
    images: msgspec.Raw = _EMPTY


class _Message(msgspec.Struct):
    role: Any = None
    content: msgspec.Raw = _EMPTY
    thinking: msgspec.Raw = _EMPTY
    images: msgspec.Raw = _EMPTY
    tool_calls: Any = None
    tool_name: Any = None
    tool_call_id: Any = None


class _Line(msgspec.Struct):
    message: Any = None
    response: Any = None
    thinking: Any = None
    done_reason: Any = None
    done: Any = None


_chat = msgspec.json.Decoder(_Chat)
_generate = msgspec.json.Decoder(_Generate)
_message = msgspec.json.Decoder(_Message)
_line = msgspec.json.Decoder(_Line)


def read_chat(body: bytes, limit: int) -> Content:
    """Messages (system ones among them, as they were sent) and tools of ``/api/chat``."""
    request = tolerant.decode(_chat, body)
    content: Content = {}
    messages = [
        _read_message(tolerant.decode(_message, raw), limit) for raw in parts.items(request.messages) or ()
    ]
    if messages:
        content[semconv.INPUT_MESSAGES] = messages
    tools = [_read_tool(raw, limit) for raw in parts.items(request.tools) or ()]
    if tools:
        content[semconv.TOOL_DEFINITIONS] = tools
    return content


def read_prompt(body: bytes, limit: int) -> Content:
    """The prompt, its images and the system text of ``/api/generate``."""
    request = tolerant.decode(_generate, body)
    found = [parts.text(parts.cut_string(request.prompt, limit)), *_images(request.images, limit)]
    suffix = parts.cut_string(request.suffix, limit)
    if suffix:
        found.append({"type": "suffix", "content": suffix})
    content: Content = {semconv.INPUT_MESSAGES: [{"role": "user", "parts": found}]}
    system = parts.cut_string(request.system, limit)
    if system:
        content[semconv.SYSTEM_INSTRUCTIONS] = [parts.text(system)]
    return content


def read_answer(body: bytes) -> Content:
    """The answer of both, in one line or in many, as far as it came."""
    thought: list[str] = []
    said: list[str] = []
    calls: list[Part] = []
    reason: str | None = None
    started = False
    for data in ndjson.lines(body):
        try:
            line = tolerant.decode(_line, data)
        except ValueError:
            continue
        message = tolerant.mapping(line.message)
        started = started or bool(message) or isinstance(line.response, str)
        thought.append(tolerant.text(message.get("thinking")) or tolerant.text(line.thinking) or "")
        said.append(tolerant.text(message.get("content")) or tolerant.text(line.response) or "")
        calls += _read_calls(message.get("tool_calls"))
        if line.done is True:
            reason = tolerant.text(line.done_reason) or "stop"
    if not started:
        return {}
    found: list[Part] = []
    if any(thought):
        found.append(parts.reasoning("".join(thought)))
    if any(said):
        found.append(parts.text("".join(said)))
    answer: dict[str, Any] = {"role": "assistant", "parts": found + calls}
    if reason is not None:
        answer["finish_reason"] = reason
    return {semconv.OUTPUT_MESSAGES: [answer]}


def _read_message(message: _Message, limit: int) -> dict[str, Any]:
    role = tolerant.text(message.role) or "user"
    said = parts.cut_string(message.content, limit)
    if role == "tool":
        answered = parts.tool_response(message.tool_call_id or message.tool_name, said)
        return {"role": role, "parts": [answered]}
    found: list[Part] = []
    thought = parts.cut_string(message.thinking, limit)
    if thought:
        found.append(parts.reasoning(thought))
    if said:
        found.append(parts.text(said))
    found += _images(message.images, limit)
    return {"role": role, "parts": found + _read_calls(message.tool_calls)}


def _images(raw: msgspec.Raw, limit: int) -> list[Part]:
    """Base64 without a word of its type."""
    return [{**parts.blob(None, item, limit), "modality": "image"} for item in parts.items(raw) or ()]


def _read_calls(calls: object) -> list[Part]:
    """Calls, which come whole; their arguments are objects and they need not have an id."""
    found: list[Part] = []
    for call in calls if isinstance(calls, list) else ():
        call = tolerant.mapping(call)
        function = tolerant.mapping(call.get("function"))
        arguments = function.get("arguments")
        decoded = parts.arguments(arguments) if isinstance(arguments, str) else arguments
        found.append(parts.tool_call(call.get("id"), function.get("name"), decoded))
    return found


def _read_tool(raw: msgspec.Raw, limit: int) -> dict[str, Any]:
    tool = tolerant.mapping(parts.anything(raw, limit))
    function = tolerant.mapping(tool.get("function")) or tool
    wanted = ("name", "description", "parameters")
    return {"type": "function", **{name: function[name] for name in wanted if name in function}}
