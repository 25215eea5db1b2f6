"""Exporters of others to the same endpoint fall silent; all other exporters go on."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExportResult

from otel_agents.export import same_target
from otel_agents.export.same_target import Target

URL = "http://127.0.0.1:4318/v1/traces"
OURS = Target.of(URL, {})


class Exporter(OTLPSpanExporter):
    """Keeps the names of what it would send."""

    def __init__(self, endpoint: str = URL, headers: dict[str, str] | None = None) -> None:
        super().__init__(endpoint=endpoint, headers=headers)
        self.sent: list[str] = []

    def export(self, spans: Any) -> SpanExportResult:
        self.sent += [one.name for one in spans]
        return SpanExportResult.SUCCESS


class Around(SpanProcessor):
    """Somebody's wrapper of a processor."""

    def __init__(self, inner: SpanProcessor) -> None:
        self.inner = inner

    def on_end(self, span: ReadableSpan) -> None:
        self.inner.on_end(span)


def provider_with(*processors: SpanProcessor) -> TracerProvider:
    made = TracerProvider(shutdown_on_exit=False)
    for one in processors:
        made.add_span_processor(one)
    return made


def end(provider: TracerProvider, name: str) -> None:
    provider.get_tracer("test").start_span(name).end()


def test_a_second_way_is_silent_and_another_place_is_not() -> None:
    same, elsewhere = Exporter(), Exporter("http://127.0.0.1:4319/v1/traces")
    provider = provider_with(SimpleSpanProcessor(same), SimpleSpanProcessor(elsewhere))
    same_target.silence(provider, OURS)
    end(provider, "one")
    assert (same.sent, elsewhere.sent) == ([], ["one"])


def test_found_behind_batches_and_wrappers() -> None:
    same = Exporter()
    batches = BatchSpanProcessor(same)
    provider = provider_with(Around(Around(batches)))
    same_target.silence(provider, OURS)
    end(provider, "one")
    batches.force_flush()
    assert same.sent == []
    batches.shutdown()


def test_one_that_is_added_later_is_found_too() -> None:
    provider = provider_with()
    same_target.silence(provider, OURS)
    same_target.silence(provider, OURS)  # as often as wanted
    same = Exporter()
    provider.add_span_processor(SimpleSpanProcessor(same))
    end(provider, "one")
    assert same.sent == []


def test_afterwards_it_sends_what_ends_from_then_on() -> None:
    same = Exporter()
    batches = BatchSpanProcessor(same)
    provider = provider_with(batches)
    same_target.silence(provider, OURS)
    end(provider, "ours, still in its queue")
    same_target.restore(provider)
    end(provider, "after us")
    batches.force_flush()
    assert same.sent == ["after us"]
    same_target.silence(provider, OURS)
    end(provider, "ours again")
    batches.shutdown()
    assert same.sent == ["after us"]
    assert type(provider).add_span_processor is TracerProvider.add_span_processor


@pytest.mark.parametrize(
    ("theirs", "same"),
    [
        ((URL, {}), True),
        (("http://localhost:4318/v1/traces", {"X-Other": "1"}), True),
        (("http://127.0.0.1:4318/other", {}), False),
        ((URL, {"Authorization": "Basic another-project"}), False),
    ],
)
def test_what_is_the_same_place(theirs: tuple[str, dict[str, str]], same: bool) -> None:
    exporter = Exporter(*theirs)
    provider = provider_with(SimpleSpanProcessor(exporter))
    same_target.silence(provider, OURS)
    end(provider, "one")
    assert exporter.sent == ([] if same else ["one"])


def test_grpc_is_known_by_host_and_port() -> None:
    exporter = GrpcExporter(endpoint="http://127.0.0.1:4317", insecure=True)
    assert same_target._target(exporter) == Target.of("http://localhost:4317", {})
    exporter.shutdown()


def test_two_projects_of_one_langfuse_are_two_places() -> None:
    url = "https://langfuse.example/api/public/otel/v1/traces"
    mine, theirs = {"Authorization": "Basic bWluZQ=="}, {"Authorization": "Basic dGhlaXJz"}
    exporter = Exporter(url, theirs)
    provider = provider_with(SimpleSpanProcessor(exporter))
    same_target.silence(provider, Target.of(url, mine))
    end(provider, "one")
    assert exporter.sent == ["one"]
    same_target.silence(provider, Target.of(url, theirs))
    same_target._silence_below(provider, Target.of(url, theirs))
    end(provider, "two")
    assert exporter.sent == ["one"]


def test_the_langfuse_sdk_beside_a_collector_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    same_target._said.clear()
    exporter = Exporter("https://langfuse.example/api/public/otel/v1/traces")
    provider = provider_with(SimpleSpanProcessor(exporter))
    same_target.silence(provider, OURS)
    assert "LANGFUSE_TRACING_ENABLED=false" in caplog.text
    end(provider, "one")
    assert exporter.sent == ["one"]
