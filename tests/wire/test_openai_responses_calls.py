"""Responses of the real OpenAI SDK against a real server: what the span and the record say."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from modelserver.server import ModelServer
from opentelemetry.trace import SpanKind, StatusCode
from wire_rig import Wired

from otel_agents import semconv

LOOKUP: Any = {
    "type": "function",
    "name": "lookup",
    "description": "Looks a word up",
    "strict": False,
    "parameters": {"type": "object", "properties": {"word": {"type": "string"}}},
}
USAGE = {"input": 2000, "cache_read": 1024, "output": 50, "reasoning": 20}


@pytest.fixture
def client(server: ModelServer) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="sk-any", max_retries=0)


@pytest.fixture
def async_client(server: ModelServer) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="sk-any", max_retries=0)


def expected(server: ModelServer, answer: Any) -> dict[str, Any]:
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-5.2",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.id": answer.id,
        "gen_ai.response.model": "gpt-5.2",
        "gen_ai.usage.cache_read.input_tokens": 1024,
        "gen_ai.usage.cost": pytest.approx(float(server.ledger()["cost"])),
        "gen_ai.usage.input_tokens": 2000,
        "gen_ai.usage.output_tokens": 50,
        "gen_ai.usage.reasoning.output_tokens": 20,
        "openai.api.type": "responses",
        "openai.response.service_tier": "default",
        "server.address": "127.0.0.1",
        "server.port": int(server.url.rsplit(":", 1)[1]),
    }


def test_a_plain_call(wired: Wired, server: ModelServer, client: openai.OpenAI) -> None:
    server.script({"text": "Hello", "usage": USAGE})
    answer = client.responses.create(model="gpt-5.2", input="Say hello")
    span = wired.span()
    assert (span.name, span.kind, span.status.status_code) == (
        "chat gpt-5.2",
        SpanKind.CLIENT,
        StatusCode.UNSET,
    )
    assert wired.attributes() == expected(server, answer)
    record = wired.record()
    assert record.usage is not None
    assert (record.operation, record.usage.input, record.usage.output) == ("chat", 2000, 50)
    assert record.cost == wired.attributes()["gen_ai.usage.cost"]


@pytest.mark.parametrize("scenario", ["", "bytes:7", "gzip", "crlf"])
def test_a_stream(wired: Wired, server: ModelServer, client: openai.OpenAI, scenario: str) -> None:
    server.script({"text": "Hello", "usage": USAGE, "scenario": scenario})
    events = list(client.responses.create(model="gpt-5.2", input="Say hello", stream=True))
    last: Any = events[-1]
    attributes = wired.attributes()
    first_chunk = attributes.pop("gen_ai.response.time_to_first_chunk")
    assert attributes == {**expected(server, last.response), "gen_ai.request.stream": True}
    record = wired.record()
    assert record.stream
    assert record.time_to_first_chunk == first_chunk


async def test_async_plain_and_streamed(
    wired: Wired, server: ModelServer, async_client: openai.AsyncOpenAI
) -> None:
    server.script({"usage": USAGE}, {"usage": USAGE})
    await async_client.responses.create(model="gpt-5.2", input="Say hello")
    async with async_client.responses.stream(model="gpt-5.2", input="Say hello") as stream:
        async for _ in stream:
            pass
    plain, streamed = wired.records
    assert plain.usage == streamed.usage
    assert plain.cost == streamed.cost
    assert plain.cost is not None
    assert plain.cost + (streamed.cost or 0) == pytest.approx(float(server.ledger()["cost"]))


def test_a_stream_that_is_left_early(wired: Wired, client: openai.OpenAI) -> None:
    with client.responses.create(model="gpt-5.2", input="Say hello", stream=True) as stream:
        next(iter(stream))
    assert wired.attributes()["gen_ai.response.finish_reasons"] == ("error",)
    assert wired.record().usage is None


def test_a_stream_that_breaks(wired: Wired, client: openai.OpenAI) -> None:
    with pytest.raises(openai.OpenAIError):
        list(client.responses.create(model="gpt-5.2#cut", input="Say hello", stream=True))
    attributes = wired.attributes()
    assert attributes["gen_ai.response.finish_reasons"] == ("error",)
    assert attributes["gen_ai.response.id"].startswith("resp_")
    assert wired.span().status.status_code is StatusCode.ERROR
    assert wired.record().error_type


def test_an_error_within_a_stream(wired: Wired, client: openai.OpenAI) -> None:
    events = list(client.responses.create(model="gpt-5.2#stream_error", input="Say hello", stream=True))
    error: Any = events[-1]
    assert error.type == "error"
    assert wired.attributes()["gen_ai.response.finish_reasons"] == ("error",)
    assert wired.record().error_type == error.code
    assert (wired.span().status.status_code, wired.span().status.description) == (
        StatusCode.ERROR,
        error.message,
    )


def test_messages_tools_and_instructions(
    wired_all: Wired, server: ModelServer, client: openai.OpenAI
) -> None:
    server.script({"tool_calls": [{"name": "lookup", "arguments": {"word": "span"}}]})
    items: list[Any] = [
        {"role": "user", "content": [{"type": "input_text", "text": "What is a span?"}]},
        {"type": "function_call", "call_id": "c0", "name": "lookup", "arguments": '{"word":"x"}'},
        {"type": "function_call_output", "call_id": "c0", "output": "unknown"},
    ]
    asked = {"model": "gpt-4.1", "input": items, "tools": [LOOKUP], "instructions": "Be brief"}
    answer: Any = client.responses.create(**asked)  # type: ignore[call-overload]
    sent = wired_all.sent()
    assert json.loads(sent[semconv.SYSTEM_INSTRUCTIONS]) == [{"type": "text", "content": "Be brief"}]
    assert json.loads(sent[semconv.INPUT_MESSAGES]) == [
        {"role": "user", "parts": [{"type": "text", "content": "What is a span?"}]},
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "c0", "name": "lookup", "arguments": {"word": "x"}}],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c0", "response": "unknown"}]},
    ]
    (definition,) = json.loads(sent[semconv.TOOL_DEFINITIONS])
    assert definition == {name: LOOKUP[name] for name in ("type", "name", "description", "parameters")}
    (message,) = json.loads(sent[semconv.OUTPUT_MESSAGES])
    call_id = answer.output[0].call_id
    assert message["parts"] == [
        {"type": "tool_call", "id": call_id, "name": "lookup", "arguments": {"word": "span"}}
    ]
    assert sent["gen_ai.response.finish_reasons"] == ("tool_call",)


def test_a_streamed_answer_is_that_of_the_plain_one(
    wired_all: Wired, server: ModelServer, client: openai.OpenAI
) -> None:
    asked: dict[str, Any] = {
        "model": "gpt-5.2",
        "input": "Hi",
        "reasoning": {"summary": "auto", "effort": "high"},
        "tools": [{"type": "web_search"}],
    }
    client.responses.create(**asked)
    plain = wired_all.sent()
    wired_all.clear()
    list(client.responses.create(**asked, stream=True))
    streamed = wired_all.sent()
    (message,) = json.loads(plain[semconv.OUTPUT_MESSAGES])
    assert [part["type"] for part in message["parts"]] == ["reasoning", "server_tool_call", "text"]
    (again,) = json.loads(streamed[semconv.OUTPUT_MESSAGES])
    for part in (message["parts"][1], again["parts"][1]):
        part.pop("id")
    assert again == message
    # The search is billed by the piece, on top of the tokens.
    assert plain["gen_ai.usage.cost"] == streamed["gen_ai.usage.cost"]
    total = plain["gen_ai.usage.cost"] + streamed["gen_ai.usage.cost"]
    assert total == pytest.approx(float(server.ledger()["cost"]))
    assert plain["gen_ai.usage.cost"] > 0.01


def test_an_error_that_the_provider_answers(wired: Wired, client: openai.OpenAI) -> None:
    with pytest.raises(openai.RateLimitError):
        client.responses.create(model="gpt-5.2#429", input="Hi")
    attributes = wired.attributes()
    assert attributes["error.type"] == "429"
    assert "gen_ai.response.finish_reasons" not in attributes
    assert wired.record().usage is None


@pytest.mark.parametrize(("scenario", "reason"), [("length", "length"), ("content_filter", "content_filter")])
def test_an_answer_that_stops_early(wired: Wired, client: openai.OpenAI, scenario: str, reason: str) -> None:
    client.responses.create(model=f"gpt-4.1#{scenario}", input="Hi")
    assert wired.attributes()["gen_ai.response.finish_reasons"] == (reason,)


def test_a_conversation_that_goes_on(wired: Wired, server: ModelServer, client: openai.OpenAI) -> None:
    first = client.responses.create(model="gpt-4.1", input="One")
    client.responses.create(model="gpt-4.1", input="Two", previous_response_id=first.id)
    one, two = wired.spans
    assert one.attributes is not None
    assert two.attributes is not None
    assert two.attributes["gen_ai.request.previous_response.id"] == one.attributes["gen_ai.response.id"]
    used = sum(record.usage.input for record in wired.records if record.usage is not None)
    assert used == server.ledger()["input"]


def test_a_batch_is_no_call(wired: Wired, client: openai.OpenAI) -> None:
    """Its model calls happen later, at a price of their own; their usage is in the batch's results."""
    client.batches.create(input_file_id="file-1", endpoint="/v1/responses", completion_window="24h")
    assert wired.spans == []
    assert wired.records == []
