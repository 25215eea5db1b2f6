"""What Langfuse shows for a trace whose topmost run has no content of its own."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import otel_agents
from otel_agents import agent, inference, workflow
from otel_agents.export import hoist
from otel_agents.export.hoist import Hoist
from otel_agents.local import server


def told(role: str, text: str) -> str:
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}])


class Traces:
    """Spans as an app ends them, each seen by a ``Hoist`` in that order."""

    def __init__(self) -> None:
        self.memory = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.memory))
        self.tracer = provider.get_tracer("otel_agents")

    def call(self, question: str, answer: str | None) -> None:
        attributes = {"gen_ai.operation.name": "chat", "gen_ai.input.messages": told("user", question)}
        if answer is not None:
            attributes["gen_ai.output.messages"] = told("assistant", answer)
        self.tracer.start_span("chat m", attributes=attributes).end()

    def run(self, name: str = "a", **attributes: str) -> Any:
        given = {"gen_ai.operation.name": "invoke_agent", **attributes}
        return self.tracer.start_as_current_span(f"invoke_agent {name}", attributes=given)

    def seen(self) -> list[ReadableSpan]:
        through = Hoist()
        return [through(span) for span in self.memory.get_finished_spans()]


def content(span: ReadableSpan) -> tuple[object, object]:
    attributes = span.attributes or {}
    return attributes.get("gen_ai.input.messages"), attributes.get("gen_ai.output.messages")


def test_first_question_and_last_answer() -> None:
    traces = Traces()
    with traces.run():
        traces.call("why?", "hm")
        with traces.run("helper"):
            traces.call("really?", "yes")
    *_, helper, top = traces.seen()
    assert content(helper) == (None, None)  # not topmost
    assert content(top) == (told("user", "why?"), told("assistant", "yes"))


def test_content_of_its_own_stays_alone() -> None:
    traces = Traces()
    with traces.run(**{"gen_ai.output.messages": told("assistant", "mine")}):
        traces.call("why?", "hm")
    assert content(traces.seen()[-1]) == (None, told("assistant", "mine"))


def test_without_captured_content_there_is_none() -> None:
    traces = Traces()
    with traces.run():
        traces.tracer.start_span("chat m", attributes={"gen_ai.operation.name": "chat"}).end()
    assert content(traces.seen()[-1]) == (None, None)


def test_traces_do_not_mix() -> None:
    traces = Traces()
    traces.call("alone", "yes")  # a trace of its own
    with traces.run():
        traces.call("why?", None)
    assert content(traces.seen()[-1]) == (told("user", "why?"), None)


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hoist, "_ALL", 500)
    traces = Traces()
    for number in range(50):
        traces.call(f"question {number}", "answer")
    through = Hoist()
    for span in traces.memory.get_finished_spans():
        through(span)
    assert 0 < through._kept <= 500
    assert sum(len(one) for one in through._traces.values()) == through._kept
    traces.memory.clear()
    with traces.run():
        traces.call("x" * 70_000, "short")  # too long to be shown twice
    assert content([through(span) for span in traces.memory.get_finished_spans()][-1]) == (
        None,
        told("assistant", "short"),
    )


def test_in_langfuse(clean_globals: None) -> None:
    with server.running() as backend:
        otel_agents.configure(
            langfuse_public_key=backend.public_key,
            langfuse_secret_key=backend.secret_key,
            langfuse_base_url=backend.url,
            capture="messages",
            metrics_exporter="none",
            instrument_libraries=False,
        )
        with workflow("plan"), agent("claude"), inference(provider="openai", model="gpt-4o-mini") as call:
            call.record(input="why?", output="because", usage={"input": 1, "output": 1})
        assert otel_agents.flush(10).ok
        answer = httpx.get(
            f"{backend.url}/api/public/v2/observations?fields=core,basic,io",
            auth=(backend.public_key, backend.secret_key),
        )
        shown = {one["name"]: (one["input"], one["output"]) for one in answer.json()["data"]}
        assert "why?" in shown["invoke_workflow plan"][0]
        assert "because" in shown["invoke_workflow plan"][1]
        assert shown["invoke_agent claude"] == (None, None)
