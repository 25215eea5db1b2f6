"""Async generators: as sync ones, and with event loops that cancel, close and collect them."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import inspect
import pickle
import traceback
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import pytest
from opentelemetry import trace

from otel_agents import agent, context, tool, workflow
from otel_agents.testing import AgentSpans

colour: contextvars.ContextVar[str] = contextvars.ContextVar("colour", default="none")


@tool
def step(name: object = None) -> None:
    pass


@agent
async def stream(count: int) -> AsyncIterator[int]:
    """Streams."""
    for number in range(count):
        step()
        await asyncio.sleep(0)
        yield number


async def test_children_are_nested_and_siblings_are_not(agent_spans: AgentSpans) -> None:
    async with workflow("w"):
        async for _ in stream(2):
            with tool("between"):
                await asyncio.sleep(0)
        with tool("after"):
            pass
    agent_spans.assert_tree("""
        invoke_workflow w
          invoke_agent stream
            execute_tool step
            execute_tool step
          execute_tool between
          execute_tool between
          execute_tool after
    """)


async def test_early_break(agent_spans: AgentSpans) -> None:
    with workflow("w"):
        async for _ in stream(5):
            break
        with tool("after"):
            await asyncio.sleep(0.01)  # the loop closes the generator meanwhile
        with tool("last"):
            pass
    agent_spans.assert_tree("""
        invoke_workflow w
          invoke_agent stream
            execute_tool step
          execute_tool after
          execute_tool last
    """)


def test_early_break_at_the_end_of_the_loop(agent_spans: AgentSpans) -> None:
    async def main() -> None:
        async for _ in stream(5):
            break

    asyncio.run(main())
    agent_spans.assert_tree("""
        invoke_agent stream
          execute_tool step
    """)


async def test_aclosing(agent_spans: AgentSpans) -> None:
    @agent
    async def tidy() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            step()

    async with contextlib.aclosing(tidy()) as running:  # type: ignore[type-var]
        async for _ in running:
            break
    step()
    agent_spans.assert_tree("""
        invoke_agent tidy
          execute_tool step
        execute_tool step
    """)


async def test_closed_in_another_task(agent_spans: AgentSpans) -> None:
    running = stream(3)
    await anext(running)

    async def close() -> None:
        with tool("closer"):
            await running.aclose()  # type: ignore[attr-defined]
            step()

    await asyncio.create_task(close())
    agent_spans.assert_tree("""
        invoke_agent stream
          execute_tool step
        execute_tool closer
          execute_tool step
    """)


async def test_stepped_by_different_tasks(agent_spans: AgentSpans) -> None:
    running = stream(2)

    async def one() -> int:
        with tool("stepper"):
            return await anext(running)

    assert await asyncio.create_task(one()) == 0
    assert await asyncio.create_task(one()) == 1
    with pytest.raises(StopAsyncIteration):
        await anext(running)
    agent_spans.assert_tree("""
        execute_tool stepper
        invoke_agent stream
          execute_tool step
          execute_tool step
        execute_tool stepper
    """)


async def test_cancelled_inside_the_body(agent_spans: AgentSpans) -> None:
    seen = []

    @agent
    async def slow() -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            step()
            seen.append("cancelled")
            raise

    async def consume() -> None:
        async for _ in slow():
            pass

    task = asyncio.create_task(consume())
    await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["cancelled"]
    agent_spans.assert_tree("""
        invoke_agent slow [asyncio.exceptions.CancelledError]
          execute_tool step
    """)


async def test_timeout_inside_the_body(agent_spans: AgentSpans) -> None:
    @agent
    async def patient() -> AsyncIterator[str]:
        try:
            async with asyncio.timeout(0.001):
                await asyncio.sleep(60)
        except TimeoutError:
            yield "late"

    assert [one async for one in patient()] == ["late"]
    agent_spans.assert_tree("invoke_agent patient")


async def test_tasks_of_the_body_are_its_children(agent_spans: AgentSpans) -> None:
    async def work() -> None:
        step()

    @agent
    async def spawns() -> AsyncIterator[int]:
        async with asyncio.TaskGroup() as group:
            group.create_task(work())
            group.create_task(work())
        yield 1

    assert [one async for one in spawns()] == [1]
    agent_spans.assert_tree("""
        invoke_agent spawns
          execute_tool step
          execute_tool step
    """)


def test_left_over_with_cleanup_that_waits(agent_spans: AgentSpans) -> None:
    """The loop's own ``shutdown_asyncgens`` closes it, once."""
    kept: list[Any] = []

    @agent
    async def tidy() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await asyncio.sleep(0.001)
            step()

    async def main() -> None:
        running = tidy()
        kept.append(running)
        await anext(running)

    asyncio.run(main())
    agent_spans.assert_tree("""
        invoke_agent tidy
          execute_tool step
    """)


async def test_collected_in_a_cycle(agent_spans: AgentSpans) -> None:
    class Holder:
        def __init__(self) -> None:
            self.stream = self.run()

        @agent
        async def run(self) -> AsyncIterator[int]:
            try:
                yield 1
            finally:
                await asyncio.sleep(0)
                step()

    holder = Holder()
    await anext(holder.stream)
    del holder
    with tool("current"):
        gc.collect()
        await asyncio.sleep(0.01)
        with tool("child"):
            pass
    agent_spans.assert_tree("""
        invoke_agent run
          execute_tool step
        execute_tool current
          execute_tool child
    """)


def test_collected_when_the_loop_is_gone(agent_spans: AgentSpans) -> None:
    loop = asyncio.new_event_loop()
    running = stream(3)
    loop.run_until_complete(anext(running))  # type: ignore[arg-type]
    loop.close()
    del running
    gc.collect()
    agent_spans.assert_tree("""
        invoke_agent stream
          execute_tool step
    """)


def test_without_any_loop(agent_spans: AgentSpans) -> None:
    @agent
    async def plain() -> AsyncIterator[int]:
        yield 1
        step()
        yield 2

    running = plain()
    step_one = running.__anext__()
    with pytest.raises(StopIteration) as stop:
        step_one.send(None)  # type: ignore[attr-defined]
    assert stop.value.value == 1
    del running, step_one
    gc.collect()
    agent_spans.assert_tree("invoke_agent plain")


async def test_one_that_is_never_started_makes_no_span(agent_spans: AgentSpans) -> None:
    stream(3)
    gc.collect()
    assert len(agent_spans) == 0


async def test_context_is_that_of_the_call(agent_spans: AgentSpans) -> None:
    async def answer() -> AsyncIterator[int]:
        async with agent("outer"), context(session="s"):
            return stream(1)

    async for _ in await answer():
        assert not trace.get_current_span().get_span_context().is_valid
    agent_spans.assert_tree("""
        invoke_agent outer
          invoke_agent stream
            execute_tool step
    """)
    assert agent_spans.named("execute_tool step").attributes["session.id"] == "s"


async def test_nested_generators(agent_spans: AgentSpans) -> None:
    @workflow
    async def outer() -> AsyncIterator[int]:
        async for number in stream(2):
            yield number
        step()

    assert [one async for one in outer()] == [0, 1]
    agent_spans.assert_tree("""
        invoke_workflow outer
          invoke_agent stream
            execute_tool step
            execute_tool step
          execute_tool step
    """)


@agent
async def echo() -> AsyncGenerator[Any, Any]:
    received = yield "ready"
    while received != "stop":
        try:
            await asyncio.sleep(0)
            received = yield received
        except KeyError as error:
            received = yield f"caught {error}"


async def test_asend_and_athrow(agent_spans: AgentSpans) -> None:
    running = echo()
    assert await anext(running) == "ready"
    assert await running.asend("a") == "a"
    assert await running.athrow(KeyError("k")) == "caught 'k'"
    assert await running.asend("b") == "b"
    with pytest.raises(StopAsyncIteration):
        await running.asend("stop")
    agent_spans.assert_tree("invoke_agent echo")


async def test_athrow_that_is_not_caught(agent_spans: AgentSpans) -> None:
    running = echo()
    await anext(running)
    error = ValueError("x")
    with pytest.raises(ValueError, match="x") as caught:
        await running.athrow(error)
    assert caught.value is error
    assert error.__context__ is None
    agent_spans.assert_tree("invoke_agent echo [ValueError]")


async def test_ignored_aclose_is_the_same_error_as_ever(agent_spans: AgentSpans) -> None:
    @agent
    async def stubborn() -> AsyncIterator[int]:
        try:
            yield 1
        except GeneratorExit:
            yield 2

    running = stubborn()
    await anext(running)
    with pytest.raises(RuntimeError, match="async generator ignored GeneratorExit"):
        await running.aclose()  # type: ignore[attr-defined]
    del running
    gc.collect()
    await asyncio.sleep(0.001)
    agent_spans.assert_tree("invoke_agent stubborn")


async def test_two_steps_at_once_are_the_same_error_as_ever(agent_spans: AgentSpans) -> None:
    running = stream(3)
    first = asyncio.create_task(anext(running))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="asynchronous generator is already running"):
        await anext(running)
    assert await first == 0
    await running.aclose()  # type: ignore[attr-defined]


async def test_exception_of_the_body(agent_spans: AgentSpans) -> None:
    error = ValueError("x")

    @agent
    async def fails() -> AsyncIterator[int]:
        await asyncio.sleep(0)
        yield 1
        await asyncio.sleep(0)
        raise error

    with pytest.raises(ValueError, match="x") as caught:
        async for _ in fails():
            pass
    assert caught.value is error
    assert error.__context__ is None
    frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    assert frames == ["test_exception_of_the_body", "_drive_async", "fails"]
    agent_spans.assert_tree("invoke_agent fails [ValueError]")


async def test_context_variables(agent_spans: AgentSpans) -> None:
    seen = []

    @agent
    async def body() -> AsyncIterator[str]:
        seen.append(colour.get())
        colour.set("body")
        await asyncio.sleep(0)
        yield "one"
        seen.append(colour.get())

    colour.set("caller")
    async for _ in body():
        seen.append(colour.get())
        colour.set("changed")
    assert seen == ["caller", "caller", "body"]
    assert colour.get() == "changed"


async def test_hooks_of_the_loop_are_left_as_they_were(agent_spans: AgentSpans) -> None:
    import sys

    before = sys.get_asyncgen_hooks()
    async for _ in stream(1):
        assert sys.get_asyncgen_hooks() == before
    assert sys.get_asyncgen_hooks() == before


class Team:
    @agent
    async def method(self, count: int) -> AsyncIterator[int]:
        for number in range(count):
            yield number

    @agent
    @classmethod
    async def class_outside(cls) -> AsyncIterator[str]:
        yield cls.__name__


async def test_methods(agent_spans: AgentSpans) -> None:
    assert [one async for one in Team().method(2)] == [0, 1]
    assert [one async for one in Team.class_outside()] == ["Team"]
    assert inspect.isasyncgenfunction(Team().method)
    agent_spans.assert_tree("invoke_agent method\ninvoke_agent class_outside")


def test_generator_functions_stay_what_they_are() -> None:
    assert inspect.isasyncgenfunction(stream)
    assert not inspect.isgeneratorfunction(stream)
    assert not inspect.iscoroutinefunction(stream)
    assert str(inspect.signature(stream)) == "(count: 'int') -> 'AsyncIterator[int]'"
    assert inspect.isasyncgen(stream(1))
    assert pickle.loads(pickle.dumps(stream)) is stream


async def test_generator_returned_by_a_plain_function(agent_spans: AgentSpans) -> None:
    async def numbers() -> AsyncIterator[int]:
        step()
        yield 1

    @agent
    def start() -> AsyncIterator[int]:
        return numbers()

    running = start()
    with tool("between"):
        pass
    assert [one async for one in running] == [1]
    start()
    gc.collect()
    agent_spans.assert_tree("""
        invoke_agent start
          execute_tool step
        execute_tool between
        invoke_agent start
    """)


async def test_what_is_yielded_is_the_output(agent_spans: AgentSpans) -> None:
    @agent
    async def say() -> AsyncIterator[str]:
        yield "Hel"
        yield "lo"

    async for _ in say():
        pass
    (message,) = agent_spans.snapshot()[0]["attributes"]["gen_ai.output.messages"]
    assert message["parts"] == [{"type": "text", "content": "Hello"}]
