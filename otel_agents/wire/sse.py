"""Server-sent events, read from bytes that were cut anywhere.

Two ways to read: :func:`events` parses everything by the standard (WHATWG HTML, 9.2), for the
content. :func:`data_lines` looks for the few events that carry a wanted word and touches nothing
else, for what has to be known at the end of a call: usage and finish reasons.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Event(NamedTuple):
    """One event: its name (``message`` when it has none) and its data."""

    name: str
    data: bytes


def events(chunks: Iterable[bytes]) -> Iterator[Event]:
    """All events of a stream, however its bytes were cut. An unfinished last event counts as one.

    The standard drops an event that lacks its blank line; a stream that was cut may have carried
    its usage there, so it is handed over and its reader decides whether the data is whole.
    """
    name = b""
    data: list[bytes] = []
    for line in _lines(chunks):
        if not line:
            if data:
                yield Event(name.decode("utf-8", "replace") or "message", b"\n".join(data))
            name, data = b"", []
            continue
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
    if data:
        yield Event(name.decode("utf-8", "replace") or "message", b"\n".join(data))


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines without their ends; CR, LF and CRLF all end a line."""
    rest = b""
    after_cr = False
    first = True
    for chunk in chunks:
        buffer = rest + chunk
        if first:
            if len(buffer) < 3 and b"\xef\xbb\xbf".startswith(buffer):
                rest = buffer
                continue
            buffer = buffer.removeprefix(b"\xef\xbb\xbf")
            first = False
        if after_cr and buffer:
            buffer = buffer.removeprefix(b"\n")
            after_cr = False
        if b"\r" in buffer:
            # A CR at the very end may be half of a CRLF: the line is over, a following LF is skipped.
            after_cr = buffer.endswith(b"\r")
            buffer = buffer.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *whole, rest = buffer.split(b"\n")
        yield from whole
    if rest:
        yield rest


def data_lines(body: bytes, wanted: bytes) -> Iterator[bytes]:
    """The data of every one-line event that contains ``wanted``, in order.

    JSON escapes quotes inside strings, so a ``wanted`` with its quotes (``b'"usage":{'``) does not
    match text that a model wrote.
    """
    end = 0
    while (found := body.find(wanted, end)) >= 0:
        line, end = line_at(body, found)
        if line is not None:
            yield line


def last_data_line(body: bytes, wanted: bytes) -> bytes | None:
    """The data of the last one-line event that contains ``wanted``."""
    end = len(body)
    while (found := body.rfind(wanted, 0, end)) >= 0:
        line, _ = line_at(body, found)
        if line is not None:
            return line
        end = found
    return None


def first_data_lines(body: bytes, limit: int) -> Iterator[bytes]:
    """The data of the first ``limit`` events that are one line long."""
    position = 0
    for _ in range(limit):
        found = body.find(b"data:", position)
        if found < 0:
            return
        line, position = line_at(body, found)
        if line is not None:
            yield line


def line_at(body: bytes, position: int) -> tuple[bytes | None, int]:
    """The data on the line around ``position`` (None when it is no data line) and where the line ends."""
    start = body.rfind(b"\n", 0, position) + 1
    start = max(start, body.rfind(b"\r", start, position) + 1)
    end = body.find(b"\n", position)
    if end < 0:
        end = len(body)
    cut = body.find(b"\r", position, end)
    if cut >= 0:
        end = cut
    if start == 0 and body.startswith(b"\xef\xbb\xbf"):
        start = 3
    if not body.startswith(b"data:", start):
        return None, end
    return body[start + 5 : end].strip(), end
