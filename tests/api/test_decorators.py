"""``agent``, ``workflow``, ``tool``, ``retrieval`` on functions that return, and around blocks."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import pickle
import traceback
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind

from otel_agents import agent, retrieval, tool, workflow
from otel_agents.testing import AgentSpans


@tool
def search(query: str) -> str:
    return f"found {query}"


@agent
def answer(question: str) -> str:
    """Answers."""
    return search(question)


@workflow
async def pipeline(question: str) -> str:
    await asyncio.sleep(0)
    return answer(question)


def test_sync(agent_spans: AgentSpans) -> None:
    assert answer("x") == "found x"
    agent_spans.assert_tree("""
        invoke_agent answer
          execute_tool search
    """)


async def test_async(agent_spans: AgentSpans) -> None:
    assert await pipeline("x") == "found x"
    agent_spans.assert_tree("""
        invoke_workflow pipeline
          invoke_agent answer
            execute_tool search
    """)


async def test_concurrent_tasks_keep_apart(agent_spans: AgentSpans) -> None:
    @agent
    async def ask(name: str) -> None:
        await asyncio.sleep(0.001)
        search(name)

    @workflow
    async def both() -> None:
        await asyncio.gather(ask("a"), asyncio.create_task(ask("b")))

    await both()
    agent_spans.assert_tree("""
        invoke_workflow both
          invoke_agent ask
            execute_tool search
          invoke_agent ask
            execute_tool search
    """)


def test_what_is_on_the_spans(agent_spans: AgentSpans) -> None:
    @agent(name="planner", description="plans", version="2", id="a-1", attributes={"team": "x", "empty": []})
    def plan() -> None:
        with tool("grep", type="extension", call_id="c1", description="finds"):
            pass
        with retrieval("docs", top_k=3, provider="chroma", model="embed-1"):
            pass

    @workflow("steps")
    def steps() -> None:
        plan()

    steps()
    found = {span["name"]: (span["kind"], span["attributes"]) for span in agent_spans.snapshot()}
    assert found == {
        "invoke_workflow steps": (
            "INTERNAL",
            {
                "gen_ai.operation.name": "invoke_workflow",
                "gen_ai.agent.name": "steps",
                "gen_ai.workflow.name": "steps",
                "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "{}"}]}],
                "gen_ai.output.messages": [
                    {"role": "assistant", "parts": [{"type": "text", "content": "null"}]}
                ],
            },
        ),
        "invoke_agent planner": (
            "INTERNAL",
            {
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.agent.name": "planner",
                "gen_ai.agent.description": "plans",
                "gen_ai.agent.version": "2",
                "gen_ai.agent.id": "a-1",
                "team": "x",
                "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "{}"}]}],
                "gen_ai.output.messages": [
                    {"role": "assistant", "parts": [{"type": "text", "content": "null"}]}
                ],
            },
        ),
        "execute_tool grep": (
            "INTERNAL",
            {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.agent.name": "planner",
                "gen_ai.tool.name": "grep",
                "gen_ai.tool.type": "extension",
                "gen_ai.tool.call.id": "c1",
                "gen_ai.tool.description": "finds",
            },
        ),
        "retrieval docs": (
            "CLIENT",
            {
                "gen_ai.operation.name": "retrieval",
                "gen_ai.agent.name": "planner",
                "gen_ai.data_source.id": "docs",
                "gen_ai.retrieval.top_k": 3,
                "gen_ai.provider.name": "chroma",
                "gen_ai.request.model": "embed-1",
            },
        ),
    }


def test_operation_and_names_are_there_when_the_span_starts(agent_spans: AgentSpans) -> None:
    seen: list[dict[str, Any]] = []

    class Sees:
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            seen.append(dict(span.attributes))

        def on_end(self, span: Any) -> None: ...

        def _on_ending(self, span: Any) -> None: ...

    trace.get_tracer_provider().add_span_processor(Sees())  # type: ignore[attr-defined]
    answer("x")
    assert [one["gen_ai.operation.name"] for one in seen] == ["invoke_agent", "execute_tool"]
    assert seen[0]["gen_ai.agent.name"] == seen[1]["gen_ai.agent.name"] == "answer"
    assert seen[1]["gen_ai.tool.name"] == "search"


def test_a_bare_retrieval_has_no_data_source(agent_spans: AgentSpans) -> None:
    @retrieval
    def find(query: str) -> list[str]:
        return ["one", "two"]

    find("q")
    span = agent_spans.named("retrieval")
    assert span.kind is SpanKind.CLIENT
    assert "gen_ai.data_source.id" not in span.attributes
    assert span.attributes["gen_ai.retrieval.query.text"] == "q"
    assert span.attributes["gen_ai.retrieval.documents"] == '[{"content":"one"},{"content":"two"}]'


class Team:
    def __init__(self, name: str) -> None:
        self.name = name

    @agent
    def method(self, task: str) -> str:
        return f"{self.name} {search(task)}"

    @agent
    async def async_method(self, task: str) -> str:
        return f"{self.name} {task}"

    @classmethod
    @agent
    def class_inside(cls, task: str) -> str:
        return f"{cls.__name__} {task}"

    @agent
    @classmethod
    def class_outside(cls, task: str) -> str:
        return f"{cls.__name__} {task}"

    @staticmethod
    @tool
    def static_inside(task: str) -> str:
        return task

    @tool(name="outside")
    @staticmethod
    def static_outside(task: str) -> str:
        return task


def test_methods(agent_spans: AgentSpans) -> None:
    team = Team("t")
    assert team.method("x") == "t found x"
    assert asyncio.run(team.async_method("x")) == "t x"
    assert Team.class_inside("x") == team.class_inside("x") == "Team x"
    assert Team.class_outside("x") == team.class_outside("x") == "Team x"
    assert Team.static_inside("x") == team.static_inside("x") == "x"
    assert Team.static_outside("x") == team.static_outside("x") == "x"
    agent_spans.assert_tree("""
        invoke_agent method
          execute_tool search
        invoke_agent async_method
        invoke_agent class_inside
        invoke_agent class_inside
        invoke_agent class_outside
        invoke_agent class_outside
        execute_tool static_inside
        execute_tool static_inside
        execute_tool outside
        execute_tool outside
    """)
    inputs = [span["attributes"]["gen_ai.input.messages"] for span in agent_spans.snapshot()[:1]]
    assert inputs == [[{"role": "user", "parts": [{"type": "text", "content": "x"}]}]]  # no self


class Callable1:
    def __call__(self, x: int) -> int:
        return x + 1


class AsyncCallable:
    async def __call__(self, x: int) -> int:
        return x + 1


def add(x: int, y: int) -> int:
    return x + y


async def add_later(x: int, y: int) -> int:
    return x + y


def test_partials_and_callable_objects(agent_spans: AgentSpans) -> None:
    assert tool(functools.partial(add, 1))(2) == 3
    assert tool(Callable1())(2) == 3
    assert asyncio.run(tool(AsyncCallable())(2)) == 3
    assert asyncio.run(tool(functools.partial(add_later, 1))(2)) == 3
    assert tool(len)("abc") == 3
    assert tool(Team("t").method)("x") == "t found x"
    assert inspect.iscoroutinefunction(tool(AsyncCallable()))
    assert inspect.iscoroutinefunction(tool(functools.partial(add_later, 1)))
    agent_spans.assert_tree("""
        execute_tool add
        execute_tool Callable1
        execute_tool AsyncCallable
        execute_tool add_later
        execute_tool len
        execute_tool method
          invoke_agent method
            execute_tool search
    """)


def test_functions_stay_what_they_are() -> None:
    assert inspect.iscoroutinefunction(pipeline)
    assert not inspect.iscoroutinefunction(answer)
    assert inspect.isfunction(answer)
    assert str(inspect.signature(answer)) == "(question: 'str') -> 'str'"
    assert answer.__name__ == "answer"
    assert answer.__doc__ == "Answers."
    assert answer.__module__ == __name__
    assert answer.__wrapped__("x") == "found x"  # type: ignore[attr-defined]


def test_decorated_functions_can_be_pickled(agent_spans: AgentSpans) -> None:
    for function in (answer, pipeline, Team.method):
        assert pickle.loads(pickle.dumps(function)) is function


def test_exceptions_pass_unchanged(agent_spans: AgentSpans) -> None:
    error = KeyError("missing")

    @tool
    def fails() -> None:
        raise error

    @agent
    async def outer() -> None:
        fails()

    with pytest.raises(KeyError) as caught:
        asyncio.run(outer())
    assert caught.value is error
    assert error.__context__ is None
    frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    assert frames[-4:] == ["call", "outer", "call", "fails"]
    agent_spans.assert_tree("""
        invoke_agent outer [KeyError]
          execute_tool fails [KeyError]
    """)
    span = agent_spans.named("execute_tool fails")
    assert span.status.description == "'missing'"
    (event,) = span.events
    assert event.name == "exception"
    assert event.attributes["exception.type"] == "KeyError"
    assert event.attributes["exception.message"] == "'missing'"
    assert "raise error" in event.attributes["exception.stacktrace"]


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ValueError("x"), "ValueError"),
        (Unprintable(), f"{__name__}.Unprintable"),
        (asyncio.CancelledError(), "asyncio.exceptions.CancelledError"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (SystemExit("broken"), "SystemExit"),
        (SystemExit(2), "SystemExit"),
        (SystemExit(0), None),
        (SystemExit(), None),
        (GeneratorExit(), None),
        (ExceptionGroup("many", [ValueError("a\ud800")]), "ExceptionGroup"),
        (RecursionError("deep"), "RecursionError"),
    ],
)
def test_what_counts_as_failure(agent_spans: AgentSpans, error: BaseException, kind: str | None) -> None:
    @tool
    def fails() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        fails()
    assert caught.value is error
    span = agent_spans.named("execute_tool fails")
    assert span.attributes.get("error.type") == kind
    assert span.status.status_code.name == ("UNSET" if kind is None else "ERROR")
    assert agent_spans.metric("gen_ai.execute_tool.duration", {"error.type": kind}).measurements == 1


def test_block(agent_spans: AgentSpans) -> None:
    with agent("writer") as run:
        assert trace.get_current_span() is run.span
        search("x")
        run.update(
            input="task", output={"text": "done"}, metadata={"n": 1, "deep": [{}]}, attributes={"a.b": 2}
        )
    agent_spans.assert_tree("""
        invoke_agent writer
          execute_tool search
    """)
    attributes = agent_spans.snapshot()[0]["attributes"]
    assert attributes["gen_ai.input.messages"] == [
        {"role": "user", "parts": [{"type": "text", "content": "task"}]}
    ]
    assert attributes["gen_ai.output.messages"] == [
        {"role": "assistant", "parts": [{"type": "text", "content": '{"text":"done"}'}]}
    ]
    assert attributes["otel_agents.metadata.n"] == 1
    assert attributes["otel_agents.metadata.deep"] == [{}]
    assert attributes["a.b"] == 2


async def test_async_block(agent_spans: AgentSpans) -> None:
    async def write() -> None:
        async with agent(name="writer"):
            await asyncio.sleep(0)
            search("x")
            raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        await write()
    agent_spans.assert_tree("""
        invoke_agent writer [ValueError]
          execute_tool search
    """)


@pytest.mark.parametrize(
    ("error", "error_type", "expected", "description"),
    [
        ("no answer", None, "_OTHER", "no answer"),
        ("no answer", "empty", "empty", "no answer"),
        (ValueError("bad"), None, "ValueError", "bad"),
        (ValueError("bad"), "rejected", "rejected", "bad"),
    ],
)
def test_set_error(
    agent_spans: AgentSpans, error: Any, error_type: str | None, expected: str, description: str
) -> None:
    with tool("t") as run:
        run.set_error(error, error_type)
    span = agent_spans.named("execute_tool t")
    assert span.status.description == description
    assert span.attributes["error.type"] == expected
    assert agent_spans.metric("gen_ai.execute_tool.duration", {"error.type": expected}).measurements == 1


def test_one_block_object_entered_again_and_again(agent_spans: AgentSpans) -> None:
    block = agent("again")

    async def enter(seconds: float) -> None:
        async with block:
            await asyncio.sleep(seconds)
            search("x")

    async def main() -> None:
        await asyncio.gather(enter(0.01), enter(0.001))

    with block, block:
        pass
    asyncio.run(main())
    agent_spans.assert_tree("""
        invoke_agent again
          invoke_agent again
        invoke_agent again
          execute_tool search
        invoke_agent again
          execute_tool search
    """)


def test_an_operation_also_decorates(agent_spans: AgentSpans) -> None:
    decorate: Callable[[Any], Any] = agent(capture_input=False)

    @decorate
    def one() -> None: ...

    @decorate
    def two() -> None: ...

    one()
    two()
    agent_spans.assert_tree("invoke_agent one\ninvoke_agent two")


def test_unknown_arguments_are_told_at_once() -> None:
    with pytest.raises(TypeError, match="colour"):
        agent(colour="red")  # type: ignore[call-overload]


def test_what_is_no_function_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    class Thing: ...

    assert agent(Thing) is Thing
    assert "is no function" in caplog.text
    caplog.clear()


def test_coroutine_returned_by_a_plain_function(agent_spans: AgentSpans) -> None:
    async def later(x: str) -> str:
        await asyncio.sleep(0)
        return search(x)

    @agent
    def start(x: str) -> Any:
        return later(x)

    async def main() -> str:
        made = start("x")
        with tool("between"):
            pass
        return str(await made)

    assert asyncio.run(main()) == "found x"
    agent_spans.assert_tree("""
        invoke_agent start
          execute_tool search
        execute_tool between
    """)
    (output,) = agent_spans.snapshot()[0]["attributes"]["gen_ai.output.messages"]
    assert output["parts"] == [{"type": "text", "content": "found x"}]


def test_coroutine_that_nobody_awaits(agent_spans: AgentSpans) -> None:
    async def later() -> None: ...

    @agent
    def start() -> Any:
        return later()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # "never awaited": as it would be without us
        start()
        gc.collect()
    agent_spans.assert_tree("invoke_agent start")


async def test_task_returned_by_a_plain_function(agent_spans: AgentSpans) -> None:
    async def later(fail: bool) -> str:
        await asyncio.sleep(0.001)
        if fail:
            raise ValueError("x")
        return "done"

    @agent
    def start(fail: bool) -> Any:
        return asyncio.create_task(later(fail))

    task = start(False)
    assert isinstance(task, asyncio.Task)
    assert await task == "done"
    with pytest.raises(ValueError, match="x"):
        await start(True)
    cancelled = start(False)
    cancelled.cancel()
    await asyncio.wait([cancelled])
    await asyncio.sleep(0)
    agent_spans.assert_tree("""
        invoke_agent start
        invoke_agent start [ValueError]
        invoke_agent start [asyncio.exceptions.CancelledError]
    """)


async def test_cancelled_task(agent_spans: AgentSpans) -> None:
    @agent
    async def slow() -> None:
        with tool("waits"):
            await asyncio.sleep(60)

    task = asyncio.create_task(slow())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    search("after")
    agent_spans.assert_tree("""
        invoke_agent slow [asyncio.exceptions.CancelledError]
          execute_tool waits [asyncio.exceptions.CancelledError]
        execute_tool search
    """)


def test_runs_are_counted(agent_spans: AgentSpans) -> None:
    @agent
    def inner() -> None:
        search("a")

    @agent
    def outer() -> None:
        search("a")
        search("b")
        inner()

    outer()
    for name, tools in (("outer", 2), ("inner", 1)):
        labels = {"gen_ai.agent.name": name, "gen_ai.operation.name": "invoke_agent"}
        assert agent_spans.metric("gen_ai.invoke_agent.duration", labels).measurements == 1
        assert agent_spans.metric("gen_ai.invoke_agent.tool_calls", labels) == (1, tools)
        assert agent_spans.metric("gen_ai.invoke_agent.inference_calls", labels) == (1, 0)
    assert agent_spans.metric(
        "gen_ai.execute_tool.duration",
        {"gen_ai.tool.name": "search", "gen_ai.agent.name": "outer", "gen_ai.tool.type": "function"},
    ).measurements == 2  # fmt: skip
