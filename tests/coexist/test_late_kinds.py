"""Spans of others that say only after their start what they are, and where that puts them in Langfuse."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_agents.export.pipeline import SpanPipeline
from otel_agents.export.unasked import without_content

OPERATION = "gen_ai.operation.name"
KIND = "openinference.span.kind"
LLAMA_INDEX = "openinference.instrumentation.llama_index"


class Watched:
    """A provider with our processor, and what it exports."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.pipeline = SpanPipeline(self.exporter, inherited=lambda _: {}, delay=0.01)
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(self.pipeline)

    def span(self, name: str, scope: str = "somebody", **attributes: Any) -> Any:
        """Starts a span and makes it current."""
        named = {key.replace("__", "."): value for key, value in attributes.items()}
        return self.provider.get_tracer(scope).start_as_current_span(name, attributes=named)

    def exported(self) -> dict[str, dict[str, Any]]:
        """Attributes by name of span."""
        self.pipeline.flush(5)
        return {one.name: dict(one.attributes or {}) for one in self.exporter.get_finished_spans()}


@pytest.fixture
def watched() -> Iterator[Watched]:
    made = Watched()
    yield made
    made.pipeline.close()


def hex_id(span: trace.Span) -> str:
    return format(span.get_span_context().span_id, "016x")


def test_told_after_the_start_and_before_the_children(watched: Watched) -> None:
    with watched.span("GET /"), watched.span("agent") as agent:
        agent.set_attribute(OPERATION, "invoke_agent")
        with watched.span("POST"), watched.span("tool", gen_ai__operation__name="execute_tool"):
            pass
    found = watched.exported()
    assert found["tool"]["otel_agents.parent"] == hex_id(agent)
    assert found["agent"]["otel_agents.app_root"] is True
    assert "otel_agents.parent" not in found["GET /"]


def test_told_while_a_child_that_is_not_shown_was_open_already(watched: Watched) -> None:
    with watched.span("agent") as agent, watched.span("POST"):
        agent.set_attribute(OPERATION, "invoke_agent")
        with watched.span("tool", gen_ai__operation__name="execute_tool"):
            pass
    assert watched.exported()["tool"]["otel_agents.parent"] == hex_id(agent)


def test_told_at_the_end(watched: Watched) -> None:
    with watched.span("outer", gen_ai__operation__name="invoke_agent") as outer, watched.span("GET /"):
        with watched.span("tool") as tool:
            pass
        with watched.span("late") as late:
            late.set_attribute(KIND, "TOOL")
            late.set_attribute("tool.name", "weather")
    found = watched.exported()
    assert found["late"][OPERATION] == "execute_tool"
    assert found["late"]["gen_ai.tool.name"] == "weather"
    assert found["late"]["otel_agents.parent"] == hex_id(outer)
    assert found["tool"] == {}
    assert tool.attributes == {}


@pytest.mark.parametrize(
    ("kind", "operation"),
    [
        ("AGENT", "invoke_agent"),
        ("CHAIN", "invoke_workflow"),
        ("TOOL", "execute_tool"),
        ("RETRIEVER", "retrieval"),
        ("LLM", None),  # only a call that is seen makes it one
        ("GUARDRAIL", None),
    ],
)
def test_openinference_at_the_start(watched: Watched, kind: str, operation: str | None) -> None:
    with watched.span("one", openinference__span__kind=kind):
        pass
    assert watched.exported()["one"].get(OPERATION) == operation


@pytest.mark.parametrize(
    ("name", "kind", "operation"),
    [
        ("FunctionAgent.run", "CHAIN", "invoke_agent"),
        ("RetrieverQueryEngine.query", "CHAIN", "invoke_workflow"),
        ("FunctionTool.call", "TOOL", "execute_tool"),
        ("ContextChatEngine.chat", "CHAIN", "invoke_workflow"),
        ("OpenAI.predict", "LLM", "invoke_workflow"),  # around the call, never the call
        ("OpenAI.chat", "LLM", None),  # an answer from a cache: no call was made
    ],
)
def test_llama_index_at_the_end(watched: Watched, name: str, kind: str, operation: str | None) -> None:
    with watched.span(name, LLAMA_INDEX) as one:
        one.set_attribute(KIND, kind)
    assert watched.exported()[name].get(OPERATION) == operation


def test_what_was_said_in_our_words_stays(watched: Watched) -> None:
    with watched.span("one", openinference__span__kind="CHAIN", gen_ai__operation__name="execute_tool"):
        pass
    assert watched.exported()["one"][OPERATION] == "execute_tool"


def test_content_without_a_switch_goes_and_everything_else_stays(watched: Watched) -> None:
    kept = {
        OPERATION: "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 3, "flag": True,
        "otel_agents.parent": "0" * 15 + "1",
    }  # fmt: skip
    said = {"gen_ai.input.messages": "[]", "gen_ai.system_instructions": "[]", "system_prompt": "be brief"}
    with watched.span("one", "strands.telemetry.tracer") as one:
        one.set_attributes({**kept, **said})
        one.add_event("gen_ai.user.message", {"content": "hi"})
        one.add_event("exception", {"exception.type": "ValueError"})
    ended = end_of(watched)
    changed = without_content(ended, ())
    assert changed.attributes == kept
    assert [event.name for event in changed.events] == ["exception"]
    assert ended.attributes == {**kept, **said}


def test_content_of_what_the_app_has_enabled_is_the_apps(watched: Watched) -> None:
    with watched.span("one", LLAMA_INDEX, input__value="hi"):
        pass
    ended = end_of(watched)
    assert without_content(ended, ()) is ended
    assert "input.value" not in (without_content(ended, {LLAMA_INDEX}).attributes or {})


def end_of(watched: Watched) -> ReadableSpan:
    watched.pipeline.flush(5)
    [one] = watched.exporter.get_finished_spans()
    return one
