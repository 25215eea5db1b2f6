"""Whatever a request is sent with, attempts at one call are one span."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
import cohere
import httpx
import pytest
import requests
import urllib3
from google import genai
from google.genai import types
from modelserver.server import ModelServer
from requests.adapters import HTTPAdapter
from scripted_server import Answer, Scripted, scripted
from urllib3.util.retry import Retry
from wire_rig import Wired

from otel_agents.wire import retries

PATH = "/v1/chat/completions"
BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
OTHER = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Bye"}]}
JSON = {"content-type": "application/json"}
GOOD = Answer(
    [
        json.dumps(
            {
                "id": "r",
                "model": "gpt-4o",
                "choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 3, "completion_tokens": 4},
            }
        ).encode()
    ],
    headers=JSON,
)
BUSY = Answer([b'{"error":{"message":"busy"}}'], 429, JSON)
BROKEN = Answer([b"<html>oops</html>"], 502)


@pytest.fixture(scope="module")
def one_server() -> Iterator[Scripted]:
    with scripted() as server:
        yield server


@pytest.fixture
def told(one_server: Scripted) -> Scripted:
    one_server.reset(BUSY, BROKEN, GOOD)
    return one_server


Post = Callable[[Any], int]
#: A client, made once for a test: ``post(body)`` answers with the status of one attempt.
Client = Callable[[Scripted], Iterator[Post]]


def by_requests(told: Scripted) -> Iterator[Post]:
    with requests.Session() as session:
        yield lambda body: session.post(told.url + PATH, json=body, timeout=10).status_code


def by_requests_streaming(told: Scripted) -> Iterator[Post]:
    with requests.Session() as session:

        def post(body: Any) -> int:
            with session.post(told.url + PATH, json=body, timeout=10, stream=True) as response:
                if response.ok:
                    assert response.json()
                return int(response.status_code)  # what was refused is not read

        yield post


def by_urllib3(told: Scripted) -> Iterator[Post]:
    manager = urllib3.PoolManager()
    yield lambda body: manager.request("POST", told.url + PATH, json=body, retries=False).status
    manager.clear()


def by_httpx(told: Scripted) -> Iterator[Post]:
    with httpx.Client() as client:
        yield lambda body: client.post(told.url + PATH, json=body).status_code


CLIENTS = {
    "requests": by_requests,
    "requests, streaming": by_requests_streaming,
    "urllib3": by_urllib3,
    "httpx": by_httpx,
}


@pytest.fixture(params=CLIENTS)
def post(request: pytest.FixtureRequest, told: Scripted) -> Iterator[Post]:
    yield from CLIENTS[request.param](told)


def assert_one_call_of_three_attempts(wired: Wired) -> None:
    record = wired.record()
    assert record.error_type is None
    assert record.usage is not None
    assert (record.usage.input, record.usage.output) == (3, 4)
    span = wired.span()
    assert wired.attributes()["http.request.resend_count"] == 2
    statuses = [(event.attributes or {})["http.response.status_code"] for event in span.events]
    assert statuses == [429, 502, 200]


def test_a_loop_of_the_apps(wired: Wired, told: Scripted, post: Post) -> None:
    while post(BODY) != 200:
        pass
    assert len(told.requests) == 3
    assert len(wired._seen.get_finished_spans()) == 1
    assert_one_call_of_three_attempts(wired)


def test_another_request_is_another_call(wired: Wired, post: Post) -> None:
    assert [post(BODY), post(OTHER), post(OTHER)] == [429, 502, 200]
    assert sorted(str(record.error_type) for record in wired.records) == ["429", "None"]


@pytest.mark.parametrize("client", CLIENTS)
def test_another_clients_is_another_call(wired: Wired, told: Scripted, client: str) -> None:
    told.reset(BUSY, GOOD)
    first, second = CLIENTS[client](told), CLIENTS[client](told)
    assert [next(first)(BODY), next(second)(BODY)] == [429, 200]
    assert sorted(str(record.error_type) for record in wired.records) == ["429", "None"]
    for one in (first, second):
        assert next(one, None) is None


@pytest.mark.parametrize("client", CLIENTS)
def test_the_client_is_not_kept_alive(wired: Wired, told: Scripted, client: str) -> None:
    used = CLIENTS[client](told)
    assert next(used)(BODY) == 429
    (open_call,) = retries.held.values()
    assert open_call.client is not None
    assert open_call.pending is not None
    assert open_call.pending.call.client is None
    assert next(used, None) is None


# --- aiohttp -------------------------------------------------------------------------------------
@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made


async def unread(session: aiohttp.ClientSession, told: Scripted) -> int:
    async with session.post(told.url + PATH, json=BODY) as response:
        if response.ok:
            await response.read()
        return response.status


async def read(session: aiohttp.ClientSession, told: Scripted) -> int:
    async with session.post(told.url + PATH, json=BODY) as response:
        await response.read()
        return response.status


async def raised(session: aiohttp.ClientSession, told: Scripted) -> int:
    try:
        async with session.post(told.url + PATH, json=BODY, raise_for_status=True) as response:
            await response.read()
            return response.status
    except aiohttp.ClientResponseError as error:
        return error.status


@pytest.mark.parametrize("attempt", [read, unread, raised])
async def test_a_loop_over_aiohttp(
    wired: Wired,
    told: Scripted,
    session: aiohttp.ClientSession,
    attempt: Callable[[aiohttp.ClientSession, Scripted], Awaitable[int]],
) -> None:
    while await attempt(session, told) != 200:
        pass
    assert len(told.requests) == 3
    assert_one_call_of_three_attempts(wired)


async def test_sessions_of_aiohttp_are_told_apart(
    wired: Wired, told: Scripted, session: aiohttp.ClientSession
) -> None:
    told.reset(BUSY, GOOD)
    assert await read(session, told) == 429
    async with aiohttp.ClientSession() as another:
        assert await read(another, told) == 200
    assert sorted(str(record.error_type) for record in wired.records) == ["429", "None"]


# --- retries that others make --------------------------------------------------------------------
def test_retries_below_requests_are_within_the_send(wired: Wired, told: Scripted) -> None:
    """The adapter's: the hook sees one send, and how it ended."""
    again = Retry(3, status_forcelist=[429, 502], allowed_methods=["POST"], backoff_factor=0)
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=again))
        assert session.post(told.url + PATH, json=BODY, timeout=10).status_code == 200
    assert len(told.requests) == 3
    assert wired.record().usage is not None
    assert len(wired.spans) == 1


def test_retries_of_urllib3_are_within_the_first(wired: Wired, told: Scripted) -> None:
    again = Retry(3, status_forcelist=[429, 502], allowed_methods=["POST"], backoff_factor=0)
    response = urllib3.PoolManager().request("POST", told.url + PATH, json=BODY, retries=again)
    assert response.status == 200
    assert len(told.requests) == 3
    assert wired.record().usage is not None
    assert len(wired.spans) == 1


def test_the_sdk_of_cohere(wired: Wired, server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cohere.core.http_client.time.sleep", lambda _: None)
    server.script("429", "503", "ok")
    cohere.ClientV2(api_key="any", base_url=server.url).chat(
        model="command-a-03-2025",
        messages=[{"role": "user", "content": "Hi"}],  # type: ignore[list-item]
        request_options={"max_retries": 3},
    )
    assert wired.record().error_type is None
    assert wired.attributes()["http.request.resend_count"] == 2


def gemini(server: ModelServer, **transport: Any) -> genai.Client:
    again = types.HttpRetryOptions(attempts=4, initial_delay=0.01, max_delay=0.02, jitter=0.01)
    options = types.HttpOptions(base_url=server.url, retry_options=again, **transport)
    return genai.Client(api_key="any", http_options=options)


def test_the_sdk_of_gemini(wired: Wired, server: ModelServer) -> None:
    server.script("429", "503", "ok")
    client = gemini(server)  # which closes what it has when it is dropped
    client.models.generate_content(model="gemini-2.5-flash", contents="Hi")
    assert wired.record().error_type is None
    assert wired.attributes()["http.request.resend_count"] == 2


@contextmanager
def calls_of(owner: type, name: str) -> Iterator[list[None]]:
    seen: list[None] = []
    method = getattr(owner, name)

    def counted(*arguments: Any, **keywords: Any) -> Any:
        seen.append(None)
        return method(*arguments, **keywords)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, counted)
        yield seen


@pytest.mark.parametrize("transport", ["httpx", "aiohttp"])
async def test_the_sdk_of_gemini_async(wired: Wired, server: ModelServer, transport: str) -> None:
    server.script("429", "503", "ok")
    chosen = {"httpx_async_client": httpx.AsyncClient()} if transport == "httpx" else {}
    client = gemini(server, **chosen)
    with calls_of(aiohttp.ClientSession, "_request") as over_aiohttp:
        await client.aio.models.generate_content(model="gemini-2.5-flash", contents="Hi")
    assert len(over_aiohttp) == (3 if transport == "aiohttp" else 0)
    assert wired.record().error_type is None
    assert wired.attributes()["http.request.resend_count"] == 2
    await client.aio.aclose()
