"""Request bodies, read and unpacked within a limit."""

from __future__ import annotations

import zlib
from typing import Final

from starlette.requests import Request

#: Largest body, packed and unpacked; the Collector's own limit.
MAX_BODY: Final = 64 * 1024**2


class BadRequest(Exception):
    """A request that cannot be used.

    Attributes:
        status: to answer with.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


async def read_body(request: Request, limit: int = MAX_BODY) -> bytes:
    """The body as it was sent.

    Raises:
        BadRequest: it is larger than ``limit`` bytes (413).
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise _too_large(limit)
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
    return b"".join(parts)


def unpack(body: bytes, encoding: str, limit: int = MAX_BODY) -> bytes:
    """The body without its content encoding, which is gzip or none.

    Raises:
        BadRequest: broken gzip (400), more than ``limit`` bytes unpacked (413), another encoding (415).
    """
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding != "gzip":
        raise BadRequest(415, f"content-encoding {encoding[:40]!r} is not supported; use gzip or none")
    # wbits 31 is gzip. Bounded, so that a small body cannot unpack into all of the memory.
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(body, limit + 1)
    except zlib.error as error:
        raise BadRequest(400, f"the body is no gzip: {error}") from None
    if len(unpacked) > limit:
        raise _too_large(limit)
    if not unpacker.eof:
        raise BadRequest(400, "the gzip body ends too early")
    return unpacked


def _too_large(limit: int) -> BadRequest:
    return BadRequest(413, f"the body is larger than {limit // 1024**2} MiB")
