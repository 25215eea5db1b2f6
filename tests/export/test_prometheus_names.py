"""Prometheus names, as the Collector's exporter makes them (``UnderscoreEscapingWithSuffixes``)."""

from __future__ import annotations

import pytest

from otel_agents.export.prometheus_names import label_name, label_value, metric_name


@pytest.mark.parametrize(
    ("name", "unit", "kind", "expected"),
    [
        ("gen_ai.client.inference.duration", "s", "histogram", "gen_ai_client_inference_duration_seconds"),
        (
            "gen_ai.client.inference.usage.cache_read.input_tokens",
            "{token}",
            "counter",
            "gen_ai_client_inference_usage_cache_read_input_tokens_total",
        ),
        ("otel_agents.cost", "{USD}", "counter", "otel_agents_cost_total"),
        ("claude_code.cost.usage", "USD", "counter", "claude_code_cost_usage_USD_total"),
        ("system.memory.usage", "By", "updown", "system_memory_usage_bytes"),
        ("system.cpu.utilization", "1", "gauge", "system_cpu_utilization_ratio"),
        ("queue.size", "1", "updown", "queue_size"),
        ("requests", "1", "counter", "requests_total"),
        ("requests.total", "", "counter", "requests_total"),
        ("total.requests", "", "counter", "requests_total"),
        ("duration.seconds", "s", "histogram", "duration_seconds"),
        ("speed", "By/s", "gauge", "speed_bytes_per_second"),
        ("rate", "{request}/min", "gauge", "rate_per_min"),
        ("tokens", "{token}/s", "gauge", "tokens_per_second"),
        ("temperature", "Cel", "gauge", "temperature_celsius"),
        ("share", "%", "gauge", "share_percent"),
        ("odd__name..x", "", "gauge", "odd_name_x"),
        ("colon:name", "", "gauge", "colon:name"),
        ("2xx", "", "counter", "_2xx_total"),
        ("größe", "", "gauge", "gr_e"),
        ("x", "foo bar", "gauge", "x_foo_bar"),
        ("...", "", "gauge", ""),
    ],
)
def test_metric_names(name: str, unit: str, kind: str, expected: str) -> None:
    assert metric_name(name, unit, kind) == expected


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("gen_ai.request.model", "gen_ai_request_model"),
        ("error.type", "error_type"),
        ("1st", "key_1st"),
        ("a__b", "a__b"),
        ("a.-b", "a__b"),
        ("_private", "_private"),
        ("...", ""),
        ("", ""),
    ],
)
def test_label_names(key: str, expected: str) -> None:
    assert label_name(key) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a", "a"),
        (True, "true"),
        (3, "3"),
        (0.5, "0.5"),
        (2.0, "2"),
        (("a", "b"), '["a","b"]'),
        ([1, 2], "[1,2]"),
        ("\ud800", "?"),
    ],
)
def test_label_values(value: object, expected: str) -> None:
    assert label_value(value) == expected
