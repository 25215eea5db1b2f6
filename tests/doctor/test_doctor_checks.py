"""The single checks, against servers that say what the test wants."""

from __future__ import annotations

import json
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from canned_server import Canned, canned
from parts import free_port
from tasks_rig import environment_for

from otel_agents.doctor import collector, prometheus
from otel_agents.local.faults import Fault
from otel_agents.local.options import LocalOptions
from otel_agents.local.server import Running, running

OK = {"data": [{"id": "p1", "name": "shop"}]}


@contextmanager
def fake_langfuse(version: str = "4.59.0", date: float | None = None, **more: Any) -> Iterator[Canned]:
    answers: dict[str, Any] = {
        "/api/public/health": (200, {"status": "OK", "version": version}),
        "/api/public/projects": (200, OK),
        "/api/public/v2/observations": (200, {"data": [], "meta": {}}),
        **more,
    }
    headers = {} if date is None else {"date": formatdate(date, usegmt=True)}
    with canned(answers, **headers) as server:
        yield server


def keys(server: Canned) -> dict[str, str]:
    return {
        "LANGFUSE_BASE_URL": server.url,
        "LANGFUSE_PUBLIC_KEY": "pk-lf-12345678-abcd-abcd-abcd-1234567890ab",
        "LANGFUSE_SECRET_KEY": "sk-lf-secret",
    }


# --- settings -------------------------------------------------------------------------------------
def test_nothing_is_set(doctor: Any) -> None:
    examined = doctor()
    assert examined.failed() == ["settings"]
    assert "otel-agents up" in examined.found("settings")["fix"]
    assert set(examined.statuses()) == {"settings", "instrumentations", "double_instrumentation", "spool"}


def test_a_setting_that_cannot_be_used(doctor: Any) -> None:
    examined = doctor(LANGFUSE_PUBLIC_KEY="pk-lf-1")
    assert examined.status == 1
    (found,) = examined.report["findings"]
    assert found["check"] == "settings"
    assert found["text"] == "LANGFUSE_SECRET_KEY is not set but the other key is"
    assert found["fix"] == "set both, or OTEL_EXPORTER_OTLP_ENDPOINT"


def test_files_that_keep_apps_from_starting(doctor: Any, tmp_path: Path) -> None:
    (tmp_path / "prices.toml").write_text("[prices.m]\ninput = -1\noutput = 1\n")
    (tmp_path / "plans.toml").write_text('[plans.copilot]\nfee = 10\nagents = ["copilot"]\n')
    examined = doctor(
        "--no-probe",
        OTEL_AGENTS_PRICES_FILE=str(tmp_path / "prices.toml"),
        OTEL_AGENTS_PLANS_FILE=str(tmp_path / "plans.toml"),
    )
    assert examined.status == 1
    assert examined.found("settings.prices")["status"] == "fail"
    assert "prices.m.input must be a number" in examined.found("settings.prices")["text"]
    assert examined.found("settings.plans")["status"] == "ok"


def test_switched_off(doctor: Any) -> None:
    assert doctor(OTEL_SDK_DISABLED="true").found("settings")["fix"] == "unset it"


def test_langfuse_as_a_collector(doctor: Any) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    examined = doctor("--no-probe", OTEL_EXPORTER_OTLP_ENDPOINT=f"{nobody}/api/public/otel")
    assert examined.found("settings.endpoint")["status"] == "fail"
    assert "direct mode" in examined.found("settings.endpoint")["fix"]


def test_passwords_in_addresses_are_not_shown(doctor: Any) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    examined = doctor("--no-probe", OTEL_EXPORTER_OTLP_ENDPOINT=f"http://me:hunter2@{nobody}")
    assert f"to http://{nobody}" in examined.found("settings")["text"]
    assert "hunter2" not in examined.printed


def test_a_grpc_port_for_http(doctor: Any) -> None:
    examined = doctor("--no-probe", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4317")
    found = examined.found("settings.warning")
    assert found["text"].startswith("http://127.0.0.1:4317 is usually a gRPC port")
    assert found["fix"] == "set it to grpc, or use port 4318"


def test_where_a_setting_came_from(doctor: Any, tmp_path: Path) -> None:
    with fake_langfuse() as server:
        (tmp_path / "my.env").write_text("".join(f"{name}={value}\n" for name, value in keys(server).items()))
        examined = doctor("--no-probe", OTEL_AGENTS_DOTENV="my.env", OTEL_SERVICE_NAME="shop")
    details = examined.found("settings")["details"]
    assert details["service_name"] == {"value": "shop", "from": "environment OTEL_SERVICE_NAME"}
    assert details["langfuse_secret_key"] == {"value": "sk-lf-****", "from": "my.env LANGFUSE_SECRET_KEY"}
    assert "home" in details  # from the test's environment
    assert "sk-lf-secret" not in examined.printed


# --- Langfuse -------------------------------------------------------------------------------------
def test_direct_mode(doctor: Any, langfuse: Running) -> None:
    examined = doctor("--timeout", "20", **environment_for(langfuse))
    assert examined.status == 0
    assert examined.found("collector.reachable")["status"] == "skip"
    assert examined.found("probe.span")["status"] == "ok"
    assert [hop["name"] for hop in examined.report["hops"]] == ["app → Langfuse", "Langfuse → readable"]
    # Nobody said that there is a Prometheus.
    assert examined.found("prometheus.reachable")["status"] == "warn"


@pytest.mark.parametrize(
    ("version", "status", "text"),
    [
        ("4.59.0", "ok", "Langfuse 4.59.0"),
        ("4.100.1", "ok", "Langfuse 4.100.1"),
        ("v5.0.0-rc.1", "ok", "Langfuse v5.0.0-rc.1"),
        ("4.16.0", "fail", "older than 4.59: lists of scores are refused"),
        ("3.120.0", "fail", "older than 4.59: it has no API to read with"),
        ("", "warn", "does not say its version"),
    ],
)
def test_versions(doctor: Any, version: str, status: str, text: str) -> None:
    with fake_langfuse(version) as server:
        examined = doctor("--no-probe", **keys(server))
    found = examined.found("langfuse.version")
    assert found["status"] == status
    assert text in found["text"]
    if status == "fail":
        assert examined.status == 1
        assert found["fix"].startswith("upgrade the server to 4.59 or newer")


def test_an_old_local_backend(doctor: Any, tmp_path: Path) -> None:
    options = LocalOptions(db=tmp_path / "old.db", port=0, server_version="4.16.0", legacy_scores=True)
    with running(options) as old:
        assert doctor("--no-probe", **environment_for(old)).failed() == ["langfuse.version"]


@pytest.mark.parametrize(
    ("seconds", "status", "how"),
    [
        (0, "ok", "agrees with"),
        (-30, "warn", "30 s ahead of"),
        (600, "fail", "600 s behind"),
        (-86_400, "fail", "86400 s ahead of"),
    ],
)
def test_clocks(doctor: Any, seconds: float, status: str, how: str) -> None:
    """The server's clock differs by ``seconds``."""
    with fake_langfuse() as server:
        server.answers["/api/public/health"] = lambda query: _told(server, seconds)
        found = doctor("--no-probe", **keys(server)).found("langfuse.clock")
    assert found["status"] == status
    assert abs(found["details"]["seconds"] + seconds) < 3
    said = re.sub(r"\d+(?= s )", lambda number: str(_near(int(number[0]), abs(seconds))), found["text"])
    assert f"this machine's clock {'' if status == 'ok' else 'is '}{how} Langfuse's" in said
    assert (found["fix"] == "") == (status == "ok")


def _near(number: int, expected: float) -> int:
    """``expected`` for a number that is off by a second or two: the header has whole seconds."""
    return round(expected) if abs(number - expected) < 3 else number


def _told(server: Canned, seconds: float) -> tuple[int, Any]:
    server.headers = {"date": formatdate(time.time() + seconds, usegmt=True)}
    return 200, {"status": "OK", "version": "4.59.0"}


def test_a_server_that_does_not_tell_the_time(doctor: Any) -> None:
    with fake_langfuse() as server:
        assert doctor("--no-probe", **keys(server)).found("langfuse.clock")["status"] == "skip"


def test_langfuse_is_down(doctor: Any) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    environ = {
        "LANGFUSE_BASE_URL": nobody,
        "LANGFUSE_PUBLIC_KEY": "pk-lf-1",
        "LANGFUSE_SECRET_KEY": "sk-lf-1",
    }
    examined = doctor(**environ)
    assert examined.failed() == ["langfuse.reachable"]
    assert examined.found("langfuse.reachable")["text"] == (
        f"Langfuse at {nobody} is unreachable (connection refused)"
    )
    assert examined.found("probe.span")["text"] == "nothing was sent, because langfuse.keys is not well"


def test_langfuse_without_its_database(doctor: Any) -> None:
    sick = {"status": "Database not available", "version": "4.59.0"}
    more = {
        "/api/public/health": (503, sick),
        "/api/public/projects": (503, {"message": "Service Unavailable"}),
    }
    with fake_langfuse(**more) as server:
        examined = doctor("--no-probe", **keys(server))
    assert examined.failed() == ["langfuse.reachable", "langfuse.keys"]
    assert "Database not available" in examined.found("langfuse.reachable")["text"]
    assert "Service Unavailable" in examined.found("langfuse.keys")["text"]


def test_something_else_than_langfuse(doctor: Any) -> None:
    with canned({"/api/public/health": (200, "<html>hello</html>")}) as server:
        found = doctor("--no-probe", **keys(server)).found("langfuse.reachable")
    assert (found["status"], found["fix"]) == ("fail", "check LANGFUSE_BASE_URL")
    assert "does not answer as Langfuse (status 200)" in found["text"]


def test_keys_of_an_organisation(doctor: Any) -> None:
    refused = (403, {"message": "Access denied - insufficient permissions"})
    with fake_langfuse(**{"/api/public/projects": refused}) as server:
        found = doctor("--no-probe", **keys(server)).found("langfuse.keys")
    assert "refuses the keys pk-lf-1234…90ab (status 403: Access denied" in found["text"]
    assert "of a project on" in found["fix"]


def test_no_api_to_read_with(doctor: Any) -> None:
    with fake_langfuse(**{"/api/public/v2/observations": (404, {"message": "Not Found"})}) as server:
        examined = doctor("--no-probe", **keys(server))
    assert examined.failed() == ["langfuse.read"]
    assert "LANGFUSE_MIGRATION_V4_WRITE_MODE" in examined.found("langfuse.read")["fix"]


def test_a_langfuse_that_stores_late(doctor: Any, tmp_path: Path) -> None:
    options = LocalOptions(db=tmp_path / "slow.db", port=0, ingest_delay_ms=60_000)
    with running(options) as slow:
        examined = doctor("--timeout", "1", **environment_for(slow))
    assert examined.failed() == ["probe.span"]
    assert examined.found("probe.span")["fix"].startswith("a busy server may take longer: --timeout 120")


def test_a_langfuse_that_takes_no_spans(doctor: Any, langfuse: Running) -> None:
    langfuse.backend.faults.add(Fault(path="/api/public/otel", status=500, times=0))
    examined = doctor("--timeout", "1", **environment_for(langfuse))
    assert examined.failed() == ["probe.span"]
    assert examined.found("probe.span")["text"].startswith("Langfuse does not take a span (status_500")


def test_behind_a_collector_without_keys(doctor: Any) -> None:
    examined = doctor("--no-probe", OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{free_port()}")
    found = examined.found("langfuse.keys")
    assert found["status"] == "warn"
    assert "cannot be looked at" in found["text"]


# --- Prometheus and the Collector's own metrics ----------------------------------------------------
def test_labels_that_overflow_and_spans_that_are_lost(doctor: Any, langfuse: Running) -> None:
    def query(given: dict[str, list[str]]) -> tuple[int, Any]:
        (asked,) = given["query"]
        over = [{"metric": {"label": "gen_ai.tool.name"}, "value": [0, "12"]}]
        many = [{"metric": {}, "value": [0, "321"]}]
        sent = [
            {"metric": {"outcome": "delivered"}, "value": [0, "40"]},
            {"metric": {"outcome": "dropped", "reason": "queue_full"}, "value": [0, "3"]},
        ]
        result = over if "label_overflow" in asked else many if asked.startswith("count") else sent
        return 200, {"status": "success", "data": {"resultType": "vector", "result": result}}

    answers = {
        "/-/ready": (200, "ready"),
        "/api/v1/targets": (200, {"status": "success", "data": {"activeTargets": []}}),
        "/api/v1/query": query,
    }
    with canned(answers) as server:
        examined = doctor("--no-probe", "--prometheus", server.url, **environment_for(langfuse))
    lost = examined.found("export")
    assert (lost["status"], lost["details"]) == ("warn", {"delivered": 40.0, "dropped queue_full": 3.0})
    assert lost["text"] == "apps have lost spans in the last 24 hours: 3 dropped queue_full"
    found = examined.found("labels")
    assert found["status"] == "warn"
    assert found["text"].startswith("gen_ai.tool.name took more values than OTEL_AGENTS_LABEL_LIMIT allows")
    assert found["details"] == {"series": 321, "overflow": {"gen_ai.tool.name": 12.0}}


def test_what_honor_labels_looks_like() -> None:
    text = """\
global:
  scrape_interval: 15s
scrape_configs:
- job_name: agents
  honor_labels: true
  honor_timestamps: true
- job_name: 'quoted job'
  honor_timestamps: true
  static_configs:
  - targets:
    - a:1
- job_name: last
  honor_labels: true
storage:
  honor_labels: true
"""
    assert prometheus.honor_labels(text) == {"agents": True, "quoted job": False, "last": True}


PAGE = """\
# TYPE otelcol_exporter_queue_size gauge
otelcol_exporter_queue_size{{data_type="traces",exporter="otlp_http/langfuse"}} {size}
# TYPE otelcol_exporter_queue_capacity gauge
otelcol_exporter_queue_capacity{{data_type="traces",exporter="otlp_http/langfuse"}} 1000
# TYPE otelcol_exporter_send_failed_spans_total counter
otelcol_exporter_send_failed_spans_total{{exporter="otlp_http/langfuse"}} {lost}
# TYPE otelcol_receiver_refused_spans counter
otelcol_receiver_refused_spans{{receiver="otlp",transport="http"}} {refused}
"""


@pytest.mark.parametrize(
    ("size", "lost", "refused", "queue", "failures"),
    [
        (0, 0, 0, ("ok", "nothing waits in the Collector's queues"), ("ok", "has lost nothing")),
        (400, 0, 0, ("ok", "400 bytes wait"), ("ok", "has lost nothing")),
        (
            600,
            0,
            5,
            ("warn", "the queue of otlp_http/langfuse is 60% full"),
            ("warn", "refused 5 span(s) (otlp)"),
        ),
        (900, 7, 5, ("fail", "is 90% full"), ("warn", "lost 7 span(s) (otlp_http/langfuse)")),
    ],
)
def test_the_collectors_metrics_about_itself(
    doctor: Any,
    size: int,
    lost: int,
    refused: int,
    queue: tuple[str, str],
    failures: tuple[str, str],
) -> None:
    page = PAGE.format(size=size, lost=lost, refused=refused)
    with canned({"/metrics": (200, page), "/v1/traces": (200, "")}) as server:
        port = server.url.rpartition(":")[2]
        examined = doctor(
            "--no-probe", OTEL_EXPORTER_OTLP_ENDPOINT=server.url, OTEL_AGENTS_COLLECTOR_SELF_PORT=port
        )
    for check, (status, text) in (("collector.queue", queue), ("collector.failures", failures)):
        found = examined.found(check)
        assert found["status"] == status
        assert text in found["text"]


def test_names_with_and_without_total_are_the_same() -> None:
    with_total = collector.parse("", PAGE.format(size=1, lost=2, refused=3))
    without = collector.parse("", PAGE.replace("_total", "").format(size=1, lost=2, refused=3))
    assert with_total == without
    assert with_total.lost == {"otlp_http/langfuse span(s)": 2.0}


def test_a_collector_that_refuses(doctor: Any) -> None:
    with canned({"/v1/traces": (401, {"message": "no"})}) as server:
        found = doctor("--no-probe", OTEL_EXPORTER_OTLP_ENDPOINT=server.url).found("collector.reachable")
    assert (found["status"], found["fix"]) == ("fail", "check OTEL_EXPORTER_OTLP_HEADERS")


def test_metrics_that_arrive_by_another_way(doctor: Any) -> None:
    """Remote write, or tiers of Collectors: there is no target, and the count is there all the same."""
    one = [{"metric": {}, "value": [0, "1"]}]
    found = {"status": "success", "data": {"resultType": "vector", "result": one}}
    answers = {
        "/-/ready": (200, "ready"),
        "/api/v1/targets": (200, {"status": "success", "data": {"activeTargets": []}}),
        "/api/v1/query": (200, found),
        "/v1/traces": (200, ""),
        "/v1/metrics": (200, ""),
    }
    with canned(answers) as server:
        otlp = {"OTEL_EXPORTER_OTLP_ENDPOINT": server.url}
        without = doctor("--no-probe", "--prometheus", server.url, **otlp)
        sent = doctor("--timeout", "5", "--prometheus", server.url, **otlp)
    assert without.found("prometheus.scrape")["status"] == "fail"
    assert sent.found("probe.metric")["status"] == "ok"
    assert sent.found("prometheus.scrape")["status"] == "ok"
    assert sent.found("prometheus.scrape")["text"].endswith("but metrics arrive by another way")


# --- this machine ---------------------------------------------------------------------------------
def test_other_tracers(doctor: Any) -> None:
    found = doctor(LANGSMITH_TRACING="true").found("double_instrumentation")
    assert found["status"] == "warn"
    assert found["details"]["switched_on"] == ["LANGSMITH_TRACING"]


def test_our_own_instrumentation_is_disabled(doctor: Any) -> None:
    found = doctor(OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="otel_agents").found("instrumentations.disabled")
    assert (found["status"], found["fix"]) == ("warn", "take otel_agents (or *) out of it")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_spool_that_cannot_be_written(doctor: Any, tmp_path: Path) -> None:
    doctor.home.mkdir(mode=0o500)
    assert doctor().found("spool")["status"] == "fail"


def test_a_spool_that_cannot_be_made(doctor: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = doctor(OTEL_AGENTS_HOME=str(tmp_path / "file" / "home")).found("spool")
    assert found["status"] == "fail"
    assert "is no folder" in found["text"]


def test_dead_letters_and_leftovers(doctor: Any) -> None:
    place = doctor.home / "spool" / "0123456789abcdef"
    (place / "dead").mkdir(parents=True)
    described = {"kind": "collector", "address": "http://127.0.0.1:4318/v1/traces", "project": ""}
    (place / "destination.json").write_text(json.dumps(described))
    left = place / "spans-18f-1-abc.db"
    left.write_bytes(b"x" * 100)
    os.utime(left, (time.time() - 600, time.time() - 600))
    examined = doctor().found("spool")
    assert (examined["status"], examined["details"]["destinations"]) == (
        "ok",
        [
            {
                "folder": str(place),
                "destination": "http://127.0.0.1:4318/v1/traces",
                "files": 1,
                "bytes": 100,
                "without_process": 1,
                "oldest_seconds": pytest.approx(600, abs=120),
                "dead_letters": 0,
                "damaged": 0,
            }
        ],
    )
    os.utime(left, (time.time() - 7200, time.time() - 7200))
    assert doctor().found("spool")["text"].startswith("100 bytes of processes that are gone wait in")
    (place / "dead" / "1-abc.json").write_text("{}")
    refused = doctor().found("spool")
    assert refused["text"].startswith("1 span(s) were refused for good")
    assert "otel-agents spool show" in refused["fix"]


# --- self-hosted ----------------------------------------------------------------------------------
NAMES = ("langfuse-web", "langfuse-worker", "clickhouse", "redis", "minio", "postgres")


def with_docker(
    folder: Path, containers: list[dict[str, str]], stats: list[dict[str, str]], status: int = 0
) -> str:
    """PATH with a docker command that knows these containers."""
    (folder / "ps").write_text("\n".join(map(json.dumps, containers)))
    (folder / "stats").write_text("\n".join(map(json.dumps, stats)))
    script = folder / "docker"
    problem = "echo 'Cannot connect to the Docker daemon' >&2; exit 1\n" if status else ""
    script.write_text(f'#!/bin/sh\n{problem}cat "{folder}/$1"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return f"{folder}:{os.environ['PATH']}"


def container(name: str, status: str = "Up 3 hours (healthy)", state: str = "running") -> dict[str, str]:
    return {"Names": f"langfuse-{name}-1", "Image": name, "Status": status, "State": state}


def test_self_hosted(doctor: Any, langfuse: Running, tmp_path: Path) -> None:
    path = with_docker(
        tmp_path, [container(name) for name in NAMES], [{"Name": "langfuse-redis-1", "MemPerc": "12.30%"}]
    )
    environ = {**environment_for(langfuse), "PATH": path}
    examined = doctor("--no-probe", "--self-hosted", **environ)
    assert examined.found("self_hosted.services")["text"] == "all six services of Langfuse run"
    assert examined.found("self_hosted.memory")["status"] == "ok"
    assert examined.found("self_hosted.machine")["details"]["total"] > 0


def test_self_hosted_and_not_well(doctor: Any, langfuse: Running, tmp_path: Path) -> None:
    there = [container(name) for name in NAMES[:4]]
    there[2] = container("clickhouse", "Restarting (137) 5 seconds ago", "restarting")
    path = with_docker(tmp_path, there, [{"Name": "langfuse-clickhouse-1", "MemPerc": "97.00%"}])
    examined = doctor("--no-probe", "--self-hosted", **{**environment_for(langfuse), "PATH": path})
    assert examined.failed() == ["self_hosted.services", "self_hosted.memory"]
    assert examined.found("self_hosted.services")["text"] == (
        "not running well: minio (not there), postgres (not there), "
        "clickhouse (Restarting (137) 5 seconds ago)"
    )
    assert "langfuse-clickhouse-1 (97%)" in examined.found("self_hosted.memory")["text"]


@pytest.mark.parametrize("broken", [True, False], ids=["no engine", "no containers"])
def test_self_hosted_elsewhere(doctor: Any, langfuse: Running, tmp_path: Path, broken: bool) -> None:
    path = with_docker(tmp_path, [], [], status=int(broken))
    examined = doctor("--no-probe", "--self-hosted", **{**environment_for(langfuse), "PATH": path})
    found = examined.found("self_hosted.services")
    assert (examined.status, found["status"]) == (0, "skip")
    assert ("Cannot connect to the Docker daemon" if broken else "no container of Langfuse") in found["text"]
