"""What every request handler shares: options, store, received spans, faults, delayed writes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from otel_agents.local.faults import Faults
from otel_agents.local.options import LocalOptions
from otel_agents.local.raw import RawSpans
from otel_agents.local.store import Store

logger = logging.getLogger(__name__)
T = TypeVar("T")

_THREADS = 8


class Backend:
    """State of one running local backend.

    Attributes:
        raw: the newest received spans.
        closing: true when the server was asked to stop; ``/api/public/ready`` then fails.
    """

    __slots__ = (
        "_delayed",
        "_pool",
        "closing",
        "faults",
        "options",
        "raw",
        "store",
    )

    def __init__(self, options: LocalOptions) -> None:
        self.options = options
        self.store = Store(options.db, options.orphan_grace_s if options.strict else None)
        self.faults = Faults()
        self.raw = RawSpans(options.raw_spans, options.raw_chars)
        self.closing = False
        self._delayed: set[asyncio.Task[None]] = set()
        # Threads that stay keep their read connection, and with it the pages they have cached.
        self._pool = ThreadPoolExecutor(_THREADS, "otel-agents-local")

    async def run(self, work: Callable[..., T], *args: Any) -> T:
        """Runs blocking work off the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *args)

    async def write(self, work: Callable[..., T], *args: Any) -> None:
        """Runs a write now, or ``ingest_delay_ms`` later in the background."""
        delay = self.options.ingest_delay_ms / 1000
        if delay <= 0:
            await self.run(work, *args)
            return
        task = asyncio.create_task(self._later(delay, work, args))
        self._delayed.add(task)
        task.add_done_callback(self._delayed.discard)

    async def _later(self, delay: float, work: Callable[..., Any], args: tuple[Any, ...]) -> None:
        try:
            await asyncio.sleep(delay)
        except asyncio.CancelledError:
            pass  # the server stops: what was accepted is written now
        try:
            await self.run(work, *args)
        except Exception:
            logger.exception("a delayed write failed")

    async def close(self) -> None:
        """Writes what waits, then closes the store."""
        self.closing = True
        for task in list(self._delayed):
            task.cancel()
        if self._delayed:
            await asyncio.gather(*self._delayed, return_exceptions=True)
        self._pool.shutdown(wait=True)
        self.store.close()
