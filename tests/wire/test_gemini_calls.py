"""Calls of the real Google SDK, at Google AI and at Vertex AI."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import httpx
import pytest
from google import genai
from google.genai import errors, types
from modelserver.server import ModelServer
from opentelemetry.trace import StatusCode
from wire_rig import Wired

from otel_agents import semconv

MODEL = "gemini-2.5-flash"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
USAGE = {"input": 5000, "output": 110, "cache_read": 2048, "reasoning": 30}


@pytest.fixture
def client(server: ModelServer) -> genai.Client:
    return genai.Client(api_key="any", http_options=types.HttpOptions(base_url=server.url))


def config(**more: Any) -> types.GenerateContentConfig:
    return types.GenerateContentConfig(
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        max_output_tokens=500,
        stop_sequences=["END"],
        seed=7,
        **more,
    )


EXPECTED = {
    "gen_ai.operation.name": "generate_content",
    "gen_ai.provider.name": "gcp.gemini",
    "gen_ai.request.model": MODEL,
    "gen_ai.request.temperature": 0.5,
    "gen_ai.request.top_p": 0.9,
    "gen_ai.request.top_k": 40,
    "gen_ai.request.max_tokens": 500,
    "gen_ai.request.stop_sequences": ("END",),
    "gen_ai.request.seed": 7,
    "gen_ai.request.reasoning.level": "LOW",
    "gen_ai.output.type": "json",
    "gen_ai.response.model": MODEL,
    "gen_ai.response.finish_reasons": ("STOP",),
    "gen_ai.usage.input_tokens": 5000,
    "gen_ai.usage.output_tokens": 110,
    "gen_ai.usage.cache_read.input_tokens": 2048,
    "gen_ai.usage.reasoning.output_tokens": 30,
}


@pytest.mark.parametrize("streamed", [False, True])
def test_a_call(wired: Wired, server: ModelServer, client: genai.Client, streamed: bool) -> None:
    server.script({"text": "Hello there, how are you?", "usage": USAGE})
    asked: dict[str, Any] = {
        "model": MODEL,
        "contents": "hi",
        "config": config(
            thinking_config=types.ThinkingConfig(thinking_level=types.ThinkingLevel.LOW),
            response_mime_type="application/json",
        ),
    }
    if streamed:
        *_, answer = client.models.generate_content_stream(**asked)
    else:
        answer = client.models.generate_content(**asked)
    assert wired.span().name == f"generate_content {MODEL}"
    attributes = wired.attributes()
    assert {name: attributes.get(name) for name in EXPECTED} == EXPECTED
    assert attributes["gen_ai.response.id"] == answer.response_id
    assert attributes.get("gen_ai.request.stream", False) is streamed
    assert (wired.record().time_to_first_chunk is not None) is streamed
    assert wired.record().cost == pytest.approx(float(server.ledger()["cost"]))


async def test_async_plain_and_streamed(wired: Wired, server: ModelServer) -> None:
    """Over httpx; over aiohttp the same format is reached through that client's hook."""
    options = types.HttpOptions(base_url=server.url, httpx_async_client=httpx.AsyncClient())
    client = genai.Client(api_key="any", http_options=options).aio
    await client.models.generate_content(model=MODEL, contents="hi")
    async for _ in await client.models.generate_content_stream(model=MODEL, contents="hi"):
        pass
    used = [record.usage.total for record in wired.records if record.usage is not None]
    ledger = server.ledger()
    assert len(used) == 2
    assert sum(used) == ledger["input"] + ledger["output"]
    assert sum(record.cost or 0 for record in wired.records) == pytest.approx(float(ledger["cost"]))


@pytest.mark.parametrize("form", ["plain", "events", "array"])
def test_messages_tools_and_thoughts(wired_all: Wired, server: ModelServer, form: str) -> None:
    call = {"name": "lookup", "arguments": {"word": "span"}}
    server.script(
        {"text": "", "thinking": "Let me see what it is", "tool_calls": [call], "scenario": "bytes:7"}
    )
    schema = {"type": "object", "properties": {"word": {"type": "string"}}}
    body = {
        "systemInstruction": {"parts": [{"text": "Be brief"}]},
        "contents": [
            {
                "role": "user",
                "parts": [
                    {"text": "What is this?"},
                    {"inlineData": {"mimeType": "image/png", "data": PIXEL}},
                ],
            },
            {"role": "model", "parts": [{"functionCall": {"id": "1", "name": "lookup", "args": {}}}]},
            {
                "role": "user",
                "parts": [{"functionResponse": {"id": "1", "name": "lookup", "response": {"result": 3}}}],
            },
        ],
        "tools": [
            {
                "functionDeclarations": [
                    {"name": "lookup", "description": "L", "parametersJsonSchema": schema}
                ]
            },
            {"googleSearch": {}},
        ],
    }
    method = {"plain": "generateContent", "events": "streamGenerateContent?alt=sse"}.get(
        form, "streamGenerateContent"
    )
    httpx.post(f"{server.url}/v1beta/models/{MODEL}:{method}", json=body, headers={"x-goog-api-key": "k"})
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
            "parts": [{"type": "tool_call", "id": "1", "name": "lookup", "arguments": {}}],
        },
        {"role": "user", "parts": [{"type": "tool_call_response", "id": "1", "response": {"result": 3}}]},
    ]
    assert json.loads(sent[semconv.TOOL_DEFINITIONS]) == [
        {"type": "function", "name": "lookup", "description": "L", "parameters": schema},
        {"type": "google_search", "name": "google_search"},
    ]
    (answer,) = json.loads(sent[semconv.OUTPUT_MESSAGES])
    thought, called = answer["parts"]
    assert thought == {"type": "reasoning", "content": "Let me see what it is"}
    assert (called["type"], called["name"], called["arguments"]) == ("tool_call", "lookup", {"word": "span"})
    assert (answer["role"], answer["finish_reason"]) == ("assistant", "STOP")
    usage = wired_all.record().usage
    assert usage is not None
    assert usage.total == server.ledger()["input"] + server.ledger()["output"]


def test_several_candidates(wired: Wired, server: ModelServer, client: genai.Client) -> None:
    for _ in client.models.generate_content_stream(
        model=MODEL, contents="hi", config=types.GenerateContentConfig(candidate_count=2)
    ):
        pass
    assert wired.attributes()["gen_ai.request.choice.count"] == 2
    assert wired.attributes()["gen_ai.response.finish_reasons"] == ("STOP", "STOP")


def test_an_error(wired: Wired, server: ModelServer, client: genai.Client) -> None:
    server.fail_next(1, 403)
    with pytest.raises(errors.ClientError):
        client.models.generate_content(model=MODEL, contents="hi")
    assert wired.attributes()["error.type"] == "403"
    assert wired.span().status.status_code is StatusCode.ERROR
    assert wired.span().status.description == "permission_denied"
    assert wired.record().unpriced_reason is None


def test_a_stream_that_breaks(wired: Wired, server: ModelServer, client: genai.Client) -> None:
    server.script({"text": "a long text that is cut somewhere", "scenario": "truncate"})
    for _ in client.models.generate_content_stream(model=MODEL, contents="hi"):
        pass
    assert wired.attributes()["gen_ai.response.finish_reasons"] == ("error",)


@pytest.mark.parametrize("vertex", [False, True])
def test_embeddings(wired: Wired, server: ModelServer, vertex: bool) -> None:
    client = genai.Client(api_key="any", vertexai=vertex, http_options=types.HttpOptions(base_url=server.url))
    if vertex:
        path = f"{server.url}/v1/projects/p/locations/l/publishers/google/models/gemini-embedding-001"
        body = {"content": {"parts": [{"text": "one text"}]}, "outputDimensionality": 8}
        httpx.post(f"{path}:embedContent", json=body, headers={"authorization": "Bearer t"})
    else:
        client.models.embed_content(
            model="gemini-embedding-001",
            contents=["one text", "another"],
            config=types.EmbedContentConfig(output_dimensionality=8),
        )
    attributes = wired.attributes()
    assert attributes["gen_ai.operation.name"] == "embeddings"
    assert attributes["gen_ai.provider.name"] == ("gcp.vertex_ai" if vertex else "gcp.gemini")
    assert attributes["gen_ai.request.model"] == "gemini-embedding-001"
    assert attributes["gen_ai.embeddings.dimension.count"] == 8
    assert attributes["gen_ai.usage.input_tokens"] == server.ledger()["input"]
    assert "gen_ai.response.finish_reasons" not in attributes
    assert wired.record().cost == pytest.approx(float(server.ledger()["cost"]))


def test_gemini_at_vertex(wired: Wired, server: ModelServer) -> None:
    client = genai.Client(vertexai=True, api_key="any", http_options=types.HttpOptions(base_url=server.url))
    for _ in client.models.generate_content_stream(model=MODEL, contents="hi"):
        pass
    assert wired.span().name == f"generate_content {MODEL}"
    assert wired.record().provider == "gcp.vertex_ai"
    assert wired.record().cost == pytest.approx(float(server.ledger()["cost"]))


@pytest.mark.parametrize("streamed", [False, True])
def test_claude_at_vertex(wired_all: Wired, server: ModelServer, streamed: bool) -> None:
    server.script({"text": "Hello", "usage": {"input": 5000, "output": 33, "cache_read": 500}})
    client = anthropic.AnthropicVertex(
        access_token="any",
        project_id="p",
        region="l",
        base_url=f"{server.url}/v1",
        max_retries=0,
        open_telemetry=False,
    )
    asked: dict[str, Any] = {
        "model": "claude-haiku-4-5",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "hi"}],
    }
    if streamed:
        with client.messages.stream(**asked) as stream:
            stream.until_done()
    else:
        client.messages.create(**asked)
    attributes = wired_all.attributes()
    assert wired_all.span().name == "chat claude-haiku-4-5"
    assert attributes["gen_ai.provider.name"] == "gcp.vertex_ai"
    assert attributes["gen_ai.response.model"] == "claude-haiku-4-5-20251001"
    assert attributes["gen_ai.usage.input_tokens"] == 5000
    assert attributes["gen_ai.usage.output_tokens"] == 33
    assert attributes["gen_ai.usage.cache_read.input_tokens"] == 500
    assert attributes["gen_ai.response.finish_reasons"] == ("end_turn",)
    assert wired_all.record().cost == pytest.approx(float(server.ledger()["cost"]))
    (answer,) = json.loads(wired_all.sent()[semconv.OUTPUT_MESSAGES])
    assert answer["parts"] == [{"type": "text", "content": "Hello"}]
