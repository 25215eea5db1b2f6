"""OpenAI's images, speech, transcriptions and batches: small, and billed as the API bills them."""

from __future__ import annotations

import base64
import struct
import time
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from typing import Any, Final

from modelserver import embeddings
from modelserver.answers import number
from modelserver.caching import count
from modelserver.exchange import Piece, compact
from modelserver.prices import Bill
from modelserver.prompt import BadRequest

#: Output tokens of one square image by its quality.
_IMAGE_TOKENS: Final = {"low": 272, "medium": 1056, "high": 4160, "auto": 1056}
#: Sound that counts as one token, and as one second, in bytes.
_BYTES_PER_TOKEN: Final = 64
_BYTES_PER_SECOND: Final = 1000


@dataclass(slots=True)
class Made:
    """An answer: JSON or bytes, or the events of a stream; ``shown`` is whether it carries the usage."""

    bill: Bill
    reply: dict[str, Any] | bytes = b""
    events: list[dict[str, Any]] | None = None
    content_type: str = "application/json"
    shown: bool = True

    def pieces(self) -> Iterator[Piece]:
        """What is sent; the last piece completes the answer."""
        if self.events is None:
            data = self.reply if isinstance(self.reply, bytes) else compact(self.reply).encode()
            yield Piece(data, self.bill.output, final=True)
            return
        for event in self.events:
            data = f"event: {event['type']}\ndata: {compact(event)}\n\n".encode()
            yield Piece(data, final=event is self.events[-1])


def embed(body: Mapping[str, Any], model: str) -> Made:
    """``POST /v1/embeddings``."""
    reply, tokens = embeddings.embed(body, model)
    return Made(Bill(input=tokens), reply)


def draw(body: Mapping[str, Any], model: str) -> Made:
    """``POST /v1/images/generations``: one grey dot for each image."""
    prompt = body.get("prompt")
    if not isinstance(prompt, str):
        raise BadRequest("Missing required parameter: 'prompt'.", "prompt")
    images = int(body.get("n") or 1)
    data = base64.b64encode(_png(number(prompt) % 256)).decode()
    if model.startswith("dall-e"):
        listed = [{"b64_json": data, "revised_prompt": prompt}] * images
        return Made(Bill(), {"created": int(time.time()), "data": listed}, shown=False)
    quality = str(body.get("quality") or "auto")
    bill = Bill(input=count(prompt) + 3, output=_IMAGE_TOKENS[quality] * images)
    details = {"text_tokens": bill.input, "image_tokens": 0}
    usage = {
        "input_tokens": bill.input,
        "input_tokens_details": details,
        "output_tokens": bill.output,
        "total_tokens": bill.input + bill.output,
    }
    frame = {"size": "1024x1024", "quality": quality, "background": "opaque", "output_format": "png"}
    if body.get("stream"):
        same = {"b64_json": data, "created_at": int(time.time()), **frame}
        partial = {"type": "image_generation.partial_image", "partial_image_index": 0, **same}
        return Made(bill, events=[partial, {"type": "image_generation.completed", **same, "usage": usage}])
    usage["output_tokens_details"] = {"image_tokens": bill.output, "text_tokens": 0}
    reply = {"created": int(time.time()), "data": [{"b64_json": data}] * images, "usage": usage, **frame}
    return Made(bill, reply)


def transcribe(body: Mapping[str, Any], model: str) -> Made:
    """``POST /v1/audio/transcriptions``: the text says how much sound there was."""
    sound = body.get("file")
    if not isinstance(sound, bytes):
        raise BadRequest("Missing required parameter: 'file'.", "file")
    text = f"A recording of {len(sound)} bytes."
    if body.get("response_format") in ("text", "srt", "vtt"):
        hidden = _transcribed(sound, text, model)
        return Made(hidden[0], text.encode() + b"\n", content_type="text/plain; charset=utf-8", shown=False)
    bill, usage = _transcribed(sound, text, model)
    if body.get("stream") == "true":
        delta = {"type": "transcript.text.delta", "delta": text}
        return Made(bill, events=[delta, {"type": "transcript.text.done", "text": text, "usage": usage}])
    return Made(bill, {"text": text, "usage": usage})


def _transcribed(sound: bytes, text: str, model: str) -> tuple[Bill, dict[str, Any]]:
    if model.startswith("whisper"):
        seconds = len(sound) // _BYTES_PER_SECOND + 1
        return Bill(seconds=seconds), {"type": "duration", "seconds": seconds}
    heard = len(sound) // _BYTES_PER_TOKEN + 1
    bill = Bill(input=heard + 2, output=count(text), audio=heard)
    return bill, {
        "type": "tokens",
        "input_tokens": bill.input,
        "input_token_details": {"text_tokens": 2, "audio_tokens": heard},
        "output_tokens": bill.output,
        "total_tokens": bill.input + bill.output,
    }


def speak(body: Mapping[str, Any], model: str) -> Made:
    """``POST /v1/audio/speech``: a short silence."""
    text = body.get("input")
    if not isinstance(text, str):
        raise BadRequest("Missing required parameter: 'input'.", "input")
    sound = _wav(800)
    if model.startswith("tts-1"):
        return Made(Bill(characters=len(text)), sound, content_type="audio/wav", shown=True)
    bill = Bill(input=count(text), output=len(text) + 10)
    if body.get("stream_format") != "sse":
        return Made(bill, sound, content_type="audio/wav", shown=False)
    usage = {
        "input_tokens": bill.input,
        "output_tokens": bill.output,
        "total_tokens": bill.input + bill.output,
    }
    delta = {"type": "speech.audio.delta", "audio": base64.b64encode(sound).decode()}
    return Made(bill, events=[delta, {"type": "speech.audio.done", "usage": usage}])


def batch(body: Mapping[str, Any]) -> dict[str, Any]:
    """``POST /v1/batches``: accepted; nothing has been billed yet."""
    for name in ("input_file_id", "endpoint", "completion_window"):
        if not isinstance(body.get(name), str):
            raise BadRequest(f"Missing required parameter: '{name}'.", name)
    return {
        "id": f"batch_{uuid.uuid4().hex}",
        "object": "batch",
        "endpoint": body["endpoint"],
        "input_file_id": body["input_file_id"],
        "completion_window": body["completion_window"],
        "status": "validating",
        "created_at": int(time.time()),
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "metadata": body.get("metadata"),
    }


OPERATIONS: Final[dict[str, Callable[[Mapping[str, Any], str], Made]]] = {
    "embeddings": embed,
    "images": draw,
    "transcription": transcribe,
    "speech": speak,
}


def form(raw: bytes, content_type: str) -> dict[str, Any]:
    """Fields of a ``multipart/form-data`` body: text, and bytes for files."""
    message: Message = BytesParser().parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + raw)
    fields: dict[str, Any] = {}
    for part in message.get_payload() if message.is_multipart() else ():
        if isinstance(part, Message):
            name = part.get_param("name", header="content-disposition")
            content = part.get_payload(decode=True)
            if isinstance(name, str) and isinstance(content, bytes):
                fields[name] = content if part.get_filename() else content.decode()
    return fields


def _png(shade: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes([0, shade]))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def _wav(samples: int) -> bytes:
    data = bytes(samples)
    frame = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 8000, 1, 8)
    return (
        struct.pack("<4sI4s", b"RIFF", 36 + samples, b"WAVE")
        + frame
        + struct.pack("<4sI", b"data", samples)
        + data
    )
