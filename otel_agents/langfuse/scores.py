"""Direct mode's way for scores: evaluation events go to Langfuse through an outbox of their own.

Langfuse has no endpoint for OpenTelemetry logs. The official SDK, which takes 0.3 s to load, is loaded
on the outbox's thread, at the first score.
"""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401  the SDK's import of it fails once the interpreter is ending
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from otel_agents import signals
from otel_agents.export import leftovers
from otel_agents.export.entries import AGENT, Entry
from otel_agents.export.leftovers import Destination
from otel_agents.export.limits import Limits
from otel_agents.export.outbox import Mode, Outbox
from otel_agents.export.result import Ledger, ScoreResult
from otel_agents.export.sender import Answer, Sender
from otel_agents.langfuse.score_api import BATCH, ScoreApi
from otel_agents.langfuse.score_events import MAX_REQUEST_BYTES, NotAScore, score_of

if TYPE_CHECKING:
    from otel_agents.config import Settings

logger = logging.getLogger(__name__)

KIND: Final = "scores"
MAX_QUEUE: Final = 10_000

#: Seconds that a score waits for others to share its request.
_DELAY: Final = 1.0
#: Seconds that a fork waits for the Langfuse SDK to be loaded.
_LOADING: Final = 10.0

_Event = tuple[Mapping[str, Any], str | None, str | None, int]


class ScoreSender:
    """Queues evaluation events and sends them as scores. Safe for threads, and for forked children.

    Args:
        connect: makes the connection; called on the sending thread.
        environment: for scores whose event names none.
        max_queue: scores kept in memory while Langfuse does not answer; beyond it some give way, counted.
        delay: seconds that a score waits for others to share its request.
        mode: ``memory``, ``spill`` or ``durable``, as for spans; without a destination it is ``memory``.
        root: the spool folder.
        destination: the project.
        limits: of bytes and age on disk.
    """

    def __init__(
        self,
        connect: Callable[[], ScoreApi],
        *,
        environment: str | None = None,
        max_queue: int = MAX_QUEUE,
        delay: float = _DELAY,
        mode: Mode = "memory",
        root: Path | None = None,
        destination: Destination | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._connect = connect
        self._environment = environment
        self._max_queue = max_queue
        limits = limits or Limits()
        self._outbox = Outbox(
            self._connected,
            self._note,
            mode=mode,
            root=root,
            destination=destination,
            limits=replace(
                limits,
                memory_spans=max_queue,
                batch_spans=BATCH,
                # A list's brackets and commas take less than what is reckoned for each entry.
                batch_bytes=MAX_REQUEST_BYTES,
                span_bytes=1 << 30,  # a score is kept small by who makes it
                checkpoint=delay + limits.checkpoint,
            ),
            kind=KIND,
            gather=delay,
        )
        self._reset()

    @classmethod
    def from_settings(cls, settings: Settings) -> ScoreSender:
        """A sender to the settings' Langfuse project."""
        return cls(
            lambda: connect(settings),
            environment=settings.environment,
            mode=cast("Mode", settings.spool_mode),
            root=leftovers.root_of(settings),
            destination=leftovers.destination_of(settings),
            limits=Limits.from_settings(settings),
        )

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._events: deque[_Event] = deque()
        self._work = threading.RLock()  # a signal's handler may close what it has interrupted
        self._wake = threading.Event()
        self._ledger = Ledger()
        self._said: set[str] = set()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._start_lock = threading.Lock()
        self._loading = threading.Lock()
        self._load_held = False  # by a thread that forks

    def submit(
        self, attributes: Mapping[str, Any], trace_id: str | None, span_id: str | None, timestamp_ns: int
    ) -> None:
        """Queues the score of an evaluation event. Never raises.

        Costs an append; in ``durable`` it waits until the score is on disk.

        Args:
            attributes: of the event, redacted.
            trace_id: of the event, 32 hex digits, scored unless the attributes name another target.
            span_id: of the event, 16 hex digits; likewise.
            timestamp_ns: when the score was given.
        """
        self._check_process()
        if self._closed:
            self._drop("the sender is closed")
            return
        if len(self._events) >= self._max_queue:
            self._drop("the queue is full")
            return
        self._events.append((attributes, trace_id, span_id, timestamp_ns))
        if self._thread is None:
            self._start()
        if self._outbox.durable:
            self._pass_on()
        else:
            self._wake.set()

    def flush(self, timeout: float = 10.0) -> ScoreResult:
        """Sends what is queued now and says what became of it.

        Args:
            timeout: seconds; what has not been sent by then is ``pending`` and is tried again later.
        """
        self._check_process()
        deadline = time.monotonic() + timeout
        self._pass_on()
        self._outbox.flush(deadline)
        pending, spooled = self._outbox.waiting()
        return self._result(pending + len(self._events), spooled)

    def finish(self, timeout: float) -> ScoreResult:
        """Sends what is queued for at most ``timeout`` seconds, then stops; says what became of it."""
        spooled = self.close(timeout)
        return self._result(0, spooled)

    def close(self, timeout: float = 2.0) -> int:
        """Stops. What cannot be sent in time is saved, or lost and said.

        Args:
            timeout: seconds.

        Returns:
            Scores that wait on disk.
        """
        self._check_process()
        deadline = time.monotonic() + timeout
        self._closed = True
        self._wake.set()
        self._pass_on()
        return self._outbox.close(deadline)[1]

    def start_for_leftovers(self) -> None:
        """Has what other processes left sent, if there is any; nothing else starts before the first score."""
        self._outbox.start_for_leftovers()

    def before_fork(self) -> None:
        """Waits until nothing of ours is in the middle of something that a child cannot go on with.

        Above all of an import: a child would wait for its lock forever.
        """
        self._outbox.before_fork()
        self._load_held = self._loading.acquire(timeout=_LOADING)

    def after_fork_in_parent(self) -> None:
        """Goes on."""
        if self._load_held:
            self._load_held = False
            self._loading.release()
        self._outbox.after_fork_in_parent()

    def after_fork(self) -> None:
        """Makes a forked child's copy fit for use: the queue is the parent's to send."""
        closed = self._closed
        self._outbox.after_fork()
        self._reset()
        self._closed = closed

    def _check_process(self) -> None:
        if self._pid != os.getpid():
            self.after_fork()

    def _start(self) -> None:
        with self._start_lock:
            if self._thread is not None or self._closed:
                return
            thread = threading.Thread(target=self._run, name="otel-agents-scores", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the interpreter is at its end; whoever closes does the work itself
                return
            self._thread = thread
            self._outbox.start()

    def _run(self) -> None:
        pause: float | None = None
        while not self._closed:
            self._wake.wait(pause)
            self._wake.clear()
            try:
                self._pass_on()
                pause = self._outbox.tick()
            except Exception:
                logger.exception("otel-agents: error while queueing scores")

    def _pass_on(self) -> None:
        """Makes scores of the events and hands them to the outbox."""
        with signals.put_off(), self._work:
            entries = []
            while self._events:
                try:
                    score = score_of(*self._events.popleft(), self._environment)
                    entries.append(Entry(b"", score.body, AGENT, time.time()))
                except NotAScore as reason:
                    self._drop(str(reason))
                except Exception as error:
                    self._drop(f"{type(error).__name__}: {error}")
            if entries:
                self._outbox.put(entries)

    def _connected(self) -> Sender:
        with self._loading:
            return Requests(self._connect())

    def _note(self, outcome: str, scores: int, reason: str | None, own: bool) -> None:
        if own:  # what another process left is nobody's business in flush()
            self._ledger.add(outcome, scores, reason)

    def _drop(self, reason: str) -> None:
        self._note("dropped", 1, reason, True)
        if reason not in self._said and len(self._said) < 100:
            self._said.add(reason)
            logger.warning("otel-agents: a score was dropped: %s (further ones are only counted)", reason)

    def _result(self, pending: int, spooled: int) -> ScoreResult:
        found = self._ledger.take(pending, spooled, 0.0)
        return ScoreResult(found.delivered, found.pending, found.dropped, found.spooled)


class Requests:
    """Langfuse's score endpoint as an outbox wants it: one request, one answer."""

    def __init__(self, api: ScoreApi) -> None:
        self._api = api

    def send(self, entries: Sequence[Entry], timeout: float | None = None) -> Answer:
        if not entries:
            return Answer("taken")  # a refusal is believed; nobody need ask whether the endpoint is at fault
        return self._api.request([one.body for one in entries], timeout)

    def close(self) -> None:
        self._api.close()


def outlet(settings: Settings) -> tuple[Destination, Callable[[], Sender]] | None:
    """The project of direct mode's scores, as the spool knows it, and what makes the sender to it."""
    destination = leftovers.destination_of(settings)
    if settings.mode != "direct" or destination is None:
        return None
    return destination, lambda: Requests(connect(settings))


def connect(settings: Settings) -> ScoreApi:
    """A connection to the settings' Langfuse project."""
    return ScoreApi(
        settings.langfuse_base_url,
        settings.langfuse_public_key or "",
        settings.langfuse_secret_key or "",
        settings.export_timeout,
    )
