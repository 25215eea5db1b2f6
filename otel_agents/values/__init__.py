"""Any Python object as bounded, valid JSON: what arguments, results and messages become on a span.

Values come from the user's program, so nothing about them is safe: they can be endless, circular,
50 MB long, or raise from ``__repr__``. The rules: never raise, never consume an iterator, never read
more of a value than is written, and say in place what was left out.
"""

from __future__ import annotations

import math
from json.encoder import encode_basestring as _quote
from typing import TYPE_CHECKING, Final, cast

import msgspec

from otel_agents.values import objects as objects

if TYPE_CHECKING:
    pass

#: A result is at most this many characters longer than its limit: the markers of what was cut, and
#: the closing brackets.
MARKER_ROOM: Final = 256

_MAX_DEPTH: Final = 16
#: Most members of one list or mapping; an embedding vector or a table is not what a trace is read for.
MAX_ITEMS: Final = 1000
#: Most values of one result: bounds the time spent on a caller's path to some 20 ms.
_MAX_NODES: Final = 20_000
MAX_KEY: Final = 200
#: Containers that say how much was cut, from the innermost outwards; further ones just end.
_MAX_MARKS: Final = 6
INT64: Final = 2**63
_FAST_DEPTH: Final = 8
_FAST_ROOM: Final = 32_768
_TOO_MUCH: Final = 1 << 60

_encode = msgspec.json.Encoder().encode


def to_json(value: object, limit: int) -> str:
    """``value`` as JSON text of at most ``limit`` characters (plus :data:`MARKER_ROOM`). Never raises.

    What JSON has no form for becomes text: dates in ISO 8601, decimals and UUIDs as they print, bytes
    as text or base64, NaN and infinities by name; generators, locks and functions by a short name in
    angle brackets. Objects become their public fields or their ``repr``.
    """
    return bounded_json(value, limit)[0]


def to_text(value: object, limit: int) -> str:
    """``value`` for a place that holds text: text as it is (cut at ``limit``), all else as JSON."""
    return bounded_text(value, limit)[0]


def bounded_text(value: object, limit: int) -> tuple[str, bool]:
    """Like :func:`to_text`, and whether something was left out."""
    if type(value) is str:
        return cut(value, limit)
    if objects.is_a(value, str):  # a subclass: its own characters, not what its methods say
        return cut(str.__getitem__(value, slice(None)), limit)
    text, truncated = bounded_json(value, limit)
    return (msgspec.json.decode(text) if text.startswith('"') else text), truncated


def bounded_json(value: object, limit: int) -> tuple[str, bool]:
    """Like :func:`to_json`, and whether something was left out."""
    try:
        if _plain_size(value, min(limit, _FAST_ROOM), _FAST_DEPTH) < _TOO_MUCH:
            text = _encode(value).decode()
            if len(text) <= limit:
                return text, False
    except Exception:  # a lone surrogate, or a dict that another thread is changing
        pass
    try:
        writer = _Writer(limit)
        writer.value(value, _MAX_DEPTH)
        return "".join(writer.parts), writer.truncated
    except Exception as error:  # a stack that has no room left, for example
        return _quote(clean(objects.unreadable(value, error))), True


def cut(text: str, limit: int) -> tuple[str, bool]:
    """The first ``limit`` characters of ``text``, fit for UTF-8, with a marker if there were more."""
    total = len(text)
    if total <= limit:
        return clean(text), False
    head = text[: max(limit, 0)]
    return f"{clean(head)}{_cut_marker(total - len(head), total)}", True


def clean(text: str) -> str:
    """``text`` without lone surrogates, which UTF-8 (so OTLP) cannot carry: U+FFFD stands in for them."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        # By way of UTF-16, so that two halves that belong together become their character.
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def str_of_int(value: int) -> str:
    """An integer of any size as text; Python refuses to print more than some 4300 digits."""
    return str(value) if value.bit_length() < 10_000 else f"<integer of {value.bit_length()} bits>"


def _cut_marker(missing: int, total: int) -> str:
    return f"...[cut {missing} of {total} characters]"


def _plain_size(value: object, room: int, depth: int) -> int:
    """About how long the JSON of ``value`` is; ``_TOO_MUCH`` unless it is small and made of plain types."""
    kind = type(value)
    if kind is str:
        size = len(value) + 2  # type: ignore[arg-type]
        return size if size <= room else _TOO_MUCH
    if value is None or kind is bool:
        return 5
    if kind is int:
        return 20 if -INT64 <= value < INT64 else _TOO_MUCH  # type: ignore[operator]
    if kind is float:
        return 24 if math.isfinite(value) else _TOO_MUCH  # type: ignore[arg-type]
    if depth <= 0:
        return _TOO_MUCH
    size = 2
    if kind is dict:
        if len(value) > MAX_ITEMS:  # type: ignore[arg-type]
            return _TOO_MUCH
        for key, item in value.items():  # type: ignore[attr-defined]
            if type(key) is not str or len(key) > MAX_KEY:
                return _TOO_MUCH
            size += len(key) + 4
            size += _plain_size(item, room - size, depth - 1)
            if size > room:
                return _TOO_MUCH
        return size
    if kind is list or kind is tuple:
        if len(value) > MAX_ITEMS:  # type: ignore[arg-type]
            return _TOO_MUCH
        for item in value:  # type: ignore[attr-defined]
            size += 1 + _plain_size(item, room - size, depth - 1)
            if size > room:
                return _TOO_MUCH
        return size
    return _TOO_MUCH


class _Writer:
    """Writes one value as JSON, counting down the room that is left."""

    __slots__ = ("_marks", "_nodes", "_path", "_room", "parts", "truncated")

    def __init__(self, limit: int) -> None:
        self.parts: list[str] = []
        self.truncated = False
        self._room = max(limit, 0)
        self._nodes = _MAX_NODES
        self._marks = _MAX_MARKS
        self._path: set[int] = set()

    def value(self, value: object, depth: int) -> None:
        self._nodes -= 1
        kind = type(value)
        if kind is str:
            self._string(value)  # type: ignore[arg-type]
        elif value is None:
            self._raw("null")
        elif kind is bool:
            self._raw("true" if value else "false")
        elif kind is int:
            self._integer(value)  # type: ignore[arg-type]
        elif kind is float:
            self._float(value)  # type: ignore[arg-type]
        elif kind is objects.Items or kind is objects.Pairs:
            self._container(value, depth)  # type: ignore[arg-type]
        elif id(value) in self._path:
            self._string(f"<circular {objects.type_name(value)}>")
        elif depth <= 0:
            self.truncated = True
            self._string(objects.summary(value))
        else:
            # What is written instead of the value is one step simpler, so this comes to an end.
            self._path.add(id(value))
            self.value(objects.simplify(value, MAX_ITEMS, self._room), depth)
            self._path.discard(id(value))

    def _container(self, value: objects.Items | objects.Pairs, depth: int) -> None:
        opening, closing = "[]" if type(value) is objects.Items else "{}"
        self._raw(opening)
        self._room -= 1
        written = 0
        names: set[str] = set()
        for item in value.values:
            if self._room <= 0 or self._nodes <= 0:
                break
            if written:
                self._raw(",")
            if opening == "{":
                key, item = cast("tuple[object, object]", item)
                self._key(key, names, depth)
            self.value(item, depth - 1)
            written += 1
        if written < value.total:
            self._mark(value.total - written, opening, written > 0)
        self.parts.append(closing)

    def _key(self, key: object, names: set[str], depth: int) -> None:
        name = key if type(key) is str else self._key_text(key, depth)
        room = min(MAX_KEY, max(self._room, 1))
        if len(name) > room:
            self.truncated = True
            name = name[:room] + "..."
        while name in names:  # 1 and "1" are two keys in Python and one in JSON
            name = f"{name}'{len(names)}"
        names.add(name)
        self._raw(_quote(clean(name)) + ":")

    def _key_text(self, key: object, depth: int) -> str:
        around, self.parts = self.parts, []
        self.value(key, min(depth - 1, 4))
        text, self.parts = "".join(self.parts), around
        return str(msgspec.json.decode(text)) if text.startswith('"') else text

    def _mark(self, missing: int, opening: str, more: bool) -> None:
        self.truncated = True
        if self._marks <= 0:
            return
        self._marks -= 1
        comma = "," if more else ""
        self.parts.append(
            f'{comma}"...{missing} more"' if opening == "[" else f'{comma}"...":"{missing} more"'
        )

    def _string(self, text: str) -> None:
        total, room = len(text), max(self._room, 0)
        head = clean(text if total <= room else text[:room])
        quoted = _quote(head)
        if total <= room and len(quoted) <= room + 2:
            self._raw(quoted)
            return
        self.truncated = True
        while head and len(quoted) > room + 2:  # escapes made it longer than its characters
            head = head[: len(head) * room // len(quoted)]
            quoted = _quote(head)
        self._raw(quoted[:-1])
        self.parts.append(_cut_marker(max(total - len(head), 1), total) + '"')

    def _integer(self, value: int) -> None:
        # Readers of JSON keep 64 bits at best; longer numbers stay exact as text.
        if -INT64 <= value < INT64:
            self._raw(int.__repr__(value))
        else:
            self._string(str_of_int(value))

    def _float(self, value: float) -> None:
        if math.isfinite(value):
            self._raw(_encode(value).decode())  # as the fast path prints it
        else:
            self._raw('"NaN"' if math.isnan(value) else '"Infinity"' if value > 0 else '"-Infinity"')

    def _raw(self, text: str) -> None:
        self.parts.append(text)
        self._room -= len(text)
