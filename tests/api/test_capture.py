"""What of arguments, results and explicit values leaves, by capture mode; all of it redacted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from opentelemetry import trace

from otel_agents import agent, event, inference, retrieval, score, tool
from otel_agents.testing import AgentSpans

SECRET = "sk-proj-abcdefghijklmnopqrstuvwx"


@tool
def search(query: str, *, limit: int = 5) -> dict[str, str]:
    return {"found": query}


@agent
def ask(question: str) -> str:
    search(question, limit=1)
    return question.upper()


@tool(capture_input=True, capture_output=True)
def always(query: str) -> str:
    return query


@tool(capture_input=False, capture_output=False)
def never(query: str) -> str:
    return query


def everything() -> None:
    """Every way in which content can get onto a span."""
    ask("question")
    always("always")
    never("withheld")
    with agent("block") as run:
        run.update(input="explicit", output="explicit")
        event("e", {"explicit": 1})
        score("q", 1, comment="explicit")
    with inference("p", "m", input="explicit") as call:
        call.record(output="explicit")


DECORATED = {
    "invoke_agent ask": {"gen_ai.input.messages", "gen_ai.output.messages"},
    "execute_tool search": {"gen_ai.tool.call.arguments", "gen_ai.tool.call.result"},
}
EXPLICIT = {
    "execute_tool always": {"gen_ai.tool.call.arguments", "gen_ai.tool.call.result"},
    "invoke_agent block": {"gen_ai.input.messages", "gen_ai.output.messages"},
    "e": {"otel_agents.event.body"},
    "chat m": {"gen_ai.input.messages", "gen_ai.output.messages"},
}
CONTENT = {
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result",
    "otel_agents.event.body",
}


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        pytest.param(mode, expected, marks=pytest.mark.agent_spans(capture=mode), id=mode)
        for mode, expected in (
            ("all", {**DECORATED, **EXPLICIT}),
            ("messages", EXPLICIT),
            ("explicit", EXPLICIT),
            ("none", {}),
            ("unheard of", {}),
        )
    ],
)
def test_modes(agent_spans: AgentSpans, mode: str, expected: dict[str, set[str]]) -> None:
    everything()
    found = {span.name: set(span.attributes) & CONTENT for span in agent_spans}
    assert {name: content for name, content in found.items() if content} == expected
    (scored,) = agent_spans.events()
    assert ("gen_ai.evaluation.explanation" in scored["attributes"]) == bool(expected)
    assert all("withheld" not in str(span.attributes.values()) for span in agent_spans)


def test_forms(agent_spans: AgentSpans) -> None:
    ask("question")
    asked, searched = agent_spans.snapshot()
    assert asked["attributes"]["gen_ai.input.messages"] == [
        {"role": "user", "parts": [{"type": "text", "content": "question"}]}
    ]
    assert asked["attributes"]["gen_ai.output.messages"] == [
        {"role": "assistant", "parts": [{"type": "text", "content": "QUESTION"}]}
    ]
    assert searched["attributes"]["gen_ai.tool.call.arguments"] == {"query": "question", "limit": 1}
    assert searched["attributes"]["gen_ai.tool.call.result"] == {"found": "question"}


def test_arguments_by_name(agent_spans: AgentSpans) -> None:
    @agent
    def many(a: int, *rest: int, b: int = 2, **more: int) -> None: ...

    many(1, 2, 3, c=4)
    (message,) = agent_spans.snapshot()[0]["attributes"]["gen_ai.input.messages"]
    assert json.loads(message["parts"][0]["content"]) == {"a": 1, "rest": [2, 3], "c": 4}


def test_arguments_are_those_of_the_call(agent_spans: AgentSpans) -> None:
    @tool
    def changes(items: list[int]) -> list[int]:
        items.append(2)
        return items

    changes([1])
    attributes = agent_spans.snapshot()[0]["attributes"]
    assert attributes["gen_ai.tool.call.arguments"] == {"items": [1]}
    assert attributes["gen_ai.tool.call.result"] == [1, 2]


def test_wrong_arguments_are_the_callers_error(agent_spans: AgentSpans) -> None:
    with pytest.raises(TypeError, match="unexpected keyword"):
        search(colour="red")  # type: ignore[call-arg]
    span = agent_spans.named("execute_tool search")
    assert span.attributes["error.type"] == "TypeError"
    assert span.attributes["gen_ai.tool.call.arguments"] == '{"colour":"red"}'


CHAT = [
    {"role": "system", "content": "be brief"},
    {
        "role": "user",
        "content": [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": "u"}}],
    },
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "42"},
    {"role": "assistant", "content": [{"type": "tool_use", "id": "c2", "name": "g", "input": {"b": 2}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c2", "content": "43"}]},
    {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}, "plain"]},
    {"role": "user", "parts": [{"type": "text", "content": "already"}]},
]
PARTS = [
    ("system", [{"type": "text", "content": "be brief"}]),
    ("user", [{"type": "text", "content": "hi"}, {"type": "image_url", "image_url": {"url": "u"}}]),
    ("assistant", [{"type": "tool_call", "id": "c1", "name": "f", "arguments": {"a": 1}}]),
    ("tool", [{"type": "tool_call_response", "id": "c1", "response": "42"}]),
    ("assistant", [{"type": "tool_call", "id": "c2", "name": "g", "arguments": {"b": 2}}]),
    ("user", [{"type": "tool_call_response", "id": "c2", "response": "43"}]),
    ("assistant", [{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "plain"}]),
    ("user", [{"type": "text", "content": "already"}]),
]


def test_chat_messages_are_rewritten_to_the_conventions(agent_spans: AgentSpans) -> None:
    with inference("p", "m") as call:
        call.record(input=CHAT, output={"role": "assistant", "content": "done"})
    attributes = agent_spans.snapshot()[0]["attributes"]
    assert attributes["gen_ai.input.messages"] == [{"role": role, "parts": parts} for role, parts in PARTS]
    assert attributes["gen_ai.output.messages"] == [
        {"role": "assistant", "parts": [{"type": "text", "content": "done"}]}
    ]


def test_messages_of_the_openai_sdk(agent_spans: AgentSpans) -> None:
    chat = pytest.importorskip("openai.types.chat")
    message = chat.ChatCompletionMessage(role="assistant", content="hi")
    with inference("openai", "m") as call:
        call.record(output=message)
    (found,) = agent_spans.snapshot()[0]["attributes"]["gen_ai.output.messages"]
    assert found == {"role": "assistant", "parts": [{"type": "text", "content": "hi"}]}


@pytest.mark.parametrize(
    "nearly",
    [[], [{"role": "user"}], [{"role": "user", "content": "x"}, "y"], {"role": 5, "content": "x"}, 7],
)
def test_what_is_no_message_becomes_text(agent_spans: AgentSpans, nearly: Any) -> None:
    with agent("a") as run:
        run.update(input=nearly)
    (message,) = agent_spans.snapshot()[0]["attributes"]["gen_ai.input.messages"]
    (part,) = message["parts"]
    assert json.loads(part["content"]) == nearly


def test_retrieved_documents(agent_spans: AgentSpans) -> None:
    with retrieval("docs") as run:
        run.update(input="why?", output=[{"id": "1", "score": 0.5, "text": "t"}, "plain"])
    attributes = agent_spans.snapshot()[0]["attributes"]
    assert attributes["gen_ai.retrieval.query.text"] == "why?"
    assert attributes["gen_ai.retrieval.documents"] == [
        {"id": "1", "score": 0.5, "text": "t"},
        {"content": "plain"},
    ]


def test_everything_is_redacted(agent_spans: AgentSpans) -> None:
    @tool(name=f"tool {SECRET}", attributes={"note": SECRET})
    def leaks(text: str, password: str) -> dict[str, str]:
        raise ValueError(f"{text} is wrong")

    with agent(f"agent {SECRET}", description=SECRET) as run:
        run.update(
            input=SECRET, output=[SECRET], metadata={"m": SECRET, "token": "x"}, attributes={"a": SECRET}
        )
        run.set_error(f"failed with {SECRET}")
        with pytest.raises(ValueError, match="is wrong"):
            leaks(SECRET, password="hunter2")
        event("e", {"x": SECRET}, detail=SECRET)
        event(f"event {SECRET}")
        score("s", SECRET, comment=SECRET, metadata={"x": SECRET}, agent=SECRET)
        score(f"score {SECRET}", 1)
        with inference(SECRET, f"model {SECRET}", input=SECRET, attributes={"x": SECRET}) as call:
            call.record(output=SECRET, response_model=SECRET, response_id=SECRET, finish_reasons=[SECRET])
            call.set_error(SECRET)
    recorded = json.dumps(agent_spans.snapshot()) + json.dumps(agent_spans.events())
    recorded += str([span.to_json() for span in agent_spans])
    for metric in (
        "gen_ai.invoke_agent.duration",
        "gen_ai.execute_tool.duration",
        "gen_ai.client.inference.duration",
        "otel_agents.evaluation.score",
    ):
        attributes = agent_spans.metric_attributes(metric)
        assert attributes
        recorded += str(attributes)
    assert SECRET not in recorded
    assert "hunter2" not in recorded
    assert "[redacted]" in recorded


def on_the_span_itself(expected: bool) -> None:
    seen: list[str] = []

    class Sees:
        def on_start(self, span: Any, parent_context: Any = None) -> None: ...

        def on_end(self, span: Any) -> None:
            seen.extend(name for name in CONTENT if name in span.attributes)

        def _on_ending(self, span: Any) -> None: ...

    trace.get_tracer_provider().add_span_processor(Sees())  # type: ignore[attr-defined]
    everything()
    assert bool(seen) is expected


def test_redacting_content_is_left_to_the_export_thread(agent_spans: AgentSpans) -> None:
    on_the_span_itself(expected=False)


@pytest.mark.agent_spans(eager_content=True)
def test_eager_content_is_there_for_other_exporters(agent_spans: AgentSpans) -> None:
    on_the_span_itself(expected=True)


def test_without_a_pipeline_content_is_eager(
    agent_spans: AgentSpans, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_spans.runtime, "pipeline", None)
    on_the_span_itself(expected=True)


@pytest.mark.agent_spans(max_value_chars=3000)
def test_long_content_is_cut_and_marked(agent_spans: AgentSpans) -> None:
    ask("x" * 50_000)
    with inference("p", "m") as call:
        call.record(input=[{"role": "user", "content": "y" * 5000}] * 10)
    for span in agent_spans:
        assert span.attributes["otel_agents.capture.truncated"] is True
        for name in CONTENT & set(span.attributes):
            assert len(span.attributes[name]) <= 3000
            json.loads(span.attributes[name])
