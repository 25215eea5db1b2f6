"""Our span processor: collects ended spans, completes them, and sends them in batches.

What a caller pays is an append to a queue. Everything else (message content, the mapping to
Langfuse in direct mode, the network) happens on the pipeline's thread, on a copy of the span,
because a span's attributes are frozen once it has ended.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_agents.export import roots
from otel_agents.export.copies import changed
from otel_agents.export.result import FlushResult, Ledger
from otel_agents.wire import others

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.util.types import AttributeValue

logger = logging.getLogger(__name__)

#: Turns an ended span into what the backend gets, or None when it is not meant for it.
Edge = Callable[[ReadableSpan], ReadableSpan | None]
Deferred = Callable[[], Mapping[str, "AttributeValue"]]

_DEFERRED_LIMIT: Final = 50_000
#: Seconds for which a batch that the backend refuses is tried again; then it is given up and counted.
_GIVE_UP_AFTER: Final = 900.0
#: Seconds between two attempts while somebody waits in ``flush()``.
_FLUSH_STEP: Final = 0.25
_RETRY_DELAY: Final = (1.0, 30.0)


class SpanPipeline(SpanProcessor):
    """Batches ended spans for one exporter.

    Args:
        exporter: where completed spans go.
        inherited: attributes that a span takes over from the context it starts in.
        edge: last change to a span before it leaves; None leaves it as it is.
        count: told of every outcome: ``(outcome, spans, reason)``.
        delay: seconds between exports.
        max_queue: ended spans kept in memory; beyond it the newest are dropped and counted.
        max_batch: spans in one export.
    """

    def __init__(
        self,
        exporter: SpanExporter,
        *,
        inherited: Callable[[Context | None], Mapping[str, AttributeValue]],
        edge: Edge | None = None,
        count: Callable[[str, int, str | None], None] | None = None,
        delay: float = 1.0,
        max_queue: int = 8192,
        max_batch: int = 256,
    ) -> None:
        self._exporter = exporter
        self._inherited = inherited
        self._edge = edge
        self._count = count
        self._delay = delay
        self._max_queue = max_queue
        self._max_batch = max_batch
        self._ledger = Ledger()
        self._failures, self._failing_since = 0, 0.0
        self._reset()

    def _reset(self) -> None:
        self._ended: deque[ReadableSpan] = deque()
        self._ready: deque[ReadableSpan] = deque()  # completed, being sent or to be sent again
        self._held: deque[ReadableSpan] = deque()  # ended before the stream that completes them
        self._held_lock = threading.Lock()
        self._completing = 0
        self._deferred: OrderedDict[int, Deferred] = OrderedDict()
        self._deferred_lock = threading.Lock()
        self._wake = threading.Event()
        self._progress = threading.Event()
        self._thread: threading.Thread | None = None
        self._start_lock = threading.Lock()
        self._stopped = False
        self._patient = True

    # --- the caller's side ---------------------------------------------------------------------

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
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
        if context is not None:
            others.ended(context.span_id)
        if self._stopped or context is None or not context.trace_flags.sampled:
            return
        if self._waiting() + len(self._held) >= self._max_queue:
            self._note("dropped", 1, "queue_full")
            return
        self._ended.append(span)
        if self._thread is None:
            self._start()
        if len(self._ended) >= self._max_batch:
            self._wake.set()

    def defer(self, span_id: int, complete: Deferred) -> None:
        """Has ``complete()`` add attributes to the exported copy of the span ``span_id``."""
        with self._deferred_lock:
            earlier = self._deferred.get(span_id)
            self._deferred[span_id] = complete if earlier is None else _both(earlier, complete)
            if len(self._deferred) > _DEFERRED_LIMIT:  # spans that never end must not fill the memory
                self._deferred.popitem(last=False)

    # --- the pipeline's side -------------------------------------------------------------------

    def flush(self, timeout: float = 10.0) -> FlushResult:
        """Sends what has ended so far. Returns when it is sent or ``timeout`` seconds are over."""
        started = time.monotonic()
        self._drain(started + timeout)
        return self._ledger.take(self._waiting() + len(self._held), time.monotonic() - started)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        # Called by a provider that others flush too: what it sends is reported by our own flush().
        self._drain(time.monotonic() + timeout_millis / 1000)
        return not self._waiting()

    def close(self, timeout: float = 5.0) -> FlushResult:
        """Sends what is left for at most ``timeout`` seconds, then counts the rest as dropped."""
        if self._stopped:
            return FlushResult()
        started = time.monotonic()
        self._patient = False
        self._drain(started + timeout)
        self._stopped = True
        self._wake.set()
        self._exporter.shutdown()  # ends a request that is being tried again
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=1.0)
        if lost := self._waiting():
            self._note("dropped", lost, "shutdown")
            logger.warning("otel-agents: %d spans could not be sent before the end", lost)
        return self._ledger.take(0, time.monotonic() - started)

    def _drain(self, deadline: float) -> None:
        """Has the pipeline's thread send everything now, and waits for it until ``deadline``.

        The caller only waits: a request that hangs must not hold it longer than it has asked for.
        """
        self._recall()
        while self._waiting() and (left := deadline - time.monotonic()) > 0:
            if self._thread is None:  # too late for one: the interpreter is at its end
                if not self._send_batch():
                    return
                continue
            self._progress.clear()
            self._wake.set()
            self._progress.wait(min(left, _FLUSH_STEP))

    def shutdown(self) -> None:
        # The provider that we were added to is going down; it may not be ours, but it has no more spans.
        self.close()

    def after_fork(self) -> None:
        """A child starts empty: its parent sends what the parent ended."""
        self._ledger = Ledger()
        self._reset()

    def _waiting(self) -> int:
        return len(self._ended) + len(self._ready) + self._completing

    def _start(self) -> None:
        with self._start_lock:
            if self._thread is None and not self._stopped:
                thread = threading.Thread(target=self._run, name="otel-agents-export", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # the interpreter is at its end; whoever closes does the work itself
                    return
                self._thread = thread  # last: whoever closes may join it only once it runs

    def _run(self) -> None:
        pause = self._delay
        while not self._stopped:
            self._wake.wait(pause)
            self._wake.clear()
            pause = self._delay
            self._recall()
            while self._waiting() and not self._stopped:
                if not self._send_batch():
                    low, high = _RETRY_DELAY
                    pause = min(low * 2 ** min(self._failures, 5), high)
                    break

    def _send_batch(self) -> bool:
        """Completes and sends up to one batch; False when the backend did not take it."""
        while self._ended and len(self._ready) < self._max_batch:
            self._completing = 1  # whoever waits for the queue waits for the span in between, too
            try:
                span = self._ended.popleft()
                if self._must_wait(span):
                    self._held.append(span)
                    continue
                completed = self._complete(span)
                if completed is None:
                    self._note("filtered", 1, None)
                else:
                    self._ready.append(completed)
            finally:
                self._completing = 0
        batch = [self._ready[index] for index in range(min(len(self._ready), self._max_batch))]
        if batch and not self._delivered(batch):
            return False
        self._progress.set()
        return True

    def _delivered(self, batch: list[ReadableSpan]) -> bool:
        """Sends ``batch``, the head of the queue, and takes it off when its fate is decided."""
        if self._export(batch) is SpanExportResult.SUCCESS:
            outcome, reason = "delivered", None
        else:
            now = time.monotonic()
            self._failing_since = self._failing_since or now
            self._failures += 1
            if now - self._failing_since < _GIVE_UP_AFTER:
                return False
            outcome, reason = "dropped", "export_failed"
            logger.warning("otel-agents: gave up on %d spans after %d attempts", len(batch), self._failures)
        self._failures, self._failing_since = 0, 0.0
        for _ in batch:
            self._ready.popleft()
        self._note(outcome, len(batch), reason)
        return True

    def _must_wait(self, span: ReadableSpan) -> bool:
        return self._patient and span.context is not None and others.under_way(span.context.span_id)

    def _recall(self) -> None:
        """Takes up again what need not wait any longer."""
        with self._held_lock:
            for _ in range(len(self._held)):
                span = self._held.popleft()
                (self._held if self._must_wait(span) else self._ended).append(span)

    def _export(self, batch: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            return self._exporter.export(batch)
        except Exception:
            logger.exception("otel-agents: the exporter failed")
            return SpanExportResult.FAILURE

    def _complete(self, span: ReadableSpan) -> ReadableSpan | None:
        context = span.context
        complete = None
        if context is not None:
            with self._deferred_lock:
                complete = self._deferred.pop(context.span_id, None)
        try:
            if complete is not None:
                span = with_attributes(span, complete())
            span = others.without_repetition(span)
            return span if self._edge is None else self._edge(span)
        except Exception:
            logger.exception("otel-agents: a span is sent without its content")
            return span

    def _note(self, outcome: str, spans: int, reason: str | None) -> None:
        self._ledger.add(outcome, spans, reason)
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


def _both(first: Deferred, second: Deferred) -> Deferred:
    return lambda: {**first(), **second()}
