"""Model calls that no hook sees are counted from the span that another library made, and only then."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest
from modelserver.server import ModelServer
from opentelemetry.trace import Tracer
from wire_rig import Wired

from otel_agents import agent
from otel_agents.accounting import Usage
from otel_agents.normalize.dialect import DUPLICATE_OF
from otel_agents.tracing.scopes import agent_run

LLM = {"openinference.span.kind": "LLM", "llm.model_name": "gpt-4o-mini", "llm.provider": "openai"}
COUNTS = {
    "llm.token_count.prompt": 1000,
    "llm.token_count.completion": 100,
    "llm.token_count.prompt_details.cache_read": 400,
}
USED = Usage(input=1000, output=100, cache_read=400)
COST = (600 * 0.15 + 400 * 0.075 + 100 * 0.6) / 1e6


@pytest.fixture
def tracer(wired: Wired) -> Tracer:
    return wired.provider.get_tracer("openinference.instrumentation.anything")


def call(tracer: Tracer, **more: Any) -> None:
    with tracer.start_as_current_span("model", attributes=LLM) as span:
        span.set_attributes({**COUNTS, **more})


def test_it_is_counted_once_and_priced(wired: Wired, tracer: Tracer) -> None:
    call(tracer)
    record = wired.record()
    assert (record.operation, record.provider, record.request_model) == ("chat", "openai", "gpt-4o-mini")
    assert record.usage == USED
    assert record.cost == pytest.approx(COST)
    assert record.duration > 0
    # The span that leaves has the same cost, so that Langfuse does not work out one of its own.
    assert wired.sent()["gen_ai.usage.cost"] == record.cost


def test_it_belongs_to_the_run_around_it(wired: Wired, tracer: Tracer) -> None:
    with agent("researcher"):
        run = agent_run()
        call(tracer)
    assert run is not None
    assert wired.record().agent_name == "researcher"
    assert run.inference_calls == 1
    assert wired.record().context is not None
    assert agent_run(wired.record().context) is run


def test_the_cost_that_a_span_says_stays(wired: Wired, tracer: Tracer) -> None:
    call(tracer, **{"llm.cost.total": 0.5})
    assert wired.record().cost == 0.5
    assert "gen_ai.usage.cost" not in wired.sent()  # it has it in its own words


def test_spans_of_one_call_within_each_other(wired: Wired, tracer: Tracer) -> None:
    with tracer.start_as_current_span("around", attributes=LLM) as around:
        call(tracer)
        call(tracer)  # a second one in the same span is a second call
        around.set_attributes({name: 2 * count for name, count in COUNTS.items()})
    assert [record.usage for record in wired.records] == [USED, USED]
    duplicates = {span.name for span in wired.exported() if DUPLICATE_OF in (span.attributes or {})}
    assert duplicates == {"around"}


def test_langfuses_own_details(wired: Wired) -> None:
    attributes = {
        "langfuse.observation.type": "generation",
        "langfuse.observation.model.name": "gpt-4o-mini",
        "langfuse.observation.usage_details": '{"input": 600, "input_cached": 400, "output": 100}',
        "langfuse.observation.cost_details": '{"input": 0.1, "output": 0.2, "total": 0.3}',
    }
    wired.provider.get_tracer("langfuse-sdk").start_span("generation", attributes=attributes).end()
    record = wired.record()
    assert (record.usage, record.cost) == (Usage(input=1000, output=100), 0.3)


@pytest.mark.parametrize(
    "attributes",
    [
        LLM,  # nobody knows what it used
        {**COUNTS, "openinference.span.kind": "CHAIN"},
        {**COUNTS, "openinference.span.kind": "AGENT"},
        {"gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 10},
        {"gen_ai.usage.input_tokens": 10},
    ],
)
def test_what_is_no_call_or_says_nothing(wired: Wired, tracer: Tracer, attributes: dict[str, Any]) -> None:
    tracer.start_span("other", attributes=attributes).end()
    assert wired.records == []


def test_odd_values_are_nothing_to_the_app(wired: Wired, tracer: Tracer) -> None:
    call(tracer, **{"llm.token_count.prompt": "many", "llm.token_count.completion": -3})
    call(tracer, **{"langfuse.observation.usage_details": "{", "llm.token_count.prompt": 10**30})
    assert all(record.usage is None or record.usage.output >= 0 for record in wired.records)
    assert len(wired.exported()) == 2


# --- calls that a hook has seen -------------------------------------------------------------------
def ask(server: ModelServer) -> None:
    server.script({"text": "Hi", "usage": {"input": 1000, "output": 100}})
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}
    httpx.post(f"{server.url}/v1/chat/completions", json=body, headers={"authorization": "Bearer sk-any"})


def afterwards(tracer: Tracer, started: int) -> None:
    """As LiteLLM's callback has it: a span that is made when all is over."""
    told = {
        "gen_ai.operation.name": "chat", "gen_ai.request.model": "openai/gpt-4o-mini",
        "gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100,
    }  # fmt: skip
    tracer.start_span("afterwards", start_time=started, attributes=told).end()


def test_a_span_that_is_made_afterwards_tells_of_no_second_call(
    wired: Wired, tracer: Tracer, server: ModelServer
) -> None:
    started = time.time_ns()
    ask(server)
    afterwards(tracer, started)
    assert wired.record().usage == Usage(input=1000, output=100)
    own, told = sorted(wired.exported(), key=lambda span: span.name, reverse=True)
    assert own.context is not None
    assert dict(told.attributes or {}) == {DUPLICATE_OF: format(own.context.span_id, "016x")}


def test_the_same_answer_from_a_cache_is_a_call_of_its_own(
    wired: Wired, tracer: Tracer, server: ModelServer
) -> None:
    ask(server)
    time.sleep(0.005)
    afterwards(tracer, time.time_ns())
    assert len(wired.records) == 2
    assert not any(DUPLICATE_OF in (span.attributes or {}) for span in wired.exported())


def test_a_span_that_a_hook_completed_is_not_counted_again(
    wired: Wired, tracer: Tracer, server: ModelServer
) -> None:
    with tracer.start_as_current_span("model", attributes=LLM) as span:
        ask(server)
        span.set_attributes(COUNTS)
    assert wired.record().usage == Usage(input=1000, output=100)
