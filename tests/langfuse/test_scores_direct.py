"""Direct mode for real: ``score(...)`` in, the official SDK reads it back from the local backend."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langfuse.api import LangfuseAPI
from opentelemetry import trace
from parts import wait_for

import otel_agents
from otel_agents.local.faults import Fault
from otel_agents.local.options import LocalOptions
from otel_agents.local.server import Running, running

pytestmark = pytest.mark.usefixtures("clean_globals", "short_pauses")


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Running]:
    with running(LocalOptions(db=tmp_path / "local.db", port=0)) as found:
        yield found


def configure(backend: Running, **rest: Any) -> None:
    settings = otel_agents.configure(
        langfuse_public_key=backend.public_key,
        langfuse_secret_key=backend.secret_key,
        langfuse_base_url=backend.url,
        metrics_exporter="none",
        schedule_delay=0.05,
        **rest,
    )
    assert settings.mode == "direct"


def read_back(backend: Running) -> dict[str, Any]:
    api = LangfuseAPI(base_url=backend.url, username=backend.public_key, password=backend.secret_key)
    scores = api.scores.get_many(limit=100, fields="core,details,subject").data
    found = {score.name: score for score in scores}
    assert len(found) == len(scores), "a score is there twice"
    return found


def test_every_kind_on_every_target_is_read_back(backend: Running) -> None:
    configure(backend, environment="Staging")
    ids: dict[str, str] = {}

    @otel_agents.agent("claude")
    def work() -> None:
        context = trace.get_current_span().get_span_context()
        ids["trace"], ids["span"] = format(context.trace_id, "032x"), format(context.span_id, "016x")
        otel_agents.score("quality", 0.83, comment="well argued", metadata={"judge": "gpt"})
        otel_agents.score("passed", True)
        otel_agents.score("verdict", "accepted")

    work()
    otel_agents.score("whole", 4, trace_id=ids["trace"], agent="judge")
    otel_agents.score("talk", 0.5, session="session-1")
    otel_agents.flush(20)

    found = read_back(backend)
    assert {
        name: (score.data_type, score.value, score.subject.kind, score.subject.id)
        for name, score in found.items()
    } == {
        "quality": ("NUMERIC", 0.83, "observation", ids["span"]),
        "passed": ("BOOLEAN", True, "observation", ids["span"]),
        "verdict": ("CATEGORICAL", "accepted", "observation", ids["span"]),
        "whole": ("NUMERIC", 4.0, "trace", ids["trace"]),
        "talk": ("NUMERIC", 0.5, "session", "session-1"),
    }
    quality = found["quality"]
    assert quality.subject.trace_id == ids["trace"]
    assert quality.comment == "well argued"
    assert quality.metadata == {"judge": "gpt", "agent": "claude"}
    assert quality.environment == "staging"
    assert found["whole"].metadata == {"agent": "judge"}


def test_an_answer_that_got_lost_makes_no_second_score(backend: Running) -> None:
    configure(backend)
    backend.backend.faults.add(Fault("/api/public/scores", status=503, times=2, after=True))
    otel_agents.score("quality", 1, trace_id="a" * 32)
    wait_for(lambda: not backend.backend.faults.waiting(), "the tries whose answers get lost")
    wait_for(lambda: otel_agents.flush(20).scores.spooled == 0, "the answer")
    assert set(read_back(backend)) == {"quality"}


def test_a_score_given_again_under_its_id_replaces(backend: Running) -> None:
    configure(backend)
    for value in (0.1, 0.9):
        otel_agents.score("quality", value, trace_id="a" * 32, score_id="mine")
        otel_agents.flush(20)
    [score] = read_back(backend).values()
    assert (score.id, score.value) == ("mine", 0.9)


def test_servers_that_take_no_lists_get_scores_one_by_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "otel_agents")
    with running(LocalOptions(db=tmp_path / "local.db", port=0, legacy_scores=True)) as backend:
        configure(backend)
        for number in range(5):
            otel_agents.score(f"s{number}", number, trace_id="a" * 32)
        otel_agents.flush(20)
        assert set(read_back(backend)) == {f"s{number}" for number in range(5)}
    assert caplog.text.count("takes no lists of scores") == 1


def test_a_program_that_just_ends_has_sent_its_scores(backend: Running, tmp_path: Path) -> None:
    code = (
        "import sys, otel_agents\n"
        "otel_agents.configure(langfuse_public_key=sys.argv[2], langfuse_secret_key=sys.argv[3],\n"
        "    langfuse_base_url=sys.argv[1], metrics_exporter='none')\n"
        "otel_agents.score('late', 1, trace_id='a' * 32)\n"
    )
    arguments = [backend.url, backend.public_key, backend.secret_key]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=90, cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (0, "")
    if not read_back(backend):  # the SDK was not loaded within the deadline: it waits on disk for the next
        code = code.rpartition("otel_agents.score")[0] + "import time; time.sleep(60)"
        next_one = subprocess.Popen([sys.executable, "-c", code, *arguments], cwd=tmp_path)
        try:
            wait_for(lambda: read_back(backend), "the next program to send it", 50)
        finally:
            next_one.kill()
            next_one.wait()
    assert set(read_back(backend)) == {"late"}


def test_sending_scores_is_not_traced(backend: Running, tmp_path: Path) -> None:
    """HTTP clients are instrumented: the request would be in the scored trace, or make one of its own."""
    code = """
import sys, httpx, otel_agents
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
spans = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)
otel_agents.configure(langfuse_public_key=sys.argv[2], langfuse_secret_key=sys.argv[3],
    langfuse_base_url=sys.argv[1], metrics_exporter="none")
with otel_agents.agent("claude"):
    otel_agents.score("quality", 1)
    httpx.get(sys.argv[1] + "/api/public/health")
otel_agents.flush(30)
print(sorted(span.name for span in spans.get_finished_spans()))
"""
    arguments = [backend.url, backend.public_key, backend.secret_key]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=90, cwd=tmp_path
    )
    assert done.stdout.strip() == "['GET', 'invoke_agent claude']", done.stderr
    assert set(read_back(backend)) == {"quality"}
