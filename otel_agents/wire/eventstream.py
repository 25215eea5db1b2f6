"""The event stream of AWS (``application/vnd.amazon.eventstream``), read from bytes that were cut anywhere.

A frame is a prelude (length of the frame, length of its headers, CRC of the two), headers, payload
and a CRC of it all. The checksums serve to find one's way and not to refuse anything: a frame whose
own is wrong is read as long as it looks like one, since its reader sees whether the payload is JSON;
where bytes are missing, the next sound prelude is where reading goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from struct import Struct
from typing import Final, NamedTuple
from zlib import crc32

CONTENT_TYPE: Final = "application/vnd.amazon.eventstream"

_PRELUDE: Final = Struct(">III")
_CHECKSUM: Final = Struct(">I")
_OVERHEAD: Final = _PRELUDE.size + _CHECKSUM.size
#: The protocol allows 128 KiB of headers and 24 MiB of payload.
_MAX_HEADERS: Final = 128 * 1024
_MAX_FRAME: Final = 25 * 1024 * 1024
#: Length and name of what may be the first header.
_FIRST_HEADER: Final = re.compile(rb"\x0b:event-type|\x0d:message-type|\x0d:content-type|\x0f:exception-type")
#: Bytes of a prelude and the longest of these.
_START: Final = 28
_SIZES: Final = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_BYTES, _STRING = 6, 7


class Frame(NamedTuple):
    """One frame: its headers undecoded, since most are only glanced at, and its payload."""

    head: bytes
    payload: bytes

    def headers(self) -> dict[str, str]:
        """The headers that are text; those before the damage when they are damaged."""
        return _headers(self.head)[0]

    @property
    def kind(self) -> str:
        """Type of the event or of the exception; empty when the frame says none."""
        found = self.headers()
        return found.get(":event-type") or found.get(":exception-type") or found.get(":error-code", "")

    @property
    def is_exception(self) -> bool:
        """Whether the frame reports an error."""
        return self.headers().get(":message-type") in ("exception", "error")


def frames(chunks: Iterable[bytes]) -> Iterator[Frame]:
    """The frames of a stream, however its bytes were cut. One that did not come whole is left out."""
    buffer = bytearray()
    lost = False
    for chunk, over in _and_the_end(chunks):
        buffer += chunk
        position = 0
        while (found := _next(buffer, position, lost, over)) is not None:
            frame, position = found
            lost = frame is None
            if frame is not None:
                yield frame
        del buffer[:position]


def _and_the_end(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    for chunk in chunks:
        yield chunk, False
    yield b"", True


def _next(buffer: bytearray, start: int, lost: bool, over: bool) -> tuple[Frame | None, int] | None:
    """What is at ``start`` and where to go on: a frame, or nothing where bytes are skipped.

    None when that takes more bytes; ``over`` says that none will come. While ``lost``, only a sound
    prelude counts.
    """
    left = len(buffer) - start
    if left < _PRELUDE.size:
        return None
    total, size, check = _PRELUDE.unpack_from(buffer, start)
    if not _OVERHEAD + size <= total <= _MAX_FRAME or size > _MAX_HEADERS:
        return _resume(buffer, start + 1, over)
    end_of_head = start + _PRELUDE.size + size
    if crc32(buffer[start : start + 8]) != check:
        if not lost and not over and end_of_head > len(buffer):
            return None
        found, whole = _headers(bytes(buffer[start + _PRELUDE.size : end_of_head]))
        if lost or not whole or ":message-type" not in found:
            return _resume(buffer, start + 1, over)
    end = start + total
    if total > left:
        # The end of the stream: cut short, or bytes are missing before it.
        return _resume(buffer, start + 1, over) if over else None
    if crc32(buffer[start : end - 4]) != _CHECKSUM.unpack_from(buffer, end - 4)[0]:
        if not over and len(buffer) < end + _START:
            return None
        inside = _sound_prelude(buffer, start + 1, end + _START)
        if inside is not None and inside < end:  # bytes are missing; the next frame took their place
            return None, inside
    head, payload = buffer[start + _PRELUDE.size : end_of_head], buffer[end_of_head : end - 4]
    return Frame(bytes(head), bytes(payload)), end


def _resume(buffer: bytearray, start: int, over: bool) -> tuple[None, int] | None:
    """Skips to the next sound prelude; without one, to what may be the beginning of one."""
    found = _sound_prelude(buffer, start, len(buffer))
    if found is not None:
        return None, found
    kept = max(start, len(buffer) - _START)
    return None if over else (None, kept)


def _sound_prelude(buffer: bytearray, start: int, end: int) -> int | None:
    for match in _FIRST_HEADER.finditer(buffer, start, end):
        at = match.start() - _PRELUDE.size
        if at >= start:
            *_, check = _PRELUDE.unpack_from(buffer, at)
            if crc32(buffer[at : at + 8]) == check:
                return at
    return None


def _headers(data: bytes) -> tuple[dict[str, str], bool]:
    """Headers that are text, by name, and whether ``data`` is nothing but headers."""
    found: dict[str, str] = {}
    position = 0
    try:
        while position < len(data):
            end = position + 1 + data[position]
            name, kind = data[position + 1 : end], data[end]
            position = end + 1
            if kind in (_BYTES, _STRING):
                size = int.from_bytes(data[position : position + 2], "big")
                position += 2
                if kind == _STRING:
                    value = data[position : position + size]
                    found[name.decode("utf-8", "replace")] = value.decode("utf-8", "replace")
            else:
                size = _SIZES[kind]
            position += size
    except (IndexError, KeyError):
        return found, False
    return found, position == len(data)
