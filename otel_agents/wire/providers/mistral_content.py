"""What Mistral's messages have beyond OpenAI's, in the conventions' schema. Runs on the export thread."""

from __future__ import annotations

from typing import Final

import msgspec

from otel_agents import semconv
from otel_agents.wire import parts, sse, tolerant
from otel_agents.wire.formats import Content
from otel_agents.wire.parts import Part

_EMPTY: Final = msgspec.Raw(b"")
_MESSAGES: Final = (semconv.INPUT_MESSAGES, semconv.OUTPUT_MESSAGES)


class _Fim(msgspec.Struct):
    prompt: msgspec.Raw = _EMPTY
    suffix: msgspec.Raw = _EMPTY


_fim = msgspec.json.Decoder(_Fim)


def own(content: Content) -> Content:
    """``content`` as it was read by OpenAI's rules, with Mistral's own kinds of parts understood."""
    for name in _MESSAGES:
        for message in content.get(name, ()):
            message["parts"] = [_own(part) for part in message["parts"]]
    return content


def _own(part: Part) -> Part:
    kind = part["type"]
    if kind == "thinking" and "thinking" in part:
        return parts.reasoning(_thought(part["thinking"]))
    if kind == "document_url" and isinstance(part.get("document_url"), str):
        return {"type": "uri", "modality": "document", "uri": part["document_url"]}
    if kind == "input_audio" and isinstance(part.get("input_audio"), str):
        data = part["input_audio"]
        if data.startswith(("https://", "http://")):
            return {"type": "uri", "modality": "audio", "uri": data}
        return {"type": "blob", "mime_type": "audio/*", "modality": "audio", "content": data}
    return part


def flattened(body: bytes) -> bytes:
    """A stream whose deltas are lists of chunks, as those of models that think, with plain texts instead."""
    if b'"thinking"' not in body:
        return body
    lines = []
    for event in sse.events((body,)):
        try:
            chunk = tolerant.mapping(tolerant.decode_any(event.data))
        except ValueError:
            continue
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            delta = tolerant.mapping(tolerant.mapping(choice).get("delta"))
            if isinstance(delta.get("content"), list):
                chunks = [tolerant.mapping(item) for item in delta["content"]]
                delta["reasoning_content"] = "".join(_thought(item.get("thinking")) for item in chunks)
                delta["content"] = "".join(tolerant.text(item.get("text")) or "" for item in chunks)
        lines.append(f"data: {tolerant.encode(chunk)}\n\n".encode())
    return b"".join(lines)


def _thought(chunks: object) -> str:
    """The text of a thought, which is a list of chunks."""
    if isinstance(chunks, str):
        return chunks
    listed = chunks if isinstance(chunks, list) else ()
    return "".join(tolerant.text(tolerant.mapping(item).get("text")) or "" for item in listed)


def read_fim(body: bytes, limit: int) -> Content:
    """The code before and after the gap."""
    request = tolerant.decode(_fim, body)
    found = [parts.text(parts.cut_string(request.prompt, limit))]
    suffix = parts.cut_string(request.suffix, limit)
    if suffix:
        found.append({"type": "suffix", "content": suffix})
    return {semconv.INPUT_MESSAGES: [{"role": "user", "parts": found}]}
