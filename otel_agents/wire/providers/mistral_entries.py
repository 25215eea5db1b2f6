"""Entries of Mistral's conversations in the conventions' schema. Runs on the export thread.

They are turned into the messages of Mistral's chat, which are read already.
"""

from __future__ import annotations

from typing import Any, Final

from otel_agents import semconv
from otel_agents.wire import parts, sse, tolerant
from otel_agents.wire.formats import Content
from otel_agents.wire.parts import Part
from otel_agents.wire.providers import mistral_content, openai_chat_content

#: Pieces of a stream → the entry that they are pieces of.
_DELTAS: Final = {"message.output.delta": "message.output", "function.call.delta": "function.call"}


def read_input(body: bytes, limit: int) -> Content:
    """Messages, instructions and tools of a request."""
    request = tolerant.mapping(tolerant.decode_any(body))
    inputs = request.get("inputs")
    given = [{"role": "user", "content": inputs}] if isinstance(inputs, str) else _entries(inputs)
    messages = [message for entry in given if (message := _message(entry, limit))]
    content: Content = {semconv.INPUT_MESSAGES: messages} if messages else {}
    instructions = tolerant.text(request.get("instructions"))
    if instructions:
        content[semconv.SYSTEM_INSTRUCTIONS] = [parts.text(instructions[:limit])]
    tools = _chat({"messages": [], "tools": request.get("tools") or []}, limit).get(semconv.TOOL_DEFINITIONS)
    if tools:
        content[semconv.TOOL_DEFINITIONS] = tools
    return content


def read_output(body: bytes, limit: int) -> Content:
    """One message with all that came of a request."""
    return _output(_entries(tolerant.mapping(tolerant.decode_any(body)).get("outputs")), limit)


def read_streamed(body: bytes, limit: int) -> Content:
    """The same, put together from the events of a stream."""
    entries: dict[tuple[Any, Any], dict[str, Any]] = {}
    for event in sse.events((body,)):
        try:
            said = tolerant.mapping(tolerant.decode_any(event.data))
        except ValueError:
            continue
        kind = str(said.get("type"))
        if kind == "tool.execution.done":
            entries[kind, said.get("id")] = {**said, "type": "tool.execution"}
        elif kind in _DELTAS:
            entry = entries.setdefault((kind, said.get("id")), {**said, "type": _DELTAS[kind], "pieces": []})
            entry["pieces"].append(said)
    return _output([_joined(entry) for entry in entries.values()], limit)


def _joined(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry with its pieces put together."""
    pieces: list[dict[str, Any]] = entry.pop("pieces", [])
    if entry["type"] == "function.call":
        return {**entry, "arguments": "".join(str(piece.get("arguments") or "") for piece in pieces)}
    if not pieces:
        return entry
    contents = [piece.get("content") for piece in pieces]
    if all(isinstance(content, str) for content in contents):
        return {**entry, "content": "".join(map(str, contents))}
    chunks: list[Any] = []
    for content in contents:
        chunk = {"type": "text", "text": content} if isinstance(content, str) else tolerant.mapping(content)
        last = chunks[-1] if chunks else None
        if last is not None and last.get("type") == chunk.get("type") == "text":
            last["text"] = f"{last.get('text') or ''}{chunk.get('text') or ''}"
        elif last is not None and last.get("type") == chunk.get("type") == "thinking":
            last["thinking"] = [*_entries(last.get("thinking")), *_entries(chunk.get("thinking"))]
        else:
            chunks.append(dict(chunk))
    return {**entry, "content": chunks}


def _output(entries: list[dict[str, Any]], limit: int) -> Content:
    found: list[Part] = []
    for entry in entries:
        message = _message({"role": "assistant", **entry}, limit)
        if message is not None and message["role"] == "assistant":
            found += message["parts"]
    return {semconv.OUTPUT_MESSAGES: [{"role": "assistant", "parts": found}]} if found else {}


def _message(entry: dict[str, Any], limit: int) -> dict[str, Any] | None:
    """An entry as a message; None for one of an unknown kind."""
    kind = entry.get("type")
    if kind == "tool.execution":
        name = str(entry.get("name"))
        done = {"type": name, "arguments": parts.arguments(str(entry.get("arguments") or ""))}
        if entry.get("info"):
            done["info"] = entry["info"]
        part = {"type": "server_tool_call", "id": entry.get("id"), "name": name, "server_tool_call": done}
        return {"role": "assistant", "parts": [part]}
    if kind == "function.call":
        arguments = entry.get("arguments")
        call = {"name": entry.get("name"), "arguments": arguments if isinstance(arguments, str) else "{}"}
        if isinstance(arguments, dict):
            call["arguments"] = tolerant.encode(arguments)
        calls = [{"id": entry.get("tool_call_id"), "type": "function", "function": call}]
        chat: dict[str, Any] = {"role": "assistant", "tool_calls": calls}
    elif kind == "function.result":
        chat = {"role": "tool", "tool_call_id": entry.get("tool_call_id"), "content": entry.get("result")}
    elif "content" in entry:
        role = "assistant" if kind == "message.output" else entry.get("role") or "user"
        chat = {"role": role, "content": entry["content"]}
    else:
        return None
    (message,) = _chat({"messages": [chat]}, limit)[semconv.INPUT_MESSAGES]
    found: dict[str, Any] = message
    return found


def _chat(request: dict[str, Any], limit: int) -> Content:
    return mistral_content.own(openai_chat_content.read_input(tolerant.encode(request).encode(), limit))


def _entries(value: Any) -> list[dict[str, Any]]:
    return [tolerant.mapping(entry) for entry in value] if isinstance(value, list) else []
