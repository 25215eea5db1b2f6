"""The examination of the real stack: everything well, and each part broken in turn."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from collector_rig import Collector, running
from parts import free_port, require, wait_for
from stack_up import Up
from tasks_rig import environment_for

from otel_agents.langfuse.reading import LangfuseReader
from otel_agents.local.server import Running
from otel_agents.stack import state
from otel_agents.stack.process import answers
from otel_agents.stack.services import app_environment
from otel_agents.stack.state import State

pytestmark = [pytest.mark.collector, pytest.mark.prometheus]


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Up, State]]:
    require("collector")
    require("prometheus")
    stack = Up(tmp_path_factory.mktemp("stack") / "home")
    try:
        _, found = stack.start("--scrape-interval", "0.5")
        yield stack, found
    finally:
        stack.clean()


@pytest.fixture
def app(up: tuple[Up, State]) -> dict[str, str]:
    """What an app of the stack has in its environment."""
    stack, found = up
    made = app_environment(found, state.local_keys(stack.home))
    return {**made, "OTEL_AGENTS_HOME": str(stack.home)}


WELL = {
    "settings",
    "instrumentations",
    "spool",
    "langfuse.reachable",
    "langfuse.version",
    "langfuse.clock",
    "langfuse.keys",
    "langfuse.read",
    "collector.reachable",
    "collector.queue",
    "collector.failures",
    "bridge.reachable",
    "prometheus.reachable",
    "prometheus.scrape",
    "prometheus.honor_labels",
    "labels",
    "export",
    "probe.span",
    "probe.metric",
}


def test_a_healthy_stack(doctor: Any, app: dict[str, str]) -> None:
    examined = doctor("--timeout", "30", **app)
    assert examined.status == 0
    statuses = examined.statuses()
    assert {check for check in WELL if statuses[check] != "ok"} == set()
    hops = {hop["name"]: hop["seconds"] for hop in examined.report["hops"]}
    assert list(hops) == [
        "app → Collector (span)",
        "Collector → Langfuse",
        "app → Collector (count)",
        "Collector → Prometheus",
    ]
    assert all(seconds is not None and seconds < 30 for seconds in hops.values())
    # The secret is nowhere, and of the public key too little to use it.
    assert app["LANGFUSE_SECRET_KEY"] not in examined.printed
    assert "sk-lf-****" in examined.found("settings")["text"]


def test_the_probe_is_no_task(up: tuple[Up, State], doctor: Any, app: dict[str, str]) -> None:
    examined = doctor("--timeout", "30", **app)
    trace_id = examined.found("probe.span")["details"]["trace_id"]
    now = datetime.now(UTC)
    hour = timedelta(hours=1)
    with LangfuseReader(
        up[1].ui, app["LANGFUSE_PUBLIC_KEY"], app["LANGFUSE_SECRET_KEY"], timeout=10
    ) as reader:
        (row,) = [
            one for one in reader.observations(since=now - hour, until=now + hour) if one.trace_id == trace_id
        ]
        assert (row.type, row.name, row.cost, row.is_root) == ("EVENT", "otel-agents doctor", None, True)
        assert reader.tasks(since=now - hour, until=now + hour) == []


def test_lines_for_people_and_grep(doctor: Any, app: dict[str, str]) -> None:
    done = doctor.run("--timeout", "30", environ=app)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert any(re.fullmatch(r"ok +langfuse\.version +Langfuse 4\.59\.0", line) for line in lines)
    assert any(re.fullmatch(r"hop +Collector → Langfuse +\d+\.\d\d s", line) for line in lines)


def test_nothing_is_set_but_the_stack_runs(doctor: Any, app: dict[str, str]) -> None:
    examined = doctor("--timeout", "30", OTEL_AGENTS_HOME=app["OTEL_AGENTS_HOME"])
    assert examined.status == 0
    found = examined.found("settings")
    assert (found["status"], found["text"]) == (
        "warn",
        "nothing is set here, so the local stack that runs in this home is examined",
    )
    assert examined.found("probe.span")["status"] == "ok"


def test_the_keys_of_the_stack_are_known(doctor: Any, app: dict[str, str]) -> None:
    """An app behind a Collector needs no keys; those of the local stack are at hand."""
    kept = {name: value for name, value in app.items() if not name.startswith("LANGFUSE_")}
    assert doctor("--timeout", "30", **kept).found("probe.span")["status"] == "ok"


def test_wrong_keys(doctor: Any, app: dict[str, str]) -> None:
    examined = doctor("--timeout", "5", **{**app, "LANGFUSE_SECRET_KEY": "sk-lf-wrong"})
    assert examined.failed() == ["langfuse.keys"]
    found = examined.found("langfuse.keys")
    assert re.match(r"Langfuse refuses the keys pk-lf-loca….{4} \(status 401: ", found["text"])
    assert found["fix"].startswith("check LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY")
    assert examined.found("probe.span")["status"] == "skip"
    assert "sk-lf-wrong" not in examined.printed


def test_exchanged_keys(doctor: Any, app: dict[str, str]) -> None:
    swapped = {
        "LANGFUSE_PUBLIC_KEY": app["LANGFUSE_SECRET_KEY"],
        "LANGFUSE_SECRET_KEY": app["LANGFUSE_PUBLIC_KEY"],
    }
    examined = doctor("--no-probe", **{**app, **swapped})
    found = examined.found("langfuse.keys")
    assert found["fix"] == "exchange LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY"
    assert app["LANGFUSE_SECRET_KEY"][:12] not in found["text"]


def test_a_dead_collector(doctor: Any, app: dict[str, str]) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    examined = doctor("--timeout", "5", **{**app, "OTEL_EXPORTER_OTLP_ENDPOINT": address})
    assert examined.status == 1
    assert "collector.reachable" in examined.failed()
    found = examined.found("collector.reachable")
    assert found["text"] == f"the Collector at {address} is unreachable (connection refused)"
    assert found["fix"] == "start the Collector, or correct OTEL_EXPORTER_OTLP_ENDPOINT"
    assert examined.found("probe.span")["status"] == "skip"
    assert examined.report["hops"] == []


def test_a_dead_collector_by_grpc(doctor: Any, app: dict[str, str]) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    changed = {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    examined = doctor("--timeout", "5", **{**app, **changed})
    assert "connection refused" in examined.found("collector.reachable")["text"]


def test_another_server_instead_of_the_collector(doctor: Any, up: Any, app: dict[str, str]) -> None:
    examined = doctor("--timeout", "5", **{**app, "OTEL_EXPORTER_OTLP_ENDPOINT": up[1].ui})
    found = examined.found("collector.reachable")
    assert found["status"] == "fail"
    assert f"{up[1].ui} takes no OTLP (status 404" in found["text"]


# --- Prometheus -----------------------------------------------------------------------------------
@contextmanager
def prometheus(folder: Path, jobs: list[dict[str, Any]]) -> Iterator[str]:
    port = free_port()
    config = folder / "prometheus.yml"
    config.write_text(
        json.dumps(
            {"global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"}, "scrape_configs": jobs}
        )
    )
    command = [
        require("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    ]
    process = subprocess.Popen(command, cwd=folder)
    try:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/-/ready"), "Prometheus")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(20)


def job(address: str, **rest: Any) -> dict[str, Any]:
    return {"job_name": "mine", "static_configs": [{"targets": [address]}], **rest}


def test_prometheus_does_not_scrape(doctor: Any, up: Any, app: dict[str, str], tmp_path: Path) -> None:
    other = up[1].bridge.removeprefix("http://")
    with prometheus(tmp_path, [job(other)]) as address:
        examined = doctor("--timeout", "3", "--prometheus", address, **app)
    assert examined.failed() == ["prometheus.scrape", "probe.metric"]
    port = up[1].metrics_page.removesuffix("/metrics").rpartition(":")[2]
    found = examined.found("prometheus.scrape")
    assert found["text"] == f"Prometheus does not scrape the Collector's metrics (no target with port {port})"
    assert "honor_labels: true" in found["fix"]
    assert f"127.0.0.1:{port}" in found["fix"]
    assert examined.found("probe.metric")["text"].endswith("Prometheus does not have it after 3 s")


def test_prometheus_renames_labels(doctor: Any, up: Any, app: dict[str, str], tmp_path: Path) -> None:
    page = up[1].metrics_page.removeprefix("http://").removesuffix("/metrics")
    with prometheus(tmp_path, [job(page)]) as address:
        wait_for(lambda: b'"up"' in _targets(address), "the first scrape")
        examined = doctor("--timeout", "20", "--prometheus", address, **app)
    assert examined.failed() == ["prometheus.honor_labels", "probe.metric"]
    assert (
        examined.found("prometheus.honor_labels")["fix"] == "add `honor_labels: true` to the scrape job mine"
    )
    assert "renamed to exported_instance" in examined.found("probe.metric")["text"]


def test_prometheus_cannot_reach_the_collector(
    doctor: Any, up: Any, app: dict[str, str], tmp_path: Path
) -> None:
    port = up[1].metrics_page.removesuffix("/metrics").rpartition(":")[2]
    with prometheus(tmp_path, [job(f"127.0.0.2:{port}", honor_labels=True)]) as address:
        wait_for(lambda: b'"down"' in _targets(address), "the first scrape")
        examined = doctor("--no-probe", "--prometheus", address, **app)
    assert examined.failed() == ["prometheus.scrape"]
    found = examined.found("prometheus.scrape")
    assert f"cannot scrape http://127.0.0.2:{port}/metrics" in found["text"]
    assert "refused" in found["text"]


def _targets(address: str) -> bytes:
    from otel_agents.stack.process import fetch

    return fetch(f"{address}/api/v1/targets")


def test_no_prometheus(doctor: Any, app: dict[str, str]) -> None:
    """Named and not there is a failure; only guessed at, it is worth a look."""
    nobody = f"http://127.0.0.1:{free_port()}"
    named = doctor("--no-probe", "--prometheus", nobody, **app)
    assert named.failed() == ["prometheus.reachable"]
    assert named.found("prometheus.reachable")["text"] == (
        f"Prometheus at {nobody} is unreachable (connection refused)"
    )
    assert "OTEL_AGENTS_PROMETHEUS_URL" in named.found("prometheus.reachable")["fix"]


# --- a Collector that cannot get rid of what it has ------------------------------------------------
@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    with running(require("collector"), tmp_path) as started:
        yield started


def behind(collector: Collector, langfuse: Running) -> dict[str, str]:
    return {
        **environment_for(langfuse),
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.ports.otlp_http_port}",
        "OTEL_AGENTS_COLLECTOR_SELF_PORT": str(collector.ports.collector_self_port),
        "OTEL_AGENTS_COLLECTOR_METRICS_PORT": str(collector.ports.collector_metrics_port),
    }


def test_a_collector_that_cannot_reach_langfuse(doctor: Any, collector: Collector, langfuse: Running) -> None:
    collector.backend.answer = lambda path: 503
    examined = doctor("--timeout", "3", **behind(collector, langfuse))
    assert examined.failed() == ["probe.span"]
    found = examined.found("probe.span")
    assert found["text"].startswith("the Collector took a span, and Langfuse does not show it after 3 s; ")
    assert re.search(r"\d+ bytes wait in its queue, because it cannot get them to Langfuse$", found["text"])
    assert found["fix"].startswith("check LANGFUSE_OTLP_ENDPOINT")
    hops = {hop["name"]: hop["seconds"] for hop in examined.report["hops"]}
    assert hops["app → Collector (span)"] is not None
    assert hops["Collector → Langfuse"] is None


def test_a_collector_with_wrong_keys(doctor: Any, collector: Collector, langfuse: Running) -> None:
    """Without a bridge between them, it gives up what it is refused."""
    collector.backend.answer = lambda path: 401
    examined = doctor("--timeout", "3", **behind(collector, langfuse))
    found = examined.found("probe.span")
    assert found["text"].endswith("it has given the span up, because Langfuse refused it")

    again = doctor("--no-probe", **behind(collector, langfuse))
    losses = again.found("collector.failures")
    assert losses["status"] == "warn"
    assert losses["text"] == "since its start the Collector has lost 1 span(s) (otlp_http/langfuse)"


def test_a_collector_of_another_project(doctor: Any, collector: Collector, langfuse: Running) -> None:
    examined = doctor("--timeout", "3", **behind(collector, langfuse))
    assert "it has sent the span on, to another project" in examined.found("probe.span")["text"]


def test_a_collector_whose_metrics_cannot_be_seen(
    doctor: Any, collector: Collector, langfuse: Running
) -> None:
    port = str(free_port())
    environ = {**behind(collector, langfuse), "OTEL_AGENTS_COLLECTOR_SELF_PORT": port}
    found = doctor("--no-probe", **environ).found("collector.queue")
    assert found["status"] == "warn"
    assert f"are not at 127.0.0.1:{port}" in found["text"]
