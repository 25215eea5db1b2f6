"""The way of spans: in by OTLP, out to Langfuse's address as Langfuse wants it."""

from __future__ import annotations

import base64

import pytest
from collector_rig import Collector, attributes, span, traces
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from parts import wait_for

pytestmark = pytest.mark.collector


def test_langfuse_gets_its_address_keys_version_and_gzip(shared_collector: Collector) -> None:
    shared_collector.send(traces(span("chat m", "00000000000000a1", {"gen_ai.operation.name": "chat"})))
    requests = wait_for(lambda: shared_collector.backend.accepted("/v1/traces"), "a request to Langfuse")
    request = requests[0]
    assert request.path == "/api/public/otel/v1/traces"
    keys = base64.b64encode(b"pk-lf-test:sk-lf-test").decode()
    assert request.headers["authorization"] == f"Basic {keys}"
    assert request.headers["x-langfuse-ingestion-version"] == "4"
    assert request.headers["content-encoding"] == "gzip"
    assert request.headers["content-type"] == "application/x-protobuf"


def test_an_agents_tree_arrives_without_the_spans_between(shared_collector: Collector) -> None:
    """HTTP server > agent > HTTP client > chat: the two of HTTP stay out, the tree stays whole."""
    server, agent, client, chat = (f"00000000000000b{number}" for number in range(4))
    shared_collector.send(
        traces(
            span("POST /run", server, {"http.request.method": "POST"}),
            span(
                "invoke_agent a",
                agent,
                {"gen_ai.operation.name": "invoke_agent", "otel_agents.app_root": True},
                parent=server,
            ),
            span("POST", client, {"http.request.method": "POST"}, parent=agent),
            span(
                "chat m", chat, {"gen_ai.operation.name": "chat", "otel_agents.parent": agent}, parent=client
            ),
        )
    )
    found = wait_for(
        lambda: f if {agent, chat} <= (f := shared_collector.backend.by_id()).keys() else None, "them"
    )
    assert server not in found
    assert client not in found
    assert found[chat].parent_span_id.hex() == agent
    assert found[agent].parent_span_id.hex() == server
    assert attributes(found[agent].attributes)["langfuse.internal.is_app_root"] is True


def test_spans_by_grpc_larger_than_the_usual_limit(shared_collector: Collector) -> None:
    exporter = OTLPSpanExporter(
        endpoint=f"http://127.0.0.1:{shared_collector.ports.otlp_grpc_port}", insecure=True
    )
    provider = TracerProvider(resource=Resource({"service.name": "app"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    text = "x" * 6_000_000  # gRPC's own limit is 4 MiB
    with provider.get_tracer("otel_agents").start_as_current_span("chat large") as started:
        started.set_attributes({"gen_ai.operation.name": "chat", "gen_ai.output.messages": text})
    provider.shutdown()
    span_id = f"{started.get_span_context().span_id:016x}"
    found = wait_for(lambda: shared_collector.backend.by_id().get(span_id), "the large span")
    assert attributes(found.attributes)["langfuse.observation.output"] == text


def test_a_request_larger_than_the_usual_limit(shared_collector: Collector) -> None:
    text = "x" * 24_000_000  # the receiver's own limit is 20 MiB
    given = {"gen_ai.operation.name": "chat", "gen_ai.output.messages": text}
    shared_collector.send(traces(span("chat large", "00000000000000c1", given)))
    found = wait_for(lambda: shared_collector.backend.by_id().get("00000000000000c1"), "the large span")
    assert len(attributes(found.attributes)["langfuse.observation.output"]) == len(text)


def test_names_kind_times_events_links_and_resource_stay(shared_collector: Collector) -> None:
    given = span("chat m", "00000000000000d1", {"gen_ai.operation.name": "chat"})
    event = given.events.add()
    event.name = "exception"
    given.links.add().span_id = bytes.fromhex("00000000000000d0")
    shared_collector.send(traces(given, resource={"service.name": "app", "host.name": "h"}))
    found = wait_for(lambda: shared_collector.backend.by_id().get("00000000000000d1"), "the span")
    for field in ("name", "kind", "start_time_unix_nano", "end_time_unix_nano", "trace_id", "links"):
        assert getattr(found, field) == getattr(given, field)
    assert [one.name for one in found.events] == ["exception"]
