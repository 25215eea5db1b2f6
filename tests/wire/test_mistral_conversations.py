"""Mistral's conversations, as its own SDK calls them, and OpenAI's, in which no model is run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mistralai.client import Mistral
from scripted_server import Answer, Scripted, scripted
from wire_rig import Wired

from otel_agents import semconv
from otel_agents.accounting import Usage
from otel_agents.wire.formats import RequestFacts
from otel_agents.wire.providers.mistral_conversations import MistralConversations
from otel_agents.wire.recognise import format_of, recognise

SAID = {
    "prompt_tokens": 188, "completion_tokens": 55, "total_tokens": 7355, "connector_tokens": 7112,
    "connectors": {"web_search": 1},
}  # fmt: skip
USED = Usage(input=7300, output=55)
SEARCH = {"type": "tool.execution", "id": "t1", "name": "web_search", "arguments": '{"query": "q"}'}
CALL = {
    "type": "function.call",
    "id": "f1",
    "tool_call_id": "c1",
    "name": "look",
    "arguments": '{"at": "it"}',
}
TEXT = {"type": "message.output", "id": "m1", "role": "assistant", "model": "mistral-medium-2505"}
DONE = {
    "object": "conversation.response", "conversation_id": "conv_1", "usage": SAID,
    "outputs": [SEARCH, {**TEXT, "content": "Hello"}, CALL],
}  # fmt: skip
PARTS = [
    {
        "type": "server_tool_call", "id": "t1", "name": "web_search",
        "server_tool_call": {"type": "web_search", "arguments": {"query": "q"}},
    },
    {"type": "text", "content": "Hello"},
    {"type": "tool_call", "id": "c1", "name": "look", "arguments": {"at": "it"}},
]  # fmt: skip
STREAM: list[dict[str, Any]] = [
    {"type": "conversation.response.started", "conversation_id": "conv_1"},
    {**SEARCH, "type": "tool.execution.started"},
    {**SEARCH, "type": "tool.execution.done"},
    {**TEXT, "type": "message.output.delta", "content": "Hel"},
    {**TEXT, "type": "message.output.delta", "content": {"type": "text", "text": "lo"}},
    {**CALL, "type": "function.call.delta", "arguments": '{"at": '},
    {**CALL, "type": "function.call.delta", "arguments": '"it"}'},
    {"type": "conversation.response.done", "usage": SAID},
]


def sse(*events: dict[str, Any]) -> bytes:
    return b"".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in events)


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as server:
        server.answer(Answer([json.dumps(DONE).encode()], headers={"content-type": "application/json"}))
        yield server


@pytest.fixture
def client(wired_all: Wired, server: Scripted) -> Mistral:
    return Mistral(api_key="any", server_url=server.url)


def said(wired: Wired, name: str) -> Any:
    return json.loads(wired.sent()[name])


def test_one_that_starts(wired_all: Wired, client: Mistral) -> None:
    client.beta.conversations.start(
        model="mistral-medium-latest",
        inputs="Hi",
        instructions="Be kind.",
        completion_args={"temperature": 0.3, "max_tokens": 50, "stop": "end"},
        tools=[{"type": "web_search"}],
    )
    sent = wired_all.sent()
    assert sent["gen_ai.usage.cost"] == pytest.approx((7300 * 0.4 + 55 * 2.0) / 1e6)
    assert wired_all.record().usage == USED
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "mistral_ai",
        "gen_ai.conversation.id": "conv_1",
        "gen_ai.request.model": "mistral-medium-latest",
        "gen_ai.request.temperature": 0.3,
        "gen_ai.request.max_tokens": 50,
        "gen_ai.request.stop_sequences": ("end",),
        "gen_ai.response.model": "mistral-medium-2505",
        "gen_ai.response.finish_reasons": ("tool_call",),
    }
    assert {name: sent.get(name) for name in expected} == expected
    hello = [{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}]
    assert said(wired_all, semconv.INPUT_MESSAGES) == hello
    assert said(wired_all, semconv.OUTPUT_MESSAGES) == [{"role": "assistant", "parts": PARTS}]
    assert said(wired_all, semconv.SYSTEM_INSTRUCTIONS) == [{"type": "text", "content": "Be kind."}]


def test_one_that_goes_on(wired_all: Wired, client: Mistral) -> None:
    result = {"type": "function.result", "tool_call_id": "c1", "result": "nothing"}
    client.beta.conversations.append(conversation_id="conv_1", inputs=[result])
    assert wired_all.record().usage == USED
    assert wired_all.sent()["gen_ai.conversation.id"] == "conv_1"
    assert said(wired_all, semconv.INPUT_MESSAGES) == [
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "nothing"}]}
    ]


def test_a_stream(wired_all: Wired, server: Scripted, client: Mistral) -> None:
    server.answer(Answer([sse(*STREAM)], headers={"content-type": "text/event-stream"}))
    with client.beta.conversations.start_stream(agent_id="ag_1", inputs="Hi") as stream:
        assert len(list(stream)) == len(STREAM)
    sent = wired_all.sent()
    assert (sent["gen_ai.agent.id"], sent["gen_ai.response.finish_reasons"]) == ("ag_1", ("tool_call",))
    assert wired_all.record().usage == USED
    assert said(wired_all, semconv.OUTPUT_MESSAGES) == [{"role": "assistant", "parts": PARTS}]


def test_an_error_in_a_stream() -> None:
    error = {"type": "conversation.response.error", "message": "No", "code": 3051}
    facts = MistralConversations().read_response(sse(STREAM[0], error), True, RequestFacts("m"))
    assert (facts.error_type, facts.error_message, facts.finish_reasons) == ("3051", "No", ["error"])


@given(st.integers(0, len(sse(*STREAM)) - 3))
def test_a_stream_that_was_cut_anywhere(at: int) -> None:
    facts = MistralConversations().read_response(sse(*STREAM)[:at], True, RequestFacts("m"))
    assert facts.finish_reasons == ["error"]
    MistralConversations().output_content(sse(*STREAM)[:at], True, 1000)


@pytest.mark.parametrize("host", ["api.openai.com", "example.com"])
def test_openais_conversations_are_no_calls(host: str) -> None:
    found = format_of("/v1/conversations")
    assert found is not None
    assert recognise(found, host, 443, b'{"items": [{"role": "user", "content": "Hi"}]}', {}) is None
    assert recognise(found, host, 443, b"", {}) is None


def test_openais_sdk_makes_no_span(wired_all: Wired, server: Scripted) -> None:
    server.answer(Answer([b'{"id": "conv_1"}'], headers={"content-type": "application/json"}))
    openai.OpenAI(api_key="any", base_url=f"{server.url}/v1").conversations.create(metadata={"a": "b"})
    assert wired_all.spans == []
