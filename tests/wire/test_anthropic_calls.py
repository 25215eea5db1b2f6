"""Calls of the real Anthropic SDK, with its own tracing off: the span is ours."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import pytest
from modelserver.server import ModelServer
from opentelemetry.trace import StatusCode
from wire_rig import Wired

from otel_agents import semconv

MODEL = "claude-opus-4-8"
HELLO: list[Any] = [{"role": "user", "content": "Say hello"}]
TOOLS: list[Any] = [
    {
        "name": "lookup",
        "description": "Looks a word up",
        "input_schema": {"type": "object", "properties": {"word": {"type": "string"}}},
    }
]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.fixture
def client(server: ModelServer) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=server.url, api_key="sk-any", max_retries=0, open_telemetry=False)


@pytest.fixture
def async_client(server: ModelServer) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(
        base_url=server.url, api_key="sk-any", max_retries=0, open_telemetry=False
    )


def test_a_plain_call(wired: Wired, server: ModelServer, client: anthropic.Anthropic) -> None:
    usage = {"input": 5000, "output": 80, "cache_read": 2000, "cache_write": 1500, "cache_write_1h": 500}
    server.script({"text": "Hello", "usage": {**usage, "reasoning": 30}})
    answer = client.messages.create(
        model=MODEL,
        max_tokens=100,
        messages=HELLO,
        stop_sequences=["END"],
        output_config={"effort": "low"},
        extra_body={"temperature": 0.5, "top_p": 0.9, "top_k": 40},
    )
    # The wire says input without the cache; the conventions say with it.
    assert answer.usage.input_tokens == 1500
    assert wired.span().name == f"chat {MODEL}"
    attributes = wired.attributes()
    wanted = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": MODEL,
        "gen_ai.request.max_tokens": 100,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 0.9,
        "gen_ai.request.top_k": 40,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.request.reasoning.level": "low",
        "gen_ai.response.finish_reasons": ("end_turn",),
        "gen_ai.response.id": answer.id,
        "gen_ai.response.model": answer.model,
        "gen_ai.usage.input_tokens": 5000,
        "gen_ai.usage.output_tokens": 80,
        "gen_ai.usage.cache_read.input_tokens": 2000,
        "gen_ai.usage.cache_write.input_tokens": 1500,
    }
    assert {name: attributes.get(name) for name in wanted} == wanted
    record = wired.record()
    assert record.usage is not None
    assert record.usage.cache_write_1h == 500
    assert record.cost == pytest.approx(float(server.ledger()["cost"]))


def test_a_stream(wired: Wired, server: ModelServer, client: anthropic.Anthropic) -> None:
    server.script({"text": "Hello", "usage": {"input": 900, "output": 33, "cache_read": 500}})
    with client.messages.stream(model=MODEL, max_tokens=100, messages=HELLO) as stream:
        final = stream.get_final_message()
    attributes = wired.attributes()
    assert final.usage.output_tokens == attributes["gen_ai.usage.output_tokens"] == 33
    assert attributes["gen_ai.usage.input_tokens"] == 900
    assert attributes["gen_ai.usage.cache_read.input_tokens"] == 500
    assert attributes["gen_ai.response.finish_reasons"] == ("end_turn",)
    assert attributes["gen_ai.response.id"] == final.id
    assert wired.record().time_to_first_chunk is not None
    assert wired.record().cost == pytest.approx(float(server.ledger()["cost"]))


async def test_async_plain_and_streamed(
    wired: Wired, server: ModelServer, async_client: anthropic.AsyncAnthropic
) -> None:
    await async_client.messages.create(model=MODEL, max_tokens=100, messages=HELLO)
    async with async_client.messages.stream(model=MODEL, max_tokens=100, messages=HELLO) as stream:
        async for _ in stream:
            pass
    ledger = server.ledger()
    used = [record.usage.total for record in wired.records if record.usage is not None]
    assert len(used) == 2
    assert sum(used) == ledger["input"] + ledger["output"]


@pytest.mark.parametrize("streamed", [False, True])
def test_messages_tools_and_thinking(
    wired_all: Wired, server: ModelServer, client: anthropic.Anthropic, streamed: bool
) -> None:
    call = {"name": "lookup", "arguments": {"word": "span"}}
    server.script({"thinking": "Let me see", "tool_calls": [call], "scenario": "bytes:5"})
    messages: list[Any] = [
        {"role": "user", "content": [{"type": "text", "text": "What is this?"}, image()]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "lookup", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "unknown"}]},
    ]
    arguments: dict[str, Any] = {
        "model": MODEL,
        "max_tokens": 4000,
        "messages": messages,
        "tools": TOOLS,
        "system": [{"type": "text", "text": "Be brief"}],
        "thinking": {"type": "adaptive"},
    }
    if streamed:
        with client.messages.stream(**arguments) as stream:
            stream.until_done()
    else:
        client.messages.create(**arguments)
    sent = wired_all.sent()
    assert json.loads(sent[semconv.SYSTEM_INSTRUCTIONS]) == [{"type": "text", "content": "Be brief"}]
    assert json.loads(sent[semconv.INPUT_MESSAGES]) == [
        {
            "role": "user",
            "parts": [
                {"type": "text", "content": "What is this?"},
                {"type": "blob", "mime_type": "image/png", "modality": "image", "content": PIXEL},
            ],
        },
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "t1", "name": "lookup", "arguments": {}}],
        },
        {"role": "user", "parts": [{"type": "tool_call_response", "id": "t1", "response": "unknown"}]},
    ]
    (tool,) = json.loads(sent[semconv.TOOL_DEFINITIONS])
    assert tool == {
        "type": "function",
        "name": "lookup",
        "description": "Looks a word up",
        "parameters": TOOLS[0]["input_schema"],
    }
    (answer,) = json.loads(sent[semconv.OUTPUT_MESSAGES])
    thought, called = answer["parts"]
    assert thought == {"type": "reasoning", "content": "Let me see"}
    assert (called["type"], called["name"], called["arguments"]) == ("tool_call", "lookup", {"word": "span"})
    assert called["id"]
    assert answer["finish_reason"] == "tool_use"


def image() -> dict[str, Any]:
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}


def test_an_error_in_the_middle_of_a_stream(wired: Wired, client: anthropic.Anthropic) -> None:
    with (
        pytest.raises(anthropic.APIStatusError) as raised,
        client.messages.stream(model=f"{MODEL}#stream_error", max_tokens=100, messages=HELLO) as stream,
    ):
        stream.until_done()
    span = wired.span()
    attributes = wired.attributes()
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description
    assert span.status.description in str(raised.value)
    assert attributes["error.type"] == wired.record().error_type == "overloaded_error"
    assert attributes["gen_ai.response.finish_reasons"] == ("error",)
    # What was used until then is in the first event.
    assert wired.record().usage is not None


def test_http_errors(wired: Wired, client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.APIStatusError):
        client.messages.create(model=f"{MODEL}#529", max_tokens=100, messages=HELLO)
    assert wired.attributes()["error.type"] == "529"
    assert wired.span().status.description
    assert wired.record().unpriced_reason is None


def test_counting_tokens_is_no_call(wired: Wired, client: anthropic.Anthropic) -> None:
    client.messages.count_tokens(model=MODEL, messages=HELLO)
    client.models.list()
    # Its SDK may make spans of its own for these.
    assert [span.name for span in wired.spans if span.instrumentation_scope.name == "otel_agents"] == []  # type: ignore[union-attr]
    assert wired.records == []


def test_the_beta_is_the_same_api(wired: Wired, client: anthropic.Anthropic) -> None:
    client.beta.messages.create(model=MODEL, max_tokens=100, messages=HELLO)
    assert wired.record().provider == "anthropic"
    assert wired.record().usage is not None
