"""An exemplar stays with its series until there is a newer one for the same bucket."""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    InMemoryMetricReader,
    MetricExporter,
    MetricExportResult,
    MetricsData,
)
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from otel_agents.export.exemplars import KeepsExemplars


class Kept(MetricExporter):
    """Remembers the exemplars of each export: metric, bucket's value, trace id."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[set[tuple[str, float, int]]] = []

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: object
    ) -> MetricExportResult:
        self.seen.append(
            {
                (metric.name, exemplar.value, exemplar.trace_id)
                for resource in metrics_data.resource_metrics
                for scope in resource.scope_metrics
                for metric in scope.metrics
                for point in metric.data.data_points
                for exemplar in point.exemplars
            }
        )
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: object) -> None:
        pass


def within(trace_id: int):  # type: ignore[no-untyped-def]
    return trace.set_span_in_context(
        NonRecordingSpan(SpanContext(trace_id, 1, False, TraceFlags(TraceFlags.SAMPLED)))
    )


def test_exemplars_are_sent_again_until_there_are_newer_ones() -> None:
    reader, kept = InMemoryMetricReader(), Kept()
    exporter = KeepsExemplars(kept)
    meter = MeterProvider([reader]).get_meter("test")
    duration = meter.create_histogram("duration", explicit_bucket_boundaries_advisory=[1.0, 2.0])
    calls = meter.create_counter("calls")

    def push() -> set[tuple[str, float, int]]:
        data = reader.get_metrics_data()
        assert data is not None
        assert exporter.export(data) is MetricExportResult.SUCCESS
        return kept.seen[-1]

    duration.record(0.5, {"model": "a"}, within(7))
    duration.record(1.5, {"model": "a"}, within(8))
    calls.add(1, {"model": "a"}, within(7))
    first = {("duration", 0.5, 7), ("duration", 1.5, 8), ("calls", 1, 7)}
    assert push() == first
    assert push() == first  # the SDK hands out none the second time
    duration.record(0.6, {"model": "a"}, within(9))
    assert push() == {("duration", 0.6, 9), ("duration", 1.5, 8), ("calls", 1, 7)}


def test_series_do_not_lend_each_other_theirs() -> None:
    reader, kept = InMemoryMetricReader(), Kept()
    exporter = KeepsExemplars(kept)
    calls = MeterProvider([reader]).get_meter("test").create_counter("calls")
    calls.add(1, {"model": "a"}, within(7))
    calls.add(1, {"model": "b"})
    for _ in range(2):
        data = reader.get_metrics_data()
        assert data is not None
        exporter.export(data)
        (resource,) = data.resource_metrics
        points = resource.scope_metrics[0].metrics[0].data.data_points
        assert {dict(point.attributes or {})["model"] for point in points} == {"a", "b"}
    assert kept.seen == [{("calls", 1, 7)}, {("calls", 1, 7)}]
