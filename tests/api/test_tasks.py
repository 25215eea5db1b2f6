"""What is counted as a task: the topmost run, unless whoever knows the task's id tells of it."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState

from otel_agents import agent, context, get_langfuse_observer, workflow
from otel_agents.testing import AgentSpans


def tasks(spans: AgentSpans) -> list[tuple[str, str, str | None, float]]:
    """Agent, status, task type and count of every series."""
    found: Iterable[object] = (
        (
            str((point.attributes or {}).get("gen_ai.agent.name")),
            str((point.attributes or {})["status"]),
            (point.attributes or {}).get("task_type"),
            point.value,
        )
        for metric in spans.metrics()
        if metric.name == "otel_agents.task.count"
        for point in metric.data.data_points
    )
    return sorted(found)  # type: ignore[type-var]


def test_the_topmost_run_is_one(agent_spans: AgentSpans) -> None:
    with context(task_type="docs"), workflow("plan"), agent("claude"):
        pass
    with agent("claude"), agent("helper"):
        pass
    assert tasks(agent_spans) == [("claude", "success", None, 1), ("plan", "success", "docs", 1)]


def test_one_that_fails(agent_spans: AgentSpans) -> None:
    with pytest.raises(ValueError, match="no"), agent("claude"):
        raise ValueError("no")
    assert tasks(agent_spans) == [("claude", "error", None, 1)]


def test_a_run_around_an_execution_is_not_a_second_one(agent_spans: AgentSpans) -> None:
    observer = get_langfuse_observer()
    with workflow("queue"):
        for task in ("a", "b"):
            with observer.trace_agent_execution(task_id=task, agent="claude", prompt="go"), agent("helper"):
                pass
    assert tasks(agent_spans) == [("claude", "success", None, 2)]


@pytest.mark.parametrize(("state", "counted"), [("p:00000000000000aa", 0), (None, 1)])
def test_a_run_for_another_process(agent_spans: AgentSpans, state: str | None, counted: int) -> None:
    """That process has counted the task, if it is one that says what reaches Langfuse."""
    entries = [("otelagents", state)] if state else []
    caller = SpanContext(7, 8, True, TraceFlags(TraceFlags.SAMPLED), TraceState(entries))
    with trace.use_span(NonRecordingSpan(caller)), agent("claude"):
        pass
    assert len(tasks(agent_spans)) == counted
