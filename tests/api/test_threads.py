"""Thread pools, threads and executors keep the parent span and the context."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor

import pytest
from opentelemetry.instrumentation.threading import ThreadingInstrumentor

from otel_agents import agent, bind, context, tool, traced_executor
from otel_agents.testing import AgentSpans

colour: contextvars.ContextVar[str] = contextvars.ContextVar("colour", default="none")


@tool
def step(number: int = 0) -> str:
    return f"{colour.get()} {number}"


TREE = """
    invoke_agent a
      execute_tool step
      execute_tool step
"""


def test_traced_executor(agent_spans: AgentSpans) -> None:
    colour.set("red")
    with traced_executor(max_workers=2) as pool, agent("a"), context(session="s"):
        assert pool.submit(step, 1).result() == "red 1"
        assert list(pool.map(step, [2])) == ["red 2"]
    colour.set("none")
    agent_spans.assert_tree(TREE)
    assert agent_spans.snapshot()[1]["attributes"]["session.id"] == "s"


def test_traced_executor_around_another(agent_spans: AgentSpans) -> None:
    with ThreadPoolExecutor(1, thread_name_prefix="mine") as inner:
        pool: Executor = traced_executor(inner)
        with agent("a"):
            pool.submit(step).result()
            list(pool.map(step, [1]))
        assert pool._thread_name_prefix == "mine"  # type: ignore[attr-defined]
        pool.shutdown()
        with pytest.raises(RuntimeError):
            inner.submit(step)
    agent_spans.assert_tree(TREE)


def test_traced_executor_is_a_thread_pool() -> None:
    with traced_executor(max_workers=1) as pool:
        assert isinstance(pool, ThreadPoolExecutor)


def test_exceptions_pass(agent_spans: AgentSpans) -> None:
    def fails() -> None:
        raise KeyError("x")

    with traced_executor(max_workers=1) as pool, pytest.raises(KeyError):
        pool.submit(fails).result()


def test_bind_for_threads(agent_spans: AgentSpans) -> None:
    with agent("a"):
        bound = bind(step)
    threads = [threading.Thread(target=bound, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bound.__name__ == "step"
    agent_spans.assert_tree(TREE)


async def test_bind_for_run_in_executor(agent_spans: AgentSpans) -> None:
    loop = asyncio.get_running_loop()
    with agent("a"):
        await loop.run_in_executor(None, bind(step))
        await asyncio.to_thread(step)  # takes the context along by itself
    agent_spans.assert_tree(TREE)


async def test_bind_for_coroutines(agent_spans: AgentSpans) -> None:
    async def later(number: int) -> str:
        await asyncio.sleep(0)
        return step(number)

    with agent("a"):
        bound = bind(later)
    assert asyncio.iscoroutinefunction(bound)
    assert await bound(1) == "none 1"
    assert await asyncio.create_task(bound(2)) == "none 2"
    step()
    agent_spans.assert_tree(TREE.rstrip() + "\n    execute_tool step")


@pytest.fixture
def instrumented_threads() -> Iterator[None]:
    """As ``instrument()`` does it."""
    instrumentor = ThreadingInstrumentor()
    was = instrumentor.is_instrumented_by_opentelemetry
    if not was:
        instrumentor.instrument()
    yield
    if not was:
        instrumentor.uninstrument()


def test_any_pool_once_threads_are_instrumented(agent_spans: AgentSpans, instrumented_threads: None) -> None:
    with ThreadPoolExecutor(2) as pool, agent("a"), context(session="s"):
        pool.submit(step).result()
        thread = threading.Thread(target=step)
        thread.start()
        thread.join()
    agent_spans.assert_tree(TREE)
    assert {span["attributes"].get("session.id") for span in agent_spans.snapshot()[1:]} == {"s"}


def test_helpers_and_instrumentation_together(agent_spans: AgentSpans, instrumented_threads: None) -> None:
    with traced_executor(max_workers=2) as pool, agent("a"):
        pool.submit(step).result()
        pool.submit(bind(step)).result()
    agent_spans.assert_tree(TREE)
