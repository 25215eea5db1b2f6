"""Generators: the span covers the body, children are nested, and the caller's context stays its own."""

from __future__ import annotations

import contextlib
import contextvars
import gc
import inspect
import pickle
import threading
import traceback
from collections.abc import Generator, Iterator
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
def stream(count: int) -> Iterator[int]:
    """Streams."""
    for number in range(count):
        step()
        yield number


def test_children_are_nested_and_siblings_are_not(agent_spans: AgentSpans) -> None:
    with workflow("w"):
        for _ in stream(2):
            with tool("between"):
                pass
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


def test_early_break(agent_spans: AgentSpans) -> None:
    with workflow("w"):
        for _ in stream(5):
            break
        with tool("after"):
            pass
    agent_spans.assert_tree("""
        invoke_workflow w
          invoke_agent stream
            execute_tool step
          execute_tool after
    """)
    assert (
        agent_spans.named("invoke_agent stream").end_time < agent_spans.named("execute_tool after").start_time
    )


def test_close(agent_spans: AgentSpans) -> None:
    cleaned = []

    @agent
    def tidy() -> Iterator[int]:
        try:
            yield 1
        finally:
            with tool("clean"):
                cleaned.append(trace.get_current_span().is_recording())

    running = tidy()
    next(running)
    running.close()  # type: ignore[attr-defined]
    running.close()  # type: ignore[attr-defined]
    assert cleaned == [True]
    agent_spans.assert_tree("""
        invoke_agent tidy
          execute_tool clean
    """)


def test_garbage_collection_of_an_unfinished_one(agent_spans: AgentSpans) -> None:
    class Holder:
        def __init__(self) -> None:
            self.stream = self.run()

        @agent
        def run(self) -> Iterator[int]:
            step()
            yield 1
            yield 2

    holder = Holder()
    next(holder.stream)
    del holder  # a cycle: only the collector finds it
    with tool("current"):
        gc.collect()
        with tool("child"):
            pass
    agent_spans.assert_tree("""
        invoke_agent run
          execute_tool step
        execute_tool current
          execute_tool child
    """)


def test_collected_in_another_thread(agent_spans: AgentSpans) -> None:
    box = [stream(3)]
    next(box[0])

    def drop() -> None:
        with tool("elsewhere"):
            box.clear()
            gc.collect()
            with tool("child"):
                pass

    thread = threading.Thread(target=drop)
    thread.start()
    thread.join()
    agent_spans.assert_tree("""
        invoke_agent stream
          execute_tool step
        execute_tool elsewhere
          execute_tool child
    """)


def test_one_that_is_never_started_makes_no_span(agent_spans: AgentSpans) -> None:
    stream(3)
    gc.collect()
    assert len(agent_spans) == 0


def test_context_is_that_of_the_call(agent_spans: AgentSpans) -> None:
    def answer() -> Iterator[int]:
        with agent("outer"), context(session="s"):
            return stream(1)

    # As a web framework does: the response is streamed after the handler has returned.
    for _ in answer():
        assert not trace.get_current_span().get_span_context().is_valid
    agent_spans.assert_tree("""
        invoke_agent outer
          invoke_agent stream
            execute_tool step
    """)
    assert agent_spans.named("execute_tool step").attributes["session.id"] == "s"


def test_stepped_in_other_threads(agent_spans: AgentSpans) -> None:
    running = stream(3)
    found: list[int] = []
    for _ in range(3):
        thread = threading.Thread(target=lambda: found.append(next(running)))
        thread.start()
        thread.join()
    assert list(running) == []
    assert found == [0, 1, 2]
    agent_spans.assert_tree("""
        invoke_agent stream
          execute_tool step
          execute_tool step
          execute_tool step
    """)


def test_two_interleaved(agent_spans: AgentSpans) -> None:
    for _ in zip(stream(2), stream(2), strict=True):
        pass
    agent_spans.assert_tree("""
        invoke_agent stream
          execute_tool step
          execute_tool step
        invoke_agent stream
          execute_tool step
          execute_tool step
    """)


def test_nested_generators(agent_spans: AgentSpans) -> None:
    @workflow
    def outer() -> Iterator[int]:
        yield from stream(2)
        step()

    assert list(outer()) == [0, 1]
    agent_spans.assert_tree("""
        invoke_workflow outer
          invoke_agent stream
            execute_tool step
            execute_tool step
          execute_tool step
    """)


@agent
def echo() -> Generator[Any, Any, str]:
    received = yield "ready"
    while received != "stop":
        try:
            received = yield received
        except KeyError as error:
            received = yield f"caught {error}"
    return "returned"


def test_send_throw_and_return_value(agent_spans: AgentSpans) -> None:
    running = echo()
    assert next(running) == "ready"
    assert running.send("a") == "a"
    assert running.throw(KeyError("k")) == "caught 'k'"
    assert running.send("b") == "b"
    with pytest.raises(StopIteration) as stop:
        running.send("stop")
    assert stop.value.value == "returned"

    def delegates() -> Generator[Any, Any, Any]:
        return (yield from echo())

    outer = delegates()
    next(outer)
    with pytest.raises(StopIteration) as stop:
        outer.send("stop")
    assert stop.value.value == "returned"
    agent_spans.assert_tree("invoke_agent echo\ninvoke_agent echo")


def test_throw_that_is_not_caught(agent_spans: AgentSpans) -> None:
    running = echo()
    next(running)
    error = ValueError("x")
    with pytest.raises(ValueError, match="x") as caught:
        running.throw(error)
    assert caught.value is error
    assert error.__context__ is None
    with pytest.raises(StopIteration):
        next(running)
    agent_spans.assert_tree("invoke_agent echo [ValueError]")


def test_ignored_close_is_the_same_error_as_ever(agent_spans: AgentSpans) -> None:
    @agent
    def stubborn() -> Iterator[int]:
        try:
            yield 1
        except GeneratorExit:
            yield 2

    running = stubborn()
    next(running)
    with pytest.raises(RuntimeError, match="generator ignored GeneratorExit"):
        running.close()  # type: ignore[attr-defined]
    del running
    gc.collect()
    agent_spans.assert_tree("invoke_agent stubborn")


def test_exception_of_the_body(agent_spans: AgentSpans) -> None:
    error = ValueError("x")

    @agent
    def fails() -> Iterator[int]:
        yield 1
        raise error

    with pytest.raises(ValueError, match="x") as caught:
        list(fails())
    assert caught.value is error
    frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    assert frames == ["test_exception_of_the_body", "_drive", "fails"]
    agent_spans.assert_tree("invoke_agent fails [ValueError]")


def test_wrong_arguments_fail_at_the_call(agent_spans: AgentSpans) -> None:
    with pytest.raises(TypeError):
        stream()  # type: ignore[call-arg]
    assert len(agent_spans) == 0


def test_context_variables(agent_spans: AgentSpans) -> None:
    seen = []

    @agent
    def body() -> Iterator[str]:
        seen.append(colour.get())
        colour.set("body")
        yield "one"
        seen.append(colour.get())
        yield "two"

    colour.set("caller")
    for _ in body():
        seen.append(colour.get())
        colour.set("changed")
    # The body sees what was set when it was called, and then its own; the caller only ever its own.
    assert seen == ["caller", "caller", "body", "changed"]
    colour.set("none")


def test_as_context_manager(agent_spans: AgentSpans) -> None:
    @contextlib.contextmanager
    @agent
    def opened() -> Iterator[str]:
        step("before")
        yield "x"
        step("after")

    with opened() as value, tool("inside"):
        assert value == "x"
    agent_spans.assert_tree("""
        invoke_agent opened
          execute_tool step
          execute_tool step
        execute_tool inside
    """)


class Team:
    @agent
    def method(self, count: int) -> Iterator[int]:
        yield from range(count)

    @agent
    @classmethod
    def class_outside(cls, count: int) -> Iterator[str]:
        yield cls.__name__ * count

    @staticmethod
    @agent(name="static")
    def static_inside(count: int) -> Iterator[int]:
        yield count


def test_methods(agent_spans: AgentSpans) -> None:
    assert list(Team().method(2)) == [0, 1]
    assert list(Team.method(Team(), 1)) == [0]
    assert list(Team.class_outside(2)) == ["TeamTeam"]
    assert list(Team().static_inside(3)) == [3]
    assert inspect.isgeneratorfunction(Team.method)
    assert inspect.isgeneratorfunction(Team().method)
    agent_spans.assert_tree("""
        invoke_agent method
        invoke_agent method
        invoke_agent class_outside
        invoke_agent static
    """)


def test_generator_functions_stay_what_they_are(agent_spans: AgentSpans) -> None:
    assert inspect.isgeneratorfunction(stream)
    assert inspect.isfunction(stream)
    assert not inspect.iscoroutinefunction(stream)
    assert str(inspect.signature(stream)) == "(count: 'int') -> 'Iterator[int]'"
    assert stream.__name__ == "stream"
    assert stream.__doc__ == "Streams."
    assert pickle.loads(pickle.dumps(stream)) is stream
    running = stream(1)
    assert inspect.isgenerator(running)
    assert list(running) == [0]


def test_generator_returned_by_a_plain_function(agent_spans: AgentSpans) -> None:
    @agent
    def start(count: int) -> Iterator[int]:
        with tool("prepare"):
            pass
        return (number for number in range(count) if step() is None)

    running = start(2)
    with tool("between"):
        pass
    assert list(running) == [0, 1]
    agent_spans.assert_tree("""
        invoke_agent start
          execute_tool prepare
          execute_tool step
          execute_tool step
        execute_tool between
    """)


def test_generator_expression_dropped(agent_spans: AgentSpans) -> None:
    @agent
    def start() -> Iterator[int]:
        return (number for number in range(3))

    start()
    gc.collect()
    agent_spans.assert_tree("invoke_agent start")


@pytest.mark.parametrize(
    ("yielded", "expected"),
    [
        (["Hel", "lo"], "Hello"),
        ([], "null"),
        ([1, {"a": 2}], '[1,{"a":2}]'),
        (["a", 1, "b"], '["a",1,"b"]'),
    ],
)
def test_what_is_yielded_is_the_output(agent_spans: AgentSpans, yielded: list[Any], expected: str) -> None:
    @agent
    def say() -> Iterator[Any]:
        yield from yielded

    list(say())
    (message,) = agent_spans.snapshot()[0]["attributes"]["gen_ai.output.messages"]
    assert message == {"role": "assistant", "parts": [{"type": "text", "content": expected}]}


def test_output_so_far_when_it_fails(agent_spans: AgentSpans) -> None:
    @agent
    def say() -> Iterator[str]:
        yield "Hel"
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        list(say())
    (message,) = agent_spans.snapshot()[0]["attributes"]["gen_ai.output.messages"]
    assert message["parts"] == [{"type": "text", "content": "Hel"}]


@pytest.mark.agent_spans(max_value_chars=2000)
def test_long_streams_are_cut(agent_spans: AgentSpans) -> None:
    @agent
    def say() -> Iterator[str]:
        for _ in range(1000):
            yield "x" * 100

    list(say())
    attributes = agent_spans.named("invoke_agent say").attributes
    assert len(attributes["gen_ai.output.messages"]) <= 2000
    assert attributes["otel_agents.capture.truncated"] is True
