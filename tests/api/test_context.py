"""``context(...)``: what every span inside carries, and nothing outside."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from opentelemetry import baggage, trace

from otel_agents import agent, context, event, inference, tool
from otel_agents.testing import AgentSpans
from otel_agents.tracing.contexts import agent_run, attributes, labels


@tool
def step() -> None:
    pass


EVERYTHING: dict[str, Any] = {
    "session": "s1",
    "user": "u1",
    "tags": ["a", "b"],
    "metadata": {"n": 1, "deep": {"x": [1]}},
    "trace_name": "nightly",
    "environment": "staging",
    "experiment": "prompts",
    "variant": "short",
    "task_type": "review",
    "prompt_name": "reviewer",
    "prompt_version": 3,
}
ON_EVERY_SPAN: dict[str, Any] = {
    "session.id": "s1",
    "gen_ai.conversation.id": "s1",
    "user.id": "u1",
    "otel_agents.tags": ["a", "b"],
    "otel_agents.metadata.n": 1,
    "otel_agents.metadata.deep": {"x": [1]},
    "otel_agents.metadata.task_type": "review",
    "otel_agents.trace.name": "nightly",
    "deployment.environment.name": "staging",
    "otel_agents.experiment": "prompts",
    "otel_agents.variant": "short",
    "gen_ai.prompt.name": "reviewer",
    "gen_ai.prompt.version": "3",
}


def carried(span: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in span["attributes"].items() if name in ON_EVERY_SPAN}


def test_every_span_inside(agent_spans: AgentSpans) -> None:
    other_library = trace.get_tracer("other")
    with context(**EVERYTHING):
        with agent("a"):
            step()
            event("e")
            with inference("p", "m"):
                pass
        with other_library.start_as_current_span("foreign"):
            pass
    step()
    *inside, outside = agent_spans.snapshot()
    assert [span["name"] for span in inside] == [
        "invoke_agent a",
        "execute_tool step",
        "e",
        "chat m",
        "foreign",
    ]
    for span in inside:
        assert carried(span) == ON_EVERY_SPAN, span["name"]
    assert carried(outside) == {}


def test_nothing_goes_to_baggage(agent_spans: AgentSpans) -> None:
    with context(**EVERYTHING):
        assert baggage.get_all() == {}


def test_metric_labels(agent_spans: AgentSpans) -> None:
    with context(**EVERYTHING):
        assert labels() == {
            "experiment": "prompts",
            "variant": "short",
            "task_type": "review",
            "prompt_version": "3",
        }
        with agent("a"):
            pass
    (found,) = agent_spans.metric_attributes("gen_ai.invoke_agent.duration")
    assert found == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "a",
        "experiment": "prompts",
        "variant": "short",
        "task_type": "review",
        "prompt_version": "3",
    }
    assert labels() == {}


def test_nested_blocks_merge(agent_spans: AgentSpans) -> None:
    with context(session="outer", user="u", tags=["a", "b"], metadata={"x": 1, "y": 1}):
        with context(session="inner", tags=["b", "c"], metadata={"y": 2}):
            step()
        step()
    inner, outer = agent_spans.snapshot()
    assert inner["attributes"]["session.id"] == "inner"
    assert inner["attributes"]["user.id"] == "u"
    assert inner["attributes"]["otel_agents.tags"] == ["a", "b", "c"]
    assert inner["attributes"]["otel_agents.metadata.x"] == 1
    assert inner["attributes"]["otel_agents.metadata.y"] == 2
    assert outer["attributes"]["session.id"] == "outer"
    assert outer["attributes"]["otel_agents.tags"] == ["a", "b"]
    assert outer["attributes"]["otel_agents.metadata.y"] == 1


async def test_async_block_and_tasks(agent_spans: AgentSpans) -> None:
    async def work() -> None:
        await asyncio.sleep(0)
        step()

    async def session(name: str) -> None:
        async with context(session=name):
            await asyncio.gather(work(), asyncio.create_task(work()))

    await asyncio.gather(session("a"), session("b"))
    found = sorted(span["attributes"]["session.id"] for span in agent_spans.snapshot())
    assert found == ["a", "a", "b", "b"]


def test_one_object_used_again(agent_spans: AgentSpans) -> None:
    block = context(session="s")
    for _ in range(2):
        with block, block:
            step()
    assert attributes() == {}
    assert [span["attributes"]["session.id"] for span in agent_spans.snapshot()] == ["s", "s"]


def test_one_object_used_by_several_threads_and_tasks(agent_spans: AgentSpans) -> None:
    block = context(session="s")
    together = threading.Barrier(2)

    def work() -> None:
        with block:
            together.wait(5)
            step()
            together.wait(5)
        step()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    async def task(seconds: float) -> None:
        async with block:
            await asyncio.sleep(seconds)
        step()

    async def main() -> None:
        await asyncio.gather(task(0.002), task(0.001))

    asyncio.run(main())
    sessions = [span["attributes"].get("session.id") for span in agent_spans.snapshot()]
    assert sessions == ["s", "s", None, None, None, None]


def test_decorated_functions(agent_spans: AgentSpans) -> None:
    @context(session="sync")
    def plain() -> None:
        step()

    @context(session="async")
    async def later() -> None:
        await asyncio.sleep(0)
        step()

    @context(session="generator")
    def stream() -> Iterator[int]:
        step()
        yield 1
        step()

    @context(session="async generator")
    async def async_stream() -> AsyncIterator[int]:
        step()
        yield 1

    async def consume() -> None:
        async for _ in async_stream():
            step()

    plain()
    plain()
    asyncio.run(later())
    for _ in stream():
        step()
    asyncio.run(consume())
    assert [span["attributes"].get("session.id") for span in agent_spans.snapshot()] == [
        "sync",
        "sync",
        "async",
        "generator",
        None,
        "generator",
        "async generator",
        None,
    ]


def test_around_an_agent(agent_spans: AgentSpans) -> None:
    @context(session="s")
    @agent
    def work() -> None:
        step()

    work()
    assert {span["attributes"]["session.id"] for span in agent_spans.snapshot()} == {"s"}


def test_exceptions_pass(agent_spans: AgentSpans) -> None:
    error = ValueError("x")
    with pytest.raises(ValueError, match="x") as caught, context(session="s"):
        raise error
    assert caught.value is error
    assert attributes() == {}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {}),
        ({"session": ""}, {}),
        ({"session": None, "user": "  "}, {}),
        ({"session": 5}, {"session.id": "5", "gen_ai.conversation.id": "5"}),
        ({"user": b"u"}, {"user.id": "u"}),
        ({"user": {"id": 1}}, {"user.id": {"id": 1}}),
        ({"user": "a\ud800"}, {"user.id": "a�"}),
        ({"tags": []}, {}),
        ({"tags": "one"}, {"otel_agents.tags": ["one"]}),
        ({"tags": ("a", "a", "", None, 1)}, {"otel_agents.tags": ["a", "1"]}),
        ({"tags": {"a"}}, {"otel_agents.tags": ["a"]}),
        ({"tags": 5}, {"otel_agents.tags": ["5"]}),
        ({"metadata": {}}, {}),
        ({"metadata": {"a": None, "b": [], "c": [1, 2]}}, {"otel_agents.metadata.c": [1, 2]}),
        ({"metadata": "nonsense"}, {}),
        ({"metadata": {1: True}}, {"otel_agents.metadata.1": True}),
    ],
)
def test_odd_values_are_made_to_fit(
    agent_spans: AgentSpans, given: dict[str, Any], expected: dict[str, Any]
) -> None:
    with context(**given):
        step()
    ours = {"gen_ai.operation.name", "gen_ai.tool.name", "gen_ai.tool.type"}
    found = agent_spans.snapshot()[0]["attributes"]
    content = {"gen_ai.tool.call.arguments", "gen_ai.tool.call.result"}
    assert {name: value for name, value in found.items() if name not in ours | content} == expected


def test_long_names_stay_unique(agent_spans: AgentSpans) -> None:
    for last in "ab":
        with context(user="u" * 300 + last):
            step()
    first, second = (span["attributes"]["user.id"] for span in agent_spans.snapshot())
    assert len(first) == len(second) == 200
    assert first != second


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __iter__ = __str__  # type: ignore[assignment]


def test_values_that_raise(agent_spans: AgentSpans) -> None:
    with context(session=Hostile(), user=Hostile(), tags=Hostile(), metadata={"a": Hostile()}):
        step()
    attributes = agent_spans.snapshot()[0]["attributes"]
    assert attributes["session.id"] == f"<{__name__}.Hostile: cannot be read (RuntimeError)>"


def test_secrets_are_taken_out(agent_spans: AgentSpans) -> None:
    with context(tags="sk-proj-abcdefghijklmnopqrstuvwx", metadata={"api_key": "hunter2", "fine": "x"}):
        step()
    attributes = agent_spans.snapshot()[0]["attributes"]
    assert attributes["otel_agents.tags"] == ["[redacted]"]
    assert attributes["otel_agents.metadata.api_key"] == "[redacted]"
    assert attributes["otel_agents.metadata.fine"] == "x"


def test_agent_run(agent_spans: AgentSpans) -> None:
    assert agent_run() is None
    with agent("outer"):
        outer = agent_run()
        assert outer is not None
        with agent("inner"):
            inner = agent_run()
            assert inner is not None
            assert (inner.name, inner.parent) == ("inner", outer)
            assert attributes()["gen_ai.agent.name"] == "inner"
        assert agent_run() is outer
    assert agent_run() is None


def test_an_undecorated_generator_that_is_closed_elsewhere(agent_spans: AgentSpans) -> None:
    """The block cannot keep its context out of the caller; closing it elsewhere is still quiet."""

    def stream() -> Iterator[int]:
        with context(session="s"), agent("a"):
            yield 1

    async def consume() -> None:
        running = stream()
        next(running)

        async def close() -> None:
            running.close()  # type: ignore[attr-defined]

        await asyncio.create_task(close())

    asyncio.run(consume())
    agent_spans.assert_tree("invoke_agent a")


def test_the_name_means_the_function_whatever_was_imported_first() -> None:
    import otel_agents
    import otel_agents.tracing.contexts
    import otel_agents.tracing.inferences

    for module in (otel_agents.context, otel_agents.inference):
        assert callable(module)
    with otel_agents.context(session="s"):
        assert attributes()["session.id"] == "s"
    with contextlib.suppress(TypeError):
        otel_agents.inference()  # type: ignore[call-arg]
