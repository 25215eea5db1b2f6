"""``inference(...)``: one record for the span and for the metrics."""

from __future__ import annotations

import asyncio
import dataclasses
import types
from decimal import Decimal
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind

from otel_agents import agent, context, inference
from otel_agents.accounting import Usage
from otel_agents.testing import AgentSpans
from otel_agents.wire import claims


def test_everything(agent_spans: AgentSpans) -> None:
    with (
        agent("writer"),
        inference(
            "openai",
            "gpt-4o-mini",
            input="hi",
            stream=True,
            parameters={"temperature": 0.5, "max_tokens": 10, "stop_sequences": ["x"], "seed": None},
            prompt_name="greet",
            prompt_version=2,
            server_address="localhost",
            server_port=8000,
            attributes={"own.attribute": True},
        ) as call,
    ):
        call.record(
            output="hello",
            usage={"input": 100, "output": 20, "cache_read": 40, "cache_write": 10, "reasoning": 5},
            cost=0.25,
            finish_reasons="stop",
            response_model="gpt-4o-mini-2024",
            response_id="r1",
            time_to_first_chunk=0.125,
            metadata={"k": "v"},
        )
    span = agent_spans.named("chat gpt-4o-mini")
    assert span.kind is SpanKind.CLIENT
    assert agent_spans.snapshot()[1]["attributes"] == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.agent.name": "writer",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.request.stream": True,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 10,
        "gen_ai.request.stop_sequences": ["x"],
        "gen_ai.prompt.name": "greet",
        "gen_ai.prompt.version": "2",
        "server.address": "localhost",
        "server.port": "<port>",
        "own.attribute": True,
        "otel_agents.metadata.k": "v",
        "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}],
        "gen_ai.output.messages": [{"role": "assistant", "parts": [{"type": "text", "content": "hello"}]}],
        "gen_ai.response.id": "r1",
        "gen_ai.response.model": "gpt-4o-mini-2024",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.response.time_to_first_chunk": "<seconds>",
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.cache_read.input_tokens": 40,
        "gen_ai.usage.cache_write.input_tokens": 10,
        "gen_ai.usage.reasoning.output_tokens": 5,
        "gen_ai.usage.cost": 0.25,
    }
    assert span.attributes["gen_ai.response.time_to_first_chunk"] == 0.125
    assert span.attributes["server.port"] == 8000


def test_span_and_metrics_say_the_same(agent_spans: AgentSpans) -> None:
    with context(experiment="e"), agent("writer"):
        for tokens in (100, 50):
            with inference("openai", "gpt-4o-mini", prompt_name="p", prompt_version="7") as call:
                call.record(usage={"input": tokens, "output": 10, "cache_read": 20, "reasoning": 4})
    usage = agent_spans.usage()
    labels = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.agent.name": "writer",
        "experiment": "e",
        "prompt_version": "7",
    }
    counted = {
        "calls": agent_spans.metric("gen_ai.client.inference.duration", labels).measurements,
        "input": agent_spans.metric("gen_ai.client.inference.usage.input_tokens", labels).sum,
        "output": agent_spans.metric("gen_ai.client.inference.usage.output_tokens", labels).sum,
        "cache_read": agent_spans.metric("gen_ai.client.inference.usage.cache_read.input_tokens", labels).sum,
        "cache_write": agent_spans.metric("gen_ai.client.inference.usage.cache_write.input_tokens").sum,
        "reasoning": agent_spans.metric("gen_ai.client.inference.usage.reasoning.output_tokens", labels).sum,
        "cost": pytest.approx(agent_spans.metric("otel_agents.cost", labels).sum),
    }
    assert usage == counted
    assert usage["calls"] == 2
    assert usage["input"] == 150
    assert usage["cost"] > 0
    assert agent_spans.metric("gen_ai.invoke_agent.inference_calls") == (1, 2)


@dataclasses.dataclass
class Counts:
    input: int
    output: int


EXPECTED = Usage(input=100, output=20, cache_read=40, reasoning=5)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (EXPECTED, EXPECTED),
        ({"input": 100, "output": 20, "cache_read": 40, "reasoning": 5}, EXPECTED),
        (Counts(1, 2), Usage(input=1, output=2)),
        (types.SimpleNamespace(input=1, output=2), None),  # its repr says nothing that can be read
        ({"input": 3.0}, Usage(input=3)),
        # Parts that do not fit into their total were counted beside it.
        ({"input": 10, "cache_read": 90}, Usage(input=100, cache_read=90)),
        ({"output": 5, "reasoning": 15}, Usage(output=20, reasoning=15)),
        # OpenAI, Chat Completions
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 20,
                "total_tokens": 120,
                "prompt_tokens_details": {"cached_tokens": 40},
                "completion_tokens_details": {"reasoning_tokens": 5},
            },
            EXPECTED,
        ),
        ({"prompt_tokens": 7, "total_tokens": 7}, Usage(input=7)),  # embeddings
        # OpenAI, Responses
        (
            {
                "input_tokens": 100,
                "output_tokens": 20,
                "input_tokens_details": {"cached_tokens": 40},
                "output_tokens_details": {"reasoning_tokens": 5},
            },
            EXPECTED,
        ),
        # Anthropic: input_tokens is without the cache
        (
            {
                "input_tokens": 10,
                "output_tokens": 20,
                "cache_read_input_tokens": 40,
                "cache_creation_input_tokens": 50,
                "cache_creation": {"ephemeral_1h_input_tokens": 30, "ephemeral_5m_input_tokens": 20},
            },
            Usage(input=100, output=20, cache_read=40, cache_write=50, cache_write_1h=30),
        ),
        ({"input_tokens": 10, "output_tokens": 20}, Usage(input=10, output=20)),
        ({"input": -5, "output": "many"}, Usage()),
        ({}, None),
        ({"colour": "red"}, None),
        ("many", None),
        (-5, None),
        (True, None),
        (object(), None),
        # totals that nobody splits, and the missing part of those that somebody does
        (1523, Usage(unsplit=1523)),
        ({"total": 1523}, Usage(unsplit=1523)),
        ({"total_tokens": 1523}, Usage(unsplit=1523)),
        ({"input": 450, "total": 1523}, Usage(input=450, output=1073)),
        ({"output": 1073, "total": 1523}, Usage(input=450, output=1073)),
        ({"input": 450, "output": 1073, "total": 9}, Usage(input=450, output=1073)),
        # Gemini, as its API and as its SDK has it: what was thought is beside the answer
        (
            {
                "promptTokenCount": 100,
                "cachedContentTokenCount": 40,
                "candidatesTokenCount": 15,
                "thoughtsTokenCount": 5,
                "totalTokenCount": 120,
            },
            EXPECTED,
        ),
        (
            {
                "prompt_token_count": 100,
                "cached_content_token_count": 40,
                "candidates_token_count": 15,
                "thoughts_token_count": 5,
                "prompt_tokens_details": [{"modality": "TEXT", "token_count": 100}],
                "total_token_count": None,
            },
            EXPECTED,
        ),
        # text that is a number, as a command line's output has it
        ("1523", Usage(unsplit=1523)),
        (Decimal(1523), Usage(unsplit=1523)),
        ({"input": "450", "output": "1073"}, Usage(input=450, output=1073)),
        ({"prompt_tokens": "7", "completion_tokens": "3"}, Usage(input=7, output=3)),
        ({"input": "many"}, None),
        # no number of tokens
        ("nan", None),
        ("1e400", None),
        (10**30, None),
        ({"input": 10**30, "output": 3}, Usage(output=3)),
    ],
)
def test_forms_of_usage(agent_spans: AgentSpans, given: Any, expected: Usage | None) -> None:
    from otel_agents.tracing.usage_forms import usage_of

    assert usage_of(given) == expected
    with inference("openai", "gpt-4o-mini") as call:
        call.record(usage=given)
    attributes = agent_spans.named("chat gpt-4o-mini").attributes
    split = expected is not None and not expected.unsplit
    assert attributes.get("gen_ai.usage.input_tokens") == (expected.input if expected and split else None)
    total = expected.total if expected and not split else None
    assert attributes.get("gen_ai.usage.total_tokens") == total
    assert agent_spans.metric("otel_agents.unsplit_tokens").sum == (total or 0)


def test_usage_of_sdk_objects() -> None:
    from otel_agents.tracing.usage_forms import usage_of

    openai = pytest.importorskip("openai.types")
    anthropic = pytest.importorskip("anthropic.types")
    details = openai.completion_usage.PromptTokensDetails(cached_tokens=40)
    usage = openai.CompletionUsage(
        prompt_tokens=100, completion_tokens=20, total_tokens=120, prompt_tokens_details=details
    )
    assert usage_of(usage) == Usage(input=100, output=20, cache_read=40)
    usage = anthropic.Usage(input_tokens=60, output_tokens=20, cache_read_input_tokens=40)
    assert usage_of(usage) == Usage(input=100, output=20, cache_read=40)


def test_explicit_cost_wins(agent_spans: AgentSpans) -> None:
    with inference("openai", "gpt-4o-mini") as call:
        call.record(usage={"input": 1_000_000}, cost=1.5)
    assert agent_spans.usage()["cost"] == 1.5
    assert agent_spans.metric("otel_agents.cost").sum == 1.5


def test_price_table(agent_spans: AgentSpans) -> None:
    with inference("openai", "gpt-4o-mini") as call:
        call.record(usage={"input": 1_000_000})
    assert agent_spans.usage()["cost"] == pytest.approx(0.15)


@pytest.mark.parametrize(
    ("model", "usage", "reason"),
    [
        ("gpt-4o-mini", None, "no_usage"),
        ("made-up-model", {"input": 1}, "unknown_model"),
        (None, {"input": 1}, "no_model"),
    ],
)
def test_unpriced_calls_are_counted(
    agent_spans: AgentSpans, model: str | None, usage: Any, reason: str
) -> None:
    with inference("openai", model) as call:
        call.record(usage=usage)
    (span,) = agent_spans
    assert span.attributes["otel_agents.unpriced.reason"] == reason
    assert "gen_ai.usage.cost" not in span.attributes
    assert agent_spans.metric("otel_agents.unpriced_calls", {"reason": reason}).sum == 1


@pytest.mark.parametrize("cost", [float("nan"), float("inf"), -1.0, "much", True, object()])
def test_a_cost_that_is_none_is_ignored(agent_spans: AgentSpans, cost: Any) -> None:
    with inference("openai", "gpt-4o-mini") as call:
        call.record(cost=cost, usage={"input": 1_000_000}, response_model="gpt-4o-mini")
    assert agent_spans.usage()["cost"] == pytest.approx(0.15)


def test_error(agent_spans: AgentSpans) -> None:
    def fails() -> None:
        with inference("openai", "gpt-4o-mini"):
            raise TimeoutError("slow")

    with pytest.raises(TimeoutError):
        fails()
    agent_spans.assert_tree("chat gpt-4o-mini [TimeoutError]")
    labels = {"error.type": "TimeoutError"}
    assert agent_spans.metric("gen_ai.client.inference.duration", labels).measurements == 1
    assert agent_spans.metric("otel_agents.unpriced_calls").sum == 0  # nothing was billed


def test_set_error(agent_spans: AgentSpans) -> None:
    with inference("openai", "gpt-4o-mini") as call:
        call.set_error("refused", "content_filter")
    agent_spans.assert_tree("chat gpt-4o-mini [content_filter]")


async def test_async_and_chunks(agent_spans: AgentSpans) -> None:
    async with inference("p", "m", stream=True) as call:
        for _ in range(3):
            await asyncio.sleep(0.001)
            call.chunk()
    first = agent_spans.named("chat m").attributes["gen_ai.response.time_to_first_chunk"]
    assert 0.001 <= first < 1
    assert agent_spans.metric("gen_ai.client.inference.time_to_first_chunk").measurements == 1
    assert agent_spans.metric("gen_ai.client.inference.time_per_output_chunk").measurements == 2


def test_embeddings(agent_spans: AgentSpans) -> None:
    with inference("openai", "text-embedding-3-small", "embeddings") as call:
        call.record(usage={"prompt_tokens": 8})
    agent_spans.assert_tree("embeddings text-embedding-3-small")
    assert agent_spans.metric("gen_ai.client.embeddings.operation.input_tokens").sum == 8


def test_children_and_siblings(agent_spans: AgentSpans) -> None:
    with agent("a"):
        with inference("p", "m") as call:
            assert trace.get_current_span() is call.span
            with inference("p", "judge"):
                pass
        with inference("p", "next"):
            pass
    agent_spans.assert_tree("""
        invoke_agent a
          chat m
            chat judge
          chat next
    """)
    assert agent_spans.metric("gen_ai.invoke_agent.inference_calls") == (1, 3)


def test_a_call_that_a_hook_has_counted_is_not_counted_again(agent_spans: AgentSpans) -> None:
    with agent("a"), inference("openai", "gpt-4o-mini") as call:
        assert claims.offered(call.span) is not None
        assert claims.claim(call.span)  # as the hook on the wire does
        call.record(usage={"input": 5}, output="x")
    span = agent_spans.named("chat gpt-4o-mini")
    assert "gen_ai.usage.input_tokens" not in span.attributes
    assert "gen_ai.output.messages" in span.attributes
    assert agent_spans.metric("gen_ai.client.inference.duration").measurements == 0


def test_odd_arguments(agent_spans: AgentSpans) -> None:
    odd: Any = object()
    with inference(odd, odd, odd, parameters=odd, attributes=odd, server_port=odd) as call:
        call.record(
            input=odd,
            output=odd,
            usage=odd,
            cost=odd,
            finish_reasons=odd,
            response_model=odd,
            response_id=odd,
            time_to_first_chunk=odd,
            metadata=odd,
            attributes=odd,
        )
    assert len(agent_spans) == 1


def test_counted_although_the_trace_is_not_sampled(agent_spans: AgentSpans) -> None:
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

    unsampled = NonRecordingSpan(SpanContext(1, 2, False, TraceFlags(0)))
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased

    trace.get_tracer_provider().sampler = ParentBased(ALWAYS_ON)  # type: ignore[attr-defined]
    agent_spans.runtime._tracer = None
    with trace.use_span(unsampled), agent("a"), inference("openai", "gpt-4o-mini") as call:
        call.record(usage={"input": 5})
    assert len(agent_spans) == 0
    assert agent_spans.metric("gen_ai.client.inference.usage.input_tokens").sum == 5
    assert agent_spans.metric("gen_ai.invoke_agent.inference_calls") == (1, 1)
