"""Type, name, model and parameters of an observation."""

from __future__ import annotations

from typing import Any

import pytest
from local_spans import START, mapped

TYPE = "langfuse.observation.type"
OPERATION = "gen_ai.operation.name"


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        # contract 2.2, 1: exactly these, in lower case
        *[
            ({TYPE: name}, name.upper())
            for name in (
                "span",
                "generation",
                "event",
                "embedding",
                "agent",
                "tool",
                "chain",
                "retriever",
                "guardrail",
                "evaluator",
            )
        ],
        # contract 2.2, 1: an unknown value falls through
        ({TYPE: "llm"}, "SPAN"),
        ({TYPE: "AGENT", OPERATION: "chat"}, "GENERATION"),
        # contract 2.2, 1 before 3
        ({TYPE: "chain", OPERATION: "chat"}, "CHAIN"),
        # contract 2.2, 2: upper case, LLM is a generation
        ({"openinference.span.kind": "LLM"}, "GENERATION"),
        ({"openinference.span.kind": "RETRIEVER", OPERATION: "chat"}, "RETRIEVER"),
        ({"openinference.span.kind": "llm"}, "SPAN"),
        # contract 2.2, 3
        ({OPERATION: "chat"}, "GENERATION"),
        ({OPERATION: "completion"}, "GENERATION"),
        ({OPERATION: "text_completion"}, "GENERATION"),
        ({OPERATION: "generate_content"}, "GENERATION"),
        ({OPERATION: "generate"}, "GENERATION"),
        ({OPERATION: "embeddings"}, "EMBEDDING"),
        ({OPERATION: "invoke_agent"}, "AGENT"),
        ({OPERATION: "create_agent"}, "AGENT"),
        ({OPERATION: "execute_tool"}, "TOOL"),
        # contract 2.2, 3: not known, the next rules decide
        ({OPERATION: "invoke_workflow"}, "SPAN"),
        ({OPERATION: "retrieval"}, "SPAN"),
        ({OPERATION: "retrieval", "gen_ai.request.model": "m"}, "GENERATION"),
        # contract 2.2, 7: a non-empty tool name or call id
        ({"gen_ai.tool.name": "t"}, "TOOL"),
        ({"gen_ai.tool.call.id": "t"}, "TOOL"),
        ({"gen_ai.tool.name": ""}, "SPAN"),
        # contract 2.2, 7 before 10
        ({"gen_ai.tool.name": "t", "gen_ai.request.model": "m"}, "TOOL"),
        # contract 2.2, 10
        ({"langfuse.observation.model.name": "m"}, "GENERATION"),
        ({"gen_ai.request.model": "m"}, "GENERATION"),
        ({"gen_ai.response.model": "m"}, "GENERATION"),
        ({"llm.model_name": "m"}, "GENERATION"),
        ({"model": "m"}, "GENERATION"),
        ({}, "SPAN"),
    ],
)
def test_type(attributes: dict[str, Any], expected: str) -> None:
    assert mapped(attributes)[0].type == expected


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        # contract 2.3: gen_ai.tool.name > genkit:name > logfire.msg > ai.toolCall.name > ai.operationId
        ({}, "span"),
        ({"ai.operationId": "op"}, "op"),
        ({"ai.operationId": "op", "ai.toolCall.name": "call"}, "call"),
        ({"ai.toolCall.name": "call", "logfire.msg": "msg"}, "msg"),
        ({"logfire.msg": "msg", "genkit:name": "kit"}, "kit"),
        ({"genkit:name": "kit", "gen_ai.tool.name": "get_weather"}, "get_weather"),
        # contract 2.3: on any span, a chat span is renamed too
        ({OPERATION: "chat", "gen_ai.tool.name": "get_weather"}, "get_weather"),
    ],
)
def test_name(attributes: dict[str, Any], expected: str) -> None:
    assert mapped(attributes)[0].name == expected


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        # contract 2.3, model: in this order
        ({"model": "g"}, "g"),
        ({"model": "g", "llm.model_name": "f"}, "f"),
        ({"llm.model_name": "f", "llm.response.model": "e"}, "e"),
        ({"llm.response.model": "e", "gen_ai.request.model": "d"}, "d"),
        ({"gen_ai.request.model": "d", "ai.model.id": "c"}, "c"),
        ({"ai.model.id": "c", "gen_ai.response.model": "b"}, "b"),
        ({"gen_ai.response.model": "b", "langfuse.observation.model.name": "a"}, "a"),
        # contract 2.3: dropped for these two operations, kept for create_agent (contract 2.6)
        ({OPERATION: "invoke_agent", "gen_ai.request.model": "d"}, None),
        ({OPERATION: "agent_step", "gen_ai.request.model": "d"}, None),
        ({OPERATION: "create_agent", "gen_ai.request.model": "d"}, "d"),
    ],
)
def test_model(attributes: dict[str, Any], expected: str | None) -> None:
    assert mapped(attributes)[0].model == expected


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        # contract 2.3, modelParameters: a JSON string wins whole
        (
            {"langfuse.observation.model.parameters": '{"a": 1}', "gen_ai.request.temperature": 0.5},
            {"a": 1},
        ),
        ({"llm.invocation_parameters": '{"b": 2}', "gen_ai.request.temperature": 0.5}, {"b": 2}),
        ({"model_config": '{"c": 3}', "gen_ai.request.temperature": 0.5}, {"c": 3}),
        # contract 2.3: all gen_ai.request.* except model; other than strings and numbers as JSON
        (
            {
                "gen_ai.request.model": "m",
                "gen_ai.request.temperature": 0.5,
                "gen_ai.request.stop_sequences": ["a", "b"],
                "gen_ai.request.stream": True,
                "llm.invocation_parameters.top_k": 3,
                "gen_ai.output.type": "json",
            },
            {"temperature": 0.5, "stop_sequences": '["a","b"]', "stream": "true", "top_k": 3},
        ),
        ({"langfuse.observation.model.parameters": "no", "gen_ai.request.seed": 1}, {"seed": 1}),
    ],
)
def test_model_parameters(attributes: dict[str, Any], expected: dict[str, Any]) -> None:
    assert mapped(attributes)[0].model_parameters == expected


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        # contract 2.3, completionStartTime: ISO or JSON-quoted ISO
        ({"langfuse.observation.completion_start_time": "1970-01-01T00:00:01.500Z"}, 1_500_000_000),
        ({"langfuse.observation.completion_start_time": '"1970-01-01T00:00:01.500Z"'}, 1_500_000_000),
        ({"langfuse.observation.completion_start_time": "soon"}, None),
        ({"ai.response.msToFirstChunk": 250.0}, START + 250_000_000),
        ({"ai.stream.msToFirstChunk": 250}, START + 250_000_000),
        # contract 2.3: not mapped
        ({"gen_ai.response.time_to_first_chunk": 0.25}, None),
        ({}, None),
    ],
)
def test_completion_start(attributes: dict[str, Any], expected: int | None) -> None:
    assert mapped(attributes)[0].completion_start_ns == expected


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        # contract 2.3: one missing edge copies the other, both missing is the time of arrival
        (10, 20, (10, 20)),
        (10, None, (10, 10)),
        (None, 20, (20, 20)),
    ],
)
def test_times(start: int | None, end: int | None, expected: tuple[int, int]) -> None:
    row, _ = mapped(start=start, end=end)
    assert (row.start_ns, row.end_ns) == expected


def test_both_times_missing() -> None:
    row, _ = mapped(start=None, end=None)
    assert row.start_ns == row.end_ns == row.received_ns


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ({TYPE: "llm"}, "type_unknown"),
        ({OPERATION: "invoke_workflow"}, "type_not_derived"),
        ({OPERATION: "chat", "gen_ai.tool.name": "t"}, "name_from_tool"),
        ({OPERATION: "chat", "gen_ai.response.time_to_first_chunk": 0.1}, "first_token_time_lost"),
    ],
)
def test_findings(attributes: dict[str, Any], kind: str) -> None:
    assert kind in mapped(attributes)[1]
    assert mapped(attributes, strict=False)[1] == []


def test_no_findings_for_a_span_that_follows_the_recipe() -> None:
    row, findings = mapped(
        {
            OPERATION: "chat",
            TYPE: "generation",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.input_tokens": 10,
            "gen_ai.usage.output_tokens": 5,
            "gen_ai.usage.cache_write.input_tokens": 3,
            "gen_ai.response.time_to_first_chunk": 0.2,
            "gen_ai.input.messages": "[]",
            "gen_ai.prompt.name": "p",
            "langfuse.observation.usage_details": '{"input":10,"output":5,"total":15}',
            "langfuse.observation.cost_details": '{"total":0.1}',
            "langfuse.observation.completion_start_time": "2026-01-02T03:04:06Z",
            "langfuse.observation.input": "[]",
            "langfuse.observation.output": "",
            "langfuse.observation.prompt.name": "p",
            "langfuse.observation.prompt.version": 2,
            "langfuse.environment": "production",
        }
    )
    assert findings == []  # contract 2.12
    assert (row.type, row.total_cost, row.prompt_name, row.prompt_version) == ("GENERATION", 0.1, "p", 2)
