"""Spans that reach Langfuse find their parent there, whatever is between them."""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from otel_agents.export.pipeline import SpanPipeline

AGENT = {"gen_ai.operation.name": "invoke_agent"}
CHAT = {"gen_ai.operation.name": "chat"}


def hints(build) -> dict[str, dict[str, object]]:  # type: ignore[no-untyped-def]
    memory = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SpanPipeline(memory, inherited=lambda _: {}))
    provider.add_span_processor(SimpleSpanProcessor(memory))
    build(provider.get_tracer("test"))
    names = {format(span.context.span_id, "016x"): span.name for span in memory.get_finished_spans()}
    found: dict[str, dict[str, object]] = {}
    for span in memory.get_finished_spans():
        attributes = span.attributes or {}
        found[span.name] = {
            "parent": names.get(str(attributes.get("otel_agents.parent"))),
            "root": attributes.get("otel_agents.app_root", False),
        }
    return found


def test_a_parent_that_arrives_needs_no_hint() -> None:
    def build(tracer: trace.Tracer) -> None:
        with (
            tracer.start_as_current_span("agent", attributes=AGENT),
            tracer.start_as_current_span("chat", attributes=CHAT),
        ):
            pass

    assert hints(build) == {"agent": {"parent": None, "root": False}, "chat": {"parent": None, "root": False}}


def test_spans_between_are_bridged() -> None:
    def build(tracer: trace.Tracer) -> None:
        with (
            tracer.start_as_current_span("agent", attributes=AGENT),
            tracer.start_as_current_span("HTTP POST"),
            tracer.start_as_current_span("SELECT"),
            tracer.start_as_current_span("chat", attributes=CHAT),
        ):
            pass

    assert hints(build)["chat"] == {"parent": "agent", "root": False}


def test_the_topmost_of_an_http_request_is_the_app_root() -> None:
    def build(tracer: trace.Tracer) -> None:
        with (
            tracer.start_as_current_span("GET /review"),
            tracer.start_as_current_span("agent", attributes=AGENT),
            tracer.start_as_current_span("chat", attributes=CHAT),
        ):
            pass

    found = hints(build)
    assert found["agent"] == {"parent": None, "root": True}
    assert found["chat"] == {"parent": None, "root": False}


def test_a_remote_parent_makes_an_app_root() -> None:
    remote = NonRecordingSpan(SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1)))

    def build(tracer: trace.Tracer) -> None:
        tracer.start_span("agent", context=trace.set_span_in_context(remote), attributes=AGENT).end()

    assert hints(build)["agent"] == {"parent": None, "root": True}
