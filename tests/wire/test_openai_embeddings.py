"""Embeddings: of the real OpenAI SDK, at Azure, and as odd servers answer them."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from modelserver.server import ModelServer
from opentelemetry.trace import SpanKind
from wire_rig import Wired

from otel_agents.accounting import Usage
from otel_agents.wire.formats import RequestFacts
from otel_agents.wire.providers.openai_embeddings import OpenAIEmbeddings

FORMAT = OpenAIEmbeddings()


@pytest.fixture
def client(server: ModelServer) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="sk-any", max_retries=0)


def test_a_call(wired_all: Wired, server: ModelServer, client: openai.OpenAI) -> None:
    answer = client.embeddings.create(
        model="text-embedding-3-small", input=["some words", "more"], dimensions=8, encoding_format="float"
    )
    assert len(answer.data[0].embedding) == 8
    span = wired_all.span()
    assert (span.name, span.kind) == ("embeddings text-embedding-3-small", SpanKind.CLIENT)
    assert wired_all.attributes() == {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "text-embedding-3-small",
        "gen_ai.request.encoding_formats": ("float",),
        "gen_ai.embeddings.dimension.count": 8,
        "gen_ai.response.model": "text-embedding-3-small",
        "gen_ai.usage.cost": pytest.approx(float(server.ledger()["cost"])),
        "gen_ai.usage.input_tokens": answer.usage.prompt_tokens,
        "server.address": "127.0.0.1",
        "server.port": int(server.url.rsplit(":", 1)[1]),
    }
    # The conventions have no content for embeddings.
    assert not [name for name in wired_all.sent() if name.endswith(".messages")]
    assert wired_all.record().operation == "embeddings"
    assert wired_all.record().usage == Usage(input=server.ledger()["input"])


async def test_async(wired: Wired, server: ModelServer) -> None:
    client = openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="sk-any")
    await client.embeddings.create(model="text-embedding-3-large", input="words")
    assert wired.record().cost == pytest.approx(float(server.ledger()["cost"]))


def test_at_azure(wired: Wired, server: ModelServer) -> None:
    client = openai.AzureOpenAI(azure_endpoint=server.url, api_key="any", api_version="2024-10-21")
    client.embeddings.create(model="prod-text-embedding-3-small", input="words")
    attributes = wired.attributes()
    assert attributes["gen_ai.provider.name"] == "azure.ai.openai"
    assert attributes["gen_ai.request.model"] == "prod-text-embedding-3-small"
    assert attributes["gen_ai.response.model"] == "text-embedding-3-small"
    assert wired.record().cost == pytest.approx(float(server.ledger()["cost"]))


def usage_of(usage: Any) -> Usage | None:
    body = json.dumps({"model": "m", "data": [{"embedding": [0.1]}], "usage": usage}).encode()
    return FORMAT.read_response(body, False, RequestFacts("m")).usage


def test_usage() -> None:
    assert usage_of({"prompt_tokens": 5, "total_tokens": 5}) == Usage(input=5)
    assert usage_of({"total_tokens": 7}) == Usage(input=7)  # Voyage, Jina
    assert usage_of({"prompt_tokens": 5, "completion_tokens": 9}) == Usage(input=5)
    assert usage_of({}) is None
    assert usage_of(None) is None
    assert usage_of("free") is None


@pytest.mark.parametrize(
    "wrong", [b"", b"[]", b'{"model": "m"}', b'{"input": "x"}', b'{"model": "m", "input": 1}']
)
def test_what_is_no_request(wrong: bytes) -> None:
    try:
        assert FORMAT.read_request(wrong) is None
    except ValueError:
        pass


def test_an_error() -> None:
    facts = FORMAT.read_response(b'{"error": {"message": "No", "type": "invalid"}}', False, RequestFacts("m"))
    assert (facts.error_type, facts.error_message, facts.usage) == ("invalid", "No", None)
