"""Metrics by their older names, for dashboards made for those: on request, beside the newer ones."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from otel_agents.accounting import CallRecord, Usage
from otel_agents.instruments import Instruments

_COMMON = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
}


def recorded(record: CallRecord, older: bool) -> dict[str, list[tuple[dict[str, Any], float]]]:
    """Metric → labels and sum of each of its series."""
    reader = InMemoryMetricReader()
    instruments = Instruments(MeterProvider([reader]).get_meter("t"), 100, older=older)
    instruments.record_call(record)
    data = reader.get_metrics_data()
    assert data is not None
    return {
        metric.name: [
            (dict(point.attributes or {}), getattr(point, "sum", getattr(point, "value", 0)))
            for point in metric.data.data_points
        ]
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name.startswith("gen_ai.client.")
    }


def a_call(operation: str = "chat", **changes: Any) -> CallRecord:
    return CallRecord(
        operation=operation,
        provider="openai",
        request_model="gpt-4o",
        response_model="gpt-4o-2024-08-06",
        usage=changes.pop("usage", Usage(input=104, output=30, cache_read=64)),
        duration=1.5,
        **changes,
    )


def test_none_unless_asked_for() -> None:
    found = recorded(a_call(), older=False)
    assert not {"gen_ai.client.operation.duration", "gen_ai.client.token.usage"} & found.keys()


def test_the_same_call_by_both_names() -> None:
    found = recorded(a_call(), older=True)
    assert found["gen_ai.client.operation.duration"] == found["gen_ai.client.inference.duration"]
    assert found["gen_ai.client.operation.duration"] == [(_COMMON, 1.5)]
    assert sorted(found["gen_ai.client.token.usage"], key=str) == [
        ({**_COMMON, "gen_ai.token.type": "input"}, 104),
        ({**_COMMON, "gen_ai.token.type": "output"}, 30),
    ]


def test_embeddings_have_no_output() -> None:
    found = recorded(a_call("embeddings", usage=Usage(input=2)), older=True)
    [(labels, tokens)] = found["gen_ai.client.token.usage"]
    assert (labels["gen_ai.token.type"], tokens) == ("input", 2)
    assert found["gen_ai.client.operation.duration"] == found["gen_ai.client.embeddings.duration"]


def test_errors_are_told() -> None:
    [(labels, _)] = recorded(a_call(usage=None, error_type="429"), older=True)[
        "gen_ai.client.operation.duration"
    ]
    assert labels["error.type"] == "429"


def test_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    from otel_agents.config import resolve

    assert resolve({}).older_metrics is False
    monkeypatch.setenv("OTEL_AGENTS_OLDER_METRICS", "true")
    assert resolve({}).older_metrics is True
