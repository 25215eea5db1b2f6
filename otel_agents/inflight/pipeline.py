"""The pipeline that also knows what has not ended yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import Status, StatusCode

from otel_agents import semconv
from otel_agents.export.copies import changed
from otel_agents.export.pipeline import SpanPipeline, with_attributes
from otel_agents.inflight.keeper import Keeper
from otel_agents.wire import others

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span
    from opentelemetry.util.types import AttributeValue

    from otel_agents.export.entries import Entry

#: Description of the status, and type of the error, of a run whose end nobody saw.
ABANDONED = "abandoned"


class LivePipeline(SpanPipeline):
    """A pipeline that notes long runs on disk, and leaves out spans that another process will end.

    Args:
        keeper: of the notes; None makes none.
        arguments: see :class:`SpanPipeline`.
    """

    def __init__(self, *arguments: Any, keeper: Keeper | None = None, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._keeper = keeper
        self._withheld: set[int] = set()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        super().on_start(span, parent_context)
        if self._keeper is not None:
            self._keeper.start(self.unfinished)

    def on_end(self, span: ReadableSpan) -> None:
        context = span.context
        if context is not None:
            if self._keeper is not None:
                self._keeper.ended(context.span_id)
            if self._withheld and context.span_id in self._withheld:
                self._withheld.discard(context.span_id)
                others.ended(context.span_id)
                return
        super().on_end(span)

    def withhold(self, span_id: int) -> None:
        """Has a span not exported when it ends here: another process goes on with it."""
        self._withheld.add(span_id)
        if self._keeper is not None:
            self._keeper.leave_out(span_id)

    def take_up(self, span_id: int) -> None:
        """A span that another process has begun goes on here."""
        self._withheld.discard(span_id)
        if self._keeper is not None:
            self._keeper.take_up(span_id)

    def deferred(self, span_id: int) -> Mapping[str, AttributeValue]:
        """What would be added to the exported copy of a span if it ended now; redacted."""
        complete = self._late.of(span_id)
        return {} if complete is None else complete()

    def unfinished(self, span: Span) -> Entry | None:
        """A span that has not ended, as it would be sent if nothing more came; None when it is not for us."""
        now = span._readable_span()
        known = {
            semconv.ERROR_TYPE: ABANDONED,
            **(now.attributes or {}),
            **self.deferred(span.context.span_id),
            semconv.ABANDONED: True,
        }
        copy = changed(
            with_attributes(now, known), end_time=_now(now), status=Status(StatusCode.ERROR, ABANDONED)
        )
        completed = copy if self._edge is None else self._edge(copy)
        return next(iter(self._encode([completed])), None) if completed is not None else None

    def save(self) -> bool:
        """Writes what is in memory alone to disk; False when there is no disk, or it takes nothing."""
        return self._outbox.save()

    def abandon(self, all_of_them: bool) -> None:
        """Sends runs that nobody will end, as the process is about to; to be followed by :meth:`close`.

        Args:
            all_of_them: also those that are too young to have been noted.
        """
        if self._keeper is None or self._stopped:
            return
        for span in self._keeper.open_runs():
            identity = span.context.span_id
            if not all_of_them and not self._keeper.noted(identity):
                continue
            entry = self.unfinished(span)
            if entry is not None and span.end_time is None:
                self._withheld.add(identity)  # should it end after all, it has been told of
                self._outbox.tally.end()
                self._outbox.put([entry])

    def close(self, timeout: float = 5.0) -> Any:
        result = super().close(timeout)
        if self._keeper is not None:
            self._keeper.close()
        return result

    def after_fork(self) -> None:
        super().after_fork()
        self._withheld = set()
        if self._keeper is not None:
            self._keeper.after_fork()


def _now(span: ReadableSpan) -> int:
    import time

    return max(time.time_ns(), span.start_time or 0)
