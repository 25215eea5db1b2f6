"""What the Collector pushes to VictoriaMetrics has the names and labels that the dashboards ask for."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from backfill import victoria_metrics
from collector_rig import Backend
from compose_file import ROOT
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from parts import require, wait_for
from tiers import tier

from otel_agents import metrics
from otel_agents.instruments import Instruments

#: The file that docs/scaling.md gives.
RELABEL = re.compile(r"```yaml\n# relabel.yaml\n(.*?)```", re.DOTALL)


@pytest.fixture
def backend() -> Iterator[Backend]:
    started = Backend().start()
    yield started
    started.stop()


@pytest.mark.collector
def test_victoria_metrics_names_them_as_the_dashboards_do(tmp_path: Path, backend: Backend) -> None:
    [relabel] = RELABEL.findall((ROOT / "docs" / "scaling.md").read_text(encoding="utf-8"))
    (tmp_path / "relabel.yaml").write_text(relabel)
    options = (
        "-opentelemetry.usePrometheusNaming",
        f"-relabelConfig={tmp_path / 'relabel.yaml'}",
        "-search.latencyOffset=0s",
    )
    with victoria_metrics(tmp_path, None, *options) as store:
        endpoint = {"OTELCOL_METRICS_ENDPOINT": f"{store.url}/opentelemetry"}
        with tier(require("collector"), tmp_path / "collector", backend, "metrics-otlp", **endpoint) as one:
            exporter = OTLPMetricExporter(f"http://127.0.0.1:{one.ports.otlp_http_port}/v1/metrics")
            resource = Resource({"service.name": "app", "service.instance.id": "one"})
            provider = MeterProvider([PeriodicExportingMetricReader(exporter, 500)], resource)
            try:
                count = Instruments(provider.get_meter("t"), 100)
                count.count(metrics.COST, 0.5, {"gen_ai.agent.name": "claude"})
                count.count(metrics.TASK_DURATION, 3.0, {"gen_ai.agent.name": "claude", "status": "success"})
                count.count(metrics.BREAKER_STATE, 2, {"gen_ai.agent.name": "claude"})
                mine = 'job="app", instance="one", gen_ai_agent_name="claude"'
                for query, value in (
                    (f"sum(otel_agents_cost_total{{{mine}}})", 0.5),
                    (f'sum(otel_agents_task_duration_seconds_bucket{{{mine}, le="3.2"}})', 1),
                    (f"sum(otel_agents_circuit_breaker_state{{{mine}}} and on (job, instance)"
                     " (time() - otel_agents_collection_timestamp_seconds < 300))", 2),
                ):  # fmt: skip
                    wait_for(
                        lambda query=query, value=value: store.instant(query, time.time()) == {(): value},
                        query,
                        60,
                    )
            finally:
                provider.shutdown()
