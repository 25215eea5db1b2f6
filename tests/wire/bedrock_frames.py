"""Event streams as Bedrock sends them, and a server of Bedrock's paths that answers what it is told."""

from __future__ import annotations

import base64
import json
from struct import pack
from typing import Any
from zlib import crc32


def frame(kind: str, payload: bytes, message_type: str = "event") -> bytes:
    """One frame with the three headers that Bedrock's have."""
    name = ":exception-type" if message_type == "exception" else ":event-type"
    head = b"".join(
        bytes([len(key)]) + key.encode() + b"\x07" + pack(">H", len(value)) + value.encode()
        for key, value in (
            (name, kind),
            (":content-type", "application/json"),
            (":message-type", message_type),
        )
    )
    prelude = pack(">II", 16 + len(head) + len(payload), len(head))
    data = prelude + pack(">I", crc32(prelude)) + head + payload
    return data + pack(">I", crc32(data))


def event(kind: str, **fields: Any) -> bytes:
    """One event of a Converse stream."""
    return frame(kind, json.dumps(fields).encode())


def piece(**fields: Any) -> bytes:
    """One event of an InvokeModel stream: the model's own JSON in base64, with the padding of the service."""
    said = base64.b64encode(json.dumps(fields).encode()).decode()
    return frame("chunk", json.dumps({"bytes": said, "p": "abcdefgh"}).encode())


def failure(kind: str, message: str) -> bytes:
    """An exception in a stream."""
    return frame(kind, json.dumps({"message": message}).encode(), message_type="exception")
