"""The ways of metrics (to Prometheus) and of evaluation results (to the bridge)."""

from __future__ import annotations

import re

import pytest
from collector_rig import START, TRACE_ID, Collector, attributes, key_values
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AGGREGATION_TEMPORALITY_CUMULATIVE,
    Exemplar,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
)
from parts import wait_for

pytestmark = pytest.mark.collector
NOW = START + 60_000_000_000


def metrics(*given: Metric) -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    group.resource.attributes.extend(
        key_values({"service.name": "app", "service.instance.id": "i-1", "service.version": "9"})
    )
    scoped = group.scope_metrics.add()
    scoped.scope.name = "otel_agents"
    scoped.metrics.extend(given)
    return request


def counter(name: str, unit: str, value: float, **labels: str) -> Metric:
    metric = Metric(name=name, unit=unit)
    metric.sum.aggregation_temporality = AGGREGATION_TEMPORALITY_CUMULATIVE
    metric.sum.is_monotonic = True
    exemplar = Exemplar(
        time_unix_nano=NOW, as_double=value, trace_id=TRACE_ID, span_id=bytes.fromhex("00000000000000a1")
    )
    metric.sum.data_points.append(
        NumberDataPoint(
            start_time_unix_nano=START,
            time_unix_nano=NOW,
            as_double=value,
            exemplars=[exemplar],
            attributes=key_values({key.replace("__", "."): text for key, text in labels.items()}),
        )
    )
    return metric


def histogram(name: str, unit: str) -> Metric:
    metric = Metric(name=name, unit=unit)
    metric.histogram.aggregation_temporality = AGGREGATION_TEMPORALITY_CUMULATIVE
    exemplar = Exemplar(
        time_unix_nano=NOW, as_double=0.7, trace_id=TRACE_ID, span_id=bytes.fromhex("00000000000000a1")
    )
    metric.histogram.data_points.append(
        HistogramDataPoint(
            start_time_unix_nano=START,
            time_unix_nano=NOW,
            count=1,
            sum=0.7,
            bucket_counts=[0, 1, 0],
            explicit_bounds=[0.5, 1.0],
            exemplars=[exemplar],
            attributes=key_values({"gen_ai.request.model": "gpt-4o"}),
        )
    )
    return metric


def test_metrics_of_apps_keep_names_labels_and_the_way_to_their_trace(shared_collector: Collector) -> None:
    shared_collector.send(
        metrics(
            counter(
                "gen_ai.client.inference.usage.input_tokens", "{token}", 120, gen_ai__request__model="gpt-4o"
            ),
            counter("otel_agents.cost", "{USD}", 0.5, gen_ai__request__model="gpt-4o"),
            histogram("gen_ai.client.inference.duration", "s"),
        )
    )
    served = wait_for(
        lambda: text if "otel_agents_cost" in (text := shared_collector.metrics()) else None, "the metrics"
    )
    # The order of an exemplar's labels is not the same each time.
    swapped = r'# \{trace_id="(\w+)",span_id="(\w+)"\}'
    lines = re.sub(swapped, r'# {span_id="\2",trace_id="\1"}', served).splitlines()
    labels = 'gen_ai_request_model="gpt-4o",instance="i-1",job="app"'
    trace = '# {span_id="00000000000000a1",trace_id="0af7651916cd43dd8448eb211c80319c"}'
    assert any(
        line.startswith(f"gen_ai_client_inference_usage_input_tokens_total{{{labels}}} 120.0 {trace}")
        for line in lines
    )
    assert any(line.startswith(f"otel_agents_cost_total{{{labels}}} 0.5 {trace}") for line in lines)
    bucket = f'gen_ai_client_inference_duration_seconds_bucket{{{labels},le="1.0"}} 1 {trace} 0.7'
    assert any(line.startswith(bucket) for line in lines)
    assert f"gen_ai_client_inference_duration_seconds_count{{{labels}}} 1" in lines
    assert "otel_scope" not in served


def test_a_later_process_is_a_series_of_its_own(shared_collector: Collector) -> None:
    for instance, value in (("i-2", 1.0), ("i-3", 5.0)):
        request = metrics(counter("otel_agents.unpriced_calls", "{call}", value, reason="no_usage"))
        request.resource_metrics[0].resource.attributes[1].value.string_value = instance
        shared_collector.send(request)
    served = wait_for(lambda: text if "i-3" in (text := shared_collector.metrics()) else None, "both")
    found = re.findall(
        r'^otel_agents_unpriced_calls_total\{instance="(\S+?)".*?\} (\S+)', served, re.MULTILINE
    )
    assert sorted(found) == [("i-2", "1.0"), ("i-3", "5.0")]


def test_the_host_is_measured(shared_collector: Collector) -> None:
    names = {
        "system_cpu_time_seconds_total",
        "system_cpu_utilization_ratio",
        "system_cpu_load_average_1m",
        "system_memory_usage_bytes",
        "system_memory_utilization_ratio",
        "system_disk_io_bytes_total",
        "system_filesystem_usage_bytes",
        "system_network_io_bytes_total",
        "system_paging_usage_bytes",
        "system_processes_count",
    }

    def missing() -> set[str]:
        served = shared_collector.metrics()
        return {name for name in names if not re.search(rf"^{name}[{{ ]", served, re.MULTILINE)}

    # Disks, networks, swap and file systems may be hidden from a container; the rest is everywhere.
    maybe = {name for name in names if re.match("system_(disk|filesystem|network|paging)", name)}
    wait_for(lambda: missing() <= maybe, "the host's metrics")


def test_the_collector_tells_about_itself(shared_collector: Collector) -> None:
    _, served = shared_collector.get(shared_collector.ports.collector_self_port)
    assert "otelcol_exporter_queue_capacity" in served
    assert 'exporter="otlp_http/langfuse"' in served


def log_record(event_name: str, given: dict[str, object]) -> LogRecord:
    return LogRecord(
        event_name=event_name, time_unix_nano=NOW, trace_id=TRACE_ID, attributes=key_values(given)
    )


def test_without_a_span_only_evaluation_results_reach_the_bridge(
    shared_collector: Collector,
) -> None:
    request = ExportLogsServiceRequest()
    scoped = request.resource_logs.add().scope_logs.add()
    scoped.scope.name = "otel_agents"
    score = {
        "gen_ai.evaluation.name": "quality",
        "gen_ai.evaluation.score.value": 0.5,
        "otel_agents.score.id": "s1",
    }
    older = {"event.name": "gen_ai.evaluation.result", "gen_ai.evaluation.name": "older"}
    scoped.log_records.extend(
        [
            log_record("", {}),
            log_record("gen_ai.client.inference.operation.details", {"gen_ai.input.messages": "[]"}),
            log_record("gen_ai.evaluation.result", score),
            log_record("", older),
        ]
    )
    shared_collector.send(request)
    records = wait_for(shared_collector.backend.log_records, "the evaluation")
    assert [attributes(one.attributes) for one in records] == [score, older]
    assert records[0].event_name == "gen_ai.evaluation.result"
    assert records[0].trace_id == TRACE_ID
    request_to_bridge = shared_collector.backend.accepted("/v1/logs")[0]
    assert request_to_bridge.path == "/v1/logs"
    assert "authorization" not in request_to_bridge.headers
