"""Failures and replays of tasks that the observer recorded."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

import otel_agents
from otel_agents import setup

Command = Callable[..., int]
Out = pytest.CaptureFixture[str]


@pytest.fixture
def failed_task(clean_globals: None, cli: Command) -> Iterator[None]:
    """What an orchestrator tells of a task that fails at the third attempt."""
    otel_agents.configure(metrics_exporter="none", schedule_delay=0.05)
    observer = otel_agents.get_langfuse_observer()
    observer.track_circuit_breaker_event("claude", "half_open", 2)
    for number in (1, 2):
        observer.track_attempt("t1", "claude", number=number, status="error", error=f"timeout {number}")

    def task() -> None:
        with observer.trace_agent_execution(
            task_id="t1", agent="claude", prompt="Write a parser", metadata={"task_type": "coding"}
        ):
            raise ValueError("no answer after 3 tries")

    with pytest.raises(ValueError, match="no answer"):
        task()
    observer.track_circuit_breaker_event("claude", "open", 3)
    otel_agents.flush(20)
    otel_agents.shutdown()
    yield
    setup.uninstrument()


def test_the_failure(failed_task: None, cli: Command, capsys: Out) -> None:
    capsys.readouterr()
    assert cli("failures", "--format", "json") == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert one["agent"] == "claude"
    assert (one["task_id"], one["task_type"]) == ("t1", "coding")
    assert (one["error_type"], one["message"]) == ("ValueError", "no answer after 3 tries")
    assert (one["prompt"], one["answer"], one["recovered"]) == ("Write a parser", None, False)
    assert 'raise ValueError("no answer after 3 tries")' in one["stacktrace"]
    assert [(sent["number"], sent["error"]) for sent in one["attempts"][:2]] == [
        (1, "timeout 1"),
        (2, "timeout 2"),
    ]
    assert (one["circuit"]["state"], one["circuit"]["failures"]) == ("half_open", 2), "as it was then"


def test_the_replay_is_no_attempt_at_the_old_task(failed_task: None, cli: Command, capsys: Out) -> None:
    capsys.readouterr()
    cli("failures", "--format", "json")
    (one,) = json.loads(capsys.readouterr().out)
    assert cli("replay", one["trace_id"], "--command", "echo {prompt}", "--format", "json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["recorded"]["status"], found["replay"]["status"]) == ("error", "success")
    assert found["replay"]["output"] == "Write a parser"
    assert found["replay"]["trace_id"] != one["trace_id"]
    cli("failures", "--format", "json")
    assert len(json.loads(capsys.readouterr().out)) == 1
