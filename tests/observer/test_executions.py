"""``trace_agent_execution``: what is on the span, how it fails, how it nests, how it keeps apart."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from typing import Any

import pytest

from otel_agents import agent, context, inference
from otel_agents.observer import LangfuseObserver
from otel_agents.testing import AgentSpans


@pytest.fixture
def observer(agent_spans: AgentSpans) -> LangfuseObserver:
    return LangfuseObserver()


def metadata(span: Any) -> dict[str, Any]:
    prefix = "otel_agents.metadata."
    return {key.removeprefix(prefix): v for key, v in span.attributes.items() if key.startswith(prefix)}


def test_everything_that_is_said_before_within_and_after(
    observer: LangfuseObserver, agent_spans: AgentSpans
) -> None:
    execution = observer.trace_agent_execution(
        "t1", "claude", {"ask": "me"}, {"task_type": "security"}, iteration=2, user="ada", tags="nightly"
    )
    execution.update(metadata={"early": True})
    with execution as trace:
        assert trace is execution
        trace.update(output="first", metadata={"k": 1})
        trace.update(output="second", metadata={"k": 2}, model="m-1")
    trace.update(output="too late", metadata={"late": [1]})
    agent_spans.assert_tree("""
        invoke_agent claude
          task_update
    """)
    span = agent_spans.named("invoke_agent claude")
    assert metadata(span) == {
        "task_id": "t1",
        "task_type": "security",
        "iteration": 2,
        "early": True,
        "k": 2,
        "model": "m-1",
        "status": "success",
    }
    assert (span.attributes["user.id"], span.attributes["otel_agents.tags"]) == ("ada", ("nightly",))
    assert "second" in span.attributes["gen_ai.output.messages"]
    assert "ask" in span.attributes["gen_ai.input.messages"]
    late = agent_spans.named("task_update")
    assert json.loads(late.attributes["otel_agents.event.body"]) == {"late": [1], "output": "too late"}


def test_what_is_inside_can_be_found_by_the_task(observer: LangfuseObserver, agent_spans: AgentSpans) -> None:
    given = {
        "task_type": "review",
        "project_id": "p",
        "experiment": "e",
        "variant": "b",
        "secret": "here only",
    }
    given |= {"session_id": "s", "user_id": "u"}
    with (
        observer.trace_agent_execution("t1", "claude", metadata=given),
        inference("openai", "gpt-4o-mini") as call,
    ):
        call.record(usage={"input": 10, "output": 2})
    chat = agent_spans.named("chat gpt-4o-mini")
    assert metadata(chat) == {"task_id": "t1", "task_type": "review", "project_id": "p"}
    kept = ("session.id", "user.id", "otel_agents.experiment", "otel_agents.variant", "gen_ai.agent.name")
    assert [chat.attributes[key] for key in kept] == ["s", "u", "e", "b", "claude"]
    [labels] = agent_spans.metric_attributes("otel_agents.task.count")
    assert labels == {
        "gen_ai.agent.name": "claude",
        "status": "success",
        "task_type": "review",
        "experiment": "e",
        "variant": "b",
    }


@pytest.mark.parametrize("kind", ["with", "async with"])
async def test_an_exception_is_told_in_full_and_raised_again(
    observer: LangfuseObserver, agent_spans: AgentSpans, kind: str
) -> None:
    secret = "sk-ant-api03-" + "A1b2C3d4" * 6
    error = ValueError(f"no such repository, token {secret}")

    async def work() -> None:
        if kind == "with":
            with observer.trace_agent_execution("t1", "claude"):
                raise error
        async with observer.trace_agent_execution("t1", "claude"):
            raise error

    with pytest.raises(ValueError, match="no such repository") as raised:
        await work()
    assert raised.value is error
    span = agent_spans.named("invoke_agent claude")
    assert span.status.status_code.name == "ERROR"
    assert "no such repository" in span.status.description
    assert span.attributes["error.type"] == "ValueError"
    [event] = span.events
    assert event.name == "exception"
    found = metadata(span)
    assert (found["status"], found["error_type"]) == ("error", "ValueError")
    assert "no such repository" in found["error_message"]
    assert "test_executions.py" in found["stack_trace"]
    assert secret not in json.dumps(found), "what the redactor knows stays out of metadata, too"
    assert agent_spans.metric("otel_agents.task.count", {"status": "error"}).sum == 1


def test_a_deep_stack_is_cut(observer: LangfuseObserver, agent_spans: AgentSpans) -> None:
    def down(depth: int) -> None:
        if depth == 0:
            raise RuntimeError("the bottom")
        [down, str][0](depth - 1)

    with pytest.raises(RuntimeError), observer.trace_agent_execution("t1", "claude"):
        down(300)
    stack = metadata(agent_spans.named("invoke_agent claude"))["stack_trace"]
    assert len(stack) < 10_000
    assert stack.rstrip().endswith("RuntimeError: the bottom")


async def test_a_cancelled_task_failed(observer: LangfuseObserver, agent_spans: AgentSpans) -> None:
    started = asyncio.Event()

    async def work() -> None:
        async with observer.trace_agent_execution("t1", "claude"):
            started.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert metadata(agent_spans.named("invoke_agent claude"))["status"] == "error"


def test_a_failure_without_an_exception(observer: LangfuseObserver, agent_spans: AgentSpans) -> None:
    with observer.trace_agent_execution("t1", "claude") as trace:
        trace.update(error="the answer was empty")
    with observer.trace_agent_execution("t2", "gemini").update(error=ValueError("known before")):
        pass
    span = agent_spans.named("invoke_agent claude")
    assert span.status.status_code.name == "ERROR"
    assert metadata(span) == {"task_id": "t1", "status": "error", "error_message": "the answer was empty"}
    assert metadata(agent_spans.named("invoke_agent gemini"))["error_type"] == "ValueError"


def test_nested_executions_are_steps_of_one_task(observer: LangfuseObserver, agent_spans: AgentSpans) -> None:
    with observer.trace_agent_execution("t1", "orchestrator"):
        with observer.trace_agent_execution("t1", "claude"), agent("helper"):
            pass
        with observer.trace_agent_execution("t1-review", "gemini"):
            pass
    agent_spans.assert_tree("""
        invoke_agent orchestrator
          invoke_agent claude
            invoke_agent helper
          invoke_agent gemini
    """)
    assert len({span.context.trace_id for span in agent_spans}) == 1
    assert agent_spans.metric("otel_agents.task.count").sum == 1


async def test_concurrent_tasks_keep_apart(observer: LangfuseObserver, agent_spans: AgentSpans) -> None:
    async def work(number: int) -> None:
        async with observer.trace_agent_execution(f"t{number}", f"agent{number}") as trace:
            await asyncio.sleep(0.001 * (number % 3))
            observer.track_quality_assessment(f"t{number}", f"agent{number}", number / 10)
            trace.update(output=str(number))

    def in_a_thread(number: int) -> None:
        asyncio.run(work(number))

    threads = [threading.Thread(target=in_a_thread, args=(number,)) for number in range(5, 10)]
    for thread in threads:
        thread.start()
    await asyncio.gather(*(work(number) for number in range(5)))
    for thread in threads:
        thread.join()
    for number in range(10):
        span = agent_spans.named(f"invoke_agent agent{number}")
        assert metadata(span)["quality_score"] == number / 10
        events = [one for one in agent_spans if one.name == "quality_assessment"]
        [own] = [one for one in events if one.parent.span_id == span.context.span_id]
        assert own.context.trace_id == span.context.trace_id
        assert json.loads(own.attributes["otel_agents.event.body"])["agent"] == f"agent{number}"
    assert agent_spans.metric("otel_agents.task.count").sum == 10


def test_an_execution_leaves_the_context_as_it_was(observer: LangfuseObserver) -> None:
    from opentelemetry import context as otel_context

    before = otel_context.get_current()
    with context(user="u"):
        inside = otel_context.get_current()
        with observer.trace_agent_execution("t1", "claude"):
            assert otel_context.get_current() != inside
        assert otel_context.get_current() == inside
    assert otel_context.get_current() == before


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


def test_odd_arguments_break_nothing(
    observer: LangfuseObserver, agent_spans: AgentSpans, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "otel_agents")
    for odd in (Hostile(), {Hostile(): Hostile()}, threading.Lock(), float("nan"), "\ud800", b"\xff", [], -1):
        with observer.trace_agent_execution(odd, odd, odd, odd, session=odd, user=odd, tags=odd) as trace:  # type: ignore[arg-type]
            trace.update(output=odd, tokens=odd, cost=odd, metadata=odd, input=odd)  # type: ignore[arg-type]
    said = [record.getMessage() for record in caplog.records]
    assert sorted(said) == sorted(set(said)), "each complaint once"
    assert any("cost=" in one for one in said)
    assert any("tokens=" in one for one in said)
    assert any("metadata=" in one for one in said)
    assert agent_spans.metric("otel_agents.task.count").sum == 8


def test_one_object_is_one_execution(observer: LangfuseObserver, agent_spans: AgentSpans) -> None:
    execution = observer.trace_agent_execution("t1", "claude")
    with execution, execution:
        pass
    with execution:
        pass
    agent_spans.assert_tree("invoke_agent claude")
