"""The nearest span that reaches Langfuse is told to the next process, in W3C's ``tracestate``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry import propagate, trace
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import otel_agents
from otel_agents.export import upstream
from otel_agents.export.pipeline import SpanPipeline

TRACE = int("0af7651916cd43dd8448eb211c80319c", 16)


@pytest.fixture(autouse=True)
def watched(clean_globals: None) -> Iterator[None]:
    """A provider with our processor, and our propagator."""
    before = propagate.get_global_textmap()
    pipeline = SpanPipeline(InMemorySpanExporter(), inherited=lambda _: {})
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(pipeline)
    trace.set_tracer_provider(provider)
    upstream.install()
    yield
    pipeline.close()
    propagate.set_global_textmap(before)


def sent(carrier: dict[str, str] | None = None) -> dict[str, str]:
    """What a request carries from here."""
    made: dict[str, str] = {} if carrier is None else carrier
    propagate.inject(made)
    return made


def received(**headers: str) -> trace.Span:
    """A span of a server in the next process, of what Langfuse is to see."""
    context = propagate.extract(headers)
    return tracer().start_span("tool", context, attributes={"gen_ai.operation.name": "execute_tool"})


def tracer() -> trace.Tracer:
    return trace.get_tracer("test")


def hex_id(span: trace.Span) -> str:
    return format(span.get_span_context().span_id, "016x")


def test_below_a_span_that_langfuse_does_not_get_the_agent_is_named() -> None:
    with otel_agents.agent("guide") as run, tracer().start_as_current_span("POST") as http:
        headers = sent()
    agent = hex_id(run.span)
    assert headers["tracestate"] == f"otelagents=p:{agent}"
    assert headers["traceparent"].split("-")[2] == hex_id(http)
    tool = received(**headers)
    assert tool.attributes["otel_agents.parent"] == agent  # type: ignore[attr-defined]
    assert "otel_agents.app_root" not in tool.attributes  # type: ignore[attr-defined]


def test_below_the_agent_itself_no_hint_is_needed() -> None:
    with otel_agents.agent("guide"):
        headers = sent()
    tool = received(**headers)
    assert not [name for name in tool.attributes if name.startswith("otel_agents.")]  # type: ignore[attr-defined]


def test_a_service_in_between_that_knows_nothing_of_it_passes_it_on() -> None:
    with otel_agents.agent("guide") as run:
        headers = sent()
    between = format(0xABC, "016x")
    tool = received(traceparent=f"00-{format(TRACE, '032x')}-{between}-01", tracestate=headers["tracestate"])
    assert tool.attributes["otel_agents.parent"] == hex_id(run.span)  # type: ignore[attr-defined]


def test_each_process_replaces_the_entry_and_leaves_the_others() -> None:
    above = format(0xABC, "016x")
    came = {
        "traceparent": f"00-{format(TRACE, '032x')}-{above}-01",
        "tracestate": f"congo=t61rcWkgMzE,otelagents=p:{above}",
    }
    with tracer().start_as_current_span("GET /", propagate.extract(came)):
        # Nothing here reaches Langfuse: what came is still the nearest.
        assert sent()["tracestate"] == came["tracestate"]
        with otel_agents.agent("guide") as run:
            assert sent()["tracestate"] == f"otelagents=p:{hex_id(run.span)},congo=t61rcWkgMzE"


def test_without_anything_for_langfuse_nothing_is_added() -> None:
    assert sent() == {}
    with tracer().start_as_current_span("GET /"):
        assert set(sent()) == {"traceparent"}


@pytest.mark.parametrize("entry", ["", "p:", "p:123", "p:" + "g" * 16, "q:" + "1" * 16, "p:" + "1" * 17])
def test_an_entry_that_is_none_of_ours_is_no_parent(entry: str) -> None:
    came = {
        "traceparent": f"00-{format(TRACE, '032x')}-{format(0xABC, '016x')}-01",
        "tracestate": f"otelagents={entry}",
    }
    tool = received(**came)
    assert "otel_agents.parent" not in tool.attributes  # type: ignore[attr-defined]
    assert tool.attributes["otel_agents.app_root"] is True  # type: ignore[attr-defined]


def test_there_are_never_more_entries_than_may_be() -> None:
    state = TraceState([(f"k{number}", "v") for number in range(32)])
    parent = NonRecordingSpan(SpanContext(TRACE, 0xABC, True, TraceFlags(1), state))
    with trace.use_span(parent), otel_agents.agent("guide") as run:
        entries = sent()["tracestate"].split(",")
    assert entries == [f"otelagents=p:{hex_id(run.span)}", *(f"k{number}=v" for number in range(31))]


def test_installed_once_and_taken_out_again() -> None:
    upstream.install()
    upstream.install()
    upstream.uninstall()
    assert not isinstance(propagate.get_global_textmap(), upstream._Extended)
    with otel_agents.agent("guide"):
        assert "tracestate" not in sent()


def test_a_propagator_that_is_not_w3cs_is_left_alone() -> None:
    upstream.uninstall()
    only = CompositePropagator([])
    propagate.set_global_textmap(only)
    upstream.install()
    assert propagate.get_global_textmap() is only
    propagate.set_global_textmap(TraceContextTextMapPropagator())
    upstream.install()
    assert "tracestate" in propagate.get_global_textmap().fields
