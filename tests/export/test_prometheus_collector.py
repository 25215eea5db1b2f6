"""The same counts through a Collector's exporter and through direct mode: the same page."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from parts import free_port, require, wait_for
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.utils import floatToGoString
from scraping import OPENMETRICS, get, samples

from otel_agents import config
from otel_agents.export import prometheus
from otel_agents.instruments import Instruments

ROOT = Path(__file__).parents[2]


def _exporter_options() -> dict[str, object]:
    """How otel-collector.yaml sets its prometheus exporter, without the environment."""
    document = yaml.safe_load((ROOT / "otel-collector.yaml").read_text())
    options = dict(document["exporters"]["prometheus"])
    options.pop("endpoint")
    options["metric_expiration"] = "1h"
    return options


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Callable[[], tuple[int, int]]]:
    """Starts a Collector; answers its OTLP and its metrics port."""
    binary = require("collector")
    processes = []

    def start() -> tuple[int, int]:
        otlp, page = free_port(), free_port()
        exporter = {"endpoint": f"127.0.0.1:{page}", **_exporter_options()}
        (tmp_path / "collector.yaml").write_text(
            yaml.safe_dump(
                {
                    "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{otlp}"}}}},
                    "exporters": {"prometheus": exporter},
                    "service": {
                        "telemetry": {"metrics": {"level": "none"}},
                        "pipelines": {"metrics": {"receivers": ["otlp"], "exporters": ["prometheus"]}},
                    },
                }
            )
        )
        log = (tmp_path / "collector.log").open("wb")
        processes.append(
            (subprocess.Popen([binary, "--config", tmp_path / "collector.yaml"], stderr=log), log)
        )
        return otlp, page

    yield start
    for process, log in processes:
        process.terminate()
        process.wait(20)
        log.close()


@pytest.mark.collector
def test_direct_mode_and_the_collector_serve_the_same_page(
    collector: Callable[[], tuple[int, int]], snapshot_home: Path
) -> None:
    otlp, page = collector()
    resource = Resource(
        {
            "service.name": "app",
            "service.namespace": "ns",
            "service.instance.id": "i-1",
            "service.version": "1.0",
            "host.name": "h",
            "flag": True,
            "list": ("a", "b"),
            "ratio": 0.5,
        }
    )
    settings = config.resolve({"metrics_port": 0}, {}, False)
    direct = prometheus.start(settings, resource, interval=0.2)
    exporter = OTLPMetricExporter(f"http://127.0.0.1:{otlp}/v1/metrics")
    provider = MeterProvider(
        [direct, PeriodicExportingMetricReader(exporter, 3_600_000)], resource, shutdown_on_exit=False
    )
    meter = provider.get_meter("otel_agents", "1.0")
    Instruments(meter, 100, clock=lambda: 60.0)
    _count_everything(meter)
    try:
        wait_for(lambda: _page(page) is not None, "the Collector")
        wait_for(lambda: provider.force_flush() and "odd_name" in (_page(page) or ""), "the counts")
        for accept, openmetrics in (("text/plain", False), (OPENMETRICS, True)):
            theirs, ours = get(page, accept), get(wait_for(lambda: direct.port, "our port"), accept)
            if not openmetrics:  # le="1" is written le="1.0" here; Prometheus asks for OpenMetrics
                theirs = re.sub(r'le="([0-9.e+]+)"', lambda one: f'le="{floatToGoString(one[1])}"', theirs)
            assert samples(ours, openmetrics) == samples(theirs, openmetrics)
            assert _types(ours) == _types(theirs)
        assert _exemplars(ours) == _exemplars(theirs)
        assert len(_exemplars(ours)) == 3
    finally:
        provider.shutdown()


def _count_everything(meter: object) -> None:
    from opentelemetry.metrics import Meter

    assert isinstance(meter, Meter)
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("t")
    labels = {"gen_ai.request.model": "m", "error.type": 'odd "text"\n\\x', "n": 3, "share": 2.5, "yes": True}
    with tracer.start_as_current_span("s") as span:
        context = trace.set_span_in_context(span)
        meter.create_counter("otel_agents.cost", unit="{USD}", description="Cost").add(0.125, labels, context)
        histogram = meter.create_histogram(
            "gen_ai.client.inference.duration", unit="s", explicit_bucket_boundaries_advisory=[0.1, 1.0, 1e6]
        )
        histogram.record(0.5, labels, context)
        histogram.record(5e5, labels, context)
    for name, unit in (
        *(("a.total.count", ""), ("bytes.read", "By"), ("speed", "By/s"), ("requests", "1"), ("usd", "USD")),
        *(("odd__name..x", "{thing}"), ("time", "min"), ("per", "{request}/s"), ("temp", "Cel")),
    ):
        meter.create_counter(name, unit=unit).add(2, {"1st": "x", "a__b": "y", "a.-c": "z", "_p": "q"})
        meter.create_gauge(f"gauge.{name}", unit=unit).set(1.5)
        meter.create_up_down_counter(f"updown.{name}", unit=unit).add(-1)
        meter.create_histogram(f"histogram.{name}", unit=unit).record(7)


def _page(port: int) -> str | None:
    try:
        return get(port)
    except OSError:
        return None


def _exemplars(text: str) -> dict[tuple[str, str], tuple[float, dict[str, str]]]:
    return {
        (sample.name, sample.labels.get("le", "")): (one.value, one.labels)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if (one := sample.exemplar) is not None
    }


def _types(text: str) -> set[str]:
    return {line for line in text.splitlines() if line.startswith("# TYPE")}
