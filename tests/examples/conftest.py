from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from anthropic import Anthropic, AsyncAnthropic
from modelserver import ModelServer, running
from openai import AsyncOpenAI, OpenAI


@pytest.fixture(scope="module")
def shared_server() -> Iterator[ModelServer]:
    with running(latency="none") as server:
        yield server


@pytest.fixture
def models(shared_server: ModelServer) -> ModelServer:
    """A scripted model server with an empty ledger."""
    shared_server.reset()
    return shared_server


@pytest.fixture
def openai(models: ModelServer) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{models.url}/v1", api_key="sk-test", max_retries=0) as client:
        yield client


@pytest.fixture
def anthropic(models: ModelServer) -> Iterator[Anthropic]:
    with Anthropic(base_url=models.url, api_key="sk-test", max_retries=0) as client:
        yield client


@pytest.fixture
async def async_openai(models: ModelServer) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{models.url}/v1", api_key="sk-test", max_retries=0) as client:
        yield client


@pytest.fixture
async def async_anthropic(models: ModelServer) -> AsyncIterator[AsyncAnthropic]:
    async with AsyncAnthropic(base_url=models.url, api_key="sk-test", max_retries=0) as client:
        yield client
