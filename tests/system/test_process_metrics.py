"""What is measured of a process, by whom, on which provider, and after a fork."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from otel_agents import containers

#: Nobody listens there; what a reader of the test's own sees is not sent.
COLLECTOR = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_AGENTS_SPOOL": "memory"}
START = """
import json, os, sys
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
import otel_agents
from otel_agents import assembly, metrics, runtime
readers = []
def provider(settings, resource):
    readers.append(InMemoryMetricReader())
    return MeterProvider(metric_readers=[readers[-1]], resource=resource)
assembly._meter_provider = provider
def start():
    otel_agents.configure(mode="collector")
    runtime.current().settle()
def seen():
    data = readers[-1].get_metrics_data()
    return {metric.name: [point.value for point in metric.data.data_points if hasattr(point, "value")]
            for resource in (data.resource_metrics if data else [])
            for scope in resource.scope_metrics for metric in scope.metrics}
"""


def run(code: str, **environ: str) -> object:
    done = subprocess.run(
        [sys.executable, "-c", START + code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": "/usr/bin:/bin", "OTEL_AGENTS_DOTENV": "off", **COLLECTOR, **environ},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_configure_measures_the_process() -> None:
    seen = run("start(); print(json.dumps(seen()))")
    assert isinstance(seen, dict)
    assert seen["process.memory.usage"][0] > 10_000_000
    assert {"process.cpu.utilization", "process.thread.count", "cpython.gc.collections"} <= set(seen)
    assert not [name for name in seen if name.startswith(("system.", "process.runtime."))]


@pytest.mark.parametrize("names", ["system_metrics", "*"])
def test_it_can_be_disabled(names: str) -> None:
    seen = run("start(); print(json.dumps(seen()))", OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=names)
    assert isinstance(seen, dict)
    assert not [name for name in seen if name.startswith("process.")]


def test_the_choice_of_an_app_that_has_enabled_it_stays() -> None:
    seen = run("""
from opentelemetry.instrumentation.system_metrics import SystemMetricsInstrumentor
SystemMetricsInstrumentor(config={"process.thread.count": None}).instrument()
start(); print(json.dumps(seen()))""")
    assert isinstance(seen, dict)
    assert "process.memory.usage" not in seen


def test_a_forked_child_measures_itself() -> None:
    """Once it counts something of its own; its memory is not its parent's."""
    seen = run("""
start()
seen()
burden = bytearray(os.urandom(1)) * 80_000_000
before = seen()["process.memory.usage"][0]
del burden
child = os.fork()
if child == 0:
    runtime.current().instruments.count(metrics.TASK_COUNT, 1, {"status": "success"})
    runtime.current().settle()
    told = seen()
    memory, times = told["process.memory.usage"][0], told["process.cpu.time"]
    print(json.dumps([len(readers), before, memory, times]), flush=True)
    os._exit(0)
os.waitpid(child, 0)""")
    assert isinstance(seen, list)
    readers, before, memory, times = seen
    assert readers == 2
    assert memory < before - 40_000_000
    assert sum(times) < 5


def test_it_goes_on_after_a_shutdown_and_a_new_start() -> None:
    seen = run("start(); otel_agents.shutdown(0.1); start(); print(json.dumps([len(readers), seen()]))")
    assert isinstance(seen, list)
    assert seen[0] == 2
    assert seen[1]["process.memory.usage"]


def version_2(root: Path, limit: str = "1000000") -> Path:
    group = root / "fs" / "app.slice" / "web.service"
    group.mkdir(parents=True)
    (group / "memory.current").write_text("600000\n")
    (group / "memory.max").write_text("max\n")
    (group / "memory.stat").write_text("anon 400000\ninactive_file 100000\n")
    (group.parent / "memory.current").write_text("700000\n")
    (group.parent / "memory.max").write_text(f"{limit}\n")
    (group.parent / "memory.stat").write_text("anon 400000\ninactive_file 100000\n")
    (group.parent / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 1\n")
    (root / "cgroup").write_text("0::/app.slice/web.service\n")
    return root / "cgroup"


def test_the_nearest_group_with_a_limit_counts(tmp_path: Path) -> None:
    found = containers.find(version_2(tmp_path), tmp_path / "fs")
    assert found is not None
    assert found.memory() == (600_000, 1_000_000)
    assert found.cpu_seconds() == 2.5


def test_without_a_limit_there_is_no_container(tmp_path: Path) -> None:
    assert containers.find(version_2(tmp_path, "max"), tmp_path / "fs") is None
    assert containers.find(tmp_path / "missing", tmp_path) is None


def test_version_1_inside_of_a_container(tmp_path: Path) -> None:
    """The path is the host's; in the container its own group is mounted at the root."""
    (tmp_path / "cgroup").write_text("5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n0::/\n")
    memory = tmp_path / "fs" / "memory"
    memory.mkdir(parents=True)
    (memory / "memory.usage_in_bytes").write_text("5000")
    (memory / "memory.limit_in_bytes").write_text("8000")
    (memory / "memory.stat").write_text("total_inactive_file 1000\n")
    (tmp_path / "fs" / "cpuacct").mkdir()
    (tmp_path / "fs" / "cpuacct" / "cpuacct.usage").write_text("1500000000\n")
    found = containers.find(tmp_path / "cgroup", tmp_path / "fs")
    assert found is not None
    assert found.memory() == (4000, 8000)
    assert found.cpu_seconds() == 1.5
    (memory / "memory.limit_in_bytes").write_text("9223372036854771712")
    assert containers.find(tmp_path / "cgroup", tmp_path / "fs") is None


def test_a_container_is_observed(tmp_path: Path) -> None:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    found = containers.find(version_2(tmp_path), tmp_path / "fs")
    assert found is not None
    reader = InMemoryMetricReader()
    containers.observe(MeterProvider([reader]).get_meter("t"), found)
    data = reader.get_metrics_data()
    assert data is not None
    (scope,) = data.resource_metrics[0].scope_metrics
    values = {
        metric.name: (metric.unit, next(iter(metric.data.data_points)).value) for metric in scope.metrics
    }
    assert values == {
        "container.memory.usage": ("By", 600_000),
        "container.memory.available": ("By", 400_000),
        "container.cpu.time": ("s", 2.5),
    }
