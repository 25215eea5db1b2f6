"""Ten thousand names of everything: the series stay few, and nothing is lost in the sum."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from otel_agents import metrics
from otel_agents.accounting import CallRecord, Usage
from otel_agents.instruments import OVERFLOW, Instruments
from otel_agents.metrics import Definition

Points = list[tuple[Mapping[str, object], float]]
MANY = 10_000


class Counted:
    """Instruments with small limits, and what a reader sees of them."""

    def __init__(self, label_limit: int = 100, series_limit: int = 2000) -> None:
        self.reader = InMemoryMetricReader()
        self.count = Instruments(MeterProvider([self.reader]).get_meter("t"), label_limit, series_limit)

    def points(self) -> dict[str, Points]:
        """By metric: labels, and the sum of a counter or the number of values in a histogram."""
        data = self.reader.get_metrics_data()
        assert data is not None
        return {
            metric.name: [
                (dict(point.attributes or {}), getattr(point, "count", getattr(point, "value", 0)))
                for point in metric.data.data_points
            ]
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def of(self, definition: Definition) -> Points:
        return self.points()[definition.name]


def call(number: int) -> CallRecord:
    """A call of which everything that can differ is another one each time."""
    return CallRecord(
        "chat",
        f"provider-{number % 7}",
        f"model-{number}",
        response_model=f"model-{number}-snapshot",
        usage=Usage(input=3, output=2),
        error_type=f"Error{number}" if number % 4 == 0 else None,
        duration=0.5,
        agent_name=f"agent-{number}",
        labels={"task_type": f"type-{number}", "prompt_version": str(number), "variant": f"v{number}"},
        cost=0.25,
        server_address=f"host-{number}.example.com",
        server_port=number,
    )


@pytest.fixture(scope="module")
def ten_thousand() -> dict[str, Points]:
    counted = Counted()
    for number in range(MANY):
        counted.count.record_call(call(number))
        counted.count.record_tool(
            f"tool-{number}", f"agent-{number}", "function", 0.1, f"E{number}", {}, None
        )
        counted.count.record_agent(f"agent-{number}", "invoke_agent", 1.0, 1, 1, f"E{number}", {}, None)
        counted.count.record_score(f"score-{number}", 0.5, f"agent-{number}", {}, None)
        status = "error" if number % 5 == 0 else "success"
        labels = {"gen_ai.agent.name": f"agent-{number}", "task_type": f"t{number}", "status": status}
        counted.count.count(metrics.TASK_COUNT, 1, labels)
    return counted.points()


def test_every_label_keeps_to_its_limit(ten_thousand: dict[str, Points]) -> None:
    values: dict[tuple[str, str], set[object]] = {}
    for name, points in ten_thousand.items():
        for labels, _ in points:
            for label, value in labels.items():
                values.setdefault((name, label), set()).add(value)
    assert max(len(taken) for taken in values.values()) == 101  # and `other`
    assert ("gen_ai.client.inference.duration", "gen_ai.request.model") in values


def test_no_metric_has_more_series_than_it_may(ten_thousand: dict[str, Points]) -> None:
    assert len(ten_thousand) > 10
    assert max(len(points) for points in ten_thousand.values()) <= 2000 + 8


@pytest.mark.parametrize(
    ("definition", "total"),
    [
        (metrics.COST, MANY * 0.25),
        (metrics.INPUT_TOKENS, MANY * 3),
        (metrics.OUTPUT_TOKENS, MANY * 2),
        (metrics.CALL_DURATION, MANY),
        (metrics.TOOL_DURATION, MANY),
        (metrics.AGENT_DURATION, MANY),
        (metrics.SCORE, MANY),
        (metrics.TASK_COUNT, MANY),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_totals_are_exact(ten_thousand: dict[str, Points], definition: Definition, total: float) -> None:
    assert sum(value for _, value in ten_thousand[definition.name]) == pytest.approx(total, rel=1e-12)


def test_what_goes_over_is_told(ten_thousand: dict[str, Points]) -> None:
    told = {labels["label"]: value for labels, value in ten_thousand[metrics.LABEL_OVERFLOW.name]}
    assert told["gen_ai.request.model"] == MANY - 100
    assert {"gen_ai.agent.name", "gen_ai.tool.name", "task_type", "server.port"} <= set(told)


def test_labels_that_multiply_stay_within_the_series_of_a_metric() -> None:
    """Fifty agents, fifty models and fifty kinds of tasks are few each, and 125,000 together."""
    counted = Counted(label_limit=100, series_limit=300)
    for number in range(MANY):
        record = call(0)
        record.agent_name = f"agent-{number % 50}"
        record.request_model = f"model-{number // 50 % 50}"
        record.labels = {"task_type": f"type-{number // 2500}"}
        record.chunk_gaps, record.stream, record.time_to_first_chunk = [0.1, 0.2], True, 0.1
        counted.count.record_call(record)
    points = counted.of(metrics.COST)
    assert len(points) == 301
    assert sum(value for _, value in points) == MANY * 0.25
    assert len(counted.of(metrics.CALL_PER_CHUNK)) == 301
    assert sum(value for _, value in counted.of(metrics.CALL_PER_CHUNK)) == MANY * 2
    (rest,) = (labels for labels, _ in points if labels["gen_ai.agent.name"] == OVERFLOW)
    assert rest["gen_ai.request.model"] == OVERFLOW
    assert rest["gen_ai.operation.name"] == "chat"
    told = {labels["label"] for labels, _ in counted.of(metrics.LABEL_OVERFLOW)}
    assert told == {"(combinations)"}


def test_shares_stay_right_beyond_the_limit() -> None:
    """The error rate is made of a label; that one keeps its value."""
    counted = Counted(label_limit=10_000, series_limit=10)
    for number in range(1000):
        labels = {"gen_ai.agent.name": f"a{number}", "status": "error" if number % 5 == 0 else "success"}
        counted.count.count(metrics.TASK_COUNT, 1, labels)
    points = counted.of(metrics.TASK_COUNT)
    assert len(points) == 12
    assert sum(value for labels, value in points if labels["status"] == "error") == 200


def test_a_series_that_was_there_in_time_goes_on() -> None:
    counted = Counted(series_limit=2)
    for agent in ("a", "b", "c", "a"):
        counted.count.count(metrics.TASK_COUNT, 1, {"gen_ai.agent.name": agent})
    found = {labels["gen_ai.agent.name"]: value for labels, value in counted.of(metrics.TASK_COUNT)}
    assert found == {"a": 2, "b": 1, OVERFLOW: 1}


def test_a_process_says_when_it_was_asked_last() -> None:
    """By that a process that is gone is told from one that says the same as ever."""
    reader = InMemoryMetricReader()
    now = 1_000_000.0
    Instruments(MeterProvider([reader]).get_meter("t"), 100, clock=lambda: now)

    def told() -> list[float]:
        data = reader.get_metrics_data()
        assert data is not None
        [metric] = data.resource_metrics[0].scope_metrics[0].metrics
        assert metric.name == "otel_agents.collection.timestamp"
        return [point.value for point in metric.data.data_points]  # type: ignore[union-attr]

    assert told() == [999_990]
    now += 60
    assert told() == [1_000_050]
