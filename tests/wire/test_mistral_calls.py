"""Calls of the real Mistral SDK, and what its messages have beyond OpenAI's."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mistralai.client import Mistral
from mistralai.client.errors import SDKError
from modelserver.server import ModelServer
from wire_rig import Wired

from otel_agents import semconv
from otel_agents.wire import reading
from otel_agents.wire.capture import Body
from otel_agents.wire.formats import RequestFacts
from otel_agents.wire.providers.mistral_chat import MistralChat, MistralFim

MODEL = "mistral-medium-2508"
HELLO: list[Any] = [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Say hello"}]
HOSTS = {"127.0.0.1": "mistral_ai"}
EXPECTED = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "mistral_ai",
    "gen_ai.request.model": MODEL,
    "gen_ai.request.temperature": 0.5,
    "gen_ai.request.top_p": 0.9,
    "gen_ai.request.max_tokens": 500,
    "gen_ai.request.seed": 7,
    "gen_ai.request.stop_sequences": ("END",),
    "gen_ai.response.model": MODEL,
    "gen_ai.response.finish_reasons": ("stop",),
    "gen_ai.usage.input_tokens": 3000,
    "gen_ai.usage.output_tokens": 11,
    "gen_ai.usage.cache_read.input_tokens": 2048,
}


@pytest.fixture
def mistral(wired_with: Any) -> Wired:
    return wired_with(provider_hosts=HOSTS, capture="all")  # type: ignore[no-any-return]


@pytest.fixture
def client(server: ModelServer) -> Mistral:
    return Mistral(api_key="any", server_url=f"{server.url}/mistral")


@pytest.mark.parametrize("streamed", [False, True])
def test_a_call(mistral: Wired, server: ModelServer, client: Mistral, streamed: bool) -> None:
    usage = {"input": 3000, "output": 11, "cache_read": 2048}
    server.script({"text": "Hello there, my friend", "usage": usage})
    asked: dict[str, Any] = {
        "model": MODEL,
        "messages": HELLO,
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 500,
        "random_seed": 7,
        "stop": "END",
    }
    if streamed:
        *_, last = client.chat.stream(**asked)
        identity = last.data.id
    else:
        identity = client.chat.complete(**asked).id
    (record,) = mistral.records
    attributes = mistral.attributes()
    assert {name: attributes.get(name) for name in EXPECTED} == EXPECTED
    assert attributes["gen_ai.response.id"] == identity
    assert not [name for name in attributes if name.startswith("openai.")]
    assert record.cost == pytest.approx(float(server.ledger()["cost"]))


async def test_async_plain_and_streamed(mistral: Wired, server: ModelServer, client: Mistral) -> None:
    await client.chat.complete_async(model=MODEL, messages=HELLO)
    async for _ in await client.chat.stream_async(model=MODEL, messages=HELLO):
        pass
    used = [record.usage.total for record in mistral.records if record.usage is not None]
    assert len(used) == 2
    assert sum(used) == server.ledger()["input"] + server.ledger()["output"]


@pytest.mark.parametrize("streamed", [False, True])
def test_thoughts_and_tools(mistral: Wired, server: ModelServer, client: Mistral, streamed: bool) -> None:
    server.script({"text": "It is a word, I think", "thinking": "Let me see", "scenario": "bytes:5"})
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}
    call = {"id": "123456789", "function": {"name": "lookup", "arguments": '{"word": "a"}'}}
    asked: dict[str, Any] = {
        "model": MODEL,
        "messages": [
            {"role": "user", "content": "What is a span?"},
            {"role": "assistant", "content": [thought], "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "123456789", "name": "lookup", "content": "unknown"},
        ],
    }
    if streamed:
        list(client.chat.stream(**asked))
    else:
        client.chat.complete(**asked)
    sent = mistral.sent()
    _, said, answered = json.loads(sent[semconv.INPUT_MESSAGES])
    assert said["parts"] == [
        {"type": "reasoning", "content": "Hm"},
        {"type": "tool_call", "id": "123456789", "name": "lookup", "arguments": {"word": "a"}},
    ]
    assert answered["parts"] == [
        {"type": "tool_call_response", "id": "123456789", "response": "unknown"},
    ]
    (answer,) = json.loads(sent[semconv.OUTPUT_MESSAGES])
    assert answer["parts"] == [
        {"type": "reasoning", "content": "Let me see"},
        {"type": "text", "content": "It is a word, I think"},
    ]
    assert answer["finish_reason"] == "stop"


@pytest.mark.parametrize("streamed", [False, True])
def test_fill_in_the_middle(mistral: Wired, server: ModelServer, client: Mistral, streamed: bool) -> None:
    server.script({"text": "a + b"})
    asked: dict[str, Any] = {
        "model": "codestral-2508",
        "prompt": "def add(a, b): return ",
        "suffix": "# end",
        "random_seed": 3,
    }
    if streamed:
        list(client.fim.stream(**asked))
    else:
        client.fim.complete(**asked)
    sent = mistral.sent()
    assert sent["gen_ai.operation.name"] == "text_completion"
    assert sent["gen_ai.request.seed"] == 3
    (asked_for,) = json.loads(sent[semconv.INPUT_MESSAGES])
    assert asked_for["parts"] == [
        {"type": "text", "content": "def add(a, b): return "},
        {"type": "suffix", "content": "# end"},
    ]
    (answer,) = json.loads(sent[semconv.OUTPUT_MESSAGES])
    assert answer["parts"] == [{"type": "text", "content": "a + b"}]
    assert mistral.record().cost == pytest.approx(float(server.ledger()["cost"]))


def test_an_error(mistral: Wired, server: ModelServer, client: Mistral) -> None:
    server.fail_next(1, 401)
    with pytest.raises(SDKError):
        client.chat.complete(model=MODEL, messages=HELLO)
    assert mistral.attributes()["error.type"] == "401"
    assert mistral.record().usage is None


def test_agents_and_the_real_host(wired: Wired) -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    answer = {"id": "r", "model": MODEL, "usage": usage, "choices": [{"index": 0, "finish_reason": "stop"}]}
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=answer))
    with httpx.Client(transport=transport) as http:
        http.post(
            "https://api.mistral.ai/v1/agents/completions",
            json={"agent_id": "ag:1", "messages": [], "max_tokens": 5},
        )
    attributes = wired.attributes()
    assert wired.span().name == "chat"
    assert attributes["gen_ai.agent.id"] == "ag:1"
    assert attributes["gen_ai.request.max_tokens"] == 5
    assert attributes["gen_ai.response.model"] == MODEL
    assert wired.record().provider == "mistral_ai"
    assert wired.record().cost is not None


# --- bytes ---------------------------------------------------------------------------------------
def chunk(content: Any, reason: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"role": "assistant", "content": content}, "finish_reason": reason}
    return {"id": "m1", "model": MODEL, "choices": [choice], **more}


THOUGHT = [{"type": "thinking", "thinking": [{"type": "text", "text": "hö"}]}]
USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
CHUNKS = [chunk(THOUGHT), chunk("a"), chunk("b"), chunk("", "length", usage=USAGE)]
WHOLE = "".join(f"data: {json.dumps(item, ensure_ascii=False)}\n\n" for item in CHUNKS).encode()
ASKED = RequestFacts(MODEL, True)


@given(st.integers(min_value=0, max_value=len(WHOLE)))
def test_a_stream_that_was_cut_anywhere(cut: int) -> None:
    form = MistralChat()
    headers = {"content-type": "text/event-stream"}
    facts, readable, streamed = reading.read(form, ASKED, Body(WHOLE[:cut]), headers, False)
    whole = cut >= len(WHOLE) - 2
    assert facts.finish_reasons == (["length"] if whole else ["error"])
    assert (facts.usage is not None) is whole
    found = form.output_content(readable, streamed, 1000)
    if whole:
        assert found[semconv.OUTPUT_MESSAGES][0]["parts"] == [
            {"type": "reasoning", "content": "hö"},
            {"type": "text", "content": "ab"},
        ]


@given(st.binary(max_size=200))
def test_garbage(data: bytes) -> None:
    for form in (MistralChat(), MistralFim()):
        for prefix in (b"", b"{", b'data: {"usage":'):
            facts, _, _ = reading.read(form, ASKED, Body(prefix + data), {}, True)
            assert facts.usage is None
            try:
                form.read_request(prefix + data)
            except ValueError:
                pass


def test_parts_of_its_own() -> None:
    content = [
        {"type": "image_url", "image_url": "https://a/b.png"},
        {"type": "document_url", "document_url": "https://a/b.pdf"},
        {"type": "input_audio", "input_audio": "QUJD"},
    ]
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": content}]}).encode()
    (message,) = MistralChat().input_content(body, 1000)[semconv.INPUT_MESSAGES]
    assert message["parts"] == [
        {"type": "uri", "modality": "image", "uri": "https://a/b.png"},
        {"type": "uri", "modality": "document", "uri": "https://a/b.pdf"},
        {"type": "blob", "mime_type": "audio/*", "modality": "audio", "content": "QUJD"},
    ]
