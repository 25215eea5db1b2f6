"""Whatever breaks around it, the user's program goes on as it would without us."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from otel_agents import agent, context, event, inference, retrieval, runtime, score, tool, workflow
from otel_agents.config import Settings
from otel_agents.testing import AgentSpans


class Unfriendly:
    """Raises from everything that is looked at."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __repr__(self) -> str:
        raise RuntimeError("repr")

    __str__ = __repr__


def circular() -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    mapping["self"] = mapping
    return mapping


#: Made late, because pytest itself looks at the values of parameters.
ODD: dict[str, Callable[[], Any]] = {
    "unfriendly": Unfriendly,
    "circular": circular,
    "lock": threading.Lock,
    "bytes": lambda: b"\xff\x00",
    "nan": lambda: float("nan"),
    "surrogate": lambda: "\ud800",
    "set": lambda: {1, 2},
    "keys": lambda: {("a", 1): object()},
    "object": object,
    "generator": lambda: (number for number in range(3)),
    "long": lambda: "x" * 50_000_000,
}


@pytest.mark.parametrize("name", ODD)
def test_odd_arguments_and_results(agent_spans: AgentSpans, name: str) -> None:
    odd = ODD[name]()

    @tool
    def same(value: Any, *rest: Any, **named: Any) -> Any:
        return value

    @agent
    def through(value: Any) -> Any:
        return same(value, value, key=value)

    @agent
    def stream() -> Iterator[Any]:
        yield odd

    assert through([odd])[0] is odd
    assert next(iter(stream())) is odd
    event("e", odd, odd=odd)
    with agent("block") as run:
        run.update(input=odd, output=odd, metadata={"odd": odd}, attributes={"odd": odd})
    with inference("p", "m") as call:
        call.record(input=odd, output=odd, usage=odd)
    agent_spans.assert_tree("""
        invoke_agent through
          execute_tool same
        invoke_agent stream
        e
        invoke_agent block
        chat m
    """)
    for span in agent_spans:
        for value in span.attributes.values():
            str(value).encode("utf-8")
    if name == "generator":
        assert list(odd) == [0, 1, 2]


@tool
def step(value: int) -> int:
    return value


@agent
def answer(value: int) -> int:
    return step(value)


@agent
async def answer_later(value: int) -> int:
    return step(value)


@agent
def stream(value: int) -> Iterator[int]:
    yield step(value)


@agent
async def stream_later(value: int) -> AsyncIterator[int]:
    yield step(value)


def use_everything() -> None:
    """Uses the whole API and checks that the program's own results are right."""
    assert answer(1) == 1
    assert asyncio.run(answer_later(2)) == 2
    assert list(stream(3)) == [3]

    async def consume() -> list[int]:
        return [one async for one in stream_later(4)]

    assert asyncio.run(consume()) == [4]
    with context(session="s", metadata={"a": 1}), workflow("w") as run, retrieval("r"):
        run.update(input="x", output="y", metadata={"a": 1}, attributes={"b": 2}).set_error("e")
        event("e", {"a": 1})
        score("s", 1, trace_id="0af7651916cd43dd8448eb211c80319c")
    with inference("openai", "gpt-4o-mini", input="x") as call:
        call.record(output="y", usage={"input": 1}, finish_reasons=["stop"]).set_error(ValueError("x"))
    with pytest.raises(KeyError):
        tool(lambda: {}["missing"])()


def breaks(*args: Any, **kwargs: Any) -> Any:
    raise RuntimeError("broken on purpose")


class BrokenProcessor:
    on_start = on_end = _on_ending = staticmethod(breaks)
    shutdown = force_flush = staticmethod(lambda *args, **kwargs: True)


class BrokenSampler:
    should_sample = get_description = staticmethod(breaks)


def break_processor(spans: AgentSpans, patch: pytest.MonkeyPatch) -> None:
    trace.get_tracer_provider().add_span_processor(BrokenProcessor())  # type: ignore[attr-defined]


def break_sampler(spans: AgentSpans, patch: pytest.MonkeyPatch) -> None:
    trace.get_tracer_provider().sampler = BrokenSampler()  # type: ignore[attr-defined]


def break_provider(spans: AgentSpans, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(spans.runtime, "tracer", breaks)


def break_redactor(spans: AgentSpans, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(spans.runtime, "_redactor", object())


def break_instruments(spans: AgentSpans, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(spans.runtime, "instruments", object())
    patch.setattr(spans.runtime, "accountant", object())


def break_events(spans: AgentSpans, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(spans.runtime, "emit_event", breaks)


def break_prices(spans: AgentSpans, patch: pytest.MonkeyPatch) -> None:
    from otel_agents import accounting

    patch.setattr(accounting, "price", breaks)


def break_runtime(spans: AgentSpans, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(runtime, "current", breaks)


@pytest.mark.parametrize(
    "breaking",
    [
        break_processor,
        break_sampler,
        break_provider,
        break_redactor,
        break_instruments,
        break_events,
        break_prices,
        break_runtime,
    ],
)
def test_what_we_stand_on_breaks(
    agent_spans: AgentSpans,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    breaking: Callable[[AgentSpans, pytest.MonkeyPatch], None],
) -> None:
    with monkeypatch.context() as patch:
        breaking(agent_spans, patch)
        use_everything()
        use_everything()
    ours = [record for record in caplog.records if record.name.startswith("otel_agents")]
    assert ours, "nothing was logged"
    assert all(record.levelno == logging.DEBUG for record in ours)
    assert len(ours) <= 20, "the same thing is logged again and again"
    caplog.clear()


def test_redaction_that_breaks_shows_nothing(
    agent_spans: AgentSpans, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    @tool
    def secret(text: str) -> str:
        raise ValueError(text)

    monkeypatch.setattr(agent_spans.runtime, "_redactor", object())
    with pytest.raises(ValueError, match="hunter2"):
        secret("hunter2")
    event("e", "hunter2")
    assert "hunter2" not in str([span.to_json() for span in agent_spans])
    caplog.clear()


def test_without_any_provider(clean_globals: None) -> None:
    use_everything()


def test_disabled(clean_globals: None) -> None:
    with runtime.override(runtime.Runtime(replace(Settings(), enabled=False))):
        use_everything()


def test_providers_of_other_makers(clean_globals: None) -> None:
    """A tracer that knows only what the API promises."""

    class ForeignTracer(trace.NoOpTracer):
        pass

    class ForeignProvider(trace.TracerProvider):
        def get_tracer(self, *args: Any, **kwargs: Any) -> trace.Tracer:
            return ForeignTracer()

    trace.set_tracer_provider(ForeignProvider())
    use_everything()


def test_spans_that_end_twice_or_are_updated_late(
    agent_spans: AgentSpans, caplog: pytest.LogCaptureFixture
) -> None:
    with agent("a") as run:
        run.span.end()
    run.update(input="late", output="late", metadata={"a": 1}).set_error("late")
    run.end()
    with inference("p", "m") as call:
        pass
    call.record(output="late", usage={"input": 1})
    assert "late" not in str(agent_spans.snapshot())
    # The one warning is the SDK's, about the span that the test itself has ended first.
    assert [record.getMessage() for record in caplog.records] == ["Calling end() on an ended span."]


def test_deep_recursion(agent_spans: AgentSpans, caplog: pytest.LogCaptureFixture) -> None:
    @tool(capture_input=False, capture_output=False)
    def deeper(depth: int) -> int:
        return deeper(depth + 1)

    with pytest.raises(RecursionError):
        deeper(0)
    # Where there is no room for a call any more, there is none for a span, and one line says so.
    caplog.clear()
    with tool("after") as run:
        pass
    assert agent_spans.named("execute_tool after").parent is None
    assert run.span.get_span_context().is_valid


PROGRAM = """
import sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

class Print(SpanExporter):
    def export(self, spans):
        for span in spans:
            print(span.name, span.status.status_code.name, flush=True)
        return SpanExportResult.SUCCESS

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(Print()))
trace.set_tracer_provider(provider)
from otel_agents import agent, tool, workflow
"""


def run_program(body: str) -> tuple[list[str], int, str]:
    """Spans that a program exported until its end, its exit status, and what it wrote to stderr."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM + textwrap.dedent(body)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout.split("\n")[:-1], done.returncode, done.stderr


def test_sys_exit_inside_open_spans() -> None:
    spans, status, errors = run_program("""
        @agent
        def outer():
            with tool("inner"):
                sys.exit(3)
        with workflow("w"):
            outer()
    """)
    assert spans == ["execute_tool inner ERROR", "invoke_agent outer ERROR", "invoke_workflow w ERROR"]
    assert (status, errors) == (3, "")


def test_unhandled_exception() -> None:
    spans, status, errors = run_program("""
        @agent
        def outer():
            raise ValueError("x")
        outer()
    """)
    assert spans == ["invoke_agent outer ERROR"]
    assert status == 1
    assert errors.count("Traceback") == 1


def test_generator_that_is_open_when_the_program_ends() -> None:
    spans, status, errors = run_program("""
        @agent
        def stream():
            yield 1
            yield 2

        def main():
            running = stream()
            next(running)

        main()
        left_over = stream()
        next(left_over)
    """)
    # Python does not close what is left over at module level before the exporters go; nothing may be logged.
    assert spans[:1] == ["invoke_agent stream UNSET"]
    assert (status, errors) == (0, "")


def test_interrupted_async_program() -> None:
    spans, status, errors = run_program("""
        import asyncio, os, signal

        @agent
        async def stream():
            with tool("wait"):
                os.kill(os.getpid(), signal.SIGINT)
                await asyncio.sleep(60)
                yield 1

        async def main():
            async for _ in stream():
                pass

        try:
            asyncio.run(main())
        except KeyboardInterrupt:
            print("interrupted", flush=True)
    """)
    assert spans == ["interrupted", "execute_tool wait ERROR", "invoke_agent stream ERROR"]
    assert (status, errors) == (0, "")


def test_the_provider_may_come_after_the_decorators(clean_globals: None) -> None:
    answer(1)
    provider = TracerProvider()
    started: list[str] = []

    class Notes(BrokenProcessor):
        on_end = _on_ending = staticmethod(lambda *args, **kwargs: None)

        def on_start(self, span: Any, parent_context: Any = None) -> None:  # type: ignore[override]
            started.append(span.name)

    provider.add_span_processor(Notes())  # type: ignore[arg-type]
    trace.set_tracer_provider(provider)
    answer(1)
    assert started == ["invoke_agent answer", "execute_tool step"]
