"""Summaries of Langfuse's data, read once for all who ask at the same time and kept for a while."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from otel_agents.bridge.summary import Summary, summarise

if TYPE_CHECKING:
    from otel_agents.config import Settings
    from otel_agents.langfuse.tasks import Rollup

logger = logging.getLogger(__name__)

#: Reads what began in a window, both ends given.
Read = Callable[[datetime, datetime], "Rollup"]

#: Windows that are kept; the one that was not asked for the longest goes.
_KEPT: Final = 32
#: Seconds for one request to Langfuse, and for waiting between tries of it.
_TIMEOUT: Final = 15.0
#: Seconds after a failed read in which nobody tries again.
_PAUSE: Final = 5.0


class NoSummary(Exception):
    """Langfuse cannot be read, and no earlier answer is left; the text is one line that says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A summary, and how it came about.

    Attributes:
        summary: the figures.
        stale: whether Langfuse could not be read when they were due to be read anew.
        problem: why not, when they are stale.
        seconds: how long the read took.
    """

    summary: Summary
    stale: bool = False
    problem: str = ""
    seconds: float = 0.0


@dataclass(slots=True)
class _Kept:
    answer: Answer | None = None
    read_at: float = float("-inf")
    failed_at: float = float("-inf")
    problem: str = ""
    running: Future[Answer] | None = None


class Summaries:
    """Answers for windows that end now. Safe for threads and for several event loops.

    Args:
        read: reads tasks; called on a thread of its own, one at a time for each window.
        ttl: seconds for which an answer is used again.
        patience: seconds that a caller waits for a read before an older answer is taken.
    """

    def __init__(self, read: Read, ttl: float = 30.0, patience: float = 20.0) -> None:
        self._read = read
        self._ttl = ttl
        self._patience = patience
        self._lock = threading.Lock()
        self._kept: OrderedDict[float, _Kept] = OrderedDict()

    async def get(self, hours: float) -> Answer:
        """The summary of the last ``hours`` hours, not older than the time to live unless it is stale.

        Raises:
            NoSummary: Langfuse cannot be read, and there is no earlier answer.
        """
        found = self._fresh_or_running(hours)
        if isinstance(found, Answer):
            return found
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(found)), self._patience)
        except TimeoutError:
            return self._older(hours, f"Langfuse has not answered within {self._patience:g} s")
        except NoSummary as error:
            return self._older(hours, str(error))

    def read_now(self, hours: float) -> Answer:
        """Reads anew, or waits for the read that is under way; for a thread that may wait.

        Raises:
            NoSummary: Langfuse cannot be read.
        """
        return self._running(hours).result()

    def _fresh_or_running(self, hours: float) -> Answer | Future[Answer]:
        with self._lock:
            kept = self._of(hours)
            now = time.monotonic()
            if kept.answer is not None and now - kept.read_at < self._ttl:
                return kept.answer
            if kept.running is None and now - kept.failed_at < min(_PAUSE, self._ttl):
                failed: Future[Answer] = Future()
                failed.set_exception(NoSummary(kept.problem))
                return failed
        return self._running(hours)

    def _running(self, hours: float) -> Future[Answer]:
        """The read that is under way; begins one if there is none."""
        with self._lock:
            kept = self._of(hours)
            if kept.running is not None:
                return kept.running
            running: Future[Answer] = Future()
            kept.running = running
        threading.Thread(
            target=self._run, args=(hours, kept, running), name="otel-agents-summary", daemon=True
        ).start()
        return running

    def _of(self, hours: float) -> _Kept:
        kept = self._kept.setdefault(hours, _Kept())
        self._kept.move_to_end(hours)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return kept

    def _run(self, hours: float, kept: _Kept, running: Future[Answer]) -> None:
        from otel_agents.export.untraced import untraced_thread

        untraced_thread()
        started = time.monotonic()
        answer, problem = None, ""
        try:
            until = datetime.now(UTC)
            since = until - timedelta(hours=hours)
            summary = summarise(self._read(since, until), since, until)
            answer = Answer(summary, seconds=time.monotonic() - started)
        except Exception as error:
            problem = _one_line(error)
            logger.debug("could not read Langfuse", exc_info=True)
        with self._lock:
            kept.running = None
            if answer is not None:
                kept.answer, kept.read_at, kept.failed_at = answer, time.monotonic(), float("-inf")
            else:
                kept.failed_at, kept.problem = time.monotonic(), problem
        if answer is not None:
            running.set_result(answer)
        else:
            running.set_exception(NoSummary(problem))

    def _older(self, hours: float, problem: str) -> Answer:
        with self._lock:
            kept = self._kept.get(hours)
            older = kept.answer if kept is not None else None
        if older is None:
            raise NoSummary(problem)
        return Answer(older.summary, stale=True, problem=problem, seconds=older.seconds)


def reader(settings: Settings) -> Read:
    """What reads the settings' Langfuse, over a connection of its own each time."""

    def read(since: datetime, until: datetime) -> Rollup:
        from otel_agents.langfuse.reading import LangfuseReader

        with LangfuseReader.from_settings(settings, timeout=_TIMEOUT, patience=_TIMEOUT) as langfuse:
            return langfuse.roll_up(since=since, until=until)

    return read


def _one_line(error: Exception) -> str:
    said = " ".join(str(error).split())
    known = type(error).__name__ in ("LangfuseUnavailable", "ConfigError")
    return said if known and said else f"reading Langfuse failed: {type(error).__name__}: {said}"
