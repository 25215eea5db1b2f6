"""``up``, ``status`` and ``down`` with the real parts; whatever ends the stack, nothing of it is left."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
from pathlib import Path

import pytest
from parts import require, wait_for
from stack_processes import is_running, tree
from stack_up import FREE, Up

from otel_agents.stack import state
from otel_agents.stack.process import answers, fetch

pytestmark = [pytest.mark.collector, pytest.mark.prometheus]


@pytest.fixture(autouse=True)
def _real_parts() -> None:
    require("collector")
    require("prometheus")


def nothing_is_left(pids: list[int]) -> None:
    wait_for(lambda: not any(is_running(pid) for pid in pids), f"the end of {pids}", timeout=30)


def test_every_part_answers_and_ctrl_c_stops_all(up: Up) -> None:
    process, found = up.start("--scrape-interval", "0.5")
    pids = tree(process.pid)
    assert set(found.children) == {"local", "bridge", "collector", "prometheus"}
    assert len(pids) >= 6  # with the command itself and the watchdog

    status = up.run("status", "--json")
    assert status.returncode == 0
    report = json.loads(status.stdout)
    assert report["running"] is True
    assert {name: part["answers"] for name, part in report["parts"].items()} == {
        "UI": True,
        "Collector": True,
        "bridge": True,
        "Prometheus": True,
    }
    assert stat.S_IMODE((up.home / "keys.json").stat().st_mode) == 0o600
    targets = wait_for(lambda: _all_scraped(found), "Prometheus to scrape every target", timeout=30)
    assert {target["labels"]["job"] for target in targets} == {"agents", "collector", "bridge"}

    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert f"UI          {found.ui}" in said
    assert f"export OTEL_EXPORTER_OTLP_ENDPOINT={found.otlp}" in said
    assert "Traceback" not in said
    nothing_is_left(pids)
    assert not answers(found.ui)
    assert up.run("status").returncode == 1


def _all_scraped(found: state.State) -> list[dict[str, dict[str, str]]] | None:
    answer = json.loads(fetch(f"{found.prometheus}/api/v1/targets"))
    targets: list[dict[str, dict[str, str]]] = answer["data"]["activeTargets"]
    return targets if all(target["health"] == "up" for target in targets) else None  # type: ignore[comparison-overlap]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL], ids=lambda n: n.name)
def test_nothing_is_left_after(up: Up, number: signal.Signals) -> None:
    process, _ = up.start("--no-prometheus")
    pids = tree(process.pid)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == (-number if number == signal.SIGKILL else 0)
    nothing_is_left(pids)
    assert state.read(up.home) is None


def test_a_part_that_dies_ends_the_stack_with_one_line(up: Up) -> None:
    process, found = up.start("--no-prometheus")
    pids = tree(process.pid)
    os.kill(found.children["bridge"], signal.SIGKILL)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said.splitlines()[-1].startswith("error: bridge ended by signal 9")
    nothing_is_left(pids)


def test_detached_until_down(up: Up) -> None:
    started = up.run("up", "--detach", "--no-prometheus", *FREE)
    assert started.returncode == 0, started.stderr
    found = state.read(up.home)
    assert found is not None
    pids = tree(found.pid)
    assert found.ui in started.stdout
    assert answers(f"{found.ui}/api/public/health")

    log = (up.home / "up.log").read_bytes()
    for again in (("up", *FREE), ("up", "--detach", *FREE)):
        second = up.run(*again)
        assert second.returncode == 1
        assert second.stderr.startswith(f"error: a stack already runs in {up.home}")
    assert (up.home / "up.log").read_bytes() == log

    down = up.run("down")
    assert (down.stdout, down.returncode) == ("stopped\n", 0)
    nothing_is_left(pids)


def test_detached_with_a_port_in_use(up: Up) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = up.run("up", "--detach", "--no-prometheus", "--ui-port", str(port))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"error: port {port} (")
    assert "OTEL_AGENTS_UI_PORT" in done.stderr


def test_keys_and_data_survive(up: Up, tmp_path: Path) -> None:
    first, _ = up.start("--no-prometheus", "--no-collector")
    keys = (up.home / "keys.json").read_text()
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=60)
    second, _ = up.start("--no-prometheus", "--no-collector")
    assert (up.home / "keys.json").read_text() == keys
    second.send_signal(signal.SIGINT)
    second.communicate(timeout=60)
    assert second.returncode == 0
