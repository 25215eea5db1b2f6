"""Calls of the real OpenAI SDK against a real server: what the span and the record say."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from modelserver.server import ModelServer
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode
from wire_rig import Wired

from otel_agents import semconv

HELLO: list[Any] = [{"role": "user", "content": "Say hello"}]
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "lookup",
            "description": "Looks a word up",
            "parameters": {"type": "object", "properties": {"word": {"type": "string"}}},
        },
    }
]


@pytest.fixture
def client(server: ModelServer) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="sk-any", max_retries=0)


@pytest.fixture
def async_client(server: ModelServer) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="sk-any", max_retries=0)


def port_of(server: ModelServer) -> int:
    return int(server.url.rsplit(":", 1)[1])


def test_a_plain_call(wired: Wired, server: ModelServer, client: openai.OpenAI) -> None:
    usage = {"input": 2000, "cache_read": 1024, "output": 50, "reasoning": 20}
    server.script({"text": "Hello", "usage": usage})
    answer = client.chat.completions.create(model="gpt-4o", messages=HELLO)
    span = wired.span()
    assert span.name == "chat gpt-4o"
    assert span.kind is SpanKind.CLIENT
    assert span.status.status_code is StatusCode.UNSET
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "otel_agents"
    assert wired.attributes() == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.id": answer.id,
        "gen_ai.response.model": answer.model,
        "gen_ai.usage.cache_read.input_tokens": 1024,
        "gen_ai.usage.cost": pytest.approx(float(server.ledger()["cost"])),
        "gen_ai.usage.input_tokens": 2000,
        "gen_ai.usage.output_tokens": 50,
        "gen_ai.usage.reasoning.output_tokens": 20,
        "openai.api.type": "chat_completions",
        "openai.response.service_tier": answer.service_tier,
        "openai.response.system_fingerprint": answer.system_fingerprint,
        "server.address": "127.0.0.1",
        "server.port": port_of(server),
    }


def test_the_record_is_what_the_span_says(wired: Wired, server: ModelServer, client: openai.OpenAI) -> None:
    client.chat.completions.create(model="gpt-4o", messages=HELLO)
    record = wired.record()
    attributes = wired.attributes()
    assert record.usage is not None
    assert (record.usage.input, record.usage.output) == (
        attributes["gen_ai.usage.input_tokens"],
        attributes["gen_ai.usage.output_tokens"],
    )
    assert record.cost == attributes["gen_ai.usage.cost"]
    assert record.operation == "chat"
    assert record.provider == "openai"
    assert (record.request_model, record.response_model) == ("gpt-4o", attributes["gen_ai.response.model"])
    assert (record.server_address, record.server_port) == ("127.0.0.1", port_of(server))
    assert record.error_type is None
    assert not record.stream
    assert record.time_to_first_chunk is None
    assert 0 < record.duration < 30
    # Exemplars point at the call's own span.
    assert record.context is not None
    assert trace.get_current_span(record.context).get_span_context() == wired.span().context


def test_parameters(wired: Wired, client: openai.OpenAI) -> None:
    client.chat.completions.create(
        model="gpt-4o",
        messages=HELLO,
        temperature=0.5,
        top_p=1,
        max_completion_tokens=100,
        frequency_penalty=0.1,
        presence_penalty=-0.2,
        seed=7,
        stop=["END"],
        n=2,
        reasoning_effort="low",
        service_tier="flex",
        response_format={"type": "json_object"},
    )
    attributes = wired.attributes()
    wanted = {
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 1.0,
        "gen_ai.request.max_tokens": 100,
        "gen_ai.request.frequency_penalty": 0.1,
        "gen_ai.request.presence_penalty": -0.2,
        "gen_ai.request.seed": 7,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.request.choice.count": 2,
        "gen_ai.request.reasoning.level": "low",
        "openai.request.service_tier": "flex",
        "gen_ai.output.type": "json",
        "gen_ai.response.finish_reasons": ("stop", "stop"),
    }
    assert {name: attributes.get(name) for name in wanted} == wanted


def test_a_stream_with_usage(wired: Wired, server: ModelServer, client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="gpt-4o", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    assert wired.spans == []
    chunks = list(stream)
    attributes = wired.attributes()
    usage = chunks[-1].usage
    assert usage is not None
    assert attributes["gen_ai.usage.input_tokens"] == usage.prompt_tokens
    assert attributes["gen_ai.usage.output_tokens"] == usage.completion_tokens
    assert attributes["gen_ai.request.stream"] is True
    assert attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert attributes["gen_ai.response.id"] == chunks[0].id
    record = wired.record()
    assert record.stream
    assert record.time_to_first_chunk == attributes["gen_ai.response.time_to_first_chunk"]
    assert record.time_to_first_chunk is not None
    assert 0 < record.time_to_first_chunk < record.duration
    assert record.cost == pytest.approx(float(server.ledger()["cost"]))
    assert all(gap >= 0 for gap in record.chunk_gaps)


def test_a_stream_without_usage_invents_nothing(wired: Wired, client: openai.OpenAI) -> None:
    list(client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True))
    attributes = wired.attributes()
    assert wired.record().usage is None
    assert wired.record().unpriced_reason == "no_usage"
    assert not [name for name in attributes if name.startswith("gen_ai.usage")]
    assert attributes["otel_agents.unpriced.reason"] == "no_usage"
    assert attributes["gen_ai.response.finish_reasons"] == ("stop",)


def test_messages_and_tools(wired_all: Wired, server: ModelServer, client: openai.OpenAI) -> None:
    call = {"name": "lookup", "arguments": {"word": "span"}}
    server.script({"tool_calls": [call]})
    messages: list[Any] = [
        {"role": "system", "content": "Be brief"},
        {"role": "user", "content": [{"type": "text", "text": "What is a span?"}], "name": "ann"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "lookup", "arguments": '{"word":"x"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "unknown"},
    ]
    client.chat.completions.create(model="gpt-4o", messages=messages, tools=TOOLS)
    # Content is not worth the caller's time: it is on the exported copy only.
    assert "gen_ai.input.messages" not in wired_all.attributes()
    sent = wired_all.sent()
    assert json.loads(sent[semconv.INPUT_MESSAGES]) == [
        {"role": "system", "parts": [{"type": "text", "content": "Be brief"}]},
        {"role": "user", "parts": [{"type": "text", "content": "What is a span?"}], "name": "ann"},
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "c1", "name": "lookup", "arguments": {"word": "x"}}],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "unknown"}]},
    ]
    (answer,) = json.loads(sent[semconv.OUTPUT_MESSAGES])
    (part,) = answer["parts"]
    assert (answer["role"], answer["finish_reason"]) == ("assistant", "tool_calls")
    assert (part["type"], part["name"], part["arguments"]) == ("tool_call", "lookup", {"word": "span"})
    (tool,) = json.loads(sent[semconv.TOOL_DEFINITIONS])
    assert tool == {"type": "function", **TOOLS[0]["function"]}
    assert sent["gen_ai.response.finish_reasons"] == ("tool_calls",)


def test_a_streamed_answer_is_put_together(
    wired_all: Wired, server: ModelServer, client: openai.OpenAI
) -> None:
    calls = [{"name": "lookup", "arguments": {"word": "a"}}, {"name": "lookup", "arguments": {"word": "b"}}]
    server.script({"text": "Hello there", "scenario": "bytes:7"}, {"tool_calls": calls})
    list(client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True))
    (answer,) = json.loads(wired_all.sent()[semconv.OUTPUT_MESSAGES])
    assert answer == {
        "role": "assistant",
        "parts": [{"type": "text", "content": "Hello there"}],
        "finish_reason": "stop",
    }
    wired_all.clear()
    list(client.chat.completions.create(model="gpt-4o", messages=HELLO, tools=TOOLS, stream=True))
    (answer,) = json.loads(wired_all.sent()[semconv.OUTPUT_MESSAGES])
    assert [part["arguments"] for part in answer["parts"]] == [{"word": "a"}, {"word": "b"}]
    assert all(part["id"] for part in answer["parts"])


def test_a_refusal(wired_all: Wired, client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="gpt-4o#refusal", messages=HELLO)
    (message,) = json.loads(wired_all.sent()[semconv.OUTPUT_MESSAGES])
    assert {"type": "refusal", "content": answer.choices[0].message.refusal} in message["parts"]


async def test_async_plain_and_streamed(
    wired: Wired, server: ModelServer, async_client: openai.AsyncOpenAI
) -> None:
    await async_client.chat.completions.create(model="gpt-4o", messages=HELLO)
    stream = await async_client.chat.completions.create(
        model="gpt-4o", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    async for _ in stream:
        pass
    plain, streamed = wired.records
    assert plain.usage is not None
    assert streamed.usage is not None
    ledger = server.ledger()
    assert plain.usage.total + streamed.usage.total == ledger["input"] + ledger["output"]
    assert [span.name for span in wired.spans] == ["chat gpt-4o", "chat gpt-4o"]


def test_http_errors(wired: Wired, server: ModelServer, client: openai.OpenAI) -> None:
    server.script("429")
    with pytest.raises(openai.RateLimitError) as raised:
        client.chat.completions.create(model="gpt-4o", messages=HELLO)
    span = wired.span()
    attributes = wired.attributes()
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description
    assert span.status.description in str(raised.value)
    assert attributes["error.type"] == "429"
    assert attributes["http.response.status_code"] == 429
    assert "gen_ai.response.finish_reasons" not in attributes
    assert wired.record().error_type == "429"
    assert wired.record().usage is None
    assert wired.record().unpriced_reason is None  # nothing was billed


def test_a_connection_that_breaks(wired: Wired, client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIConnectionError) as raised:
        client.chat.completions.create(model="gpt-4o#drop", messages=HELLO)
    span = wired.span()
    cause = raised.value.__cause__
    assert span.status.status_code is StatusCode.ERROR
    assert wired.attributes()["error.type"] == f"{type(cause).__module__}.{type(cause).__qualname__}"
    (event,) = span.events
    assert event.name == "exception"


def test_what_surrounds_a_call_is_on_its_span(wired: Wired, client: openai.OpenAI) -> None:
    from opentelemetry import context as otel_context

    from otel_agents.tracing.contexts import SCOPE_KEY, AgentRun, context, inside_run, scope

    with context(session="s1", user="ann", experiment="e1", variant="b"):
        run = AgentRun("planner")
        inside = inside_run(scope(), run)
        token = otel_context.attach(otel_context.set_value(SCOPE_KEY, inside))
        client.chat.completions.create(model="gpt-4o", messages=HELLO)
        otel_context.detach(token)
    attributes = wired.attributes()
    assert attributes["session.id"] == "s1"
    assert attributes["user.id"] == "ann"
    assert attributes["gen_ai.agent.name"] == "planner"
    assert run.inference_calls == 1
    assert wired.record().agent_name == "planner"
    assert wired.record().labels == {"experiment": "e1", "variant": "b"}


def test_the_parent_is_what_is_current(wired: Wired, client: openai.OpenAI) -> None:
    tracer = trace.get_tracer("app")
    with tracer.start_as_current_span("work") as work:
        client.chat.completions.create(model="gpt-4o", messages=HELLO)
        assert trace.get_current_span() is work
    call = wired.spans[0]
    assert call.parent is not None
    assert call.parent.span_id == work.get_span_context().span_id


def test_other_endpoints_make_no_span(wired: Wired, client: openai.OpenAI) -> None:
    client.models.list()
    with pytest.raises(openai.NotFoundError):
        client.moderations.create(input="a")
    assert wired.spans == []
    assert wired.records == []
