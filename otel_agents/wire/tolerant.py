"""JSON as it is met on the wire: typed and fast when it is proper, cleaned up when it is nearly so."""

from __future__ import annotations

import json
from typing import Any, Generic, TypeVar, get_args, get_origin

import msgspec

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)


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


class Lenient(Generic[S]):
    """Reads a struct as it is declared; when one field is odd, reads the others one by one without it.

    The first way is one pass in C and the rule; the second keeps one wrong type, which servers of
    all kinds send, from hiding the rest.
    """

    def __init__(self, kind: type[S]) -> None:
        self._decoder = msgspec.json.Decoder(kind)
        self._kind = kind
        self._fields: dict[str, _Field] | None = None

    def read(self, data: bytes | msgspec.Raw) -> S:
        """``data`` as the struct.

        Raises:
            ValueError: not a JSON object.
        """
        try:
            return self._decoder.decode(data)
        except (ValueError, RecursionError):
            return self._field_by_field(data)

    def _field_by_field(self, data: bytes | msgspec.Raw) -> S:
        if self._fields is None:
            self._fields = {field.encode_name: _Field(field) for field in msgspec.structs.fields(self._kind)}
        found: dict[str, Any] = {}
        for name, raw in decode(_OBJECT, data).items():
            field = self._fields.get(name)
            if field is not None:
                try:
                    found[field.name] = field.read(raw)
                except ValueError:
                    pass
        return self._kind(**found)


class _Field:
    """How one field is read by itself: structs and lists of structs leniently again."""

    def __init__(self, field: msgspec.structs.FieldInfo) -> None:
        self.name = field.name
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(field.type)
        self._struct: Lenient[Any] | None = None
        self._item: Lenient[Any] | None = None
        for kind in (field.type, *get_args(field.type)):
            if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
                self._struct = Lenient(kind)
            elif get_origin(kind) is list and isinstance(get_args(kind)[0], type):
                item = get_args(kind)[0]
                self._item = Lenient(item) if issubclass(item, msgspec.Struct) else None

    def read(self, raw: msgspec.Raw) -> Any:
        try:
            return decode(self._decoder, raw)
        except ValueError:
            if self._struct is not None:
                return self._struct.read(raw)
            if self._item is None:
                raise
        items = []
        for item in decode(_ARRAY, raw):
            try:
                items.append(self._item.read(item))
            except ValueError:
                pass
        return items


_OBJECT: msgspec.json.Decoder[dict[str, msgspec.Raw]] = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ARRAY: msgspec.json.Decoder[list[msgspec.Raw]] = msgspec.json.Decoder(list[msgspec.Raw])


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
