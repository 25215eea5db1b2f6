"""Every way to a model: a used-up budget raises ``BudgetExceeded`` itself, at once, and nothing is sent."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import anthropic
import boto3
import cohere
import httpx
import httpx2
import mistralai.client
import ollama
import openai
import pytest
import requests
import urllib3
from botocore.config import Config
from google import genai
from modelserver import running
from modelserver.server import ModelServer

from otel_agents import BudgetExceeded, LoopStopped, agent, guard, set_budget, wire
from otel_agents.budgets import spent
from otel_agents.testing import AgentSpans

HELLO: list[Any] = [{"role": "user", "content": "Say hello"}]
BODY: dict[str, Any] = {"model": "gpt-4o", "messages": HELLO}
PATH = "/v1/chat/completions"


@pytest.fixture(scope="module")
def shared_server() -> Iterator[ModelServer]:
    with running(latency="none") as server:
        yield server


@pytest.fixture
def server(shared_server: ModelServer, seen: AgentSpans) -> Iterator[ModelServer]:
    shared_server.reset()
    wire.install()
    yield shared_server
    wire.uninstall()


def openai_call(url: str, **more: Any) -> Any:
    return openai.OpenAI(base_url=f"{url}/v1", api_key="k").chat.completions.create(
        model="gpt-4o", messages=HELLO, **more
    )


def anthropic_call(url: str) -> Any:
    client = anthropic.Anthropic(base_url=url, api_key="k")
    return client.messages.create(model="claude-haiku-4-5", max_tokens=9, messages=HELLO)


def gemini_call(url: str) -> Any:
    client = genai.Client(api_key="any", http_options=genai.types.HttpOptions(base_url=url))
    return client.models.generate_content(model="gemini-2.5-flash", contents="hi")


def bedrock_call(url: str) -> Any:
    client = boto3.client(
        "bedrock-runtime",
        region_name="eu-west-1",
        endpoint_url=url,
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=Config(retries={"max_attempts": 3}),
    )
    return client.converse(
        modelId="amazon.nova-lite-v1:0", messages=[{"role": "user", "content": [{"text": "hi"}]}]
    )


def mistral_call(url: str) -> Any:
    client = mistralai.client.Mistral(api_key="k", server_url=url)
    return client.chat.complete(model="mistral-small-latest", messages=HELLO)


SYNC: dict[str, Callable[[str], Any]] = {
    "httpx": lambda url: httpx.post(url + PATH, json=BODY),
    "httpx2": lambda url: httpx2.post(url + PATH, json=BODY),
    "requests": lambda url: requests.post(url + PATH, json=BODY),
    "urllib3": lambda url: urllib3.PoolManager().request("POST", url + PATH, json=BODY),
    "openai": openai_call,
    "openai stream": lambda url: openai_call(url, stream=True),
    "openai raw": lambda url: openai.OpenAI(
        base_url=f"{url}/v1", api_key="k"
    ).chat.completions.with_raw_response.create(model="gpt-4o", messages=HELLO),
    "anthropic": anthropic_call,
    "gemini": gemini_call,
    "bedrock": bedrock_call,
    "mistral": mistral_call,
    "cohere": lambda url: cohere.ClientV2(api_key="k", base_url=url).chat(
        model="command-r-08-2024", messages=[cohere.UserChatMessageV2(content="hi")]
    ),
    "ollama": lambda url: ollama.Client(host=url).chat(model="llama3", messages=HELLO),
}


async def aiohttp_post(url: str) -> Any:
    async with aiohttp.ClientSession() as session, session.post(url + PATH, json=BODY) as response:
        return await response.read()


async def httpx_post(url: str) -> Any:
    async with httpx.AsyncClient() as client:
        return await client.post(url + PATH, json=BODY)


async def openai_async(url: str) -> Any:
    client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k")
    return await client.chat.completions.create(model="gpt-4o", messages=HELLO)


async def anthropic_async(url: str) -> Any:
    client = anthropic.AsyncAnthropic(base_url=url, api_key="k")
    return await client.messages.create(model="claude-haiku-4-5", max_tokens=9, messages=HELLO)


async def gemini_async(url: str) -> Any:
    client = genai.Client(api_key="any", http_options=genai.types.HttpOptions(base_url=url))
    return await client.aio.models.generate_content(model="gemini-2.5-flash", contents="hi")


ASYNC: dict[str, Callable[[str], Awaitable[Any]]] = {
    "aiohttp": aiohttp_post,
    "httpx": httpx_post,
    "openai": openai_async,
    "anthropic": anthropic_async,
    "gemini": gemini_async,
}


@pytest.mark.parametrize("way", SYNC)
def test_sync(server: ModelServer, way: str) -> None:
    set_budget(0, on_exceeded="block")
    started = time.monotonic()
    with pytest.raises(BudgetExceeded):
        SYNC[way](server.url)
    assert time.monotonic() - started < 5  # no retries with pauses
    assert server.requests == []


@pytest.mark.parametrize("way", ASYNC)
def test_async(server: ModelServer, way: str) -> None:
    set_budget(0, on_exceeded="block")
    with pytest.raises(BudgetExceeded):
        asyncio.run(ASYNC[way](server.url))  # type: ignore[arg-type]
    assert server.requests == []


def test_charged_what_was_counted_and_refused_next(server: ModelServer, seen: AgentSpans) -> None:
    set_budget(0.000001, on_exceeded="block")
    with agent("a"):
        openai_call(server.url)
        with pytest.raises(BudgetExceeded) as raised:
            openai_call(server.url)
    billed = float(server.ledger()["cost"])
    assert spent("monthly") == pytest.approx(billed)
    assert raised.value.spent == pytest.approx(billed)
    assert seen.metric("otel_agents.cost").sum == pytest.approx(billed)


def test_other_requests_go_on(server: ModelServer) -> None:
    set_budget(0, on_exceeded="block")
    assert httpx.get(f"{server.url}/ledger").status_code == 200
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="k", max_retries=0)
    with pytest.raises(openai.NotFoundError):
        client.post("/nothing", cast_to=object)


class TestGuards:
    def test_identical_requests(self, server: ModelServer) -> None:
        with guard(max_identical_model_calls=2):
            for _ in range(2):
                openai_call(server.url)
                httpx.post(server.url + PATH, content=json.dumps(BODY))
            openai_call(server.url, temperature=0.5)
            with pytest.raises(LoopStopped, match="more than 2 identical model calls"):
                openai_call(server.url)
            with pytest.raises(LoopStopped):
                httpx.post(server.url + PATH, json={**BODY, "seed": 1})  # stopped is stopped

    def test_retries_are_one_call(self, server: ModelServer) -> None:
        server.fail_next(2, 429)
        with guard(max_identical_model_calls=1, max_calls=1):
            openai_call(server.url)
            with pytest.raises(LoopStopped):
                openai_call(server.url)
        assert len(server.requests) == 3
