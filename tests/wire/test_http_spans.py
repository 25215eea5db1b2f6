"""Beside the official instrumentation of the HTTP clients: no second span for a call, one for all else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest
from modelserver.server import ModelServer
from opentelemetry.instrumentation.httpx import HTTPX2ClientInstrumentor, HTTPXClientInstrumentor
from wire_rig import Wired

from otel_agents import wire

HELLO: list[Any] = [{"role": "user", "content": "Say hello"}]


@pytest.fixture(params=["before us", "after us"])
def instrumented(
    request: pytest.FixtureRequest, wired_with: Callable[..., Wired]
) -> Iterator[Callable[..., Wired]]:
    made: list[Any] = []

    def install(**settings: Any) -> Wired:
        wired = wired_with(**settings)
        if request.param == "before us":
            wire.uninstall()
        for kind in (HTTPXClientInstrumentor, HTTPX2ClientInstrumentor):
            made.append(kind())
            made[-1].instrument(tracer_provider=wired.provider)
        wire.install()
        return wired

    yield install
    for instrumentor in made:
        instrumentor.uninstrument()


def names(wired: Wired) -> list[str]:
    return sorted(span.name for span in wired.spans)


def test_model_calls(instrumented: Callable[..., Wired], server: ModelServer) -> None:
    wired = instrumented()
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="k", max_retries=0)
    client.chat.completions.create(model="gpt-4o", messages=HELLO)
    list(client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True))
    anthropic.Anthropic(base_url=server.url, api_key="k").messages.create(
        model="claude-opus-4-8", max_tokens=10, messages=HELLO
    )
    assert names(wired) == ["anthropic.messages.create", "chat gpt-4o", "chat gpt-4o"]
    assert "traceparent" not in server.requests[0].headers


async def test_async_model_calls(instrumented: Callable[..., Wired], server: ModelServer) -> None:
    wired = instrumented()
    client = openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="k", max_retries=0)
    stream = await client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
    async for _ in stream:
        pass
    assert names(wired) == ["chat gpt-4o"]


@pytest.mark.parametrize("http", [httpx, httpx2])
def test_other_traffic(instrumented: Callable[..., Wired], server: ModelServer, http: Any) -> None:
    wired = instrumented()
    http.get(f"{server.url}/ledger")
    assert names(wired) == ["GET"]


def test_other_traffic_while_a_stream_is_read(
    instrumented: Callable[..., Wired], server: ModelServer
) -> None:
    """The suppression ends with the send: a tool that runs between two chunks has its span."""
    wired = instrumented()
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="k", max_retries=0)
    stream = client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
    next(iter(stream))
    httpx.get(f"{server.url}/ledger")
    stream.close()
    assert names(wired) == ["GET", "chat gpt-4o"]


def test_http_spans_when_asked_for(instrumented: Callable[..., Wired], server: ModelServer) -> None:
    wired = instrumented(http_spans=True)
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="k", max_retries=0)
    client.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert names(wired) == ["POST", "chat gpt-4o"]
    http, call = sorted(wired.spans, key=lambda span: span.name)
    assert http.parent is not None
    assert call.context is not None
    assert http.parent.span_id == call.context.span_id
