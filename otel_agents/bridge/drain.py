"""The thread that takes scores from the queue to Langfuse."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otel_agents.bridge.queue import ScoreQueue
from otel_agents.export.untraced import untraced_thread
from otel_agents.export.waits import pause
from otel_agents.langfuse.score_api import BATCH, ScoreApi, first_batch

if TYPE_CHECKING:
    from otel_agents.bridge.meters import Meters

logger = logging.getLogger(__name__)


class Drain:
    """Sends what is queued, in order, and removes what is settled. Tries for as long as it takes.

    Args:
        queue: what to send.
        connect: makes the connection; called on the thread.
        meters: counts what becomes of the scores.
    """

    def __init__(self, queue: ScoreQueue, connect: Callable[[], ScoreApi], meters: Meters) -> None:
        self._queue = queue
        self._connect = connect
        self._meters = meters
        self._limit = BATCH
        self._work = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="otel-agents-bridge-scores", daemon=True)

    def start(self) -> None:
        """Starts with what a former bridge left."""
        self._thread.start()

    def wake(self) -> None:
        """There is something new in the queue."""
        self._work.set()

    def ask_to_stop(self) -> None:
        """Has it stop after the request that is under way; the rest stays on disk."""
        self._stopped.set()
        self._work.set()

    def stop(self, timeout: float = 5.0) -> None:
        """Asks it to stop, and waits until it has."""
        self.ask_to_stop()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        untraced_thread()
        api: ScoreApi | None = None
        failures = 0
        while not self._stopped.is_set():
            self._work.clear()
            try:
                api = api or self._connect()
                problem = self._send_front(api)
            except _Empty:
                self._work.wait()
                continue
            except Exception as error:
                logger.debug("could not send scores", exc_info=True)
                problem = _Problem(f"{type(error).__name__}: {error}", None)
            if problem is None:
                if failures:
                    logger.info("Langfuse takes scores again")
                failures = 0
                continue
            failures += 1
            self._meters.failed.inc()
            if failures == 1:
                logger.warning("scores wait for Langfuse: %s", problem.text)
            self._stopped.wait(pause(failures, problem.wait))
        if api is not None:
            api.close()

    def _send_front(self, api: ScoreApi) -> _Problem | None:
        waiting = self._queue.front(self._limit)
        batch = first_batch(score for _, score in waiting)
        if not batch:
            self._limit = BATCH
            raise _Empty
        try:
            outcome = api.send(batch)
        except Exception as error:
            # Something is wrong with a score: one at a time, so that only that one is lost.
            logger.exception("could not send scores")
            if len(batch) > 1:
                self._limit = 1
                return _Problem(f"{type(error).__name__}: {error}", None)
            self._queue.remove([waiting[0][0]])
            self._meters.dropped.labels("error").inc()
            return None
        unsent = {id(score) for score in outcome.unsent}
        self._queue.remove(place for place, score in waiting[: len(batch)] if id(score) not in unsent)
        self._meters.sent.inc(outcome.delivered)
        for reason, scores in outcome.rejected.items():
            if scores:
                self._meters.dropped.labels("refused").inc(scores)
                logger.warning("Langfuse refused %d score(s): %s", scores, reason)
        return _Problem(outcome.problem, outcome.wait) if outcome.unsent else None


class _Empty(Exception):
    """Nothing waits."""


@dataclass(frozen=True, slots=True)
class _Problem:
    text: str
    wait: float | None
