"""Many values at once leave the same histogram behind as one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.metrics.view import (
    DropAggregation,
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
    View,
)
from opentelemetry.sdk.trace import TracerProvider

from otel_agents.export import histograms
from otel_agents.export.histograms import record_many

LABELS: dict[str, str | int] = {"gen_ai.request.model": "gpt-4o", "server.port": 443}
BUCKETS = [0.01, 0.02, 0.04, 0.08, 0.16]
GAPS = [0.01, 0.011, 0.005, 0.09, 0.09, 3.0, 0.0, 0.04]


class Rig:
    """A meter provider with one histogram and readers."""

    def __init__(self, views: Sequence[View] = (), readers: int = 1, delta: bool = False) -> None:
        asked: dict[type, Any] | None = {Histogram: AggregationTemporality.DELTA} if delta else None
        self.readers = [InMemoryMetricReader(preferred_temporality=asked) for _ in range(readers)]
        provider = MeterProvider(self.readers, views=views)
        self.histogram = provider.get_meter("test").create_histogram(
            "gaps", unit="s", explicit_bucket_boundaries_advisory=BUCKETS
        )

    def points(self, reader: int = 0) -> list[Any]:
        data = self.readers[reader].get_metrics_data()
        found: list[Any] = []
        for resource in data.resource_metrics if data is not None else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    found.extend(metric.data.data_points)
        return found

    def point(self, reader: int = 0) -> Any:
        (point,) = self.points(reader)
        return point


def told(point: Any) -> dict[str, Any]:
    return {
        "count": point.count,
        "sum": pytest.approx(point.sum, rel=1e-9, abs=1e-12),
        "buckets": getattr(point, "bucket_counts", None),
        "min": point.min,
        "max": point.max,
        "labels": dict(point.attributes),
    }


def both(
    values: Sequence[float], views: Sequence[View] = (), readers: int = 1, delta: bool = False
) -> tuple[Rig, Rig]:
    many, single = Rig(views, readers, delta), Rig(views, readers, delta)
    for part in (values, values[: len(values) // 2]):  # a new series, then one that is there
        record_many(many.histogram.record, part, LABELS)
        for value in part:
            single.histogram.record(value, LABELS)
    return many, single


@given(st.lists(st.floats(min_value=0, max_value=1) | st.sampled_from(BUCKETS), min_size=1, max_size=60))
@settings(deadline=None, max_examples=60)
def test_the_same_as_one_by_one(values: list[float]) -> None:
    many, single = both(values)
    assert told(many.point()) == told(single.point())


@pytest.mark.parametrize("delta", [False, True])
def test_between_collections(delta: bool) -> None:
    many, single = both(GAPS, delta=delta)
    assert told(many.point()) == told(single.point())
    record_many(many.histogram.record, GAPS, LABELS)
    for gap in GAPS:
        single.histogram.record(gap, LABELS)
    assert told(many.point()) == told(single.point())


def test_it_is_in_bulk(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most one ordinary record for each bucket, or the whole thing is for nothing."""
    rig = Rig()
    calls: list[float] = []
    ordinary = Histogram.record

    def counted(self: Any, value: float, *rest: Any) -> None:
        calls.append(value)
        ordinary(self, value, *rest)

    monkeypatch.setattr(Histogram, "record", counted)
    record_many(rig.histogram.record, GAPS * 100, LABELS)
    assert rig.point().count == len(GAPS) * 100
    assert len(calls) <= len(BUCKETS) + 2


def test_several_readers() -> None:
    many, single = both(GAPS, readers=2)
    for reader in (0, 1):
        assert told(many.point(reader)) == told(single.point(reader))


@pytest.mark.parametrize(
    "view",
    [
        View(instrument_name="gaps", attribute_keys={"server.port"}),
        View(instrument_name="gaps", aggregation=DropAggregation()),
        View(instrument_name="gaps", aggregation=ExponentialBucketHistogramAggregation()),
    ],
    ids=["fewer labels", "dropped", "exponential"],
)
def test_views(view: View) -> None:
    many, single = both(GAPS, [view])
    assert [told(point) for point in many.points()] == [told(point) for point in single.points()]


def test_two_views_with_buckets_of_their_own() -> None:
    views = [
        View(
            instrument_name="gaps",
            name=f"gaps_{bound}",
            aggregation=ExplicitBucketHistogramAggregation([bound]),
        )
        for bound in (0.05, 1.0)
    ]
    many, single = both(GAPS, views)
    assert [told(point) for point in many.points()] == [told(point) for point in single.points()]


def test_every_bucket_has_its_exemplar() -> None:
    rig = Rig()
    span = TracerProvider().get_tracer("test").start_span("chat")
    record_many(rig.histogram.record, GAPS, LABELS, trace.set_span_in_context(span))
    exemplars = rig.point().exemplars
    assert [one.value for one in exemplars] == [0.01, 0.011, 0.04, 0.09, 3.0]
    assert {one.trace_id for one in exemplars} == {span.get_span_context().trace_id}


def test_other_libraries_meters() -> None:
    class Foreign:
        def __init__(self) -> None:
            self.values: list[float] = []

        def record(self, value: float, labels: object, context: object) -> None:
            self.values.append(value)

    foreign = Foreign()
    record_many(foreign.record, GAPS, LABELS)
    assert sorted(foreign.values) == sorted(GAPS)
    record_many(NoOpMeterProvider().get_meter("test").create_histogram("gaps").record, GAPS, LABELS)


def test_an_sdk_that_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise AttributeError("no such thing any more")

    monkeypatch.setattr(histograms, "_series", gone)
    many, single = both(GAPS)
    assert told(many.point()) == told(single.point())


@pytest.mark.parametrize("odd", [-1.0, float("nan"), float("inf")])
def test_odd_values_are_refused_as_ever(odd: float) -> None:
    many, single = both([*GAPS, odd])
    assert told(many.point()) == told(single.point())
