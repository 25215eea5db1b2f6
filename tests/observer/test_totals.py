"""Reported tokens and cost: told where nothing was counted, kept and compared where something was."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import trace as otel_trace

from otel_agents import agent, inference
from otel_agents.observer import LangfuseObserver
from otel_agents.testing import AgentSpans

MISMATCH = "otel_agents.reported_mismatch"


@pytest.fixture
def observer(agent_spans: AgentSpans) -> LangfuseObserver:
    return LangfuseObserver()


def told(agent_spans: AgentSpans) -> dict[str, Any]:
    """The usage attributes of the one model call."""
    [span] = [one for one in agent_spans if one.name.startswith("chat")]
    prefix = "gen_ai.usage."
    return {key.removeprefix(prefix): v for key, v in span.attributes.items() if key.startswith(prefix)}


def call(input: int = 1000, output: int = 200, **rest: Any) -> None:
    with inference("openai", rest.pop("model", "gpt-4o-mini")) as one:
        one.record(usage={"input": input, "output": output}, **rest)


@pytest.mark.parametrize(
    ("tokens", "cost", "usage"),
    [
        (1523, 0.0046, {"total_tokens": 1523, "cost": 0.0046}),
        (0, 0.0, {"input_tokens": 0, "output_tokens": 0, "cost": 0.0}),
        ({"input": 450, "output": 1073}, 0.5, {"input_tokens": 450, "output_tokens": 1073, "cost": 0.5}),
        (
            {"input": 450, "output": 1073, "cache_read": 400, "reasoning": 73},
            0.5,
            {
                "input_tokens": 450,
                "output_tokens": 1073,
                "cache_read.input_tokens": 400,
                "reasoning.output_tokens": 73,
                "cost": 0.5,
            },
        ),
        (
            {"prompt_tokens": 4, "completion_tokens": 1},
            0.5,
            {"input_tokens": 4, "output_tokens": 1, "cost": 0.5},
        ),
        (None, 0.25, {"cost": 0.25}),
    ],
)
def test_without_calls_a_child_carries_them(
    observer: LangfuseObserver, agent_spans: AgentSpans, tokens: Any, cost: float, usage: dict[str, Any]
) -> None:
    with observer.trace_agent_execution("t1", "claude") as trace:
        trace.update(tokens=tokens, cost=cost)
    agent_spans.assert_tree("""
        invoke_agent claude
          chat
    """)
    assert told(agent_spans) == usage
    chat, task = agent_spans.named("chat"), agent_spans.named("invoke_agent claude")
    assert chat.attributes["gen_ai.provider.name"] == "anthropic"
    assert task.start_time <= chat.start_time <= chat.end_time <= task.end_time
    assert agent_spans.metric("otel_agents.cost").sum == cost
    counted = sum(
        agent_spans.metric(name).sum
        for name in (
            "gen_ai.client.inference.usage.input_tokens",
            "gen_ai.client.inference.usage.output_tokens",
            "otel_agents.unsplit_tokens",
        )
    )
    reported = task.attributes.get("otel_agents.reported.tokens", 0)
    assert counted == reported
    assert agent_spans.metric("gen_ai.client.inference.duration").measurements == 0, "no call was seen"


@pytest.mark.parametrize(
    ("agent_name", "more", "provider"),
    [
        ("claude", {}, "anthropic"),
        ("claude-code", {}, "anthropic"),
        ("Gemini", {}, "gcp.gemini"),
        ("copilot", {"model": "gpt-4o"}, "github"),
        ("codex", {}, "openai"),
        ("claude", {"model": "gpt-4o"}, "openai"),
        ("claude", {"model": "house-model"}, "anthropic"),
        ("ollama", {"model": "deepseek-r1"}, "ollama"),
        ("reviewer", {"model": "mistral-large"}, "mistral_ai"),
        ("reviewer", {"model": "anthropic/claude-sonnet-4-5"}, "anthropic"),
        ("reviewer", {"model": "m", "provider": "aws.bedrock"}, "aws.bedrock"),
        ("reviewer", {}, "unknown"),
    ],
)
def test_whose_tokens_they_are(
    observer: LangfuseObserver, agent_spans: AgentSpans, agent_name: str, more: dict[str, str], provider: str
) -> None:
    with observer.trace_agent_execution("t1", agent_name) as trace:
        trace.update(tokens=5, metadata=more)
    [chat] = [one for one in agent_spans if one.name.startswith("chat")]
    assert chat.attributes["gen_ai.provider.name"] == provider
    assert chat.attributes.get("gen_ai.request.model") == more.get("model")


def test_a_known_model_has_its_price(observer: LangfuseObserver, agent_spans: AgentSpans) -> None:
    with observer.trace_agent_execution("t1", "claude", model="claude-sonnet-4-5") as trace:
        trace.update(tokens={"input": 10_000, "output": 1_000})
    assert told(agent_spans)["cost"] == pytest.approx(0.03 + 0.015)  # 3 and 15 USD for a million
    assert agent_spans.metric("otel_agents.unpriced_calls").sum == 0


@pytest.mark.parametrize(
    ("tokens", "model", "reason"),
    [(1523, "claude-sonnet-4-5", "no_split"), ({"input": 1, "output": 1}, None, "no_model")],
)
def test_what_has_no_price_is_counted(
    observer: LangfuseObserver, agent_spans: AgentSpans, tokens: Any, model: str | None, reason: str
) -> None:
    with observer.trace_agent_execution("t1", "claude") as trace:
        trace.update(tokens=tokens, metadata={"model": model})
    assert agent_spans.metric("otel_agents.unpriced_calls", {"reason": reason}).sum == 1


def test_real_calls_win_and_a_mismatch_is_counted(
    observer: LangfuseObserver, agent_spans: AgentSpans
) -> None:
    with observer.trace_agent_execution("t1", "claude") as trace:
        call(cost=0.10)
        with agent("helper"):
            call(cost=0.10)
        trace.update(tokens=2401, cost=0.5)
    agent_spans.assert_tree("""
        invoke_agent claude
          chat gpt-4o-mini
          invoke_agent helper
            chat gpt-4o-mini
    """)
    task = agent_spans.named("invoke_agent claude")
    reported = {k: v for k, v in task.attributes.items() if k.startswith("otel_agents.reported.")}
    assert reported == {"otel_agents.reported.tokens": 2401, "otel_agents.reported.cost": 0.5}
    assert agent_spans.metric("otel_agents.cost").sum == pytest.approx(0.2)
    assert agent_spans.metric(MISMATCH, {"quantity": "tokens"}).sum == 0
    assert agent_spans.metric(MISMATCH, {"quantity": "cost", "gen_ai.agent.name": "claude"}).sum == 1


@pytest.mark.parametrize(("tokens", "mismatches"), [(1200, 0), (1260, 0), (1261, 1), (1139, 1), (0, 1)])
def test_five_percent(
    observer: LangfuseObserver, agent_spans: AgentSpans, tokens: int, mismatches: int
) -> None:
    with observer.trace_agent_execution("t1", "claude") as trace:
        call()
        trace.update(tokens=tokens)
    assert agent_spans.metric(MISMATCH, {"quantity": "tokens"}).sum == mismatches


def test_calls_of_steps_inside_count_for_the_whole(
    observer: LangfuseObserver, agent_spans: AgentSpans
) -> None:
    with observer.trace_agent_execution("t1", "orchestrator") as whole:
        with observer.trace_agent_execution("t1", "claude") as step:
            call()
            step.update(tokens=1200)
        whole.update(tokens=1200)
    assert agent_spans.usage()["calls"] == 1
    assert agent_spans.metric(MISMATCH).sum == 0


def test_what_two_executions_report_is_each_ones_own(
    observer: LangfuseObserver, agent_spans: AgentSpans
) -> None:
    with observer.trace_agent_execution("t1", "claude") as outer:
        outer.update(tokens={"input": 100, "output": 10}, cost=0.1)
        with observer.trace_agent_execution("t1", "gemini") as inner:
            inner.update(tokens={"input": 50, "output": 5}, cost=0.01)
    usage = agent_spans.usage()
    assert (usage["calls"], usage["input"], usage["output"]) == (2, 150, 15)
    assert usage["cost"] == pytest.approx(0.11)


def test_a_call_that_says_nothing_does_not_win(observer: LangfuseObserver, agent_spans: AgentSpans) -> None:
    with observer.trace_agent_execution("t1", "claude") as trace:
        with inference("openai", "gpt-4o-mini") as silent:
            silent.record(output="a stream without usage")
        trace.update(tokens={"input": 10, "output": 1})
    assert agent_spans.usage()["input"] == 10


def test_calls_without_a_price_get_the_cost_that_is_reported(
    observer: LangfuseObserver, agent_spans: AgentSpans
) -> None:
    with observer.trace_agent_execution("t1", "claude") as trace:
        call(model="in-house-7b")
        trace.update(tokens=1200, cost=0.02)
    usage = agent_spans.usage()
    assert (usage["input"], usage["output"], usage["cost"]) == (1000, 200, 0.02)


def test_what_is_left_of_the_reported_cost_is_that_of_calls_without_a_price(
    observer: LangfuseObserver, agent_spans: AgentSpans
) -> None:
    with observer.trace_agent_execution("t1", "claude") as whole:
        with observer.trace_agent_execution("t1", "claude") as step:
            call()  # 0.00027 USD
            call(model="in-house-7b")
            step.update(cost=0.5)
        whole.update(cost=0.5)  # of all inside: nothing is left to tell
    usage = agent_spans.usage()
    assert (usage["input"], usage["output"], usage["cost"]) == (2000, 400, pytest.approx(0.5))
    told = [one.attributes["gen_ai.usage.cost"] for one in agent_spans if one.name == "chat"]
    assert told == [pytest.approx(0.5 - 0.00027)]
    assert agent_spans.metric(MISMATCH).sum == 0
    with observer.trace_agent_execution("t2", "claude") as less:
        call(input=1_000_000)
        call(model="in-house-7b")
        less.update(cost=0.01)  # less than what the calls with a price cost already
    assert agent_spans.metric(MISMATCH, {"quantity": "cost"}).sum == 1


def test_tokens_after_the_end_are_counted_once(observer: LangfuseObserver, agent_spans: AgentSpans) -> None:
    with observer.trace_agent_execution("t1", "claude") as trace:
        pass
    trace.update(tokens={"input": 10, "output": 1}, cost=0.5)
    trace.update(tokens={"input": 10, "output": 1}, cost=0.5)
    assert agent_spans.usage() == {
        "calls": 1,
        "input": 10,
        "output": 1,
        "cache_read": 0,
        "cache_write": 0,
        "reasoning": 0,
        "cost": 0.5,
    }
    agent_spans.assert_no_orphans()


def test_a_failed_execution_has_paid_too(observer: LangfuseObserver, agent_spans: AgentSpans) -> None:
    def work() -> None:
        with observer.trace_agent_execution("t1", "claude") as trace:
            trace.update(tokens=7, cost=0.1)
            raise ValueError("paid")

    with pytest.raises(ValueError, match="paid"):
        work()
    assert told(agent_spans) == {"total_tokens": 7, "cost": 0.1}


def test_a_call_that_only_another_library_tells_of_is_not_told_again(
    observer: LangfuseObserver, agent_spans: AgentSpans
) -> None:
    tracer = otel_trace.get_tracer("opentelemetry.instrumentation.vertexai")
    with observer.trace_agent_execution("t1", "gemini") as trace:
        with tracer.start_as_current_span("chat gemini-pro") as span:
            span.set_attribute("gen_ai.operation.name", "chat")
            span.set_attribute("gen_ai.request.model", "gemini-2.5-flash")
            span.set_attribute("gen_ai.usage.input_tokens", 10)
            span.set_attribute("gen_ai.usage.output_tokens", 5)
        trace.update(tokens=15, cost=0.1)
    agent_spans.assert_tree("""
        invoke_agent gemini
          chat gemini-pro
    """)
