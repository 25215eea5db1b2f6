"""What one task is: the rules of `otel_agents.langfuse.tasks`, one test a rule."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from otel_agents.langfuse.rows import Observation, ScoreRow
from otel_agents.langfuse.tasks import Task, roll_up
from otel_agents.reports.figures import of_work
from otel_agents.reports.work import split

START = datetime(2026, 3, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def agent(
    key: str,
    name: str,
    begin: float,
    end: float,
    *,
    trace: str = "trace",
    parent: str | None = None,
    **rest: Any,
) -> Observation:
    level = rest.pop("level", "DEFAULT")
    message = rest.pop("message", None)
    kind = rest.pop("type", "AGENT")
    return Observation(
        key,
        trace,
        parent,
        kind,
        f"invoke_agent {name}",
        at(begin),
        at(end),
        level,
        message,
        metadata={"agent": name, **rest},
    )


def call(
    key: str,
    parent: str | None,
    begin: float = 0,
    cost: float | None = 0.01,
    trace: str = "trace",
    **metadata: Any,
) -> Observation:
    return Observation(
        key,
        trace,
        parent,
        "GENERATION",
        "chat m",
        at(begin),
        at(begin + 1),
        model="m",
        usage={"input": 10, "output": 5, "total": 15},
        cost=cost,
        metadata=metadata,
    )


def event(
    key: str, name: str, body: dict[str, Any], parent: str | None = None, trace: str = "trace"
) -> Observation:
    return Observation(key, trace, parent, "EVENT", name, at(1), at(1), input=json.dumps(body))


def score(
    value: float, second: float, *, trace: str = "trace", on: str | None = None, **rest: Any
) -> ScoreRow:
    name, kind = rest.get("name", "quality"), rest.get("data_type", "NUMERIC")
    return ScoreRow(f"s{second}", name, value, kind, at(second), trace, on)


def only(*observations: Observation, scores: list[ScoreRow] | None = None) -> Task:
    found = roll_up(observations, scores or [])
    assert len(found.tasks) == 1, [task.id for task in found.tasks]
    assert found.outside == []
    return found.tasks[0]


def test_a_trace_without_a_task_id_is_a_task() -> None:
    task = only(agent("a", "claude", 0, 4, user_key="x"), call("c", "a"), call("d", "a"))
    assert (task.id, task.agent, task.status, task.latency) == ("trace", "claude", "success", 4.0)
    assert (task.cost, task.tokens, task.models, task.attempts) == (0.02, 30, ("m",), 1)
    assert task.metadata["user_key"] == "x"


def test_a_lone_model_call_is_a_task_without_an_agent() -> None:
    task = only(call("c", None))
    assert (task.agent, task.cost, task.latency) == (None, 0.01, 1.0)


def test_sub_agents_belong_to_the_topmost_agent() -> None:
    task = only(
        agent("a", "claude", 0, 9, task_id="t", task_type="security"),
        agent("b", "gemini", 1, 5, parent="a", task_id="t-sub"),
        call("c", "b"),
    )
    assert (task.id, task.agent, len(task.runs), task.cost) == ("t", "claude", 1, 0.01)
    assert task.task_type == "security"


def test_a_workflow_around_several_tasks_is_none_and_its_own_calls_are_outside() -> None:
    found = roll_up(
        [
            agent("w", "main", 0, 20, type="CHAIN"),
            call("router", "w", 0, 0.5),
            agent("a", "claude", 1, 5, parent="w", task_id="t1"),
            call("c", "a", 1),
            agent("b", "gemini", 6, 9, parent="w", task_id="t2"),
            call("d", "b", 6),
        ]
    )
    assert [(task.id, task.agent, task.cost) for task in found.tasks] == [
        ("t1", "claude", 0.01),
        ("t2", "gemini", 0.01),
    ]
    assert [call.cost for call in found.outside] == [0.5]


def test_a_workflow_around_one_task_adds_its_calls_to_it() -> None:
    task = only(
        agent("w", "main", 0, 20, type="CHAIN"),
        call("router", "w", 0, 0.5),
        agent("a", "claude", 1, 5, parent="w", task_id="t1"),
        call("c", "a", 1),
    )
    assert task.id == "t1"
    assert task.cost == pytest.approx(0.51)


def test_another_attempt_in_another_trace_is_the_same_task() -> None:
    task = only(
        agent("a", "claude", 0, 4, task_id="t", level="ERROR", message="overloaded"),
        call("c", "a"),
        agent("b", "claude", 60, 66, trace="later", task_id="t"),
        call("d", "b", 60, trace="later"),
    )
    assert (task.status, task.attempts, task.trace_id, task.error) == ("success", 2, "later", None)
    assert task.latency == 10.0  # the minute between the attempts is nobody's response time
    assert (task.start, task.end) == (at(0), at(66))
    assert [run.status for run in task.runs] == ["error", "success"]
    assert task.runs[0].error == "overloaded"
    assert task.cost == pytest.approx(0.02)


def test_a_failed_task_says_why() -> None:
    task = only(agent("a", "claude", 0, 4, level="ERROR", message="TimeoutError: no answer"))
    assert (task.status, task.error) == ("error", "TimeoutError: no answer")
    assert only(agent("a", "claude", 0, 4, status="error", error_type="Boom")).error == "Boom"


def test_a_task_whose_model_call_failed_may_have_succeeded() -> None:
    failed = call("c", "a")
    failed.level = "ERROR"
    assert only(agent("a", "claude", 0, 4), failed).status == "success"


def test_events_join_by_task_id_from_any_trace() -> None:
    task = only(
        agent("a", "claude", 0, 4, task_id="t"),
        event("e", "agent_selection", {"task_id": "t", "selected_agent": "claude"}, trace="elsewhere"),
        event("f", "attempt", {"task_id": "t", "number": 3}),
    )
    assert [one.name for one in task.events] == ["agent_selection", "attempt"]
    assert task.attempts == 3


def test_events_alone_are_no_task() -> None:
    found = roll_up([event("e", "circuit_breaker", {"agent": "claude", "state": "open"})])
    assert (found.tasks, found.outside) == ([], [])


def test_quality_is_the_latest_score_of_the_tasks_observations() -> None:
    rows = [agent("a", "claude", 0, 4, task_id="t", quality_score=0.1), call("c", "a")]
    scores = [score(0.5, 5, on="a"), score(0.9, 9, on="a"), score(0.7, 7, on="a"), score(0.2, 20)]
    assert only(*rows, scores=scores).quality == 0.9
    assert only(*rows, scores=scores[3:]).quality == 0.2
    assert only(*rows).quality == 0.1
    others = [score(0.5, 5, on="a", name="helpfulness"), score(1, 5, on="a", data_type="BOOLEAN")]
    assert only(*rows, scores=others).quality == 0.1
    assert only(agent("a", "claude", 0, 4)).quality is None


def test_quality_from_the_assessment_event() -> None:
    rows = [agent("a", "claude", 0, 4, task_id="t")]
    assessed = event("e", "quality_assessment", {"task_id": "t", "agent": "claude", "score": 0.8})
    assert only(*rows, assessed).quality == 0.8


def test_a_score_of_a_trace_is_none_of_the_tasks_that_share_it() -> None:
    rows = [agent("a", "claude", 0, 4, task_id="t1"), agent("b", "gemini", 5, 9, task_id="t2")]
    found = roll_up(rows, [score(0.5, 9), score(0.7, 9, on="b")])
    assert [task.quality for task in found.tasks] == [None, 0.7]


def test_calls_without_a_price_are_counted() -> None:
    task = only(agent("a", "claude", 0, 4), call("c", "a", cost=None), call("d", "a"))
    assert (task.cost, task.unpriced) == (0.01, 1)


def test_a_cost_given_by_hand_is_that_of_the_calls_without_a_price() -> None:
    given = call("d", "a", cost=0.25)
    given.model, given.usage, given.name = None, {}, "chat"
    task = only(agent("a", "claude", 0, 4), call("b", "a", cost=None), call("c", "a", cost=None), given)
    assert (task.cost, task.tokens, task.unpriced) == (0.25, 30, 0)
    assert [(one.model, one.cost) for one in task.calls] == [("m", 0.125), ("m", 0.125)]
    priced = call("e", "a", cost=0.01)
    priced.model = "gpt"
    both = only(agent("a", "claude", 0, 4), call("b", "a", cost=None), priced, given)
    assert [(one.model, one.cost) for one in both.calls] == [("m", 0.25), ("gpt", 0.01)]


def test_a_cost_given_by_hand_stands_alone_where_no_call_lacks_one() -> None:
    given = call("d", "a", cost=0.25)
    given.model, given.usage, given.name = None, {}, "chat"
    image = call("e", "a", cost=0.04)
    image.model, image.usage = "gpt-image-1", {}
    task = only(agent("a", "claude", 0, 4), call("b", "a"), image, given)
    assert [(one.model, one.cost) for one in task.calls] == [
        ("m", 0.01),
        ("unknown", 0.25),
        ("gpt-image-1", 0.04),
    ]
    unpaid = only(agent("a", "claude", 0, 4), call("b", "a", cost=None), image)
    assert [one.cost for one in unpaid.calls] == [None, 0.04], "an image is paid by the piece"


def test_an_agent_without_a_name_is_none() -> None:
    nameless = agent("a", "", 0, 4)
    nameless.name, nameless.metadata = "invoke_agent", {"agent": ""}
    assert only(nameless, call("b", "a")).agent is None


def test_tags_are_those_of_its_observations() -> None:
    one, other = agent("a", "claude", 0, 4), call("b", "a")
    one.tags, other.tags = ("review", "night"), ("night",)
    assert only(one, other).tags == ("review", "night")


def test_orphans_join_the_run_that_was_going() -> None:
    task = only(
        agent("a", "claude", 0, 4, task_id="t"),
        agent("b", "gemini", 10, 14, task_id="t"),
        call("c", "never exported", 11, task_id="t"),
    )
    assert [run.cost for run in task.runs] == [0.0, 0.01]


def test_parents_in_a_circle_end_somewhere() -> None:
    task = only(
        agent("a", "claude", 0, 4, parent="b"), agent("b", "claude", 0, 4, parent="a"), call("c", "a")
    )
    assert task.cost == 0.01


def test_work_is_parted_by_agent_when_they_switch() -> None:
    task = only(
        agent("a", "gemini", 0, 3, task_id="t", level="ERROR"),
        call("c", "a", 0, 0.0),
        event(
            "s",
            "agent_switch",
            {
                "task_id": "t",
                "from_agent": "gemini",
                "to_agent": "claude",
                "quality_before": 0.4,
                "quality_after": 0.9,
            },
        ),
        agent("b", "claude", 4, 9, task_id="t"),
        call("d", "b", 4, 0.05),
        scores=[score(0.9, 9, on="b")],
    )
    assert (task.agent, task.switches, task.cost) == ("claude", 1, 0.05)
    gemini, claude = split([task])
    assert (gemini.agent, gemini.status, gemini.cost, gemini.quality) == ("gemini", "error", 0.0, 0.4)
    assert (claude.agent, claude.status, claude.cost, claude.quality) == ("claude", "success", 0.05, 0.9)
    assert of_work([gemini], False).switches.count == 1
    assert of_work([gemini], False).switches.quality_gained == pytest.approx(0.5)
    assert of_work([claude], False).switches.count == 0
