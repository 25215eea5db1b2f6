"""Attribute values: from OTLP to Python, and from Python to what Langfuse makes of them.

Langfuse 4.16 converts strings, numbers, booleans and lists of those. It does not convert maps: such a
value becomes the text of its OTLP JSON, and so does an empty list.
"""

from __future__ import annotations

import base64
from typing import Any

import msgspec


class Structured:
    """A value Langfuse 4.16 has no conversion for.

    Attributes:
        raw: the OTLP JSON value (``{"kvlistValue": ...}``), which it stores as text.
        plain: what was meant.
    """

    __slots__ = ("plain", "raw")

    def __init__(self, raw: dict[str, Any], plain: Any) -> None:
        self.raw = raw
        self.plain = plain

    def text(self) -> str:
        """What Langfuse 4.16 stores."""
        return msgspec.json.encode(self.raw).decode()

    def __repr__(self) -> str:
        return f"Structured({self.plain!r})"


def any_value_of_protobuf(value: Any) -> Any:
    """A protobuf ``AnyValue``; None when nothing is set."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "bytes_value":
        return Structured({"type": "Buffer", "data": list(value.bytes_value)}, value.bytes_value)
    if kind == "array_value":
        return _list([any_value_of_protobuf(item) for item in value.array_value.values])
    if kind == "kvlist_value":
        return _map([(pair.key, any_value_of_protobuf(pair.value)) for pair in value.kvlist_value.values])
    return getattr(value, kind)


def any_value_of_json(value: Any) -> Any:
    """An OTLP/JSON ``AnyValue``; None when nothing is set or nothing fits."""
    if not isinstance(value, dict):
        return None
    for kind, given in value.items():
        if given is None:
            continue
        if kind in ("stringValue", "boolValue", "doubleValue"):
            return given if isinstance(given, str | bool | int | float) else None
        if kind == "intValue":
            try:
                return int(given)
            except (TypeError, ValueError):
                return None
        if kind == "bytesValue":
            return Structured({"bytesValue": given}, _bytes(given))
        if kind == "arrayValue":
            values = given.get("values") if isinstance(given, dict) else None
            return _list([any_value_of_json(item) for item in values] if isinstance(values, list) else [])
        if kind == "kvlistValue":
            pairs = given.get("values") if isinstance(given, dict) else None
            return _map(
                [
                    (str(pair.get("key", "")), any_value_of_json(pair.get("value")))
                    for pair in (pairs if isinstance(pairs, list) else [])
                    if isinstance(pair, dict)
                ]
            )
    return None


def langfuse_value(value: Any, strict: bool) -> Any:
    """The JavaScript value Langfuse works with.

    Args:
        value: from one of the two functions above.
        strict: as Langfuse 4.16 does; otherwise maps and empty lists are what they were meant to be.
    """
    if isinstance(value, Structured):
        return value.text() if strict else value.plain
    if isinstance(value, list):
        if not value and strict:
            return '{"arrayValue":{}}'
        return [langfuse_value(item, strict) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 2**53:
        return int(float(value))  # JavaScript's number
    return value


def is_structured(value: Any) -> bool:
    """True when Langfuse 4.16 stores the OTLP text of ``value`` or of a part of it."""
    if isinstance(value, list):
        return any(isinstance(item, Structured) for item in value)
    return isinstance(value, Structured)


def plain(value: Any) -> Any:
    """What was meant, for people to read (bytes become base64)."""
    if isinstance(value, Structured):
        value = value.plain
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value


def _list(items: list[Any]) -> Any:
    # A list in a list has no conversion either.
    return [Structured(_raw(item), plain(item)) if isinstance(item, list) else item for item in items]


def _map(pairs: list[tuple[str, Any]]) -> Structured:
    raw = {"kvlistValue": {"values": [{"key": key, "value": _raw(value)} for key, value in pairs]}}
    return Structured(raw, {key: plain(value) for key, value in pairs})


def _raw(value: Any) -> dict[str, Any]:
    if isinstance(value, Structured):
        return value.raw
    if isinstance(value, list):
        return {"arrayValue": {"values": [_raw(item) for item in value]} if value else {}}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": value}
    if isinstance(value, float):
        return {"doubleValue": value}
    return {} if value is None else {"stringValue": value}


def _bytes(given: Any) -> Any:
    try:
        return base64.b64decode(given, validate=True)
    except (TypeError, ValueError):
        return given
