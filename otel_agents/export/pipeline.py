"""Our span processor: collects ended spans, completes them, and sends them in batches.

What a caller pays is an append to a queue. Everything else (message content, the mapping to
Langfuse in direct mode, encoding) happens on the pipeline's thread, on a copy of the span, because a
span's attributes are frozen once it has ended. From there it goes to the outbox, which sends on a thread
of its own, so that a backend that hangs holds up neither. In mode ``durable`` the caller waits for the disk.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter

from otel_agents import forks, signals
from otel_agents.export import roots
from otel_agents.export.copies import changed
from otel_agents.export.entries import Entry, encode, unencoded
from otel_agents.export.late import Complete, Late
from otel_agents.export.limits import Limits
from otel_agents.export.outbox import Outbox
from otel_agents.export.outcomes import Note
from otel_agents.export.result import FlushResult, Ledger
from otel_agents.export.sender import ExporterSender
from otel_agents.export.untraced import untraced
from otel_agents.wire import others

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.util.types import AttributeValue

logger = logging.getLogger(__name__)

#: Turns an ended span into what the backend gets, or None when it is not meant for it.
Edge = Callable[[ReadableSpan], ReadableSpan | None]

#: Seconds between two looks at the queue while somebody waits in ``flush()``.
_FLUSH_STEP: Final = 0.25
#: Seconds that an ended span waits for its turn at the disk before its caller goes on without.
_STORE_PATIENCE: Final = 5.0


class SpanPipeline(SpanProcessor):
    """Completes ended spans and hands them to an outbox.

    Args:
        exporter: where completed spans go: an exporter, or what makes the outbox, given whom to tell of
            outcomes.
        inherited: attributes that a span takes over from the context it starts in.
        edge: last change to a span before it leaves; None leaves it as it is.
        count: told of every outcome: ``(outcome, spans, reason)``.
        delay: seconds between two looks at the queue.
        max_queue: ended spans kept until they are completed; beyond it the newest are dropped and
            counted. With an exporter, also those that wait for it; there the oldest give way.
        max_batch: spans in one export.
    """

    def __init__(
        self,
        exporter: SpanExporter | Callable[[Note], Outbox],
        *,
        inherited: Callable[[Context | None], Mapping[str, AttributeValue]],
        edge: Edge | None = None,
        count: Callable[[str, int, str | None], None] | None = None,
        delay: float = 1.0,
        max_queue: int = 8192,
        max_batch: int = 256,
    ) -> None:
        self._inherited = inherited
        self._edge = edge
        self._count = count
        self._delay = delay
        self._max_queue = max_queue
        self._max_batch = max_batch
        self._ledger = Ledger()
        self._encode: Callable[[list[ReadableSpan]], list[Entry]]
        if isinstance(exporter, SpanExporter):
            sender = ExporterSender(exporter)
            limits = Limits(memory_spans=max_queue, batch_spans=max_batch)
            self._outbox = Outbox(lambda: sender, self._note, limits=limits)
            self._encode = unencoded
        else:
            self._outbox = exporter(self._note)
            self._encode = lambda spans: encode(spans, lambda n, why: self._note("dropped", n, why))
        #: A span is on disk when its ``end()`` returns.
        self._durable = self._outbox.durable
        self._reset()

    def _reset(self) -> None:
        self._ended: deque[ReadableSpan] = deque()
        self._held: deque[ReadableSpan] = deque()  # ended before the stream that completes them
        self._held_lock = threading.Lock()
        self._completing = 0
        self._work = threading.Lock()
        self._at_work = 0  # the thread that has it
        self._forking = False
        self._late = Late()
        self._wake = threading.Event()
        self._progress = threading.Event()
        self._thread: threading.Thread | None = None
        self._start_lock = threading.Lock()
        self._stopped = False
        self._patient = True

    # --- the caller's side ---------------------------------------------------------------------

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        forks.check()
        try:
            others.started(span, parent_context)
            inherited = self._inherited(parent_context)
            if inherited:
                existing = span.attributes or {}
                missing = {name: value for name, value in inherited.items() if name not in existing}
                if missing:
                    span.set_attributes(missing)
            roots.mark(span, parent_context)
        except Exception:
            logger.debug("otel-agents: could not complete a starting span", exc_info=True)

    def on_end(self, span: ReadableSpan) -> None:
        context = span.context
        foreign = others.ended(context.span_id) if context is not None else None
        if self._stopped or context is None or not context.trace_flags.sampled:
            return
        self._outbox.tally.end()
        if foreign is not None:
            self._complete_late(foreign, span)
        if len(self._ended) + len(self._held) >= self._max_queue:
            self._note("dropped", 1, "queue_full")
            return
        self._ended.append(span)
        if self._thread is None:
            self._start()
        if self._durable:
            self._store()
        elif len(self._ended) >= self._max_batch:
            self._wake.set()

    def _store(self) -> None:
        """Has what ended on disk before its caller goes on; whoever is first does it for all who wait."""
        if self._at_work == threading.get_ident():
            return  # a span made while others are completed
        try:
            with untraced(), signals.put_off():
                self._complete_all(_STORE_PATIENCE)
        except Exception:
            logger.exception("otel-agents: error while storing a span")

    def _complete_late(self, live: Span, ended: ReadableSpan) -> None:
        try:
            if late := roots.at_end(live, ended.attributes or {}):
                self.defer(live.context.span_id, lambda: late)
        except Exception:
            logger.debug("otel-agents: could not complete an ended span", exc_info=True)

    def defer(self, span_id: int, complete: Complete) -> None:
        """Has ``complete()`` add attributes to the exported copy of the span ``span_id``."""
        self._late.add(span_id, complete)

    # --- the pipeline's side -------------------------------------------------------------------

    def flush(self, timeout: float = 10.0) -> FlushResult:
        """Sends what has ended so far, and says what became of it.

        Returns as soon as all of it is delivered or refused, or safe on disk while the backend does not
        answer, and after ``timeout`` seconds at the latest.
        """
        started = time.monotonic()
        self._drain(started + timeout)
        pending, spooled = self._outbox.waiting()
        pending += self._waiting() + len(self._held)
        return self._ledger.take(pending, spooled, time.monotonic() - started)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        # Called by a provider that others flush too: what it sends is reported by our own flush().
        self._drain(time.monotonic() + timeout_millis / 1000)
        return not (self._waiting() or self._outbox.waiting()[0])

    def close(self, timeout: float = 5.0) -> FlushResult:
        """Sends what is left for at most ``timeout`` seconds; then the rest is saved, or counted as lost."""
        if self._stopped:
            return FlushResult()
        started = time.monotonic()
        deadline = started + timeout
        self._patient = False
        self._drain(deadline)
        self._stopped = True
        self._wake.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=1.0)
        self._recall()
        if not self._complete_all(1.0) and (lost := self._waiting()):
            self._note("dropped", lost, "shutdown")
        _, spooled = self._outbox.close(deadline)
        return self._ledger.take(0, spooled, time.monotonic() - started)

    def start_for_leftovers(self) -> None:
        """Has what other processes left sent, if there is any; nothing else starts before the first span."""
        self._outbox.start_for_leftovers()

    def _drain(self, deadline: float) -> None:
        """Has everything completed and sent now, and waits for it until ``deadline``.

        The caller only waits: a request that hangs must not hold it longer than it has asked for.
        """
        self._recall()
        while self._waiting() and (left := deadline - time.monotonic()) > 0:
            if self._thread is None:  # too late for one: the interpreter is at its end
                self._complete_all(left)
                break
            self._progress.clear()
            self._wake.set()
            if self._waiting():
                self._progress.wait(min(left, _FLUSH_STEP))
        self._outbox.flush(deadline)

    def shutdown(self) -> None:
        # The provider that we were added to is going down; it may not be ours, but it has no more spans.
        self.close()

    def before_fork(self) -> None:
        """Waits until nothing of ours is in the middle of something that a child cannot go on with."""
        self._forking = self._work.acquire(timeout=2.0)
        self._outbox.before_fork()

    def after_fork_in_parent(self) -> None:
        """Goes on."""
        self._outbox.after_fork_in_parent()
        if self._forking:
            self._forking = False
            self._work.release()

    def after_fork(self) -> None:
        """A child starts empty: its parent sends what the parent ended."""
        self._ledger = Ledger()
        self._outbox.after_fork()
        self._reset()

    def _waiting(self) -> int:
        return len(self._ended) + self._completing

    def _start(self) -> None:
        with self._start_lock:
            if self._thread is None and not self._stopped:
                self._outbox.tally.open()  # before the first span can be lost
                thread = threading.Thread(target=self._run, name="otel-agents-export", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # the interpreter is at its end; whoever closes does the work itself
                    return
                self._thread = thread  # last: whoever closes may join it only once it runs
                self._outbox.start()  # now: later it may be too late for a new thread

    def _run(self) -> None:
        pause = self._delay
        while not self._stopped:
            self._wake.wait(pause)
            self._wake.clear()
            try:
                self._recall()
                self._complete_all()
                again = self._outbox.tick()
            except Exception:
                logger.exception("otel-agents: error while exporting")
                again = None
            pause = self._delay if again is None else max(min(again, self._delay), 0.01)
            self._progress.set()

    def _complete_all(self, timeout: float = -1) -> bool:
        """Completes what has ended and puts it into the outbox; False when another is at it for long."""
        if not self._work.acquire(timeout=timeout):
            return False
        self._at_work = threading.get_ident()
        try:
            while self._ended:
                completed: list[ReadableSpan] = []
                try:
                    while self._ended and len(completed) < self._max_batch:
                        self._completing = len(completed) + 1  # for whoever waits for all of them
                        span = self._ended.popleft()
                        if self._must_wait(span):
                            self._held.append(span)
                        elif (done := self._complete(span)) is not None:
                            completed.append(done)
                        else:
                            self._note("filtered", 1, None)
                    if completed:
                        self._outbox.put(self._encode(completed))
                finally:
                    self._completing = 0
        finally:
            self._at_work = 0
            self._work.release()
        return True

    def _must_wait(self, span: ReadableSpan) -> bool:
        return self._patient and span.context is not None and others.under_way(span.context.span_id)

    def _recall(self) -> None:
        """Takes up again what need not wait any longer."""
        with self._held_lock:
            for _ in range(len(self._held)):
                span = self._held.popleft()
                (self._held if self._must_wait(span) else self._ended).append(span)

    def _complete(self, span: ReadableSpan) -> ReadableSpan | None:
        context = span.context
        complete = self._late.take(context.span_id) if context is not None else None
        try:
            if complete is not None:
                span = with_attributes(span, complete())
            span = others.without_repetition(span)
            return span if self._edge is None else self._edge(span)
        except Exception:
            logger.exception("otel-agents: a span is sent without its content")
            return span

    def _note(self, outcome: str, spans: int, reason: str | None, own: bool = True) -> None:
        if own:  # what another process left is counted, but is nobody's business in flush()
            self._ledger.add(outcome, spans, reason)
            if outcome != "spooled":
                self._outbox.tally.settle(spans)
        if self._count is not None:
            self._count(outcome, spans, reason)


def with_attributes(span: ReadableSpan, attributes: Mapping[str, AttributeValue]) -> ReadableSpan:
    """A copy of an ended span that has ``attributes`` beside (and in place of) its own."""
    if not attributes:
        return span
    return changed(
        span,
        attributes={**(span.attributes or {}), **attributes},
    )
