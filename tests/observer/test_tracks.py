"""``track_*``: an event each, its metrics, and what it leaves on the task."""

from __future__ import annotations

import enum
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from otel_agents.observer import LangfuseObserver
from otel_agents.testing import AgentSpans


@pytest.fixture
def observer(agent_spans: AgentSpans) -> LangfuseObserver:
    return LangfuseObserver()


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What was said so far."""
    caplog.set_level(logging.WARNING, "otel_agents")
    return lambda: caplog.messages


def metadata(agent_spans: AgentSpans, name: str) -> dict[str, Any]:
    prefix = "otel_agents.metadata."
    found = agent_spans.named(name).attributes
    return {key.removeprefix(prefix): v for key, v in found.items() if key.startswith(prefix)}


def body(agent_spans: AgentSpans, name: str) -> Any:
    return json.loads(agent_spans.named(name).attributes["otel_agents.event.body"])


def test_selection(observer: LangfuseObserver, agent_spans: AgentSpans) -> None:
    with observer.trace_agent_execution("t1", "claude", metadata={"task_type": "security"}):
        observer.track_agent_selection("t1", "claude", "best", {"claude": 0.9, "gemini": 0.3}, epsilon=0.1)
    agent_spans.assert_tree("""
        invoke_agent claude
          agent_selection
    """)
    event = agent_spans.named("agent_selection")
    assert event.start_time == event.end_time
    assert body(agent_spans, "agent_selection") == {
        "task_id": "t1",
        "selected_agent": "claude",
        "reason": "best",
        "all_rewards": {"claude": 0.9, "gemini": 0.3},
        "epsilon": 0.1,
    }
    assert agent_spans.metric_attributes("otel_agents.agent.selections") == [
        {"gen_ai.agent.name": "claude", "task_type": "security"}
    ]


def test_quality(observer: LangfuseObserver, agent_spans: AgentSpans) -> None:
    with observer.trace_agent_execution("t1", "claude"):
        observer.track_quality_assessment("t1", "claude", 0.92, comment="thorough", judge="gpt")
    assert body(agent_spans, "quality_assessment") == {
        "task_id": "t1",
        "agent": "claude",
        "score": 0.92,
        "comment": "thorough",
        "judge": "gpt",
    }
    assert metadata(agent_spans, "invoke_agent claude")["quality_score"] == 0.92
    assert metadata(agent_spans, "quality_assessment")["quality_score"] == 0.92, "found by a filter, too"
    task = agent_spans.named("invoke_agent claude").context
    [score] = agent_spans.events()
    assert score["name"] == "gen_ai.evaluation.result"
    expected = {
        "gen_ai.evaluation.name": "quality",
        "gen_ai.evaluation.score.value": 0.92,
        "gen_ai.evaluation.explanation": "thorough",
        "gen_ai.agent.name": "claude",
        "otel_agents.score.data_type": "NUMERIC",
        "otel_agents.score.trace_id": format(task.trace_id, "032x"),
        "otel_agents.score.observation_id": format(task.span_id, "016x"),
    }
    assert expected.items() <= score["attributes"].items()
    assert agent_spans.metric("otel_agents.evaluation.score", {"gen_ai.agent.name": "claude"}).sum == 0.92


@pytest.mark.parametrize("score", [92, -0.1, 1.01, float("nan"), float("inf"), "good", None, True, [0.5]])
def test_a_quality_that_makes_no_sense(
    observer: LangfuseObserver, agent_spans: AgentSpans, warnings: Callable[[], list[str]], score: Any
) -> None:
    with observer.trace_agent_execution("t1", "claude"):
        observer.track_quality_assessment("t1", "claude", score)
        observer.track_quality_assessment("t1", "claude", score)
    assert agent_spans.events() == []
    assert "quality_score" not in metadata(agent_spans, "invoke_agent claude")
    first = next(one for one in agent_spans if one.name == "quality_assessment")
    assert "score" not in json.loads(first.attributes["otel_agents.event.body"])
    [warning] = warnings()
    assert "from 0 to 1" in warning


def test_switch(observer: LangfuseObserver, agent_spans: AgentSpans) -> None:
    with observer.trace_agent_execution("t1", "claude", metadata={"task_type": "docs"}):
        observer.track_agent_switch("t1", "claude", "gemini", "quality 0.5", 0.5, 0.75)
        observer.track_agent_switch("t1", "gemini", "copilot", "still bad", 0.75)
    first, second = (
        json.loads(one.attributes["otel_agents.event.body"])
        for one in agent_spans
        if one.name == "agent_switch"
    )
    assert first == {
        "task_id": "t1",
        "from_agent": "claude",
        "to_agent": "gemini",
        "reason": "quality 0.5",
        "quality_before": 0.5,
        "quality_after": 0.75,
        "quality_gained": 0.25,
    }
    assert "quality_gained" not in second
    found = metadata(agent_spans, "invoke_agent claude")
    assert (found["agent_switched"], found["agent_switches"], found["switched_to"]) == ("true", 2, "copilot")
    labels = {"from_agent": "claude", "to_agent": "gemini", "task_type": "docs"}
    assert agent_spans.metric("otel_agents.agent.switches", labels).sum == 1
    assert agent_spans.metric("otel_agents.agent.switch.quality_before").sum == 0.5
    assert agent_spans.metric("otel_agents.agent.switch.quality_after").sum == 0.75


class State(enum.Enum):
    HALF_OPEN = "half-open"


@pytest.mark.parametrize(
    ("state", "value"), [("closed", 0), ("OPEN", 2), ("half_open", 1), ("half open", 1), (State.HALF_OPEN, 1)]
)
def test_circuit_breaker(
    observer: LangfuseObserver, agent_spans: AgentSpans, state: object, value: int
) -> None:
    observer.track_circuit_breaker_event("claude", state, 5)
    [span] = agent_spans
    assert span.parent is None, "a trace of its own"
    found = body(agent_spans, "circuit_breaker")
    assert (found["agent"], found["failure_count"]) == ("claude", 5)
    gauge = agent_spans.metric("otel_agents.circuit_breaker.state", {"gen_ai.agent.name": "claude"})
    assert gauge == (1, value)
    changes = {"gen_ai.agent.name": "claude", "state": found["state"]}
    assert agent_spans.metric("otel_agents.circuit_breaker.changes", changes).sum == 1


def test_an_unknown_breaker_state_is_shown_and_not_measured(
    observer: LangfuseObserver, agent_spans: AgentSpans, warnings: Callable[[], list[str]]
) -> None:
    observer.track_circuit_breaker_event("claude", "melted", 5)
    assert body(agent_spans, "circuit_breaker")["state"] == "melted"
    assert agent_spans.metric("otel_agents.circuit_breaker.state").measurements == 0
    assert "melted" in warnings()[0]


def test_attempts_are_shown_on_the_task_that_failed(
    observer: LangfuseObserver, agent_spans: AgentSpans
) -> None:
    observer.track_circuit_breaker_event("claude", "open", 3)

    def work() -> None:
        with observer.trace_agent_execution("t1", "claude"):
            observer.track_attempt("t1", "claude", error=TimeoutError("after 30 s"))
            observer.track_attempt("t1", "gemini", 2, "failed", "no answer", waited=3)
            raise RuntimeError("gave up")

    with pytest.raises(RuntimeError, match="gave up"):
        work()
    found = metadata(agent_spans, "invoke_agent claude")
    assert json.loads(found["previous_attempts"]) == [
        {"number": 1, "agent": "claude", "status": "error", "error": "TimeoutError: after 30 s"},
        {"number": 2, "agent": "gemini", "status": "error", "error": "no answer"},
    ]
    assert (found["attempts"], found["circuit_breaker"]) == (2, "open")
    attempts = [one for one in agent_spans if one.name == "attempt"]
    assert json.loads(attempts[1].attributes["otel_agents.event.body"])["waited"] == 3
    assert agent_spans.metric("otel_agents.task.attempts", {"status": "error"}).sum == 2
    assert agent_spans.metric("otel_agents.task.count").sum == 1


def test_attempts_told_before_the_task_began_are_shown_as_well(
    observer: LangfuseObserver, agent_spans: AgentSpans
) -> None:
    observer.track_attempt("t1", "gemini", error="timeout")
    observer.track_attempt("t1", "copilot", error="refused")
    with observer.trace_agent_execution("t1", "claude") as trace:
        trace.set_error("gave up")
    found = metadata(agent_spans, "invoke_agent claude")
    assert [
        (one["number"], one["agent"], one["error"]) for one in json.loads(found["previous_attempts"])
    ] == [(1, "gemini", "timeout"), (2, "copilot", "refused")]
    assert found["attempts"] == 3
    with observer.trace_agent_execution("t2", "codex"):
        pass
    assert "attempts" not in metadata(agent_spans, "invoke_agent codex")


def test_executions_of_one_task_are_attempts(observer: LangfuseObserver, agent_spans: AgentSpans) -> None:
    def attempt(agent: str, fails: bool) -> None:
        with observer.trace_agent_execution("t1", agent):
            if fails:
                raise ValueError(agent)

    for number, agent in enumerate(("claude", "gemini"), 1):
        with pytest.raises(ValueError, match=agent):
            attempt(agent, True)
        # Told beside the execution it is the same attempt, with more to say.
        observer.track_attempt("t1", agent, number, error=f"{agent} failed")
    attempt("copilot", False)
    assert len({span.context.trace_id for span in agent_spans}) == 1
    second = metadata(agent_spans, "invoke_agent gemini")
    [before] = json.loads(second["previous_attempts"])
    assert (before["agent"], before["error"]) == ("claude", "claude failed")
    assert second["attempts"] == 2
    last = metadata(agent_spans, "invoke_agent copilot")
    assert last["attempts"] == 3
    assert "previous_attempts" not in last, "it did not fail"
    assert agent_spans.metric("otel_agents.task.attempts").sum == 3


def test_token_reduction(
    observer: LangfuseObserver, agent_spans: AgentSpans, warnings: Callable[[], list[str]]
) -> None:
    with observer.trace_agent_execution("t1", "claude"):
        observer.track_token_reduction(3800, 1000)
    assert body(agent_spans, "token_reduction") == {
        "original": 3800,
        "actual": 1000,
        "ratio": 3.8,
        "reduction": pytest.approx(1 - 1000 / 3800),
    }
    found = metadata(agent_spans, "invoke_agent claude")
    assert (found["compression_ratio"], round(found["token_reduction"], 3)) == (3.8, 0.737)
    claude = {"gen_ai.agent.name": "claude"}
    assert agent_spans.metric("otel_agents.token_reduction.original_tokens", claude).sum == 3800
    assert agent_spans.metric("otel_agents.token_reduction.actual_tokens", claude).sum == 1000
    assert agent_spans.metric("otel_agents.token_reduction", claude) == (1, 3.8)
    for original, actual in ((0, 5), (-1, 5), (5, -1), ("many", 5), (5, None)):
        observer.track_token_reduction(original, actual)
    assert len(warnings()) == 1
    assert agent_spans.metric("otel_agents.token_reduction").measurements == 1


def test_more_tokens_than_before_is_no_gain(observer: LangfuseObserver, agent_spans: AgentSpans) -> None:
    observer.track_token_reduction(100, 200, task_id="t1", agent="claude")
    assert body(agent_spans, "token_reduction")["reduction"] == -1
    observer.track_token_reduction(100, 0, task_id="t1", agent="claude")
    assert agent_spans.metric("otel_agents.token_reduction") == (1, 0.5), "of nothing there is no ratio"


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


def test_nothing_raises(
    observer: LangfuseObserver, agent_spans: AgentSpans, warnings: Callable[[], list[str]]
) -> None:
    for odd in (Hostile(), {Hostile(): 1}, b"\xff", "\ud800", object, 10**400):
        observer.track_agent_selection(odd, odd, odd, odd)  # type: ignore[arg-type]
        observer.track_quality_assessment(odd, odd, odd, comment=odd)
        observer.track_agent_switch(odd, odd, odd, odd, odd, odd)
        observer.track_circuit_breaker_event(odd, odd, odd, task_id=odd)
        observer.track_attempt(odd, odd, odd, odd, odd)
        observer.track_token_reduction(odd, odd, task_id=odd, agent=odd)
    observer.track_agent_selection()
    observer.track_quality_assessment()
    observer.track_agent_switch()
    observer.track_circuit_breaker_event()
    observer.track_attempt()
    observer.track_token_reduction()
    assert sum(one.name == "agent_switch" for one in agent_spans) == 7
