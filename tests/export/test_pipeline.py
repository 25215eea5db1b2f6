"""The way out: batches, late content, failures, and an honest answer to flush()."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from parts import wait_for

from otel_agents.export.pipeline import SpanPipeline, with_attributes


class Backend(SpanExporter):
    """Takes spans, or refuses them as often as it is told to."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []
        self.batches: list[int] = []
        self.refuse = 0
        self.closed = False
        self.gate = threading.Event()
        self.gate.set()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.gate.wait()
        if self.refuse:
            self.refuse -= 1
            return SpanExportResult.FAILURE
        self.spans += spans
        self.batches.append(len(spans))
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self.closed = True


def pipeline(backend: Backend, **changes: object) -> SpanPipeline:
    known: dict[str, object] = {"inherited": lambda _: {}, "delay": 60.0}
    return SpanPipeline(backend, **{**known, **changes})  # type: ignore[arg-type]


def tracer_of(made: SpanPipeline, **provider: object):  # type: ignore[no-untyped-def]
    tracing = TracerProvider(shutdown_on_exit=False, **provider)  # type: ignore[arg-type]
    tracing.add_span_processor(made)
    return tracing.get_tracer("test")


def test_flush_sends_in_batches_and_says_how_many() -> None:
    backend = Backend()
    made = pipeline(backend, max_batch=4)
    backend.gate.clear()
    tracer = tracer_of(made)
    for number in range(10):
        tracer.start_span(f"span {number}").end()
    backend.gate.set()
    result = made.flush(timeout=10)
    assert (result.delivered, result.dropped, result.pending, result.ok) == (10, 0, 0, True)
    assert [span.name for span in backend.spans] == [f"span {number}" for number in range(10)]
    assert max(backend.batches) == 4
    assert made.flush().delivered == 0, "each span is reported once"


def test_spans_leave_without_a_flush() -> None:
    backend = Backend()
    made = pipeline(backend, delay=0.02)
    tracer_of(made).start_span("alone").end()
    wait_for(lambda: backend.spans, "the span to be exported by itself")


def test_unsampled_spans_are_no_business_of_ours() -> None:
    backend = Backend()
    made = pipeline(backend)
    tracer_of(made, sampler=ALWAYS_OFF).start_span("unsampled").end()
    assert made.flush().delivered == 0
    assert backend.spans == []


def test_late_content_is_added_to_the_exported_copy_only() -> None:
    backend = Backend()
    made = pipeline(backend)
    span = tracer_of(made).start_span("chat", attributes={"early": 1, "both": "early"})
    made.defer(span.get_span_context().span_id, lambda: {"late": "yes", "both": "late"})
    made.defer(span.get_span_context().span_id, lambda: {"later": 2})
    span.end()
    made.flush()
    assert dict(backend.spans[0].attributes or {}) == {"early": 1, "both": "late", "late": "yes", "later": 2}
    assert "late" not in span.attributes  # type: ignore[attr-defined]


def test_content_that_fails_costs_the_content_not_the_span(caplog: pytest.LogCaptureFixture) -> None:
    backend = Backend()
    made = pipeline(backend)
    span = tracer_of(made).start_span("chat", attributes={"early": 1})

    def broken() -> dict[str, str]:
        raise RuntimeError("no content")

    made.defer(span.get_span_context().span_id, broken)
    span.end()
    assert made.flush().delivered == 1
    assert dict(backend.spans[0].attributes or {}) == {"early": 1}
    assert "without its content" in caplog.text


def test_the_edge_may_change_and_withhold_spans() -> None:
    backend = Backend()

    def edge(span: ReadableSpan) -> ReadableSpan | None:
        return None if span.name == "secret" else with_attributes(span, {"seen": True})

    made = pipeline(backend, edge=edge)
    tracer = tracer_of(made)
    tracer.start_span("secret").end()
    tracer.start_span("public").end()
    result = made.flush()
    assert (result.delivered, result.filtered, result.dropped) == (1, 1, 0)
    assert [(span.name, dict(span.attributes or {})) for span in backend.spans] == [
        ("public", {"seen": True})
    ]


def test_a_refused_batch_is_kept_and_sent_again() -> None:
    backend = Backend()
    backend.refuse = 3
    counts: list[tuple[str, int, str | None]] = []
    made = pipeline(backend, count=lambda *outcome: counts.append(outcome))
    tracer_of(made).start_span("span").end()
    result = made.flush(timeout=10)
    assert (result.delivered, result.dropped) == (1, 0)
    assert [span.name for span in backend.spans] == ["span"]
    assert counts == [("delivered", 1, None)]


def test_a_flush_that_runs_out_of_time_says_so_and_keeps_the_spans() -> None:
    backend = Backend()
    backend.refuse = 1_000
    made = pipeline(backend)
    tracer_of(made).start_span("span").end()
    result = made.flush(timeout=0.3)
    assert (result.delivered, result.pending, result.ok) == (0, 1, False)
    backend.refuse = 0
    assert made.flush().delivered == 1


def test_a_backend_that_hangs_holds_nobody_longer_than_asked() -> None:
    backend = Backend()
    backend.gate.clear()
    made = pipeline(backend)
    tracer_of(made).start_span("span").end()
    started = time.monotonic()
    result = made.flush(timeout=0.2)
    assert (result.delivered, result.pending) == (0, 1)
    assert time.monotonic() - started < 5, "the request itself would hang for ever"
    backend.gate.set()
    assert made.flush().delivered == 1


def test_a_full_queue_drops_the_newest_and_counts_them() -> None:
    backend = Backend()
    backend.gate.clear()
    made = pipeline(backend, max_queue=3)
    tracer = tracer_of(made)
    for number in range(5):
        tracer.start_span(f"span {number}").end()
    backend.gate.set()
    result = made.flush()
    assert (result.delivered, result.dropped, dict(result.reasons)) == (3, 2, {"queue_full": 2})
    assert [span.name for span in backend.spans] == ["span 0", "span 1", "span 2"]


def test_closing_sends_what_is_left_and_counts_what_it_cannot_send() -> None:
    backend = Backend()
    made = pipeline(backend)
    tracer = tracer_of(made)
    tracer.start_span("in time").end()
    assert made.close().delivered == 1
    assert backend.closed

    unreachable = Backend()
    unreachable.refuse = 1_000
    other = pipeline(unreachable)
    tracer_of(other).start_span("lost").end()
    result = other.close(timeout=0.2)
    assert (result.dropped, result.pending, dict(result.reasons)) == (1, 0, {"shutdown": 1})


def test_a_forked_child_sends_nothing_of_its_parents() -> None:
    backend = Backend()
    made = pipeline(backend)
    tracer_of(made).start_span("the parent's").end()
    made.after_fork()
    assert made.flush().delivered == 0


def test_spans_take_over_what_their_context_says() -> None:
    backend = Backend()
    made = pipeline(backend, inherited=lambda _: {"session.id": "s-1", "own": "inherited"})
    tracer_of(made).start_span("http", attributes={"own": "kept"}).end()
    made.flush()
    assert dict(backend.spans[0].attributes or {}) == {"session.id": "s-1", "own": "kept"}
