"""How a body ends: read, closed early, cancelled, cut, or dropped; and that the stream stays what it was."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import pickle
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio
import httpx
import httpx2
import openai
import pytest
from modelserver.server import ModelServer
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import StatusCode
from parts import wait_for
from wire_rig import Wired

URL = "https://api.openai.com/v1/chat/completions"
CHAT = {"model": "gpt-4o", "messages": [], "stream": True}
MODULES = pytest.mark.parametrize("http", [httpx, httpx2])


def chunk(text: str, **fields: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": fields.pop("reason", None)}
    data = {"id": "r", "model": "gpt-4o", "choices": [choice], "usage": None, **fields}
    return f"data: {json.dumps(data)}\n\n".encode()


USED = {"prompt_tokens": 10, "completion_tokens": 2}
CHUNKS = [chunk("a", usage=USED), chunk("b"), chunk("", reason="stop"), b"data: [DONE]\n\n"]
EVENTS = {"content-type": "text/event-stream"}


def sync_client(http: Any, chunks: Any = CHUNKS, **fields: Any) -> Any:
    """A client whose answer comes in pieces; an exception among the pieces is raised."""

    def body() -> Iterator[bytes]:
        for piece in chunks:
            if isinstance(piece, BaseException):
                raise piece
            yield piece

    return http.Client(
        transport=http.MockTransport(lambda request: http.Response(200, headers=EVENTS, content=body())),
        **fields,
    )


def async_client(http: Any, chunks: Any = CHUNKS, wait: float = 0.0) -> Any:
    async def body() -> AsyncIterator[bytes]:
        for piece in chunks:
            await anyio.sleep(wait)
            if isinstance(piece, BaseException):
                raise piece
            yield piece

    async def handle(request: Any) -> Any:
        return http.Response(200, headers=EVENTS, content=body())

    return http.AsyncClient(transport=http.MockTransport(handle))


def finish_reasons(wired: Wired) -> Any:
    return wired.attributes()["gen_ai.response.finish_reasons"]


@MODULES
def test_read_to_the_end(wired: Wired, http: Any) -> None:
    with sync_client(http) as client, client.stream("POST", URL, json=CHAT) as response:
        assert list(response.iter_bytes()) == CHUNKS
        assert len(wired.spans) == 1  # at the end of the body, not of the block
    assert finish_reasons(wired) == ("stop",)
    assert len(wired.record().chunk_gaps) == 3


@MODULES
def test_closed_early(wired: Wired, http: Any) -> None:
    with sync_client(http) as client, client.stream("POST", URL, json=CHAT) as response:
        pieces = response.iter_bytes()
        assert next(pieces) == CHUNKS[0]
        assert wired.spans == []
    span = wired.span()
    record = wired.record()
    assert finish_reasons(wired) == ("error",)
    assert record.usage is not None
    assert record.usage.input == 10
    assert record.error_type is None
    assert span.status.status_code is StatusCode.UNSET


@MODULES
def test_closed_unread(wired: Wired, http: Any) -> None:
    with sync_client(http) as client, client.stream("POST", URL, json=CHAT):
        pass
    assert finish_reasons(wired) == ("error",)
    assert wired.record().usage is None
    assert "otel_agents.capture.unreadable" not in wired.attributes()


@MODULES
def test_closed_after_the_last_event_is_no_error(wired: Wired, http: Any) -> None:
    """The OpenAI SDK stops at ``[DONE]`` and closes, without reading the end of the body."""
    with sync_client(http) as client, client.stream("POST", URL, json=CHAT) as response:
        pieces = response.iter_bytes()
        for _ in range(4):
            next(pieces)
    assert finish_reasons(wired) == ("stop",)


@MODULES
def test_cut_by_the_network(wired: Wired, http: Any) -> None:
    error = http.ReadError("connection reset")
    client = sync_client(http, [CHUNKS[0], error])
    with pytest.raises(http.ReadError) as raised, client.stream("POST", URL, json=CHAT) as response:
        list(response.iter_bytes())
    assert raised.value is error
    assert raised.value.__cause__ is None
    attributes = wired.attributes()
    assert attributes["error.type"] == f"{http.__name__}.ReadError"
    assert attributes["gen_ai.response.finish_reasons"] == ("error",)
    assert attributes["gen_ai.usage.input_tokens"] == 10
    assert wired.span().status.status_code is StatusCode.ERROR


@MODULES
def test_a_dropped_response(wired: Wired, http: Any) -> None:
    client = sync_client(http)
    response = client.send(client.build_request("POST", URL, json=CHAT), stream=True)
    iterator = response.iter_raw()
    next(iterator)
    del response, iterator
    gc.collect()
    wait_for(lambda: wired.spans, "the span of a dropped response", 10)
    assert finish_reasons(wired) == ("error",)
    assert wired.record().usage is not None


@MODULES
def test_a_response_dropped_unread(wired: Wired, http: Any) -> None:
    client = sync_client(http)
    client.send(client.build_request("POST", URL, json=CHAT), stream=True)
    gc.collect()
    wait_for(lambda: wired.spans, "the span of a dropped response", 10)
    assert wired.record().usage is None


@MODULES
async def test_async_read_to_the_end(wired: Wired, http: Any) -> None:
    async with async_client(http) as client, client.stream("POST", URL, json=CHAT) as response:
        assert [piece async for piece in response.aiter_bytes()] == CHUNKS
        assert len(wired.spans) == 1
    assert finish_reasons(wired) == ("stop",)


@MODULES
async def test_async_closed_early(wired: Wired, http: Any) -> None:
    async with async_client(http) as client, client.stream("POST", URL, json=CHAT) as response:
        async for _ in response.aiter_bytes():
            break
    assert finish_reasons(wired) == ("error",)
    assert wired.record().error_type is None


@MODULES
async def test_cancelled_while_reading(wired: Wired, http: Any, caplog: pytest.LogCaptureFixture) -> None:
    client = async_client(http, [CHUNKS[0], *CHUNKS], wait=0.05)
    started = asyncio.Event()

    async def read() -> None:
        async with client.stream("POST", URL, json=CHAT) as response:
            async for _ in response.aiter_bytes():
                started.set()
                await asyncio.sleep(0)

    task = asyncio.create_task(read())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert finish_reasons(wired) == ("error",)
    assert wired.record().usage is not None
    assert not [record for record in caplog.records if "detach" in record.message]


@MODULES
async def test_cancelled_while_sending(wired: Wired, http: Any, caplog: pytest.LogCaptureFixture) -> None:
    entered = asyncio.Event()

    async def handle(request: Any) -> Any:
        entered.set()
        await asyncio.sleep(60)

    client = http.AsyncClient(transport=http.MockTransport(handle))
    task = asyncio.create_task(client.post(URL, json=CHAT))
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert wired.attributes()["error.type"].endswith("CancelledError")
    assert wired.record().usage is None
    assert not caplog.records


@MODULES
async def test_a_timeout_around_a_stream(wired: Wired, http: Any) -> None:
    client = async_client(http, CHUNKS, wait=0.2)
    with anyio.move_on_after(0.3):
        async with client.stream("POST", URL, json=CHAT) as response:
            async for _ in response.aiter_bytes():
                pass
    assert len(wired.spans) == 1
    assert finish_reasons(wired) == ("error",)


@MODULES
def test_the_stream_stays_what_it_was(wired: Wired, http: Any) -> None:
    plain = sync_client(http)
    plain_stream = plain.send(plain.build_request("GET", URL), stream=True).stream
    client = sync_client(http)
    response = client.send(client.build_request("POST", URL, json=CHAT), stream=True)
    stream = response.stream
    assert isinstance(stream, http.SyncByteStream)
    assert isinstance(stream, type(plain_stream))
    assert type(stream).__name__ == type(plain_stream).__name__
    assert type(stream).__module__ == type(plain_stream).__module__
    assert set(vars(plain_stream)) <= set(vars(stream))
    response.read()
    assert response.elapsed.total_seconds() > 0
    again = pickle.loads(pickle.dumps(response))
    assert again.content == b"".join(CHUNKS)


@MODULES
async def test_the_async_stream_too(wired: Wired, http: Any) -> None:
    client = async_client(http)
    response = await client.send(client.build_request("POST", URL, json=CHAT), stream=True)
    assert isinstance(response.stream, http.AsyncByteStream)
    assert type(response.stream).__name__.startswith("Bound")
    assert await response.aread() == b"".join(CHUNKS)
    assert response.elapsed.total_seconds() > 0


@MODULES
def test_bodies_that_are_in_memory_already(wired: Wired, http: Any) -> None:
    answer = {"id": "r", "model": "gpt-4o", "choices": [], "usage": USED}
    client = http.Client(transport=http.MockTransport(lambda request: http.Response(200, json=answer)))
    assert client.post(URL, json=CHAT).json() == answer
    with client.stream("POST", URL, json=CHAT) as response:
        assert json.loads(b"".join(response.iter_bytes())) == answer
    assert [record.usage.input for record in wired.records if record.usage] == [10, 10]
    assert len(wired.spans) == 2


@MODULES
def test_one_response_object_for_every_request(wired: Wired, http: Any) -> None:
    """Some mocks answer with the same object again and again."""

    class Once(http.SyncByteStream):  # type: ignore[misc]
        def __iter__(self) -> Iterator[bytes]:
            return iter(CHUNKS)

    shared = http.Response(200, headers=EVENTS, stream=Once())

    class Client(http.Client):  # type: ignore[misc]
        def _transport_for_url(self, url: Any) -> Any:
            shared.is_closed = shared.is_stream_consumed = False
            shared.__dict__.pop("_content", None)
            return super()._transport_for_url(url)

    client = Client(transport=http.MockTransport(lambda request: shared))
    for _ in range(3):
        assert client.post(URL, json=CHAT).content == b"".join(CHUNKS)
    assert len(wired.spans) == len(wired.records) == 3


@MODULES
def test_a_stream_that_cannot_be_followed(wired: Wired, http: Any) -> None:
    """Then the call goes on, and the span says what is known."""

    class Sealed:
        __slots__ = ()

        def __iter__(self) -> Iterator[bytes]:
            return iter(CHUNKS)

        def close(self) -> None:
            pass

    from otel_agents.wire import call, httpx_hook, recognise, streams

    request = http.Request("POST", URL, json=CHAT)
    wire_format = recognise.format_of(request.url.path)
    assert wire_format is not None
    begun = call.begin(wire_format, "api.openai.com", 443, request.content, request.headers)
    assert begun is not None
    response = http.Response(200, headers=EVENTS, stream=Sealed(), request=request)
    httpx_hook._watch(response, begun, streams.tee)
    assert list(response.stream) == CHUNKS
    assert len(wired.spans) == len(wired.records) == 1


def test_uploads_are_left_alone(wired: Wired) -> None:
    seen = []
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json={"n": len(request.read())}))
    with httpx.Client(transport=transport) as client:
        seen.append(client.post(URL, files={"file": io.BytesIO(b"x" * 10)}).json()["n"])
    assert seen[0] > 10


async def test_the_caller_of_a_stream_keeps_its_context(wired: Wired, server: ModelServer) -> None:
    """The suppression of HTTP spans is for the send alone, and the span is not left current."""
    client = openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="k")
    before = otel_context.get_current()
    messages: list[Any] = [{"role": "user", "content": "a"}]
    stream = await client.chat.completions.create(model="gpt-4o", messages=messages, stream=True)
    assert otel_context.get_current() == before
    async for _ in stream:
        assert otel_context.get_current() == before
        assert trace.get_current_span() is trace.INVALID_SPAN
    assert otel_context.get_current() == before


def test_a_bug_of_ours_does_not_reach_the_caller(
    wired: Wired, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever part fails, the call goes through and its span ends where there is one."""
    from otel_agents import accounting
    from otel_agents.wire import call, capture, httpx_hook, outcome, reading, streams

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("a bug")

    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="k", max_retries=0)
    places: list[tuple[Any, str]] = [
        (httpx_hook, "format_of"),
        (call, "recognise"),
        (call.Call, "place"),
        (call.Call, "propagate"),
        (call.Call, "responded"),
        (streams, "exchange"),
        (capture.Capture, "body"),
        (reading, "read"),
        (outcome, "_record"),
        (outcome, "_attributes"),
        (outcome, "_complete_own"),
        (accounting, "price"),
        (wired.accounts, "submit"),
    ]
    for owner, name in places:
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, broken)
            answer = client.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": "a"}]
            )
            assert answer.choices[0].message.content, name
    made = len(wired.spans)
    assert made >= len(places) - 4
    assert wired.provider._active_span_processor is not None
    checked: Callable[..., Any] = client.chat.completions.create
    checked(model="gpt-4o", messages=[{"role": "user", "content": "a"}])
    assert len(wired.spans) == made + 1
