"""Sending an answer: pace, disconnects, broken connections, odd bytes."""

from __future__ import annotations

import asyncio
import random
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from starlette.types import Receive, Scope, Send

from modelserver.exchange import Piece
from modelserver.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds before the first byte, and before each event of a stream."""

    first: float = 0.004
    chunk: float = 0.001

    def varied(self, seconds: float) -> float:
        """Within a third of ``seconds``, since no model is a metronome."""
        return seconds * random.uniform(0.67, 1.33)


LATENCIES = {
    "none": Latency(0, 0),
    "fast": Latency(),
    "realistic": Latency(0.35, 0.02),
}


class Delivery:
    """An ASGI response that sends pieces at the pace of a model and notices when nobody listens.

    ``done(tokens, complete)`` is called exactly once: with the output tokens that were sent, and
    whether the answer got as far as its final piece. It is called before that piece goes out, or
    before the body ends without it, so that whoever has read the answer finds it in the ledger.
    """

    def __init__(
        self,
        pieces: Iterator[Piece],
        done: Callable[[int, bool], None],
        *,
        headers: dict[str, str],
        status: int = 200,
        scenario: Scenario,
        latency: Latency,
        gaps: bool,
    ) -> None:
        self.pieces = pieces
        self.done = done
        self.headers = dict(headers)
        self.status = status
        self.scenario = scenario
        self.first = latency.varied(latency.first)
        self.gap: Callable[[], float] = lambda: latency.varied(latency.chunk) if gaps else 0.0
        if "slow" in scenario.flags:
            wait = scenario.number("slow", 0.5)
            self.first = wait
            self.gap = lambda: wait / 10 if gaps else 0.0
        self.packer = None
        if "gzip" in scenario.flags:
            self.packer = zlib.compressobj(wbits=31)
            self.headers["content-encoding"] = "gzip"
        self.size = int(scenario.number("bytes", 1)) if "bytes" in scenario.flags else 0
        self.sent = 0
        self.told = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            await self._run(send, gone)
        finally:
            gone.cancel()
            self._tell(complete=False)

    async def _run(self, send: Send, gone: asyncio.Future[None]) -> None:
        if await _leaves(gone, self.first):
            return
        headers = [(name.encode(), value.encode()) for name, value in self.headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        pieces = list(self.pieces)
        broken = "cut" in self.scenario.flags
        if broken or "truncate" in self.scenario.flags:
            pieces = pieces[: len(pieces) // 2] if len(pieces) > 1 else _half(pieces)
        for piece in pieces:
            if await _leaves(gone, self.gap()):
                return
            self.sent += piece.tokens
            if piece.final:
                self._tell(complete=True)
            await self._write(send, piece.data)
        self._tell(complete=False)
        if broken:
            # Returning without an end makes the server close the connection.
            return
        rest = self.packer.flush() if self.packer else b""
        await send({"type": "http.response.body", "body": rest, "more_body": False})

    def _tell(self, complete: bool) -> None:
        if not self.told:
            self.told = True
            self.done(self.sent, complete)

    async def _write(self, send: Send, data: bytes) -> None:
        if self.packer:
            data = self.packer.compress(data) + self.packer.flush(zlib.Z_SYNC_FLUSH)
        for at in range(0, len(data), self.size or len(data) or 1):
            part = data[at : at + self.size] if self.size else data
            await send({"type": "http.response.body", "body": part, "more_body": True})


def _half(pieces: list[Piece]) -> list[Piece]:
    return [replace(piece, data=piece.data[: len(piece.data) // 2]) for piece in pieces]


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _leaves(gone: asyncio.Future[None], seconds: float) -> bool:
    """Waits, and says whether the client went away meanwhile."""
    if seconds > 0:
        await asyncio.wait([gone], timeout=seconds)
    else:
        await asyncio.sleep(0)
    return gone.done()


class Dropped:
    """An ASGI response that is none: the connection closes after ``after`` seconds."""

    def __init__(self, after: float = 0.0) -> None:
        self.after = after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            if not await _leaves(gone, self.after):
                scope["modelserver.transport"].abort()
                await gone
        finally:
            gone.cancel()


def crlf(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """The same events, legally written otherwise: CRLF, comments, no space after the colon."""
    for piece in pieces:
        data = piece.data.replace(b"data: ", b"data:").replace(b"\n", b"\r\n")
        yield replace(piece, data=b": keep-alive\r\n\r\n" + data)


def broken_event(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """One event in the middle is cut short, so that its JSON does not parse."""
    events = list(pieces)
    middle = len(events) // 2
    for at, piece in enumerate(events):
        yield replace(piece, data=piece.data.rstrip()[:-9] + b"\n\n") if at == middle else piece


def failing(pieces: Iterator[Piece], event: bytes) -> Iterator[Piece]:
    """Half of the events, then ``event``."""
    events = list(pieces)
    yield from events[: len(events) // 2]
    yield Piece(event)
