"""The bridge as it runs: a process, killed and started anew, with the local backend behind it.

Scores are read back with the official SDK.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import collector_rig
import httpx
import modelserver
import pytest
from evaluation_logs import as_json, evaluation
from langfuse.api import LangfuseAPI
from openai import OpenAI
from parts import free_port, require, wait_for
from tasks_rig import add_task

import otel_agents
from otel_agents.local.faults import Fault
from otel_agents.local.options import LocalOptions
from otel_agents.local.server import Running, running

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class BridgeProcess:
    """``otel-agents bridge`` with a home and a port that stay the same over restarts."""

    def __init__(self, home: Path, langfuse: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        foreign = ("OTEL_", "LANGFUSE_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        self.environment = {
            **inherited,
            "LANGFUSE_BASE_URL": langfuse,
            "LANGFUSE_PUBLIC_KEY": "pk-lf-local",
            "LANGFUSE_SECRET_KEY": "sk-lf-local",
            "OTEL_AGENTS_HOME": str(home),
            "OTEL_AGENTS_DOTENV": "off",
        }
        self.process: subprocess.Popen[str] | None = None

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "otel_agents.cli", "bridge", "--port", str(self.port), *arguments]

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command(), env=self.environment, stderr=subprocess.PIPE, text=True
        )
        wait_for(self._healthy, "the bridge")

    def _healthy(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.process.communicate()[1]
        try:
            return bool(_direct.open(f"{self.url}/healthz", timeout=2).status == 200)
        except OSError:
            return False

    def end(self, number: int) -> str:
        assert self.process is not None
        self.process.send_signal(number)
        said = self.process.communicate(timeout=30)[1]
        self.process = None
        return said

    def send(self, *records: Any) -> None:
        answer = httpx.post(f"{self.url}/v1/logs", json=as_json(*records), trust_env=False)
        assert answer.status_code == 200, answer.text

    def waiting(self) -> int:
        return int(httpx.get(f"{self.url}/healthz", trust_env=False).json()["waiting"])


@contextlib.contextmanager
def backend_at(port: int, folder: Path) -> Iterator[Running]:
    with running(LocalOptions(db=folder / "local.db", port=port)) as found:
        yield found


@pytest.fixture
def backend_port() -> int:
    return free_port()


@pytest.fixture
def bridge(tmp_path: Path, backend_port: int) -> Iterator[BridgeProcess]:
    made = BridgeProcess(tmp_path / "home", f"http://127.0.0.1:{backend_port}")
    yield made
    if made.process is not None:
        made.end(signal.SIGKILL)


def client(port: int) -> LangfuseAPI:
    return LangfuseAPI(
        base_url=f"http://127.0.0.1:{port}", username="pk-lf-local", password="sk-lf-local", timeout=20
    )


def read_back(port: int) -> dict[str, Any]:
    api = client(port)
    found: dict[str, Any] = {}
    cursor = None
    while True:
        page = api.scores.get_many(limit=100, cursor=cursor, fields="core,details,subject")
        for score in page.data:
            assert score.name not in found, "a score is there twice"
            found[score.name] = score
        cursor = page.meta.cursor
        if cursor is None:
            return found


def test_what_was_acknowledged_survives_kill_and_outage(
    tmp_path: Path, bridge: BridgeProcess, backend_port: int
) -> None:
    """Acknowledged with Langfuse down, killed, started again with Langfuse still down, then up."""
    bridge.start()
    names = [f"score-{number}" for number in range(40)]
    for name in names:
        bridge.send(evaluation(name))
    bridge.end(signal.SIGKILL)
    bridge.start()
    assert bridge.waiting() == 40
    bridge.send(evaluation("after"))
    with backend_at(backend_port, tmp_path):
        wait_for(lambda: bridge.waiting() == 0, "an empty queue", timeout=60)
        assert set(read_back(backend_port)) == {*names, "after"}


def test_what_comes_twice_is_there_once(tmp_path: Path, bridge: BridgeProcess, backend_port: int) -> None:
    """Twice in one request, twice while it waits, and again when it was delivered and the bridge killed."""
    record = evaluation("quality")
    with backend_at(backend_port, tmp_path):
        bridge.start()
        bridge.send(record, record)
        bridge.send(record)
        wait_for(lambda: bridge.waiting() == 0 and read_back(backend_port), "the score")
        bridge.end(signal.SIGKILL)
        bridge.start()
        bridge.send(record)
        bridge.send(evaluation("last"))
        wait_for(lambda: "last" in read_back(backend_port), "the last score")
        assert set(read_back(backend_port)) == {"quality", "last"}


def test_killed_between_delivery_and_its_own_note_of_it(
    tmp_path: Path, bridge: BridgeProcess, backend_port: int
) -> None:
    """Langfuse has the scores, the bridge does not know: they are sent again under the same ids."""
    with backend_at(backend_port, tmp_path) as backend:
        backend.backend.faults.add(Fault("/api/public/scores", status=503, times=0, after=True))
        bridge.start()
        bridge.send(*(evaluation(f"score-{number}") for number in range(10)))
        wait_for(lambda: len(read_back(backend_port)) == 10, "the scores")
        assert bridge.waiting() == 10
        bridge.end(signal.SIGKILL)
        backend.backend.faults.clear()
        bridge.start()
        wait_for(lambda: bridge.waiting() == 0, "an empty queue")
        assert len(read_back(backend_port)) == 10


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_asked_without_a_traceback(bridge: BridgeProcess, number: int) -> None:
    bridge.start()
    bridge.send(evaluation("waits"))
    said = bridge.end(number)
    assert "Traceback" not in said
    bridge.start()
    assert bridge.waiting() == 1


def test_a_taken_port_and_a_taken_home_are_one_line_each(bridge: BridgeProcess) -> None:
    bridge.start()
    for arguments, message in (
        ([], f"port {bridge.port} (bridge) is in use"),
        (["--port", str(free_port())], "another bridge uses"),
    ):
        done = subprocess.run(
            bridge.command(*arguments), env=bridge.environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 1
        assert message in done.stderr
        assert done.stderr.count("\n") == 1, done.stderr


@pytest.mark.usefixtures("clean_globals")
def test_a_score_given_in_an_app_is_read_back(
    tmp_path: Path, bridge: BridgeProcess, backend_port: int
) -> None:
    with backend_at(backend_port, tmp_path):
        bridge.start()
        otel_agents.configure(
            otlp_logs_endpoint=f"{bridge.url}/v1/logs", environment="Staging", metrics_exporter="none"
        )
        trace_id = "a" * 32
        otel_agents.score(
            "quality", 0.83, trace_id=trace_id, comment="well argued", metadata={"judge": "gpt"}
        )
        otel_agents.score("passed", True, trace_id=trace_id, observation_id="b" * 16)
        otel_agents.score("talk", "fine", session="session-1")
        otel_agents.flush(20)
        wait_for(lambda: len(read_back(backend_port)) == 3, "the scores")
        found = read_back(backend_port)
    quality = found["quality"]
    assert (quality.value, quality.comment, quality.environment) == (0.83, "well argued", "staging")
    assert quality.metadata == {"judge": "gpt"}
    assert (quality.subject.kind, quality.subject.id) == ("trace", trace_id)
    assert (found["passed"].value, found["passed"].subject.id) == (True, "b" * 16)
    assert (found["talk"].value, found["talk"].subject.kind) == ("fine", "session")


@pytest.mark.collector
@pytest.mark.usefixtures("clean_globals")
def test_through_a_real_collector_with_everything_behind_it_failing(
    tmp_path: Path, bridge: BridgeProcess, backend_port: int
) -> None:
    """Wired as `otel-agents up` does it; Langfuse down, then the bridge killed: each span and score once."""
    extra = {
        "LANGFUSE_OTLP_ENDPOINT": f"{bridge.url}/api/public/otel",
        "OTEL_AGENTS_BRIDGE_ENDPOINT": bridge.url,
        "LANGFUSE_PUBLIC_KEY": "pk-lf-local",
        "LANGFUSE_SECRET_KEY": "sk-lf-local",
    }
    with collector_rig.running(require("collector"), tmp_path, **extra) as collector:
        otel_agents.configure(
            otlp_endpoint=f"http://127.0.0.1:{collector.ports.otlp_http_port}", metrics_exporter="none"
        )

        def run(number: int) -> None:
            with otel_agents.agent(f"agent-{number}"):
                otel_agents.score(f"score-{number}", number)

        bridge.start()
        for number in range(5):
            run(number)
        otel_agents.flush(20)
        wait_for(lambda: bridge.waiting() == 5, "the first scores")
        bridge.end(signal.SIGKILL)
        for number in range(5, 10):
            run(number)
        otel_agents.flush(20)
        bridge.start()
        assert collector.process is not None
        collector.process.send_signal(signal.SIGSTOP)  # or it might come before the faults
        with backend_at(backend_port, tmp_path) as backend:
            backend.backend.faults.add(Fault("/api/public/otel", status=500, times=2))
            backend.backend.faults.add(Fault("/api/public/otel", status=401, times=2))
            collector.process.send_signal(signal.SIGCONT)
            wait_for(lambda: len(read_back(backend_port)) == 10, "all scores", timeout=90)
            api = client(backend_port)
            wait_for(lambda: len(api.observations.get_many().data) >= 10, "all spans", timeout=90)
            observed = api.observations.get_many().data
            scores = read_back(backend_port)
            assert backend.backend.faults.waiting() == []
    spans = {observation.name: observation for observation in observed}
    assert len(observed) == len(spans) == 10
    for number in range(10):
        subject = scores[f"score-{number}"].subject
        span = spans[f"invoke_agent agent-{number}"]
        assert (subject.id, subject.trace_id) == (span.id, span.trace_id)


@pytest.mark.collector
@pytest.mark.usefixtures("clean_globals")
def test_messages_kept_off_spans_are_there_in_langfuse(
    tmp_path: Path, bridge: BridgeProcess, backend_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``event_only``: the messages of a call travel as a log record, and meet their span in the bridge."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "event_only")
    extra = {
        "LANGFUSE_OTLP_ENDPOINT": f"{bridge.url}/api/public/otel",
        "OTEL_AGENTS_BRIDGE_ENDPOINT": bridge.url,
        "LANGFUSE_PUBLIC_KEY": "pk-lf-local",
        "LANGFUSE_SECRET_KEY": "sk-lf-local",
    }
    with (
        backend_at(backend_port, tmp_path),
        modelserver.running() as models,
        collector_rig.running(require("collector"), tmp_path, **extra) as collector,
    ):
        bridge.start()
        otel_agents.configure(
            otlp_endpoint=f"http://127.0.0.1:{collector.ports.otlp_http_port}", metrics_exporter="none"
        )
        with OpenAI(base_url=f"{models.url}/v1", api_key="none", max_retries=0) as openai:
            for number in range(3):
                said = [{"role": "user", "content": f"Question {number}"}]
                openai.chat.completions.create(model="gpt-4o-mini", messages=said)  # type: ignore[arg-type]
        otel_agents.flush(20)
        api = client(backend_port)
        wait_for(lambda: len(api.observations.get_many().data) == 3, "the calls")
        found = api.observations.get_many(fields="core,basic,io,metadata").data
        page = _direct_text(f"{bridge.url}/metrics")
    asked = sorted(json.loads(one.input)[0]["parts"][0]["content"] for one in found)
    assert asked == ["Question 0", "Question 1", "Question 2"]
    assert all(json.loads(one.output)[0]["role"] == "assistant" for one in found)
    assert 'event_content_total{outcome="merged"} 3.0' in page
    assert 'event_content_total{outcome="late"} 0.0' in page


def test_it_tells_what_langfuse_knows(bridge: BridgeProcess, backend_port: int, tmp_path: Path) -> None:
    with backend_at(backend_port, tmp_path) as backend:
        add_task(backend, "claude", cost=0.25, quality=0.75)
        bridge.environment["OTEL_AGENTS_SUMMARY_INTERVAL"] = "0.2"
        bridge.start()
        summary = httpx.get(f"{bridge.url}/langfuse/summary?hours=1", trust_env=False)
        page = wait_for(
            lambda: "_langfuse_quality{" in (text := _direct_text(f"{bridge.url}/metrics")) and text,
            "the metrics",
        )
        started = time.monotonic()
        bridge.end(signal.SIGTERM)
        assert time.monotonic() - started < 10
    assert summary.json()["agent_breakdown"] == {"claude": 1}
    assert summary.json()["total_cost"] == 0.25
    assert 'otel_agents_langfuse_quality{gen_ai_agent_name="claude"} 0.75' in page
    assert "otel_agents_bridge_scores_sent_total" in page  # its own, beside them


def _direct_text(url: str) -> str:
    with _direct.open(url, timeout=10) as answer:
        return str(answer.read().decode())
