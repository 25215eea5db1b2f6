"""Processor, memory, HTTP latency: from a real app through the real Collector into the panels' queries."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from backfill import Prometheus
from grafana_queries import Target, filled, targets
from parts import free_port, require, wait_for
from stack_up import Up
from test_dashboard_lint import FOREIGN

from otel_agents.stack.state import local_keys

pytestmark = [pytest.mark.collector, pytest.mark.prometheus]

HERE = Path(__file__).parent
SYSTEM = [one for one in targets("overview") if one.title in ("Processor", "Memory", "API latency")]
GIVEN = {"__range": "1h", "__range_s": "3600", "__interval": "1m", "__rate_interval": "1m"}


@dataclass(slots=True)
class World:
    prometheus: Prometheus
    app: subprocess.Popen[bytes]
    pid: int

    def shown(self, target: Target) -> dict[str, float]:
        """By service (or by machine) what the panel shows now."""
        found = self.prometheus.instant(filled(target.expression, GIVEN, {}), time.time())
        return {dict(key).get("job") or dict(key)["instance"]: value for key, value in found.items()}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    require("collector")
    require("prometheus")
    home = tmp_path_factory.mktemp("home")
    up, port = Up(home), free_port()
    app = None
    try:
        _, state = up.start("--scrape-interval", "1")
        assert state.prometheus
        keys = local_keys(home)
        app = subprocess.Popen(
            [
                *(sys.executable, "-m", "otel_agents.cli", "run"),
                *("uvicorn", "served_app:app", "--port", str(port), "--log-level", "warning"),
            ],
            cwd=HERE,
            env={
                **up.environment,
                "OTEL_EXPORTER_OTLP_ENDPOINT": str(state.otlp),
                "OTEL_METRIC_EXPORT_INTERVAL": "1000",
                "OTEL_SERVICE_NAME": "web",
                "LANGFUSE_PUBLIC_KEY": keys.public,
                "LANGFUSE_SECRET_KEY": keys.secret,
                "APP_PORT": str(port),
            },
        )
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: get(f"{url}/pid"), "the app")
        pid = int(get(f"{url}/pid").strip("{}").partition(":")[2])
        for number in range(20):
            assert get(f"{url}/tasks/{number}")
        world = World(Prometheus(state.prometheus), app, pid)
        wait_for(lambda: world.prometheus.instant('process_memory_usage_bytes{job="web"}', time.time()), "it")
        wait_for(lambda: get(f"{url}/tasks/1") and world.shown(SYSTEM[-1]), "the app's latency", every=1)
        yield world
    finally:
        if app is not None:
            app.send_signal(signal.SIGINT)
            app.wait(20)
        up.clean()


def get(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return str(response.read().decode())
    except OSError:
        return ""


def panel(title: str, letter: str) -> Target:
    return next(one for one in SYSTEM if (one.title, one.letter) == (title, letter))


def test_the_panels_show_the_machine_and_the_process(world: World) -> None:
    wait_for(lambda: world.shown(panel("Processor", "A")), "the machine's processors", timeout=60, every=1)
    (busy,) = world.shown(panel("Processor", "A")).values()
    assert 0 <= busy <= 1
    assert 0 <= world.shown(panel("Processor", "B"))["web"] <= 1
    (machine,) = world.shown(panel("Memory", "A")).values()
    process = world.shown(panel("Memory", "B"))["web"]
    resident = int(Path(f"/proc/{world.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    assert process == pytest.approx(resident, rel=0.2)
    assert machine > process


def test_the_panel_shows_latency_on_both_sides(world: World) -> None:
    assert 0 < world.shown(panel("API latency", "A"))["web"] < 10
    assert 0 < world.shown(panel("API latency", "B"))["web"] < 10


def test_what_panels_ask_for_has_these_names(world: World) -> None:
    """HTTP has two sets of names, by the app's choice of conventions; the panel takes either."""
    known = set(world.prometheus.get("label/__name__/values"))
    assert {name for name in FOREIGN if name.startswith("process_")} <= known
    for side in ("server", "client"):
        names = {f"http_{side}_request_duration_seconds_count", f"http_{side}_duration_milliseconds_count"}
        assert len(names & known) == 1


def test_a_process_says_nothing_of_the_machine(world: World) -> None:
    """The Collector does; from each process again it would count for another machine."""
    said = {one["__name__"] for one in world.prometheus.get("series", **{"match[]": '{job="web"}'})}
    assert "process_cpu_utilization_ratio" in said
    assert "cpython_gc_collections_total" in said
    assert not [name for name in said if name.startswith(("system_", "process_runtime_"))]


def test_routes_are_labels_not_addresses(world: World) -> None:
    series = world.prometheus.get("series", **{"match[]": '{__name__=~"http_server_.*_count", job="web"}'})
    routes = {
        value for one in series for label, value in one.items() if label in ("http_route", "http_target")
    }
    assert "/tasks/{number}" in routes
    assert not [route for route in routes if route.startswith("/tasks/1")]
