"""Budgets that block are the one thing that an execution lets through; privacy settings hold for it all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from observer_rig import Langfuse
from opentelemetry import context as otel_context

from otel_agents import BudgetExceeded, budgets, inference
from otel_agents.observer import LangfuseObserver, get_langfuse_observer
from otel_agents.testing import AgentSpans


@pytest.fixture
def budget(observer: LangfuseObserver, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    made = observer.langfuse.set_budget(1.0, "daily", on_exceeded="block", name=f"test-{os.getpid()}")
    yield made
    budgets.remove_budget(made.name)


@pytest.mark.usefixtures("budget")
def test_reported_costs_count_against_budgets_and_block(observer: LangfuseObserver) -> None:
    before = otel_context.get_current()
    with observer.trace_agent_execution("t1", "claude") as trace:
        trace.update(tokens=5, cost=2.0)
    with pytest.raises(BudgetExceeded), observer.trace_agent_execution("t2", "claude"):
        raise AssertionError("it was not to start")
    assert otel_context.get_current() == before


@pytest.mark.usefixtures("budget")
def test_a_call_that_is_refused_inside_fails_the_task(observer: LangfuseObserver, langfuse: Langfuse) -> None:
    def work() -> None:
        with observer.trace_agent_execution("t1", "claude"):
            with inference("openai", "m") as call:
                call.record(usage={"input": 1, "output": 1}, cost=2.0)
            with observer.trace_agent_execution("t1", "gemini"):
                raise AssertionError("it was not to start")

    with pytest.raises(BudgetExceeded):
        work()
    assert observer.flush().ok
    task = langfuse.row("invoke_agent claude")
    assert (task.it.level, task.metadata["status"]) == ("ERROR", "error")
    assert str(task.metadata["error_type"]).endswith("BudgetExceeded")


@pytest.mark.agent_spans(capture="none")
def test_content_stays_out_where_it_is_to(agent_spans: AgentSpans) -> None:
    observer = LangfuseObserver()
    with observer.trace_agent_execution("t1", "claude", "the secret plan") as trace:
        trace.update(output="the secret answer")
        observer.track_agent_selection("t1", "claude", "the secret reason")
        observer.track_quality_assessment("t1", "claude", 0.9, comment="the secret verdict")
    trace.update(output="the secret afterthought")
    assert "secret" not in json.dumps([dict(span.attributes or {}) for span in agent_spans], default=str)
    assert "secret" not in json.dumps(agent_spans.events(), default=str)
    [score] = agent_spans.events()
    assert score["attributes"]["gen_ai.evaluation.score.value"] == 0.9


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_tells_its_own(observer: LangfuseObserver, langfuse: Langfuse) -> None:
    assert observer.langfuse.auth_check()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            mine = get_langfuse_observer()
            with mine.trace_agent_execution("t-child", "child") as trace:
                trace.update(tokens=5, cost=0.1)
            good = mine.flush(20).ok and mine.langfuse.auth_check()
            code = 0 if good and mine is observer else 2
        finally:
            os._exit(code)
    with observer.trace_agent_execution("t-parent", "parent"):
        pass
    assert observer.flush(20).ok
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert {row.name for row in langfuse.rows()} == {"invoke_agent child", "chat", "invoke_agent parent"}
