"""Metrics are sent once a collection, and what is wrong is said once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricExportResult
from stub_backend import StubBackend

from otel_agents.config import Settings
from otel_agents.export import exporters


@pytest.fixture
def backend() -> Iterator[StubBackend]:
    with StubBackend() as running:
        yield running


@pytest.fixture
def collected() -> Any:
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    provider.get_meter("m").create_counter("calls").add(3)
    return reader.get_metrics_data()


def test_an_outage_is_said_once_and_each_collection_tried_once(
    backend: StubBackend, collected: Any, caplog: pytest.LogCaptureFixture
) -> None:
    exporter = exporters.metric_exporter(Settings(mode="collector", otlp_endpoint=backend.url))
    assert exporter is not None
    backend.status = 503
    for _ in range(3):
        assert exporter.export(collected) is MetricExportResult.FAILURE
    assert len(backend.requests) == 3
    assert caplog.messages == ["otel-agents: the Collector did not take metrics: status 503: {}"]
    backend.status = 200
    assert exporter.export(collected) is MetricExportResult.SUCCESS
    assert backend.metric_names() == {"calls"}
    backend.status = 401
    assert exporter.export(collected) is MetricExportResult.FAILURE
    assert "status 401" in caplog.messages[-1]
    exporter.shutdown()


def test_a_process_without_its_collector_ends_at_once(tmp_path: Path) -> None:
    app = """
import time, otel_agents
otel_agents.configure(otlp_endpoint="http://127.0.0.1:9", instrument_libraries=False)
with otel_agents.agent("one"):
    pass
begun = time.monotonic()
otel_agents.shutdown()
print(time.monotonic() - begun)
"""
    environ = {**os.environ, "OTEL_AGENTS_SPOOL_DIR": str(tmp_path), "OTEL_AGENTS_DOTENV": "off"}
    done = subprocess.run(
        [sys.executable, "-c", app], env=environ, check=True, capture_output=True, text=True, timeout=60
    )
    assert float(done.stdout) < 4.0, "the SDK's exporter tries for five seconds"
    assert done.stderr.splitlines() == [
        "otel-agents: spans wait for the backend: http://127.0.0.1:9/v1/traces: Connection refused",
        "otel-agents: the Collector did not take metrics: http://127.0.0.1:9/v1/metrics: Connection refused",
    ]
    assert len(list(tmp_path.glob("*/metrics-*.db"))) == 1, "what nobody took waits on disk"


@pytest.mark.parametrize("signal", ["traces", "metrics", "logs"])
def test_each_signal_has_its_own_certificate(monkeypatch: pytest.MonkeyPatch, signal: str) -> None:
    from otel_agents.export.sender import HttpSender

    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca/of-all")
    monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{signal.upper()}_CERTIFICATE", f"/ca/of-{signal}")
    found = {
        one: HttpSender("https://127.0.0.1:9", {}, 1.0, "none", one)._session.verify
        for one in ("traces", "metrics", "logs")
    }
    assert found == {
        one: "/ca/of-" + (one if one == signal else "all") for one in ("traces", "metrics", "logs")
    }
