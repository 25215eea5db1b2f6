"""Direct mode's way for scores: evaluation events go to Langfuse from a thread of their own.

Langfuse has no endpoint for OpenTelemetry logs. The official SDK, which takes 0.3 s to load, is loaded
on that thread, at the first score.
"""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401  the SDK's import of it fails once the interpreter is ending
import logging
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from otel_agents.export.result import ScoreResult
from otel_agents.export.waits import pause
from otel_agents.langfuse.score_api import BATCH, ScoreApi, first_batch
from otel_agents.langfuse.score_disk import ScoreDisk
from otel_agents.langfuse.score_events import NotAScore, Score, score_of

if TYPE_CHECKING:
    from otel_agents.config import Settings

logger = logging.getLogger(__name__)

MAX_QUEUE: Final = 10_000

#: Seconds that a score waits for others to share its request.
_DELAY: Final = 1.0
#: Seconds between two looks for scores that other processes left.
_LOOK: Final = 30.0
#: Seconds that a fork waits for the Langfuse SDK to be loaded.
_LOADING: Final = 10.0

_Event = tuple[Mapping[str, Any], str | None, str | None, int]


class ScoreSender:
    """Queues evaluation events and sends them as scores. Safe for threads, and for forked children.

    Args:
        connect: makes the connection; called on the sender's thread.
        environment: for scores whose event names none.
        max_queue: scores kept while Langfuse does not answer; what comes on top is dropped and counted.
        delay: seconds that a score waits for others to share its request.
        disk: makes the place where scores wait while Langfuse does not answer, given whom to tell of
            losses; without it, and where it makes none, they wait in memory.
    """

    def __init__(
        self,
        connect: Callable[[], ScoreApi],
        *,
        environment: str | None = None,
        max_queue: int = MAX_QUEUE,
        delay: float = _DELAY,
        disk: Callable[[Callable[[int, str], None]], ScoreDisk | None] = lambda _: None,
    ) -> None:
        self._connect = connect
        self._environment = environment
        self._max_queue = max_queue
        self._delay = delay
        self._disk = disk(lambda scores, reason: self._drop(reason, scores))
        self._reset()

    @classmethod
    def from_settings(cls, settings: Settings) -> ScoreSender:
        """A sender to the settings' Langfuse project."""
        return cls(
            lambda: connect(settings),
            environment=settings.environment,
            disk=lambda lost: ScoreDisk.from_settings(settings, lost),
        )

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._events: deque[_Event] = deque()
        self._batch: list[Score] = []  # in flight, or to be tried again
        self._from_disk = False  # the batch is
        self._counts: Counter[str] = Counter()
        self._said: set[str] = set()
        self._flushing = 0
        self._hurry = False
        self._closed = False
        self._thread: threading.Thread | None = None
        self._loading = threading.Lock()
        self._load_held = False  # by a thread that forks

    def submit(
        self, attributes: Mapping[str, Any], trace_id: str | None, span_id: str | None, timestamp_ns: int
    ) -> None:
        """Queues the score of an evaluation event; costs an append. Never raises.

        Args:
            attributes: of the event, redacted.
            trace_id: of the event, 32 hex digits, scored unless the attributes name another target.
            span_id: of the event, 16 hex digits; likewise.
            timestamp_ns: when the score was given.
        """
        self._check_process()
        with self._changed:
            if self._closed:
                self._drop("the sender is closed")
                return
            if len(self._events) + len(self._batch) >= self._max_queue:
                self._drop("the queue is full")
                return
            self._events.append((attributes, trace_id, span_id, timestamp_ns))
            if self._thread is None:
                self._start()
            elif len(self._events) in (1, BATCH):
                self._changed.notify_all()

    def flush(self, timeout: float = 10.0) -> ScoreResult:
        """Sends what is queued now and says what became of it.

        Args:
            timeout: seconds; what has not been sent by then is ``pending`` and is tried again later.
        """
        self._check_process()
        deadline = time.monotonic() + timeout
        with self._changed:
            self._flushing += 1
            self._hurry = True
            self._changed.notify_all()
            try:
                while self._in_memory() and (left := deadline - time.monotonic()) > 0:
                    self._changed.wait(left)
            finally:
                self._flushing -= 1
            counts, self._counts = self._counts, Counter()
            pending = self._in_memory()
        return ScoreResult(counts["delivered"], pending, counts["dropped"], self._on_disk())

    def _in_memory(self) -> int:
        return len(self._events) + (0 if self._from_disk else len(self._batch))

    def _on_disk(self) -> int:
        return self._disk.waiting if self._disk is not None else 0

    def start_for_leftovers(self) -> None:
        """Has what other processes left sent, if there is any; nothing else starts before the first score."""
        if self._disk is not None and self._disk.has_leftovers:
            with self._changed:
                if self._thread is None and not self._closed:
                    self._start()

    def finish(self, timeout: float) -> ScoreResult:
        """Sends what is queued for at most ``timeout`` seconds, then stops; says what became of it."""
        flushed = self.flush(timeout)
        spooled = self.close()
        counts = self._counts
        return ScoreResult(
            flushed.delivered + counts["delivered"], 0, flushed.dropped + counts["dropped"], spooled
        )

    def close(self, timeout: float = 2.0) -> int:
        """Stops. What is still queued is tried once more; what then is left is saved, or lost and said.

        Args:
            timeout: seconds for that try.

        Returns:
            Scores that wait on disk.
        """
        self._check_process()
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)
        if self._disk is None or not self._save():
            self._give_up()
        spooled = self._on_disk()
        if self._disk is not None:
            self._disk.close()
        return spooled

    def _give_up(self) -> None:
        with self._changed:
            lost = self._in_memory()
            if lost:
                self._events.clear()
                self._batch = []
                self._counts["dropped"] += lost
                logger.warning("otel-agents: %d scores were not sent before the end", lost)
            self._changed.notify_all()

    def before_fork(self) -> None:
        """Waits until nothing of ours is in the middle of something that a child cannot go on with.

        Above all of an import: a child would wait for its lock forever.
        """
        self._load_held = self._loading.acquire(timeout=_LOADING)
        if self._disk is not None:
            self._disk.before_fork()

    def after_fork_in_parent(self) -> None:
        """Goes on."""
        if self._load_held:
            self._load_held = False
            self._loading.release()
        if self._disk is not None:
            self._disk.after_fork_in_parent()

    def after_fork(self) -> None:
        """Makes a forked child's copy fit for use: the queue is the parent's to send."""
        closed = self._closed
        if self._disk is not None:
            self._disk.after_fork()
        self._reset()
        self._closed = closed

    def _check_process(self) -> None:
        if self._pid != os.getpid():
            self.after_fork()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="otel-agents-scores", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # the interpreter is about to end
            self._thread = None
            if self._events:
                self._events.pop()
                self._drop("no thread can be started any more")

    def _drop(self, reason: str, scores: int = 1) -> None:
        self._counts["dropped"] += scores
        if reason not in self._said and len(self._said) < 100:
            self._said.add(reason)
            logger.warning("otel-agents: a score was dropped: %s (further ones are only counted)", reason)

    def _run(self) -> None:
        untraced()
        api: ScoreApi | None = None
        failures = 0
        try:
            with self._loading:
                api = self._connect()  # takes its time, in which further scores come to share the request
        except Exception:
            logger.debug("otel-agents: could not load the Langfuse SDK yet", exc_info=True)
        while self._next_batch():
            try:
                if api is None:
                    with self._loading:
                        api = self._connect()
                outcome = api.send(self._batch)
            except Exception as error:
                # A score that cannot be sent at all must not stop those behind it.
                logger.exception("otel-agents: could not send scores")
                self._settle(0, Counter({f"{type(error).__name__}: {error}": len(self._batch)}), [])
                continue
            self._settle(outcome.delivered, outcome.rejected, outcome.unsent)
            if not outcome.unsent:
                failures = 0
                continue
            failures += 1
            if self._disk is not None:
                self._save()
            if failures == 1:
                logger.warning("otel-agents: scores wait for Langfuse: %s", outcome.problem)
            if self._closed:
                break
            self._rest(pause(failures, outcome.wait))
        if api is not None:
            api.close()

    def _next_batch(self) -> bool:
        """Fills the batch, waiting for scores to share a request; False at the end."""
        with self._changed:
            while not self._batch:
                while not self._events and not self._closed:
                    if self._disk is not None and self._disk.has_work and self._take_from_disk():
                        return True
                    self._hurry = False
                    more = self._disk is not None and self._disk.has_work
                    self._changed.wait(None if self._disk is None else 0.05 if more else _LOOK)
                if not self._events:
                    return False
                if len(self._events) < BATCH and not (self._flushing or self._closed):
                    self._changed.wait_for(
                        lambda: len(self._events) >= BATCH or self._flushing or self._closed, self._delay
                    )
                while self._events and len(self._batch) < BATCH and self._take():
                    pass
                self._changed.notify_all()
            return True

    def _take(self) -> bool:
        """Moves an event into the batch, as a score; False when the request would be too large then."""
        event = self._events.popleft()
        try:
            score = score_of(*event, self._environment)
        except NotAScore as reason:
            self._drop(str(reason))
            return True
        except Exception as error:
            self._drop(f"{type(error).__name__}: {error}")
            return True
        if len(first_batch([*self._batch, score])) == len(self._batch):
            self._events.appendleft(event)
            return False
        self._batch.append(score)
        return True

    def _take_from_disk(self) -> bool:
        assert self._disk is not None
        self._batch = self._disk.take()
        self._from_disk = bool(self._batch)
        return self._from_disk

    def _settle(self, delivered: int, rejected: Counter[str], unsent: list[Score]) -> None:
        with self._changed:
            if self._disk is not None and self._from_disk:
                self._disk.settle(unsent)
                unsent, self._from_disk = [], False  # those are there still
            self._counts["delivered"] += delivered
            for reason, scores in rejected.items():
                if scores:
                    self._drop(reason, scores)
            self._batch = unsent
            self._changed.notify_all()

    def _save(self) -> bool:
        """Puts what is queued on disk, in order; False when it takes nothing."""
        assert self._disk is not None
        with self._changed:
            waiting = [] if self._from_disk else self._batch
            while self._events:
                self._batch = []
                while self._events and self._take():
                    pass
                waiting += self._batch
            if waiting and not self._disk.save(waiting):
                self._batch = waiting
                return False
            self._batch, self._from_disk = [], False
            self._changed.notify_all()
            return True

    def _rest(self, seconds: float) -> None:
        """Waits before the next try; a new ``flush()`` has it come at once."""
        with self._changed:
            self._hurry = False
            self._changed.wait_for(lambda: self._hurry or self._closed, seconds)


def connect(settings: Settings) -> ScoreApi:
    """A connection to the settings' Langfuse project."""
    return ScoreApi(
        settings.langfuse_base_url,
        settings.langfuse_public_key or "",
        settings.langfuse_secret_key or "",
        settings.export_timeout,
    )


def untraced() -> None:
    """Has nothing trace this thread's requests, and no span of its starter current in it."""
    from opentelemetry import context
    from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY

    context.attach(context.set_value(_SUPPRESS_INSTRUMENTATION_KEY, True, context.Context()))
