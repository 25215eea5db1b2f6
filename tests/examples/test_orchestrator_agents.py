"""The second version of the example: command-line agents, here the stand-ins that print what real ones do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import telemetry
from stub_backend import StubBackend

from otel_agents.cli_agents import claude, codex, copilot, gemini
from otel_agents.testing import AgentSpans

FOLDER = Path(__file__).parents[2] / "examples" / "orchestrator"
AGENTS = {"claude": claude, "gemini": gemini, "copilot": copilot, "codex": codex}


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))


def run(backend: StubBackend, tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    foreign = ("OTEL_", "LANGFUSE_", "ORCHESTRATOR_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    environment |= {
        "OTEL_AGENTS_DOTENV": "off",
        "OTEL_AGENTS_SPOOL_DIR": str(tmp_path / "spool"),
        "OTEL_EXPORTER_OTLP_ENDPOINT": backend.url,
        "ORCHESTRATOR_STAND_INS": "all",
    }
    return subprocess.run(
        [sys.executable, str(FOLDER / "command_line.py"), *options],
        capture_output=True, text=True, timeout=120, cwd=tmp_path, env=environment, check=False,
    )  # fmt: skip


def test_all_tasks_are_answered_and_recorded(tmp_path: Path) -> None:
    with StubBackend() as backend:
        done = run(backend, tmp_path)
        assert done.returncode == 0, done.stderr
        found = telemetry.spans(backend)
        tokens = telemetry.counted(backend, "gen_ai.client.inference.usage.input_tokens")
        cost = telemetry.counted(backend, "otel_agents.cost")
    outcomes = [line for line in done.stdout.splitlines() if line.startswith("  ")]
    assert len(outcomes) == 12
    assert any("->" in line for line in outcomes)
    names = {one.name for one in found}
    assert {"agent_selection", "quality_assessment", "agent_switch"} <= names
    calls = [one for one in found if one.is_model_call]
    assert tokens == sum(one.attributes["gen_ai.usage.input_tokens"] for one in calls) > 0
    assert cost == pytest.approx(sum(one.attributes.get("gen_ai.usage.cost", 0) for one in calls))
    ids = {one.id: one for one in found}
    # An execution of the task is around each run, and nothing hangs in the air.
    assert [one.name for one in found if one.parent and one.parent not in ids] == []


@pytest.mark.parametrize("name", list(AGENTS))
@pytest.mark.parametrize(
    "title", ["Review of a.py", "Summary of b.py", "Security review of c.py", "Review of d"]
)
def test_stand_ins_print_what_is_read(name: str, title: str, agent_spans: AgentSpans) -> None:
    stand_in: Any = AGENTS[name].using([sys.executable, str(FOLDER / "stand_in.py"), name])
    result = stand_in.run_sync(f"{title}\n\n```\n{'x = 1' * 100}\n```")
    assert result.skipped == {}
    assert result.ok is (result.exit_code == 0)
    assert len(result.tool_calls) == 1
    if result.ok:
        assert title in result.output
        assert (result.tokens is None) == (name == "copilot")


def test_breaker(agent_spans: AgentSpans) -> None:
    from breaker import Breaker

    now = [0.0]
    breaker = Breaker("codex", limit=2, rest=10, clock=lambda: now[0])
    breaker.record(False, "t")
    assert breaker.allows()
    breaker.record(False, "t")
    assert not breaker.allows()
    now[0] = 11
    assert breaker.allows()
    assert breaker.state == "half_open"
    breaker.record(False, "t")
    assert not breaker.allows()
    now[0] = 22
    assert breaker.allows()
    breaker.record(True, "t")
    assert (breaker.state, breaker.failures) == ("closed", 0)
    states = [one for one in agent_spans if one.name == "circuit_breaker"]
    assert len(states) in (0, 5)  # none where the observer is not configured
