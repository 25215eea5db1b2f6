"""urllib3 without requests: the same with and without the hook, and counted once however deep it is."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import urllib3
from scripted_server import Answer, Scripted, scripted
from wire_rig import Wired

from otel_agents import wire

PATH = "/v1/chat/completions"
BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
SAID = [
    b'data: {"id":"r","model":"m","choices":[{"index":0,"delta":{"content":"H"}}]}\n\n',
    b'data: {"id":"r","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
    b'data: {"id":"r","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\n',
]
ANSWER = json.dumps({"id": "r", "usage": {"prompt_tokens": 3, "completion_tokens": 4}}).encode()
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def one_server() -> Iterator[Scripted]:
    with scripted() as server:
        yield server


@pytest.fixture
def told(one_server: Scripted) -> Scripted:
    one_server.reset(Answer([ANSWER], headers=JSON))
    return one_server


def streamed() -> Answer:
    return Answer([*SAID], headers={"content-type": "text/event-stream"}, chunked=True)


def preloaded(server: Scripted) -> Any:
    response = urllib3.PoolManager().request("POST", server.url + PATH, json=BODY)
    return response.status, response.json(), type(response).__name__, response.closed


def compressed(server: Scripted) -> Any:
    server.reset(Answer([gzip.compress(ANSWER, mtime=0)], headers=JSON | {"content-encoding": "gzip"}))
    return urllib3.PoolManager().request("POST", server.url + PATH, body=json.dumps(BODY)).data


def streaming(server: Scripted) -> Any:
    server.reset(streamed())
    response = urllib3.PoolManager().request("POST", server.url + PATH, json=BODY, preload_content=False)
    return list(response.stream(9)), response.closed


def by_pool(server: Scripted) -> Any:
    """Everything by position."""
    pool = urllib3.connection_from_url(server.url)
    return pool.urlopen("POST", PATH, json.dumps(BODY).encode(), {"x-a": "1"}).data


def retried(server: Scripted) -> Any:
    server.reset(Answer([b"{}"], 503, JSON), Answer([ANSWER], headers=JSON))
    retry = urllib3.Retry(2, allowed_methods=None, status_forcelist=[503], backoff_factor=0)
    return urllib3.PoolManager(retries=retry).request("POST", server.url + PATH, json=BODY).data


WAYS: dict[str, Callable[[Scripted], Any]] = {
    "preloaded": preloaded,
    "compressed": compressed,
    "streaming": streaming,
    "by pool": by_pool,
    "retried": retried,
}


@pytest.mark.parametrize("way", WAYS)
def test_the_same_and_counted(wired: Wired, told: Scripted, way: str) -> None:
    with_us = WAYS[way](told)
    sent = [(request.path, request.headers, request.body) for request in told.requests]
    record = wired.record()
    assert record.usage is not None
    assert record.usage.total == 7
    assert (record.server_address, record.request_model) == ("127.0.0.1", "gpt-4o")
    wire.uninstall()
    told.reset(Answer([ANSWER], headers=JSON))
    assert WAYS[way](told) == with_us
    assert [(request.path, request.headers, request.body) for request in told.requests] == sent


def test_below_requests_it_keeps_quiet(wired: Wired, told: Scripted) -> None:
    requests.post(told.url + PATH, json=BODY, timeout=10)
    assert len(wired.spans) == len(wired.records) == 1


def test_the_trace_goes_to_listed_hosts(wired_with: Callable[..., Wired], told: Scripted) -> None:
    wired_with(propagate_hosts=(told.url.removeprefix("http://"),))
    preloaded(told)
    by_pool(told)
    assert all("traceparent" in request.headers for request in told.requests)
    assert told.requests[1].headers["x-a"] == "1"


def test_closed_early(wired: Wired, told: Scripted) -> None:
    wait = threading.Event()
    told.answer(Answer([SAID[0], wait, *SAID[1:]], chunked=True))
    response = urllib3.PoolManager().request("POST", told.url + PATH, json=BODY, preload_content=False)
    response.close()
    wait.set()
    assert wired.record().usage is None
