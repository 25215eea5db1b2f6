"""aiohttp: with and without the hook everything is the same, and every call is one span and one record."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import httpx
import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.utils import is_http_instrumentation_enabled
from scripted_server import Answer, Scripted, scripted
from wire_rig import Wired

from otel_agents import wire

PATH = "/v1/chat/completions"
BODY: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
STREAM = BODY | {"stream": True, "stream_options": {"include_usage": True}}
ANSWER = json.dumps(
    {
        "id": "r",
        "choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4},
    }
).encode()
SAID = [
    b'data: {"id":"r","choices":[{"index":0,"delta":{"content":"H"}}]}\n\n',
    b'data: {"id":"r","choices":[{"index":0,"delta":{"content":"i"},"finish_reason":"stop"}]}\n\n',
    b'data: {"id":"r","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\n',
    b"data: [DONE]\n\n",
]
JSON = {"content-type": "application/json"}
SSE = {"content-type": "text/event-stream"}
GZIP = {"content-encoding": "gzip"}

Act = Callable[[aiohttp.ClientSession, Scripted], Awaitable[Any]]


@pytest.fixture(scope="module")
def one_server() -> Iterator[Scripted]:
    with scripted() as server:
        yield server


@pytest.fixture
def told(one_server: Scripted) -> Scripted:
    one_server.reset(Answer([ANSWER], headers=JSON))
    return one_server


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made


def streamed(*pieces: bytes | threading.Event, **fields: Any) -> Answer:
    return Answer(list(pieces or SAID), headers=SSE | fields.pop("headers", {}), chunked=True, **fields)


def zipped() -> Answer:
    whole = gzip.compress(b"".join(SAID))
    return streamed(whole[:20], whole[20:50], whole[50:], headers=GZIP)


def seen(response: aiohttp.ClientResponse) -> Any:
    headers = {name: value for name, value in response.headers.items() if name != "Date"}
    content = response.content
    return (
        *(response.status, headers, response.charset, response.closed, len(response.history)),
        *(type(response), type(content).__name__, isinstance(content, aiohttp.StreamReader)),
        *(content.at_eof(), repr(content.exception()), content.total_bytes),
    )


# --- ways to read ---------------------------------------------------------------------------------
async def read_whole(response: aiohttp.ClientResponse) -> Any:
    return await response.read()


async def read_text(response: aiohttp.ClientResponse) -> Any:
    return await response.text(), await response.text()


async def read_lines(response: aiohttp.ClientResponse) -> Any:
    return [line async for line in response.content]


async def read_single_lines(response: aiohttp.ClientResponse) -> Any:
    lines = []
    while line := await response.content.readline():
        lines.append(line)
    return lines


async def read_any(response: aiohttp.ClientResponse) -> Any:
    return b"".join([piece async for piece in response.content.iter_any()])


async def read_pieces(response: aiohttp.ClientResponse) -> Any:
    return b"".join([piece async for piece in response.content.iter_chunked(7)])


async def read_chunks(response: aiohttp.ClientResponse) -> Any:
    return b"".join([piece async for piece, _ in response.content.iter_chunks()])


async def read_exactly(response: aiohttp.ClientResponse) -> Any:
    first = await response.content.readexactly(10)
    return first, await response.content.readuntil(b"\n"), await response.content.read()


WAYS: dict[str, Callable[[aiohttp.ClientResponse], Awaitable[Any]]] = {
    "read": read_whole,
    "text": read_text,
    "lines": read_lines,
    "readline": read_single_lines,
    "iter_any": read_any,
    "iter_chunked": read_pieces,
    "iter_chunks": read_chunks,
    "readexactly": read_exactly,
}
BODIES = {
    "chunked": streamed(),
    "with a length": Answer([*SAID], headers=SSE),
    "gzip": zipped(),
    "one byte a chunk": streamed(*(bytes([byte]) for byte in b"".join(SAID))),
}


@pytest.mark.parametrize("answer", BODIES)
@pytest.mark.parametrize("way", WAYS)
async def test_streams_are_the_same_and_counted(
    wired: Wired, told: Scripted, session: aiohttp.ClientSession, way: str, answer: str
) -> None:
    async def run() -> Any:
        async with session.post(told.url + PATH, json=STREAM) as response:
            return await WAYS[way](response), seen(response)

    told.answer(BODIES[answer])
    with_us = await run()
    record = wired.record()
    assert record.usage is not None
    assert (record.usage.input, record.usage.output) == (3, 4)
    assert record.time_to_first_chunk is not None
    assert wired.attributes()["gen_ai.response.finish_reasons"] == ("stop",)
    wire.uninstall()
    assert await run() == with_us
    sent = [(request.path, request.headers, request.body) for request in told.requests]
    assert sent[0] == sent[1]


# --- the same with and without --------------------------------------------------------------------
async def plain(session: aiohttp.ClientSession, server: Scripted) -> Any:
    async with session.post(server.url + PATH, json=BODY) as response:
        return await response.json(), seen(response)


async def awaited(session: aiohttp.ClientSession, server: Scripted) -> Any:
    response = await session.post(server.url + PATH, json=BODY)
    said = await response.json()
    response.release()
    return said, seen(response)


async def requested(session: aiohttp.ClientSession, server: Scripted) -> Any:
    """All arguments by other names, the body as bytes."""
    async with session.request(
        method="post", url=server.url + PATH, data=json.dumps(BODY).encode(), headers=[("x-a", "1")]
    ) as response:
        return await response.text(), seen(response)


async def with_base_url(session: aiohttp.ClientSession, server: Scripted) -> Any:
    async with (
        aiohttp.ClientSession(server.url, headers={"x-b": "2"}) as other,
        other.post(PATH, json=BODY, params={"api-version": "1"}) as response,
    ):
        return await response.read(), seen(response)


async def own_serializer(session: aiohttp.ClientSession, server: Scripted) -> Any:
    async with (
        aiohttp.ClientSession(json_serialize=lambda value: json.dumps(value, indent=1)) as other,
        other.post(server.url + PATH, json=BODY) as response,
    ):
        return await response.read(), seen(response)


async def not_decompressed(session: aiohttp.ClientSession, server: Scripted) -> Any:
    server.reset(Answer([gzip.compress(ANSWER, mtime=0)], headers=JSON | GZIP))
    async with (
        aiohttp.ClientSession(auto_decompress=False) as other,
        other.post(server.url + PATH, json=BODY) as response,
    ):
        return await response.read(), seen(response)


async def redirected(session: aiohttp.ClientSession, server: Scripted) -> Any:
    server.reset(Answer([b""], 307, {"location": PATH + "?again"}), Answer([ANSWER], headers=JSON))
    async with session.post(server.url + PATH, json=BODY) as response:
        return await response.json(), seen(response), response.url.path_qs


async def traced(session: aiohttp.ClientSession, server: Scripted) -> Any:
    """aiohttp's own hooks for instrumentation."""
    order: list[str] = []
    config = aiohttp.TraceConfig()

    def note(name: str) -> Any:
        async def noted(*args: Any) -> None:
            order.append(name)

        return noted

    config.on_request_start.append(note("start"))
    config.on_response_chunk_received.append(note("chunk"))
    config.on_request_end.append(note("end"))
    async with (
        aiohttp.ClientSession(trace_configs=[config]) as other,
        other.post(server.url + PATH, json=BODY) as response,
    ):
        return await response.read(), order


async def empty(session: aiohttp.ClientSession, server: Scripted) -> Any:
    server.reset(Answer([], 200, JSON))
    async with session.post(server.url + PATH, json=BODY) as response:
        return await response.read(), seen(response)


def failing(make: Act) -> Act:
    async def run(session: aiohttp.ClientSession, server: Scripted) -> Any:
        with pytest.raises(BaseException) as raised:  # noqa: PT011 - the point is that it is the same one
            await make(session, server)
        chain: list[Any] = []
        error: BaseException | None = raised.value
        while error is not None:
            chain.append((type(error), str(error).partition("<")[0], error.__suppress_context__))
            error = error.__cause__ or error.__context__
        return chain

    return run


async def raise_for_status(session: aiohttp.ClientSession, server: Scripted) -> Any:
    server.reset(Answer([b'{"error": {"message": "Slow"}}'], 418, JSON))
    await session.post(server.url + PATH, json=BODY, raise_for_status=True)


async def refused(session: aiohttp.ClientSession, server: Scripted) -> Any:
    await session.post("http://127.0.0.1:1" + PATH, json=BODY)


async def cut(session: aiohttp.ClientSession, server: Scripted) -> Any:
    server.reset(Answer([ANSWER[:40]], headers=JSON, cut=True))
    async with session.post(server.url + PATH, json=BODY) as response:
        await response.read()


async def cut_stream(session: aiohttp.ClientSession, server: Scripted) -> Any:
    server.reset(streamed(*SAID[:2], cut=True))
    async with session.post(server.url + PATH, json=STREAM) as response:
        async for _ in response.content:
            pass


async def damaged_gzip(session: aiohttp.ClientSession, server: Scripted) -> Any:
    server.reset(Answer([b"no gzip at all"], headers=JSON | GZIP))
    async with session.post(server.url + PATH, json=BODY) as response:
        await response.read()


async def timed_out(session: aiohttp.ClientSession, server: Scripted) -> Any:
    wait = threading.Event()
    server.reset(streamed(SAID[0], wait, *SAID[1:]))
    try:
        timeout = aiohttp.ClientTimeout(sock_read=0.2)
        async with session.post(server.url + PATH, json=STREAM, timeout=timeout) as response:
            await response.read()
    finally:
        wait.set()


async def not_json(session: aiohttp.ClientSession, server: Scripted) -> Any:
    await session.post(server.url + PATH, json=BODY | {"temperature": {1, 2}})


async def two_bodies(session: aiohttp.ClientSession, server: Scripted) -> Any:
    await session.post(server.url + PATH, json=BODY, data=b"x")


CASES: dict[str, tuple[Act, int]] = {
    "plain": (plain, 1),
    "awaited": (awaited, 1),
    "requested": (requested, 1),
    "with a base URL": (with_base_url, 1),
    "own serializer": (own_serializer, 1),
    "not decompressed": (not_decompressed, 1),
    "redirected": (redirected, 1),
    "traced": (traced, 1),
    "empty": (empty, 1),
    "raise for status": (failing(raise_for_status), 1),
    "refused": (failing(refused), 1),
    "cut": (failing(cut), 1),
    "cut stream": (failing(cut_stream), 1),
    "damaged gzip": (failing(damaged_gzip), 1),
    "timed out": (failing(timed_out), 1),
    "not JSON": (failing(not_json), 1),
    "two bodies": (failing(two_bodies), 1),
}


@pytest.mark.parametrize("case", CASES)
async def test_the_same_with_and_without(
    wired: Wired, told: Scripted, session: aiohttp.ClientSession, case: str
) -> None:
    act, calls = CASES[case]
    with_us = await act(session, told)
    sent = [(request.path, request.headers, request.body) for request in told.requests]
    assert len(wired.spans) == calls
    wire.uninstall()
    told.reset(Answer([ANSWER], headers=JSON))
    assert await act(session, told) == with_us
    assert [(request.path, request.headers, request.body) for request in told.requests] == sent


@pytest.mark.parametrize("case", ["plain", "requested", "own serializer", "not decompressed", "redirected"])
async def test_counted(wired: Wired, told: Scripted, session: aiohttp.ClientSession, case: str) -> None:
    await CASES[case][0](session, told)
    record = wired.record()
    assert record.usage is not None
    assert (record.usage.input, record.usage.output, record.request_model) == (3, 4, "gpt-4o")


@pytest.mark.parametrize(
    ("case", "error"),
    [
        ("raise for status", "418"),
        ("refused", "aiohttp.client_exceptions.ClientConnectorError"),
        ("cut", "aiohttp.client_exceptions.ClientPayloadError"),
        ("cut stream", "aiohttp.client_exceptions.ClientPayloadError"),
        ("timed out", "aiohttp.client_exceptions.SocketTimeoutError"),
    ],
)
async def test_errors(
    wired: Wired, told: Scripted, session: aiohttp.ClientSession, case: str, error: str
) -> None:
    await CASES[case][0](session, told)
    assert wired.record().error_type == error


# --- what is recorded -----------------------------------------------------------------------------
async def test_a_plain_call(wired_all: Wired, told: Scripted, session: aiohttp.ClientSession) -> None:
    await plain(session, told)
    attributes = wired_all.attributes()
    assert wired_all.span().name == "chat gpt-4o"
    assert attributes["gen_ai.usage.input_tokens"] == 3
    assert attributes["server.port"] == int(told.url.rpartition(":")[2])
    sent = wired_all.sent()
    assert json.loads(sent["gen_ai.input.messages"])[0]["parts"] == [{"type": "text", "content": "Hi"}]
    assert json.loads(sent["gen_ai.output.messages"])[0]["parts"] == [{"type": "text", "content": "Hi"}]


async def test_what_came_before_a_cut_is_counted(
    wired: Wired, told: Scripted, session: aiohttp.ClientSession
) -> None:
    told.answer(streamed(*SAID[:3], cut=True))
    with pytest.raises(aiohttp.ClientPayloadError):
        async with session.post(told.url + PATH, json=STREAM) as response:
            await response.read()
    assert wired.record().usage is not None


async def test_first_chunk_before_the_end(
    wired: Wired, told: Scripted, session: aiohttp.ClientSession
) -> None:
    wait = threading.Event()
    told.answer(streamed(SAID[0], wait, *SAID[1:]))
    async with session.post(told.url + PATH, json=STREAM) as response:
        assert (await response.content.readline()).startswith(b"data:")
        assert wired.records == []
        wait.set()
        await response.read()
    record = wired.record()
    assert record.time_to_first_chunk is not None
    assert record.time_to_first_chunk < record.duration
    assert len(record.chunk_gaps) >= 1


async def leave_block(response: aiohttp.ClientResponse) -> None:
    async with response:
        await response.content.readline()


async def release(response: aiohttp.ClientResponse) -> None:
    await response.content.readany()
    response.release()


async def close(response: aiohttp.ClientResponse) -> None:
    response.close()


async def drop(response: aiohttp.ClientResponse) -> None:
    await response.content.readline()


async def cancel(response: aiohttp.ClientResponse) -> None:
    async def read() -> None:
        async with response:
            await response.read()

    task = asyncio.ensure_future(read())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("leave", [leave_block, release, close, cancel])
async def test_left_early(
    wired: Wired,
    told: Scripted,
    session: aiohttp.ClientSession,
    leave: Callable[[aiohttp.ClientResponse], Awaitable[None]],
) -> None:
    wait = threading.Event()
    told.answer(streamed(SAID[0], wait, *SAID[1:]))
    response = await session.post(told.url + PATH, json=STREAM)
    await leave(response)
    record = wired.record()
    wait.set()
    assert (record.usage, record.error_type) == (None, None)
    assert wired.attributes()["gen_ai.response.finish_reasons"] == ("error",)


async def test_dropped_unread(wired: Wired, told: Scripted, session: aiohttp.ClientSession) -> None:
    """Its connection keeps it alive and goes on feeding it; the call ends with the body."""
    wait = threading.Event()
    told.answer(streamed(SAID[0], wait, *SAID[1:]))
    await session.post(told.url + PATH, json=STREAM)
    gc.collect()
    assert wired.records == []
    wait.set()
    await until(lambda: bool(wired.accounts.records))
    assert wired.record().usage is not None


@pytest.mark.filterwarnings("ignore:Unclosed response:ResourceWarning")
async def test_dropped_with_its_session(wired: Wired, told: Scripted) -> None:
    """Nobody is told; the collector finds the reader."""
    wait = threading.Event()
    told.answer(streamed(SAID[0], wait))
    async with aiohttp.ClientSession() as session:
        await session.post(told.url + PATH, json=STREAM)
    await until(lambda: gc.collect() >= 0 and bool(wired.accounts.records))
    wait.set()
    assert wired.record().usage is None


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen within five seconds")


async def test_readers_of_ended_calls_are_not_remembered(
    wired: Wired, told: Scripted, session: aiohttp.ClientSession
) -> None:
    from otel_agents.wire import aiohttp_tee

    told.answer(streamed())
    for _ in range(3):
        await plain_stream(session, told)
    assert aiohttp_tee._open == {}
    assert len(wired.records) == 3


async def plain_stream(session: aiohttp.ClientSession, server: Scripted) -> bytes:
    async with session.post(server.url + PATH, json=STREAM) as response:
        return await response.read()


async def test_many_at_once(wired: Wired, told: Scripted, session: aiohttp.ClientSession) -> None:
    told.answer(streamed(*(bytes([byte]) for byte in b"".join(SAID))))
    bodies = await asyncio.gather(*(plain_stream(session, told) for _ in range(20)))
    assert set(bodies) == {b"".join(SAID)}
    assert [record.usage.total for record in wired.records if record.usage is not None] == [7] * 20


# --- surroundings ----------------------------------------------------------------------------------
async def test_http_spans_are_suppressed_for_the_send_only(wired: Wired, told: Scripted) -> None:
    noted: list[tuple[bool, str]] = []

    async def start(*args: Any) -> None:
        span: Any = trace.get_current_span()
        noted.append((is_http_instrumentation_enabled(), span.name))

    config = aiohttp.TraceConfig()
    config.on_request_start.append(start)
    async with (
        aiohttp.ClientSession(trace_configs=[config]) as session,
        session.post(told.url + PATH, json=BODY) as response,
    ):
        assert noted == [(False, "chat gpt-4o")]
        assert is_http_instrumentation_enabled()
        assert not trace.get_current_span().get_span_context().is_valid
        await response.read()


async def test_nothing_of_the_trace_goes_out(
    wired: Wired, told: Scripted, session: aiohttp.ClientSession
) -> None:
    with trace.get_tracer("app").start_as_current_span("work"):
        await plain(session, told)
    assert not {"traceparent", "baggage"} & set(told.requests[0].headers)


@pytest.mark.parametrize("headers", [None, {"x-a": "1"}, [("x-a", "1")]])
async def test_listed_hosts_get_it(
    wired_with: Callable[..., Wired], told: Scripted, session: aiohttp.ClientSession, headers: Any
) -> None:
    wired = wired_with(propagate_hosts=(told.url.removeprefix("http://"),))
    async with session.post(told.url + PATH, json=BODY, headers=headers) as response:
        await response.read()
    context = wired.span().context
    assert context is not None
    assert f"{context.trace_id:032x}-{context.span_id:016x}" in told.requests[0].headers["traceparent"]
    assert told.requests[0].headers.get("x-a") == ("1" if headers else None)


async def test_httpx_over_aiohttp_is_one_call(
    wired: Wired, told: Scripted, session: aiohttp.ClientSession
) -> None:
    """As OpenAI's client does with ``DefaultAioHttpClient``."""

    class Over(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            async with session.post(str(request.url), data=await request.aread()) as answer:
                return httpx.Response(answer.status, content=await answer.read())

    async with httpx.AsyncClient(transport=Over()) as client:
        await client.post(told.url + PATH, json=BODY)
    assert len(wired.records) == len(wired.spans) == 1


async def test_a_bug_of_ours_does_not_reach_the_caller(
    wired: Wired, told: Scripted, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    from otel_agents.wire import aiohttp_hook, aiohttp_tee

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("a bug")

    told.answer(streamed())
    for owner, name in ((aiohttp_hook, "format_of"), (aiohttp_tee, "tee"), (aiohttp_hook, "_body")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, broken)
            assert await plain_stream(session, told) == b"".join(SAID)


async def test_other_requests_are_left_alone(
    wired: Wired, told: Scripted, session: aiohttp.ClientSession
) -> None:
    async with session.post(told.url + "/other", json=BODY) as response:
        await response.read()
    assert wired.spans == []
