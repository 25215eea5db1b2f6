"""``/metrics`` of one process: formats, exemplars, and ports that cannot be had."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import time
import urllib.error
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from parts import free_port, wait_for
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from scraping import OPENMETRICS, get, samples

from otel_agents import config
from otel_agents.export import prometheus, snapshots

Start = Callable[..., tuple[prometheus.SnapshotReader, MeterProvider]]


@pytest.fixture
def start(snapshot_home: Path) -> Iterator[Start]:
    """Readers with their meter providers, shut down afterwards."""
    providers: list[MeterProvider] = []

    def begin(
        port: int = 0, views: Any = (), **resource: Any
    ) -> tuple[prometheus.SnapshotReader, MeterProvider]:
        settings = config.resolve({"metrics_port": port}, {}, False)
        attributes = {"service.name": "app", "service.instance.id": str(uuid.uuid4()), **resource}
        reader = prometheus.start(settings, Resource(attributes), interval=0.2)
        provider = MeterProvider([reader], Resource(attributes), views=views, shutdown_on_exit=False)
        providers.append(provider)
        return reader, provider

    yield begin
    for provider in providers:
        provider.shutdown()


def _serving(reader: prometheus.SnapshotReader) -> int:
    return wait_for(lambda: reader.port, "the port")


def test_every_kind_of_instrument_under_its_prometheus_name(start: Start) -> None:
    reader, provider = start(**{"service.instance.id": "i-1", "service.namespace": "ns", "host.name": "h"})
    meter = provider.get_meter("m", "1")
    meter.create_counter("otel_agents.cost", unit="{USD}").add(0.25, {"gen_ai.request.model": "m"})
    meter.create_up_down_counter("queue.size", unit="1").add(-3)
    meter.create_gauge("system.cpu.utilization", unit="1").set(0.5, {"cpu": 1})
    histogram = meter.create_histogram("d", unit="s", explicit_bucket_boundaries_advisory=[0.1, 1.0])
    for value in (0.05, 0.1, 0.5, 7.0):
        histogram.record(value)
    text = get(_serving(reader))
    identity = 'instance="i-1",job="ns/app"'
    for line in (
        "# TYPE otel_agents_cost_total counter",
        f'otel_agents_cost_total{{gen_ai_request_model="m",{identity}}} 0.25',
        "# TYPE queue_size gauge",
        f"queue_size{{{identity}}} -3.0",
        f'system_cpu_utilization_ratio{{cpu="1",{identity}}} 0.5',
        "# TYPE d_seconds histogram",
        f'd_seconds_bucket{{{identity},le="0.1"}} 2.0',
        f'd_seconds_bucket{{{identity},le="1.0"}} 3.0',
        f'd_seconds_bucket{{{identity},le="+Inf"}} 4.0',
        f"d_seconds_count{{{identity}}} 4.0",
        f"d_seconds_sum{{{identity}}} 7.65",
        f'target_info{{host_name="h",{identity}}} 1.0',
    ):
        assert line in text.splitlines(), text


def test_exemplars_in_openmetrics_only_and_still_there_at_the_next_scrape(start: Start) -> None:
    reader, provider = start()
    meter = provider.get_meter("m")
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("t")
    histogram = meter.create_histogram("d", unit="s", explicit_bucket_boundaries_advisory=[1.0, 10.0])
    counter = meter.create_counter("calls")
    ids = []
    for value in (0.5, 5.0, 50.0):
        with tracer.start_as_current_span("s") as span:
            ids.append(format(span.get_span_context().trace_id, "032x"))
            histogram.record(value, {"a": "b"}, trace.set_span_in_context(span))
            counter.add(1)
    port = _serving(reader)
    for _ in range(2):
        time.sleep(0.3)  # several collections, each of which empties the SDK's exemplars
        text = get(port, OPENMETRICS)
        assert text.endswith("# EOF\n")
        found = {
            (sample.name, sample.labels.get("le")): sample.exemplar
            for family in parse_openmetrics(text)
            for sample in family.samples
            if sample.exemplar is not None
        }
        assert [found["d_seconds_bucket", le].labels["trace_id"] for le in ("1.0", "10.0", "+Inf")] == ids
        assert found["d_seconds_bucket", "10.0"].value == 5.0
        assert abs(float(found["d_seconds_bucket", "10.0"].timestamp) - time.time()) < 60
        assert len(found["calls_total", None].labels["span_id"]) == 16
    assert "trace_id" not in get(port)


def test_a_scrape_is_fresh(start: Start) -> None:
    reader, provider = start()
    counter = provider.get_meter("m").create_counter("calls")
    port = _serving(reader)
    for expected in (1.0, 2.0, 3.0):
        counter.add(1)
        [value] = [v for (name, _), v in samples(get(port)).items() if name == "calls_total"]
        assert value == expected


def test_odd_attributes_do_not_fail_the_scrape(start: Start) -> None:
    reader, provider = start()
    counter = provider.get_meter("m").create_counter("c", description='a "b"\n\\c')
    counter.add(1, {"x": 'a"b\\c\nd', "lone": "\ud800", "a.b": "1", "a_b": "2", "...": "gone", "flag": True})
    counter.add(1, {"job": "mine", "instance": "mine"})
    port = _serving(reader)
    for accept, openmetrics in (("text/plain", False), (OPENMETRICS, True)):
        found = [
            dict(labels) for name, labels in samples(get(port, accept), openmetrics) if name == "c_total"
        ]
        assert {"x": 'a"b\\c\nd', "lone": "?", "a_b": "1;2", "flag": "true"}.items() <= found[0].items()
        assert found[1]["job"] == "app"


def test_exponential_histograms_show_sum_and_count(start: Start) -> None:
    view = View(instrument_name="e", aggregation=ExponentialBucketHistogramAggregation())
    reader, provider = start(views=[view])
    provider.get_meter("m").create_histogram("e").record(3.0)
    text = get(_serving(reader))
    assert 'le="+Inf"} 1.0' in text
    assert "e_sum" in text


def test_two_instruments_of_one_name_and_different_kinds_do_not_break_the_page(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    reader, provider = start()
    provider.get_meter("one").create_gauge("x").set(1)
    provider.get_meter("two").create_histogram("x").record(1)
    assert samples(get(_serving(reader)))


def test_the_port_is_free_again_after_shutdown_and_the_last_counts_stay_on_disk(
    start: Start, snapshot_home: Path
) -> None:
    port = free_port()
    reader, provider = start(port, **{"service.instance.id": "first"})
    provider.get_meter("m").create_counter("calls").add(5)
    assert _serving(reader) == port
    provider.shutdown()
    with pytest.raises(urllib.error.URLError):
        get(port)
    assert list(snapshot_home.rglob("*.snapshot"))
    later, provider = start(port, **{"service.instance.id": "second"})
    provider.get_meter("m").create_counter("calls").add(2)
    _serving(later)
    found = {
        dict(labels)["instance"]: v
        for (name, labels), v in samples(get(port)).items()
        if name == "calls_total"
    }
    assert found == {"first": 5.0, "second": 2.0}


def test_snapshots_of_the_dead_are_served_for_an_hour_and_then_removed(
    start: Start, snapshot_home: Path
) -> None:
    port = free_port()
    _, provider = start(port, **{"service.instance.id": "old"})
    provider.get_meter("m").create_counter("calls").add(5)
    provider.force_flush()
    provider.shutdown()
    [old] = snapshot_home.rglob("*.snapshot")
    reader, provider = start(port, **{"service.instance.id": "new"})
    _serving(reader)
    for age, shown in ((snapshots.EXPIRY - 60, True), (snapshots.EXPIRY + 60, False)):
        os.utime(old, (time.time() - age, time.time() - age))
        assert ('instance="old"' in get(port)) is shown
    assert not old.exists()


def test_broken_and_foreign_files_are_passed_over(start: Start, snapshot_home: Path) -> None:
    port = free_port()
    reader, provider = start(port)
    _serving(reader)
    provider.force_flush()
    [own] = snapshot_home.rglob("*.snapshot")
    (own.parent / "1-broken.snapshot").write_bytes(b"\xc1 nonsense")
    (own.parent / "2-empty.snapshot").write_bytes(b"")
    (own.parent / "3-folder.snapshot").mkdir()
    assert samples(get(port))


def test_processes_that_claim_one_instance_are_told_apart(start: Start, snapshot_home: Path) -> None:
    port = free_port()
    reader, provider = start(port, **{"service.instance.id": "same"})
    counter = provider.get_meter("m").create_counter("calls")
    counter.add(1)
    _serving(reader)
    provider.force_flush()
    [own] = snapshot_home.rglob("*.snapshot")
    other = snapshots._decoder.decode(own.read_bytes())
    other.pid = 4711
    import msgspec

    (own.parent / "4711-same.snapshot").write_bytes(msgspec.msgpack.encode(other))
    instances = {dict(labels)["instance"] for name, labels in samples(get(port)) if name == "calls_total"}
    assert instances == {"same", "same-4711"}


def test_a_port_of_another_program_is_said_once_and_taken_when_it_is_free(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as foreign:
        foreign.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        foreign.bind(("127.0.0.1", 0))
        foreign.listen()
        port = foreign.getsockname()[1]
        with caplog.at_level(logging.WARNING):
            reader, provider = start(port)
            provider.get_meter("m").create_counter("calls").add(1)
            wait_for(lambda: caplog.records, "the log line")
            time.sleep(1.0)  # several more tries
        assert [one for one in caplog.messages if "/metrics" in one] == [
            f"otel-agents: cannot serve /metrics: 127.0.0.1:{port} is in use by another program; "
            "set OTEL_EXPORTER_PROMETHEUS_PORT"
        ]
        assert reader.port is None
        provider.get_meter("m").create_counter("calls").add(1)
    assert wait_for(lambda: reader.port, "the port that became free") == port
    assert [v for (name, _), v in samples(get(port)).items() if name == "calls_total"] == [2.0]


def test_an_address_that_is_not_ours_is_said_and_the_app_runs_on(
    snapshot_home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = config.resolve({"metrics_port": free_port(), "metrics_host": "192.0.2.1"}, {}, False)
    with caplog.at_level(logging.WARNING):
        reader = prometheus.start(settings, Resource({"service.name": "x"}), interval=0.1)
        wait_for(lambda: caplog.records, "the log line")
    assert "OTEL_EXPORTER_PROMETHEUS_HOST" in caplog.text
    reader.shutdown()


def test_a_folder_that_belongs_to_others_is_not_used(
    start: Start, snapshot_home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    user = snapshot_home / f"otel-agents-{os.getuid()}"
    user.mkdir(mode=0o777)
    user.chmod(0o777)
    with caplog.at_level(logging.WARNING):
        reader, provider = start(free_port())
        provider.get_meter("m").create_counter("calls").add(1)
    assert "not this user's own" in caplog.text
    assert "calls_total" in get(_serving(reader))
    assert not list(user.iterdir())


def test_snapshots_are_for_this_user_only(start: Start, snapshot_home: Path) -> None:
    _, provider = start(free_port())
    provider.force_flush()
    [file] = snapshot_home.rglob("*.snapshot")
    for folder in (file.parent, file.parent.parent.parent):
        assert folder.stat().st_mode & 0o077 == 0


def test_nothing_of_prometheus_client_is_imported_with_the_package() -> None:
    code = "import sys, otel_agents; print([m for m in sys.modules if 'prometheus' in m])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert run.stdout.strip() == "[]", run.stderr


def test_shutdown_twice_and_flush_afterwards_are_harmless(start: Start) -> None:
    reader, provider = start()
    _serving(reader)
    provider.shutdown()
    reader.shutdown()
    reader.force_flush()
    assert reader.port is None
