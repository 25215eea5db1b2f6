"""The bytes of a response, kept while the caller reads them, and turned into a body afterwards.

Memory is bounded: beyond :data:`HEAD_BYTES` only the last :data:`TAIL_BYTES` are kept, because that
is where both JSON and event streams say what was used.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from time import perf_counter
from typing import Final, overload

import msgspec

HEAD_BYTES: Final = 4 * 1024 * 1024
TAIL_BYTES: Final = 256 * 1024
_STREAM_TYPES: Final = ("text/event-stream", "application/vnd.amazon.eventstream")
#: Chunks after which no more arrival times are kept.
_MAX_TIMES: Final = 20_000
#: A compressed body may grow to this much; what is beyond counts as truncated.
_MAX_DECODED: Final = 32 * 1024 * 1024


class Capture:
    """Chunks and their arrival times.

    The tee appends to ``chunks`` and ``times`` itself while ``room`` is left.
    """

    __slots__ = ("_tail", "_tail_size", "chunks", "room", "times")

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.times: list[float] = []
        self.room = HEAD_BYTES
        self._tail: deque[bytes] | None = None
        self._tail_size = 0

    def overflow(self, chunk: bytes) -> None:
        """Takes a chunk for which no room is left."""
        if self._tail is None:
            self._tail = deque()
        self._tail.append(chunk[-TAIL_BYTES:])
        self._tail_size += len(self._tail[-1])
        while self._tail_size - len(self._tail[0]) >= TAIL_BYTES:
            self._tail_size -= len(self._tail.popleft())
        if len(self.times) < _MAX_TIMES:
            self.times.append(perf_counter())

    @property
    def truncated(self) -> bool:
        """Whether bytes are missing in the middle."""
        return self._tail is not None

    def body(self, headers: Mapping[str, str]) -> Body:
        """What was kept, decompressed. Releases the chunks."""
        head = b"".join(self.chunks)
        tail = None if self._tail is None else b"".join(self._tail)
        self.chunks, self._tail = [], None
        if head.startswith(
            b"{"
        ):  # nothing that is compressed starts so, and the header need not be looked up
            return Body(head, tail, None, tail is not None)
        encoding = headers.get("content-encoding")
        if not encoding or encoding == "identity":
            return Body(head, tail, None, tail is not None)
        content, problem = decompress(head, encoding)
        if tail is not None:  # the rest of a compressed body cannot be read without its middle
            return Body(content, None, None if content else problem, True)
        return Body(content, None, problem, problem == "too_big")


class Body(msgspec.Struct):
    """A response's bytes, decompressed.

    ``tail`` is the end of a body whose middle was not kept. ``problem`` says what kept it from being
    read: ``truncated_gzip``, ``encoding:br`` (no library for it) ...
    """

    head: bytes
    tail: bytes | None = None
    problem: str | None = None
    truncated: bool = False


def is_stream(body: bytes, headers: Mapping[str, str]) -> bool:
    """Whether the body is an event stream; its first bytes count more than what its header says."""
    if body.startswith(b"{"):  # nearly always, or the next
        return False
    start = body[:64].removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith((b"data:", b"event:", b"id:", b"retry:", b":")):
        return True
    if start.startswith((b"{", b"[", b"<")):
        return False
    return headers.get("content-type", "").startswith(_STREAM_TYPES)


def decompress(data: bytes, encoding: str) -> tuple[bytes, str | None]:
    """``data`` without its content encodings (``gzip, br`` ...), and what went wrong; never raises.

    What could be decompressed before an error is returned, since the usage may be in it.
    """
    problem: str | None = None
    for name in reversed([part.strip().lower() for part in encoding.split(",")]):
        if name in ("", "identity"):
            continue
        decoder = _DECODERS.get(name)
        if decoder is None:
            return b"", f"encoding:{name[:20]}"
        try:
            data, trouble = decoder(data)
        except ImportError:
            return b"", f"encoding:{name}"
        except Exception:
            return b"", f"malformed_{name}"
        problem = problem or trouble
    return data, problem


def _inflate(data: bytes, name: str, *window_bits: int) -> tuple[bytes, str | None]:
    if not data:
        return b"", None
    for bits in window_bits:
        inflater = zlib.decompressobj(bits)
        try:
            content = inflater.decompress(data, _MAX_DECODED)
        except zlib.error:
            content = _inflate_until_error(data, bits)
            if content:
                return content, f"malformed_{name}"
            continue
        if inflater.unconsumed_tail:
            return content, "too_big"
        return content, None if inflater.eof else f"truncated_{name}"
    return b"", f"malformed_{name}"


def _inflate_until_error(data: bytes, bits: int) -> bytes:
    """What comes before the damage; only reached for damaged data."""
    inflater = zlib.decompressobj(bits)
    content: list[bytes] = []
    try:
        for start in range(0, len(data), 256):
            content.append(inflater.decompress(data[start : start + 256], _MAX_DECODED))
    except zlib.error:
        pass
    return b"".join(content)


def _gzip(data: bytes) -> tuple[bytes, str | None]:
    return _inflate(data, "gzip", 31)


def _deflate(data: bytes) -> tuple[bytes, str | None]:
    return _inflate(data, "deflate", zlib.MAX_WBITS, -zlib.MAX_WBITS)  # some servers leave the header out


def _brotli(data: bytes) -> tuple[bytes, str | None]:
    try:
        import brotli  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        import brotlicffi as brotli  # type: ignore[import-not-found, unused-ignore]
    decoder = brotli.Decompressor()
    feed = getattr(decoder, "decompress", None) or decoder.process
    return _by_pieces(feed, data), None if decoder.is_finished() else "truncated_br"


def _zstd(data: bytes) -> tuple[bytes, str | None]:
    try:
        from compression import zstd  # type: ignore[import-not-found, unused-ignore]

        decoder = zstd.ZstdDecompressor()
        return decoder.decompress(data, _MAX_DECODED), None if decoder.eof else "truncated_zstd"
    except ImportError:
        import zstandard  # type: ignore[import-not-found, unused-ignore]

        decoder = zstandard.ZstdDecompressor().decompressobj()
        return _by_pieces(decoder.decompress, data), None if decoder.eof else "truncated_zstd"


def _by_pieces(feed: Callable[[bytes], bytes], data: bytes) -> bytes:
    """Decompresses piece by piece, so that a bomb is noticed before it fills the memory."""
    content: list[bytes] = []
    size = 0
    for start in range(0, len(data), 16_384):
        content.append(feed(data[start : start + 16_384]))
        size += len(content[-1])
        if size > _MAX_DECODED:
            break
    return b"".join(content)


_DECODERS: Final[dict[str, Callable[[bytes], tuple[bytes, str | None]]]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}


class Gaps(Sequence[float]):
    """Seconds between arrivals, worked out where they are looked at: that is off the caller's path."""

    __slots__ = ("_times",)

    def __init__(self, times: list[float]) -> None:
        self._times = times

    def __len__(self) -> int:
        return max(len(self._times) - 1, 0)

    def __iter__(self) -> Iterator[float]:
        return (later - earlier for earlier, later in pairwise(self._times))

    @overload
    def __getitem__(self, index: int) -> float: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[float]: ...
    def __getitem__(self, index: int | slice) -> float | Sequence[float]:
        return list(self)[index]
