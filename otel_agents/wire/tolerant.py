"""JSON as it is met on the wire: typed and fast when it is proper, cleaned up when it is nearly so."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


def decode(decoder: msgspec.json.Decoder[T], data: bytes | msgspec.Raw) -> T:
    """Decodes ``data``; what only Python's own parser takes (NaN, lone surrogates, a BOM) is cleaned first.

    Raises:
        ValueError: not JSON, or not of the decoder's type.
    """
    try:
        return decoder.decode(data)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError):
        return decoder.decode(_clean(bytes(data)))
    except RecursionError:
        raise ValueError("nested too deep") from None


def decode_any(data: bytes | msgspec.Raw) -> Any:
    """Decodes ``data`` into plain Python values.

    Raises:
        ValueError: not JSON.
    """
    return decode(_ANY, data)


_ANY: msgspec.json.Decoder[Any] = msgspec.json.Decoder()


def encode(value: object) -> str:
    """``value`` as compact JSON text. Lone surrogates become ``?``, since no exporter can send them."""
    try:
        return msgspec.json.encode(value).decode()
    except (ValueError, TypeError):
        return (
            json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=repr)
            .encode("utf-8", "replace")
            .decode()
        )


def opens(raw: msgspec.Raw) -> bytes:
    """The first byte of an undecoded value, which tells its kind; empty when the field was not there."""
    return bytes(memoryview(raw)[:1])


def size(raw: msgspec.Raw) -> int:
    """Bytes of an undecoded value."""
    return len(memoryview(raw))


def count(value: object) -> int | None:
    """``value`` as a number of tokens; None for everything that is none (negative, NaN, text, a bool)."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if value >= 0 else None
    if isinstance(value, float) and value >= 0 and value.is_integer():
        return int(value)
    return None


def text(value: object) -> str | None:
    """``value`` when it is a string with something in it."""
    return value if isinstance(value, str) and value else None


def mapping(value: object) -> dict[str, Any]:
    """``value`` when it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def _clean(data: bytes) -> bytes:
    try:
        value = json.loads(data.decode("utf-8-sig", "replace"), parse_constant=lambda _: None)
    except RecursionError:
        raise ValueError("nested too deep") from None
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
