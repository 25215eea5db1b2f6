"""A model call's span is, however quickly it was started, the span that the SDK would have made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
)
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags, Tracer, TraceState

from otel_agents.tracing import quick

ASKED: dict[str, Any] = {"gen_ai.operation.name": "chat", "server.port": 443, "n": 0.5, "stream": True}
ANSWERED: dict[str, Any] = {"gen_ai.usage.input_tokens": 5, "finish": ("stop", "length"), "n": 0.25}


class Counting(IdGenerator):
    """The same ids for everybody who asks in the same order."""

    def __init__(self) -> None:
        self.last = 0

    def generate_span_id(self) -> int:
        self.last += 1
        return self.last

    def generate_trace_id(self) -> int:
        self.last += 1
        return self.last << 64

    def is_trace_id_random(self) -> bool:
        return True


class Adding(Sampler):
    """Says ``decision``, adds an attribute and changes the trace's state."""

    def __init__(self, decision: Decision) -> None:
        self.decision = decision
        self.seen: list[tuple[Any, ...]] = []

    def should_sample(
        self,
        parent_context: Any,
        trace_id: int,
        name: str,
        kind: Any = None,
        attributes: Any = None,
        links: Any = None,
        trace_state: Any = None,
    ) -> SamplingResult:
        self.seen.append((trace_id, name, kind, dict(attributes), tuple(links)))
        return SamplingResult(
            self.decision, {**attributes, "sampled.by": ["a", "b"]}, TraceState([("k", "v")])
        )

    def get_description(self) -> str:
        return "adds"


def above(sampled: bool, random: bool = False) -> Span:
    flags = TraceFlags(sampled + 2 * random)
    return NonRecordingSpan(SpanContext(7, 8, True, flags, TraceState([("up", "1")])))


def by_the_sdk(tracer: Tracer, context: Context, attributes: Mapping[str, Any]) -> Span:
    return tracer.start_span(
        "chat m", context, SpanKind.CLIENT, attributes, record_exception=False, set_status_on_exception=False
    )


def quickly(tracer: Tracer, context: Context, attributes: Mapping[str, Any]) -> Span:
    parent = trace.get_current_span(context)
    return quick.start_client_span(tracer, "chat m", context, parent, dict(attributes))


def told(start: Any, fill: Any, parent: Span | None, **provider: Any) -> tuple[Any, ...]:
    """What there is to know of a span that was started and filled in this way."""
    made = TracerProvider(id_generator=Counting(), shutdown_on_exit=False, **provider)
    exported = InMemorySpanExporter()
    made.add_span_processor(SimpleSpanProcessor(exported))
    context = Context() if parent is None else trace.set_span_in_context(parent, Context())
    tracer = made.get_tracer("scope", "1")
    start(tracer, context, ASKED).end()  # the second is the one that is made by a pattern
    span = start(tracer, context, ASKED)
    live = dict(vars(span))
    fill(span, dict(ANSWERED))
    span.add_event("e", {"a": 1})
    span.end()
    fill(span, {"too": "late"})
    return (
        type(span),
        sorted(live),
        span.get_span_context(),
        [_known(one) for one in exported.get_finished_spans()],
    )


def _known(span: ReadableSpan) -> tuple[Any, ...]:
    assert span.start_time is not None
    assert span.end_time is not None
    assert span.end_time >= span.start_time > 1_700_000_000 * 10**9
    return (
        span.name, span.context, span.parent, span.kind, span.resource, span.instrumentation_scope,
        span.status.status_code, dict(span.attributes or {}), span.dropped_attributes, len(span.events),
        span.links,
    )  # fmt: skip


def filled(span: Span, attributes: dict[str, Any]) -> None:
    span.set_attributes(attributes)


@pytest.mark.parametrize("parent", [None, above(True), above(True, True), above(False)])
@pytest.mark.parametrize(
    "provider",
    [
        {},
        {"sampler": ALWAYS_ON},
        {"sampler": ParentBased(ALWAYS_OFF)},
        {"span_limits": SpanLimits(max_span_attributes=5)},
        {"span_limits": SpanLimits(max_span_attributes=2)},
        {"span_limits": SpanLimits(max_span_attributes=0)},
        {"span_limits": SpanLimits(max_span_attribute_length=2, max_events=0)},
        {"span_limits": SpanLimits(max_span_attributes=SpanLimits.UNSET)},
    ],
)
def test_it_is_the_sdks_span(parent: Span | None, provider: dict[str, Any]) -> None:
    assert told(quickly, quick.set_attributes, parent, **provider) == told(
        by_the_sdk, filled, parent, **provider
    )


@pytest.mark.parametrize("decision", list(Decision))
def test_the_sampler_is_asked_and_obeyed(decision: Decision) -> None:
    mine, theirs = Adding(decision), Adding(decision)
    assert told(quickly, quick.set_attributes, above(True), sampler=mine) == told(
        by_the_sdk, filled, above(True), sampler=theirs
    )
    assert mine.seen == theirs.seen


def test_an_sdk_of_another_make_starts_its_spans_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick, "_OWN", quick._OWN - {"_links"})
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("other")
    called: list[str] = []
    monkeypatch.setattr(quick, "_start", lambda *_: called.append("quick"))
    span = quickly(tracer, Context(), ASKED)
    assert (called, span.is_recording()) == ([], True)
    span.end()


def test_values_that_the_sdk_would_change_are_left_to_it() -> None:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("odd")
    span: Any = quickly(tracer, Context(), {"list": ["a", "b"], "plain": "x"})
    quick.set_attributes(span, {"later": [1, 2]})
    assert dict(span.attributes) == {"list": ("a", "b"), "plain": "x", "later": (1, 2)}
    span.end()


def test_without_an_sdk_nothing_breaks() -> None:
    tracer = trace.NoOpTracer()
    span = quickly(tracer, Context(), ASKED)
    quick.set_attributes(span, dict(ANSWERED))
    assert not span.is_recording()
