"""A span that somebody else made for the call is completed; there is never a second one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import anthropic
import openai
import pytest
from modelserver.server import ModelServer
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from wire_rig import Wired

from otel_agents import semconv
from otel_agents.wire import claims

MODEL = "claude-opus-4-8"
HELLO: list[Any] = [{"role": "user", "content": "Say hello"}]
NATIVE = "com.anthropic.sdk.python"


@pytest.fixture
def client(wired_all: Wired, server: ModelServer) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=server.url, api_key="sk-any", max_retries=2)


@pytest.fixture
def openai_client(server: ModelServer) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="sk-any", max_retries=0)


def scopes(wired: Wired) -> list[str]:
    return [span.instrumentation_scope.name for span in wired.spans if span.instrumentation_scope]


def test_anthropics_own_span_is_completed(
    wired_all: Wired, server: ModelServer, client: anthropic.Anthropic
) -> None:
    usage = {"input": 3000, "output": 40, "cache_read": 1000, "cache_write": 1500}
    server.script({"text": "Hello", "usage": usage})
    client.messages.create(model=MODEL, max_tokens=100, messages=HELLO)
    assert scopes(wired_all) == [NATIVE]
    seen = wired_all.attributes()
    # On the span before it ended, for every exporter: what Anthropic's tracing leaves out.
    assert seen["gen_ai.response.finish_reasons"] == ("end_turn",)
    assert seen["gen_ai.usage.cost"] == pytest.approx(float(server.ledger()["cost"]))
    assert seen["gen_ai.usage.input_tokens"] == 3000
    record = wired_all.record()
    assert record.usage is not None
    assert (record.usage.input, record.usage.cache_read, record.usage.cache_write) == (3000, 1000, 1500)
    (answer,) = json.loads(wired_all.sent()[semconv.OUTPUT_MESSAGES])
    assert answer["parts"] == [{"type": "text", "content": "Hello"}]
    assert wired_all.span().name == "anthropic.messages.create"


def test_its_stream_too(wired_all: Wired, server: ModelServer, client: anthropic.Anthropic) -> None:
    server.script({"text": "Hello", "usage": {"input": 3000, "output": 40}})
    with client.messages.stream(model=MODEL, max_tokens=100, messages=HELLO) as stream:
        stream.until_done()
    assert scopes(wired_all) == [NATIVE]
    sent = wired_all.sent()
    assert sent["gen_ai.usage.cost"] == pytest.approx(float(server.ledger()["cost"]))
    assert sent["gen_ai.usage.output_tokens"] == 40
    assert json.loads(sent[semconv.OUTPUT_MESSAGES])[0]["parts"] == [{"type": "text", "content": "Hello"}]
    assert len(wired_all.records) == 1


def test_a_stream_that_its_span_does_not_wait_for(
    wired_all: Wired, server: ModelServer, client: anthropic.Anthropic
) -> None:
    """On early close Anthropic's tracing ends the span first and closes the body then."""
    server.script({"text": "Hello you there, all of you", "usage": {"input": 3000, "output": 40}})
    stream = client.messages.create(model=MODEL, max_tokens=100, messages=HELLO, stream=True)
    next(iter(stream))
    stream.close()
    assert scopes(wired_all) == [NATIVE]
    record = wired_all.record()
    assert record.usage is not None
    assert record.usage.input == 3000
    sent = wired_all.sent()
    assert sent["gen_ai.usage.input_tokens"] == 3000
    assert sent["gen_ai.usage.cost"] == record.cost
    assert sent["gen_ai.response.finish_reasons"] == ("error",)


async def test_its_async_client(wired_all: Wired, server: ModelServer) -> None:
    client = anthropic.AsyncAnthropic(base_url=server.url, api_key="sk-any")
    await client.messages.create(model=MODEL, max_tokens=100, messages=HELLO)
    async with client.messages.stream(model=MODEL, max_tokens=100, messages=HELLO) as stream:
        await stream.until_done()
    assert scopes(wired_all) == [NATIVE, NATIVE]
    assert len(wired_all.records) == 2
    sums = [dict(span.attributes or {})["gen_ai.usage.output_tokens"] for span in wired_all.exported()]
    assert sum(sums) == server.ledger()["output"]  # type: ignore[arg-type]


async def test_a_stream_that_is_cancelled_is_an_error_in_both(wired_all: Wired, server: ModelServer) -> None:
    """Anthropic's tracing ends its span as if all were well; what is counted as an error is shown as one."""
    server.script({"scenario": "slow:2", "text": "Hello you there, all of you", "usage": {"input": 3000}})
    client = anthropic.AsyncAnthropic(base_url=server.url, api_key="sk-any", max_retries=0)
    begun = asyncio.Event()

    async def read() -> None:
        async with client.messages.stream(model=MODEL, max_tokens=100, messages=HELLO) as stream:
            async for _ in stream:
                begun.set()

    task = asyncio.create_task(read())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert scopes(wired_all) == [NATIVE]
    record = wired_all.record()
    assert record.error_type is not None
    assert wired_all.sent()["error.type"] == record.error_type


def test_a_retry_within_its_span(wired_all: Wired, server: ModelServer, client: anthropic.Anthropic) -> None:
    server.script("500", {"text": "Hello"})
    client.messages.create(model=MODEL, max_tokens=100, messages=HELLO)
    assert scopes(wired_all) == [NATIVE]
    sent = wired_all.sent()
    assert "error.type" not in sent
    assert sent["gen_ai.usage.cost"] == pytest.approx(float(server.ledger()["cost"]))
    assert [record.error_type for record in wired_all.records] == [None]
    assert sent["http.request.resend_count"] == 1


def test_a_call_that_fails_for_good(
    wired_all: Wired, server: ModelServer, client: anthropic.Anthropic
) -> None:
    with pytest.raises(anthropic.BadRequestError):
        client.messages.create(model=f"{MODEL}#400", max_tokens=100, messages=HELLO)
    assert scopes(wired_all) == [NATIVE]
    assert "error.type" in wired_all.sent()


def test_the_owners_usage_gives_way_in_our_export(
    wired_all: Wired, server: ModelServer, openai_client: openai.OpenAI
) -> None:
    """An instrumentation that counts without the cache keeps its figures for its own exporters."""
    server.script({"text": "Hello", "usage": {"input": 3000, "cache_read": 2000, "output": 10}})
    with trace.get_tracer("other").start_as_current_span(
        "chat", attributes={"gen_ai.operation.name": "chat"}
    ) as span:
        openai_client.chat.completions.create(model="gpt-4o", messages=HELLO)
        span.set_attribute("gen_ai.usage.input_tokens", 1000)
    assert wired_all.attributes()["gen_ai.usage.input_tokens"] == 1000
    assert wired_all.sent()["gen_ai.usage.input_tokens"] == 3000
    assert wired_all.sent()["gen_ai.request.model"] == "gpt-4o"


def test_a_second_call_inside_gets_a_span_of_its_own(
    wired_all: Wired, server: ModelServer, openai_client: openai.OpenAI
) -> None:
    with trace.get_tracer("other").start_as_current_span(
        "chat", attributes={"gen_ai.operation.name": "chat"}
    ):
        for _ in range(2):
            openai_client.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert sorted(scopes(wired_all)) == ["otel_agents", "other"]
    sums = [dict(span.attributes or {})["gen_ai.usage.output_tokens"] for span in wired_all.exported()]
    assert sum(sums) == server.ledger()["output"]  # type: ignore[arg-type]
    assert len(wired_all.records) == 2


@pytest.mark.parametrize("operation", ["invoke_agent", "embeddings", "execute_tool"])
def test_spans_of_other_operations_are_parents(
    wired_all: Wired, openai_client: openai.OpenAI, operation: str
) -> None:
    with trace.get_tracer("other").start_as_current_span(
        "work", attributes={"gen_ai.operation.name": operation}
    ):
        openai_client.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert sorted(scopes(wired_all)) == ["otel_agents", "other"]


def test_a_claimed_span_is_not_accounted_again(wired_all: Wired, openai_client: openai.OpenAI) -> None:
    """What ``inference(...)`` asks before it accounts for what was recorded by hand."""
    with trace.get_tracer("otel_agents").start_as_current_span(
        "chat", attributes={"gen_ai.operation.name": "chat"}
    ) as span:
        openai_client.chat.completions.create(model="gpt-4o", messages=HELLO)
        assert not claims.claim(span)
    assert len(wired_all.records) == 1
    assert len(wired_all.spans) == 1


def test_a_claim_is_granted_once(wired: Wired) -> None:
    with trace.get_tracer("other").start_as_current_span("chat") as span:
        assert claims.claim(span)
        assert not claims.claim(span)
        assert not claims.claim_attempt(span)
        claims.release(span)
        assert not claims.claim(span)  # the failed attempt has been accounted for
        assert claims.claim_attempt(span)
        assert not claims.claim_attempt(span)
    assert claims.claim(trace.INVALID_SPAN)
    assert claims.claim(trace.INVALID_SPAN)


def test_an_offered_span_counts_without_being_sampled(
    wired_with: Callable[..., Wired], openai_client: openai.OpenAI
) -> None:
    wired = wired_with(sampler=ALWAYS_OFF)
    with trace.get_tracer("otel_agents").start_as_current_span("chat") as span:
        claims.offer(span)
        openai_client.chat.completions.create(model="gpt-4o", messages=HELLO)
        assert not claims.claim(span)
    assert len(wired.records) == 1
    assert wired.spans == []


def test_calls_that_are_not_sampled_are_accounted(
    wired_with: Callable[..., Wired], openai_client: openai.OpenAI
) -> None:
    wired = wired_with(sampler=ALWAYS_OFF, capture="all")
    openai_client.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert wired.spans == []
    assert wired.record().usage is not None
    assert wired.record().cost is not None


def test_inference_around_a_call(wired_all: Wired, server: ModelServer, openai_client: openai.OpenAI) -> None:
    """The app's own block and the hook see the same call: one span, one record; what the app says stays."""
    from otel_agents.tracing.contexts import SCOPE_KEY, AgentRun, inside_run, scope
    from otel_agents.tracing.inferences import inference

    run = AgentRun("planner")
    token = otel_context.attach(otel_context.set_value(SCOPE_KEY, inside_run(scope(), run)))
    with inference("openai", "gpt-4o", input="in the app's words") as call:
        answer = openai_client.chat.completions.create(model="gpt-4o", messages=HELLO)
        call.record(usage={"input": 1, "output": 1})
    otel_context.detach(token)
    assert answer.usage is not None
    assert scopes(wired_all) == ["otel_agents"]
    record = wired_all.record()
    assert record.usage is not None
    assert record.usage.total == answer.usage.total_tokens
    assert run.inference_calls == 1
    sent = wired_all.sent()
    assert "in the app's words" in sent[semconv.INPUT_MESSAGES]
    assert json.loads(sent[semconv.OUTPUT_MESSAGES])[0]["role"] == "assistant"
    assert sent["gen_ai.usage.input_tokens"] == answer.usage.prompt_tokens


def test_inference_around_a_call_that_fails(
    wired_all: Wired, server: ModelServer, openai_client: openai.OpenAI
) -> None:
    from otel_agents.tracing.inferences import inference

    with pytest.raises(openai.BadRequestError), inference("openai", "gpt-4o"):
        openai_client.chat.completions.create(model="gpt-4o#400", messages=HELLO)
    assert scopes(wired_all) == ["otel_agents"]
    assert wired_all.record().error_type == "400"


def test_inference_around_a_retry(wired_all: Wired, server: ModelServer) -> None:
    from otel_agents.tracing.inferences import inference

    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="k", max_retries=1)
    server.script("500", "ok")
    with inference("openai", "gpt-4o"):
        client.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert scopes(wired_all) == ["otel_agents"]
    assert [record.error_type for record in wired_all.records] == [None]
    assert "error.type" not in wired_all.sent()
    assert wired_all.sent()["http.request.resend_count"] == 1
