"""Cohere's chat and embeddings: calls of the real SDK, and its events read from bytes."""

from __future__ import annotations

import json
from typing import Any

import cohere
import pytest
from cohere.core.api_error import ApiError
from hypothesis import given
from hypothesis import strategies as st
from modelserver.server import ModelServer
from opentelemetry.trace import StatusCode
from wire_rig import Wired

from otel_agents import semconv
from otel_agents.accounting import Usage
from otel_agents.accounting.metered import MeteredUsage
from otel_agents.wire import reading
from otel_agents.wire.capture import Body
from otel_agents.wire.formats import RequestFacts, ResponseFacts
from otel_agents.wire.providers.cohere_chat import CohereChat
from otel_agents.wire.providers.cohere_embed import CohereEmbed

MODEL = "command-a-03-2025"
HELLO: list[Any] = [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Say hello"}]
EXPECTED = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "cohere",
    "gen_ai.request.model": MODEL,
    "gen_ai.request.temperature": 0.5,
    "gen_ai.request.top_p": 0.9,
    "gen_ai.request.top_k": 40,
    "gen_ai.request.max_tokens": 500,
    "gen_ai.request.seed": 7,
    "gen_ai.request.stop_sequences": ("END",),
    "gen_ai.output.type": "json",
    "gen_ai.response.finish_reasons": ("COMPLETE",),
    "gen_ai.usage.input_tokens": 3000,
    "gen_ai.usage.output_tokens": 11,
    "gen_ai.usage.cache_read.input_tokens": 2048,
}


@pytest.fixture
def client(server: ModelServer) -> cohere.ClientV2:
    return cohere.ClientV2(api_key="any", base_url=server.url)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_call(wired: Wired, server: ModelServer, client: cohere.ClientV2, streamed: bool) -> None:
    """The billed tokens, not those that the model saw."""
    usage = {"input": 3000, "output": 11, "cache_read": 2048}
    server.script({"text": "Hello there, my friend", "usage": usage})
    asked: dict[str, Any] = {
        "model": MODEL,
        "messages": HELLO,
        "temperature": 0.5,
        "p": 0.9,
        "k": 40,
        "max_tokens": 500,
        "seed": 7,
        "stop_sequences": ["END"],
        "response_format": {"type": "json_object"},
    }
    identity: str | None
    if streamed:
        first, *_ = client.chat_stream(**asked)
        assert isinstance(first, cohere.MessageStartV2ChatStreamResponse)
        identity = first.id
    else:
        answer = client.chat(**asked)
        assert answer.usage is not None
        assert answer.usage.tokens is not None
        assert answer.usage.tokens.input_tokens == 3495
        identity = answer.id
    assert wired.span().name == f"chat {MODEL}"
    attributes = wired.attributes()
    assert {name: attributes.get(name) for name in EXPECTED} == EXPECTED
    assert attributes["gen_ai.response.id"] == identity
    assert attributes.get("gen_ai.request.stream", False) is streamed
    assert wired.record().cost == pytest.approx(float(server.ledger()["cost"]))


async def test_async_plain_and_streamed(wired: Wired, server: ModelServer) -> None:
    client = cohere.AsyncClientV2(api_key="any", base_url=server.url)
    await client.chat(model=MODEL, messages=HELLO)
    async for _ in client.chat_stream(model=MODEL, messages=HELLO):
        pass
    used = [record.usage.total for record in wired.records if record.usage is not None]
    assert len(used) == 2
    assert sum(used) == server.ledger()["input"] + server.ledger()["output"]


@pytest.mark.parametrize("streamed", [False, True])
def test_messages_and_tools(
    wired_all: Wired, server: ModelServer, client: cohere.ClientV2, streamed: bool
) -> None:
    call = {"name": "lookup", "arguments": {"word": "span"}}
    server.script({"text": "I will look it up", "tool_calls": [call], "scenario": "bytes:5"})
    function = {"name": "lookup", "description": "Looks up", "parameters": {"type": "object"}}
    before = {"id": "t1", "type": "function", "function": {"name": "lookup", "arguments": '{"word": "a"}'}}
    asked: dict[str, Any] = {
        "model": MODEL,
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "What is a span?"}]},
            {"role": "assistant", "tool_plan": "I ask", "tool_calls": [before]},
            {"role": "tool", "tool_call_id": "t1", "content": "unknown"},
        ],
        "tools": [{"type": "function", "function": function}],
    }
    if streamed:
        list(client.chat_stream(**asked))
    else:
        client.chat(**asked)
    sent = wired_all.sent()
    assert json.loads(sent[semconv.INPUT_MESSAGES]) == [
        {"role": "user", "parts": [{"type": "text", "content": "What is a span?"}]},
        {
            "role": "assistant",
            "parts": [
                {"type": "reasoning", "content": "I ask"},
                {"type": "tool_call", "id": "t1", "name": "lookup", "arguments": {"word": "a"}},
            ],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "t1", "response": "unknown"}]},
    ]
    assert json.loads(sent[semconv.TOOL_DEFINITIONS]) == [{"type": "function", **function}]
    (answer,) = json.loads(sent[semconv.OUTPUT_MESSAGES])
    plan, called = answer["parts"]
    assert plan == {"type": "reasoning", "content": "I will look it up"}
    assert (called["type"], called["name"], called["arguments"]) == ("tool_call", "lookup", {"word": "span"})
    assert called["id"].startswith("lookup_")
    assert answer["finish_reason"] == "TOOL_CALL"


@pytest.mark.parametrize("streamed", [False, True])
def test_thoughts(wired_all: Wired, server: ModelServer, client: cohere.ClientV2, streamed: bool) -> None:
    server.script({"text": "It is a word, I think", "thinking": "Let me see what it is"})
    asked: dict[str, Any] = {"model": MODEL, "messages": HELLO, "thinking": {"type": "enabled"}}
    if streamed:
        list(client.chat_stream(**asked))
    else:
        client.chat(**asked)
    (answer,) = json.loads(wired_all.sent()[semconv.OUTPUT_MESSAGES])
    assert answer["parts"] == [
        {"type": "reasoning", "content": "Let me see what it is"},
        {"type": "text", "content": "It is a word, I think"},
    ]


def test_embeddings(wired: Wired, server: ModelServer, client: cohere.ClientV2) -> None:
    client.embed(
        model="embed-v4.0",
        input_type="search_query",
        texts=["one text", "another"],
        embedding_types=["float"],
        output_dimension=256,
    )
    attributes = wired.attributes()
    assert wired.span().name == "embeddings embed-v4.0"
    assert attributes["gen_ai.usage.input_tokens"] == server.ledger()["input"]
    assert attributes["gen_ai.embeddings.dimension.count"] == 256
    assert attributes["gen_ai.request.encoding_formats"] == ("float",)
    assert wired.record().cost == pytest.approx(float(server.ledger()["cost"]))


def test_errors(wired: Wired, server: ModelServer, client: cohere.ClientV2) -> None:
    server.fail_next(1, 400)
    with pytest.raises(ApiError):
        client.chat(model=MODEL, messages=HELLO)
    assert wired.attributes()["error.type"] == "400"
    assert wired.span().status.description == "invalid request"
    wired.clear()
    server.script({"text": "a long answer that fails", "scenario": "stream_error"})
    list(client.chat_stream(model=MODEL, messages=HELLO))
    assert wired.attributes()["error.type"] == "_OTHER"
    assert wired.attributes()["gen_ai.response.finish_reasons"] == ("ERROR",)
    assert wired.span().status.status_code is StatusCode.ERROR
    assert wired.span().status.description == "the model failed"


# --- bytes ---------------------------------------------------------------------------------------
ASKED = RequestFacts(MODEL, True)
END = {"billed_units": {"input_tokens": 9.0, "output_tokens": 4.0}, "tokens": {"input_tokens": 99}}
EVENTS: list[dict[str, Any]] = [
    {"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant"}}},
    {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
    {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": 'ö "message-end"'}}}},
    {"type": "message-end", "delta": {"finish_reason": "MAX_TOKENS", "usage": END}},
]
WHOLE = "".join(
    f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n" for event in EVENTS
).encode()
FACTS = ResponseFacts(id="c1", usage=Usage(9, 4), finish_reasons=["MAX_TOKENS"])


@pytest.mark.parametrize(
    "rewritten",
    [
        WHOLE,
        WHOLE.replace(b"\n", b"\r\n"),
        WHOLE.replace(b"data: ", b"data:"),
        WHOLE.replace(b'": ', b'":'),
        WHOLE.replace(b"event: content-delta\n", b": ping\n"),
        WHOLE.replace(b'{"type": "content-start"', b'{"type" "content-start"'),
    ],
)
def test_a_stream_in_any_dress(rewritten: bytes) -> None:
    assert CohereChat().read_response(rewritten, True, ASKED) == FACTS


@given(st.integers(min_value=0, max_value=len(WHOLE)))
def test_a_stream_that_was_cut_anywhere(cut: int) -> None:
    form = CohereChat()
    headers = {"content-type": "text/event-stream"}
    facts, readable, streamed = reading.read(form, ASKED, Body(WHOLE[:cut]), headers, False)
    whole = cut >= len(WHOLE) - 2
    assert facts.finish_reasons == (["MAX_TOKENS"] if whole else ["error"])
    assert facts.usage == (Usage(9, 4) if whole else None)
    if readable:
        form.output_content(readable, streamed, 1000)


@given(st.binary(max_size=200))
def test_garbage(data: bytes) -> None:
    for form in (CohereChat(), CohereEmbed()):
        for prefix in (b"", b"{", b'data: {"type":"message-end"', b'{"usage":'):
            facts, _, _ = reading.read(form, ASKED, Body(prefix + data), {}, True)
            assert facts.usage is None


def test_reported_tokens_where_nothing_is_billed() -> None:
    """As private deployments answer."""
    usage = {"tokens": {"input_tokens": 5, "output_tokens": 2}}
    body = json.dumps({"id": "c", "finish_reason": "COMPLETE", "usage": usage}).encode()
    assert CohereChat().read_response(body, False, ASKED).usage == Usage(5, 2)


@pytest.mark.parametrize(
    ("billed", "usage"),
    [
        ({"input_tokens": 7}, Usage(7)),
        ({"input_tokens": 0, "image_tokens": 90, "images": 1}, MeteredUsage(90, input_image=90)),
        ({"input_tokens": 97, "text_tokens": 7, "image_tokens": 90}, MeteredUsage(97, input_image=90)),
        ({}, None),
        ({"input_tokens": "many"}, None),
    ],
)
def test_billed_text_and_images(billed: dict[str, Any], usage: Usage | None) -> None:
    body = json.dumps({"id": "e", "embeddings": {}, "meta": {"billed_units": billed}}).encode()
    assert CohereEmbed().read_response(body, False, ASKED).usage == usage


def test_embeddings_too_big_to_keep() -> None:
    meta = {"billed_units": {"input_tokens": 7}}
    body = json.dumps({"id": "e", "embeddings": {"float": [[0.1] * 5000]}, "meta": meta}).encode()
    facts, _, _ = reading.read(CohereEmbed(), ASKED, Body(body[:4000], body[-4000:]), {}, True)
    assert (facts.id, facts.usage) == ("e", Usage(7))


def test_images_and_documents() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": [image]}],
        "documents": ["a text", {"id": "d", "data": {"title": "T"}}],
    }
    found = CohereChat().input_content(json.dumps(body).encode(), 1000)["gen_ai.input.messages"]
    assert found == [
        {
            "role": "user",
            "parts": [{"type": "blob", "mime_type": "image/png", "modality": "image", "content": "QUJD"}],
        },
        {
            "role": "user",
            "parts": [
                {"type": "document", "content": "a text"},
                {"type": "document", "content": {"id": "d", "data": {"title": "T"}}},
            ],
        },
    ]
