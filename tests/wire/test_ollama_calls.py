"""Ollama's own API: calls of the real SDK, and its lines read from bytes."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import httpx
import ollama
import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelserver.server import ModelServer
from opentelemetry.trace import StatusCode
from wire_rig import Wired

from otel_agents import semconv
from otel_agents.accounting import Usage
from otel_agents.wire import ndjson, reading
from otel_agents.wire.capture import Body
from otel_agents.wire.formats import RequestFacts, ResponseFacts
from otel_agents.wire.providers.ollama_chat import OllamaChat, OllamaGenerate
from otel_agents.wire.providers.ollama_embed import OllamaEmbed

MODEL = "llama3.2:3b"
HELLO: list[Any] = [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Say hello"}]
OPTIONS = {"temperature": 0.5, "top_p": 0.9, "top_k": 40, "num_predict": 500, "seed": 7, "stop": ["END"]}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
EXPECTED = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "ollama",
    "gen_ai.request.model": MODEL,
    "gen_ai.request.temperature": 0.5,
    "gen_ai.request.top_p": 0.9,
    "gen_ai.request.top_k": 40,
    "gen_ai.request.max_tokens": 500,
    "gen_ai.request.seed": 7,
    "gen_ai.request.stop_sequences": ("END",),
    "gen_ai.request.reasoning.level": "high",
    "gen_ai.output.type": "json",
    "gen_ai.response.model": MODEL,
    "gen_ai.response.finish_reasons": ("stop",),
    "gen_ai.usage.input_tokens": 50,
    "gen_ai.usage.output_tokens": 11,
}


@pytest.fixture
def client(server: ModelServer) -> ollama.Client:
    return ollama.Client(host=server.url)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_call(wired: Wired, server: ModelServer, client: Any, streamed: bool) -> None:
    server.script({"text": "Hello there, my friend", "usage": {"input": 50, "output": 11}})
    answer = client.chat(MODEL, messages=HELLO, options=OPTIONS, think="high", format="json", stream=streamed)
    if streamed:
        assert "".join(part.message.content for part in answer) == "Hello there, my friend"
    assert wired.span().name == f"chat {MODEL}"
    attributes = wired.attributes()
    assert {name: attributes.get(name) for name in EXPECTED} == EXPECTED
    assert attributes.get("gen_ai.request.stream", False) is streamed
    assert (wired.record().time_to_first_chunk is not None) is streamed
    assert wired.record().cost is None
    assert wired.record().unpriced_reason == "unknown_model"
    assert server.ledger()["unpriced_calls"] == 1


async def test_async_plain_streamed_and_generated(wired: Wired, server: ModelServer) -> None:
    client = ollama.AsyncClient(host=server.url)
    await client.chat(MODEL, messages=HELLO)
    async for _ in await client.chat(MODEL, messages=HELLO, stream=True):
        pass
    async for _ in await client.generate(MODEL, "def add(a, b):", stream=True):
        pass
    used = [record.usage.total for record in wired.records if record.usage is not None]
    assert [record.operation for record in wired.records] == ["chat", "chat", "text_completion"]
    assert len(used) == 3
    assert sum(used) == server.ledger()["input"] + server.ledger()["output"]


@pytest.mark.parametrize("streamed", [False, True])
def test_messages_tools_and_thoughts(
    wired_all: Wired, server: ModelServer, client: Any, streamed: bool
) -> None:
    call = {"name": "lookup", "arguments": {"word": "span"}}
    said = {"text": "I look it up", "thinking": "Let me see what it is", "tool_calls": [call]}
    server.script({**said, "scenario": "bytes:5"})
    function = {
        "name": "lookup",
        "description": "Looks a word up",
        "parameters": {"type": "object", "properties": {"word": {"type": "string"}}},
    }
    before = {"function": {"name": "lookup", "arguments": {"word": "a"}}}
    answer = client.chat(
        MODEL,
        messages=[
            {"role": "user", "content": "What is this?", "images": [PIXEL]},
            {"role": "assistant", "thinking": "Hm", "tool_calls": [before]},
            {"role": "tool", "tool_name": "lookup", "content": "unknown"},
        ],
        tools=[{"type": "function", "function": function}],
        stream=streamed,
    )
    if streamed:
        list(answer)
    sent = wired_all.sent()
    assert json.loads(sent[semconv.INPUT_MESSAGES]) == [
        {
            "role": "user",
            "parts": [
                {"type": "text", "content": "What is this?"},
                {"type": "blob", "mime_type": None, "modality": "image", "content": PIXEL},
            ],
        },
        {
            "role": "assistant",
            "parts": [
                {"type": "reasoning", "content": "Hm"},
                {"type": "tool_call", "id": None, "name": "lookup", "arguments": {"word": "a"}},
            ],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "lookup", "response": "unknown"}]},
    ]
    assert json.loads(sent[semconv.TOOL_DEFINITIONS]) == [{"type": "function", **function}]
    assert json.loads(sent[semconv.OUTPUT_MESSAGES]) == [
        {
            "role": "assistant",
            "parts": [
                {"type": "reasoning", "content": "Let me see what it is"},
                {"type": "text", "content": "I look it up"},
                {"type": "tool_call", "id": None, "name": "lookup", "arguments": {"word": "span"}},
            ],
            "finish_reason": "stop",
        }
    ]


def test_generate(wired_all: Wired, server: ModelServer, client: ollama.Client) -> None:
    server.script({"text": "return a + b"})
    client.generate(MODEL, "def add(a, b):", suffix="# end", system="Complete")
    sent = wired_all.sent()
    assert json.loads(sent[semconv.SYSTEM_INSTRUCTIONS]) == [{"type": "text", "content": "Complete"}]
    (asked,) = json.loads(sent[semconv.INPUT_MESSAGES])
    assert asked["parts"] == [
        {"type": "text", "content": "def add(a, b):"},
        {"type": "suffix", "content": "# end"},
    ]
    (answer,) = json.loads(sent[semconv.OUTPUT_MESSAGES])
    assert answer["parts"] == [{"type": "text", "content": "return a + b"}]


def test_embeddings(wired: Wired, server: ModelServer, client: ollama.Client) -> None:
    client.embed("nomic-embed-text", ["one text", "another"], dimensions=8)
    attributes = wired.attributes()
    assert wired.span().name == "embeddings nomic-embed-text"
    assert attributes["gen_ai.usage.input_tokens"] == server.ledger()["input"]
    assert attributes["gen_ai.embeddings.dimension.count"] == 8
    assert "gen_ai.response.finish_reasons" not in attributes


def test_errors(wired: Wired, server: ModelServer, client: ollama.Client) -> None:
    server.fail_next(1, 404)
    with pytest.raises(ollama.ResponseError):
        client.chat(MODEL, messages=HELLO)
    assert wired.attributes()["error.type"] == "404"
    assert wired.span().status.description == "something went wrong"
    wired.clear()
    server.script({"text": "a long answer that fails", "scenario": "stream_error"})
    with pytest.raises(ollama.ResponseError):
        list(client.chat(MODEL, messages=HELLO, stream=True))
    assert wired.attributes()["error.type"] == "_OTHER"
    assert wired.attributes()["gen_ai.response.finish_reasons"] == ("error",)
    assert wired.span().status.status_code is StatusCode.ERROR
    assert wired.record().usage is None


def test_loading_a_model_elsewhere_is_no_call(wired: Wired) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json={"done": True}))
    with httpx.Client(transport=transport) as http:
        http.post("http://gpu.internal/api/generate", json={"model": MODEL, "keep_alive": -1})
        http.post("http://app.internal/api/chat", json={"messages": []})
    assert wired.spans == []


def test_the_default_port_says_who_it_is(wired: Wired) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json={"message": {}, "done": True}))
    with httpx.Client(transport=transport) as http:
        http.post("http://localhost:11434/api/chat", json={"model": MODEL, "messages": []})
    assert wired.record().provider == "ollama"
    assert wired.record().unpriced_reason == "no_usage"


# --- bytes ---------------------------------------------------------------------------------------
def line(text: str, **more: Any) -> dict[str, Any]:
    return {"model": MODEL, "message": {"role": "assistant", "content": text}, "done": False, **more}


LINES = [
    line('wörld "done":true '),
    line("again"),
    line("", done=True, done_reason="length", prompt_eval_count=9, eval_count=4),
]
WHOLE = "".join(f"{json.dumps(item, ensure_ascii=False, separators=(',', ':'))}\n" for item in LINES).encode()
ASKED = RequestFacts(MODEL, True)
FACTS = ResponseFacts(model=MODEL, usage=Usage(9, 4), finish_reasons=["length"])


@pytest.mark.parametrize(
    "rewritten",
    [
        WHOLE,
        WHOLE.replace(b"\n", b"\r\n"),
        WHOLE.rstrip(),
        WHOLE.replace(b'":', b'": '),
        b"\xef\xbb\xbf\n" + WHOLE.replace(b"\n", b"\n\n"),
        WHOLE.replace(b'{"model"', b'{model"', 1),
        json.dumps(LINES[-1], indent=2).encode(),
    ],
)
def test_lines_in_any_dress(rewritten: bytes) -> None:
    assert OllamaChat().read_response(rewritten, True, ASKED) == FACTS


@given(st.integers(min_value=0, max_value=len(WHOLE)))
def test_lines_that_were_cut_anywhere(cut: int) -> None:
    form = OllamaChat()
    headers = {"content-type": "application/x-ndjson"}
    facts, readable, streamed = reading.read(form, ASKED, Body(WHOLE[:cut]), headers, False)
    whole = cut >= len(WHOLE) - 1
    assert facts.finish_reasons == (["length"] if whole else ["error"])
    assert facts.usage == (Usage(9, 4) if whole else None)
    assert streamed is (cut > 0)
    form.output_content(readable, streamed, 1000)


@given(st.lists(st.integers(min_value=0, max_value=len(WHOLE))))
def test_a_gap_loses_only_the_lines_it_cuts(cuts: list[int]) -> None:
    for start, end in pairwise(sorted(cuts)):
        for item in ndjson.lines(WHOLE[:start] + b"\n\n" + WHOLE[end:]):
            assert item.startswith(b"{")
    joined = Body(WHOLE[:20], WHOLE[-200:])
    facts, _, _ = reading.read(OllamaChat(), ASKED, joined, {"content-type": "application/x-ndjson"}, True)
    assert facts.usage == Usage(9, 4)


@given(st.binary(max_size=200))
def test_garbage(data: bytes) -> None:
    for form in (OllamaChat(), OllamaGenerate(), OllamaEmbed()):
        for prefix in (b"", b"{", b'{"done":true'):
            facts, readable, streamed = reading.read(form, ASKED, Body(prefix + data), {}, True)
            assert facts.usage is None
            form.output_content(readable, streamed, 100)


def test_an_html_page_is_named() -> None:
    facts, _, _ = reading.read(OllamaChat(), ASKED, Body(b"<html>Sign in</html>"), {}, True)
    assert (facts.unreadable, facts.finish_reasons) == ("html", ["error"])


def test_embeddings_too_big_to_keep() -> None:
    body = json.dumps({"model": "m", "embeddings": [[0.1] * 5000], "prompt_eval_count": 12}).encode()
    facts, _, _ = reading.read(OllamaEmbed(), ASKED, Body(body[:4000], body[-4000:]), {}, True)
    assert (facts.model, facts.usage) == ("m", Usage(12))
