"""requests: with and without the hook everything is the same, and every call is one span and one record."""

from __future__ import annotations

import gc
import gzip
import io
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import requests
from opentelemetry import trace
from opentelemetry.instrumentation.utils import is_http_instrumentation_enabled
from requests.adapters import BaseAdapter, HTTPAdapter
from scripted_server import Answer, Scripted, scripted
from urllib3.response import HTTPResponse
from wire_rig import Wired

from otel_agents import wire

PATH = "/v1/chat/completions"
BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
USAGE = {"prompt_tokens": 3, "completion_tokens": 4}
ANSWER = json.dumps(
    {"id": "r", "choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}]}
    | {"usage": USAGE}
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


@pytest.fixture(scope="module")
def one_server() -> Iterator[Scripted]:
    with scripted() as server:
        yield server


@pytest.fixture
def told(one_server: Scripted) -> Scripted:
    one_server.reset(Answer([ANSWER], headers=JSON))
    return one_server


def post(server: Scripted, stream: bool = False, **fields: Any) -> requests.Response:
    body = BODY | ({"stream": True, "stream_options": {"include_usage": True}} if stream else {})
    return requests.post(server.url + PATH, json=body, stream=stream, **{"timeout": 10, **fields})


def streamed(*pieces: bytes | threading.Event, **fields: Any) -> Answer:
    return Answer(list(pieces or SAID), headers=SSE | fields.pop("headers", {}), chunked=True, **fields)


def zipped() -> Answer:
    whole = gzip.compress(b"".join(SAID))
    return streamed(whole[:20], whole[20:50], whole[50:], headers=GZIP)


def seen(response: requests.Response) -> Any:
    raw = response.raw
    headers = {name: value for name, value in response.headers.items() if name != "Date"}
    return (
        *(response.status_code, headers, response.encoding),
        *(type(response), type(raw).__name__, isinstance(raw, HTTPResponse), isinstance(raw, io.IOBase)),
        *(raw.closed, raw.tell(), len(response.history)),
    )


# --- ways to read ---------------------------------------------------------------------------------
def read_plain(server: Scripted) -> Any:
    response = post(server)
    return response.json(), response.text, seen(response)


def read_content(server: Scripted) -> Any:
    response = post(server, stream=True)
    return response.content, seen(response)


def read_lines(server: Scripted) -> Any:
    response = post(server, stream=True)
    return list(response.iter_lines()), seen(response)


def read_small_pieces(server: Scripted) -> Any:
    response = post(server, stream=True)
    return list(response.iter_content(7)), seen(response)


def read_as_it_comes(server: Scripted) -> Any:
    response = post(server, stream=True)
    return list(response.iter_content(None, decode_unicode=True)), seen(response)


def read_raw(server: Scripted) -> Any:
    response = post(server, stream=True)
    first = response.raw.read(10, decode_content=True)
    rest = response.raw.read(decode_content=True)
    return first + rest, seen(response)


def read_raw_as_a_file(server: Scripted) -> Any:
    with post(server, stream=True) as response:
        response.raw.decode_content = True
        return io.BufferedReader(response.raw).read(), seen(response)


def read_raw_lines(server: Scripted) -> Any:
    response = post(server, stream=True)
    response.raw.decode_content = True
    return list(response.raw), seen(response)


WAYS = {
    "content": read_content,
    "lines": read_lines,
    "small pieces": read_small_pieces,
    "as it comes": read_as_it_comes,
    "raw": read_raw,
    "raw as a file": read_raw_as_a_file,
    "raw lines": read_raw_lines,
}
BODIES = {
    "chunked": streamed(),
    "with a length": Answer([*SAID], headers=SSE),
    "gzip": zipped(),
    "one byte a chunk": streamed(*(bytes([byte]) for byte in b"".join(SAID))),
}


@pytest.mark.parametrize("answer", BODIES)
@pytest.mark.parametrize("way", WAYS)
def test_streams_are_the_same_and_counted(wired: Wired, told: Scripted, way: str, answer: str) -> None:
    told.answer(BODIES[answer])
    with_us = WAYS[way](told)
    record = wired.record()
    assert record.usage is not None
    assert (record.usage.input, record.usage.output) == (3, 4)
    assert record.time_to_first_chunk is not None
    assert wired.attributes()["gen_ai.response.finish_reasons"] == ("stop",)
    wire.uninstall()
    assert WAYS[way](told) == with_us
    sent = [(request.path, request.headers, request.body) for request in told.requests]
    assert sent[0] == sent[1]


def failure(make: Callable[[Scripted], Any]) -> Callable[[Scripted], Any]:
    def run(server: Scripted) -> Any:
        with pytest.raises(Exception) as raised:  # noqa: PT011 - the point is that it is the same one
            make(server)
        chain: list[Any] = []
        error: BaseException | None = raised.value
        while error is not None:
            chain.append((type(error), len(str(error)), error.__suppress_context__))
            error = error.__cause__ or error.__context__
        return chain

    return run


def digest(server: Scripted) -> Any:
    refused = Answer([b"no"], 401, {"www-authenticate": 'Digest realm="r", nonce="n", qop="auth"'})
    server.reset(refused, Answer([ANSWER], headers=JSON))
    response = post(server, auth=requests.auth.HTTPDigestAuth("u", "p"))
    return response.status_code, [one.status_code for one in response.history]


def redirected(server: Scripted) -> Any:
    server.reset(Answer([b""], 307, {"location": PATH + "?again"}), Answer([ANSWER], headers=JSON))
    response = post(server)
    return response.url.removeprefix(server.url), response.json(), seen(response)


def hooked(server: Scripted) -> Any:
    called: list[int] = []
    server.reset(Answer([ANSWER], headers=JSON))
    post(server, hooks={"response": lambda response, **_: called.append(response.status_code)})
    return called


def scripted_failure(answer: Answer, **fields: Any) -> Callable[[Scripted], Any]:
    def run(server: Scripted) -> Any:
        server.reset(answer)
        return failure(lambda server: post(server, **fields).content)(server)

    return run


def raise_for_status(server: Scripted) -> None:
    server.reset(Answer([b"{}"], 418, JSON))
    post(server).raise_for_status()


CASES: dict[str, Callable[[Scripted], Any]] = {
    "plain": read_plain,
    "digest": digest,
    "redirected": redirected,
    "hooks": hooked,
    "raise for status": failure(raise_for_status),
    "refused": failure(lambda server: requests.post("http://127.0.0.1:1" + PATH, json=BODY)),
    "not JSON": failure(lambda server: post(server, data={1: 2}, files={"a": object()})),
    "cut": scripted_failure(Answer([ANSWER[:40]], headers=JSON, cut=True)),
    "cut stream": scripted_failure(streamed(*SAID[:2], cut=True), stream=True),
    "damaged gzip": scripted_failure(Answer([b"no gzip"], headers=JSON | GZIP), stream=True),
}


@pytest.mark.parametrize("case", CASES)
def test_the_same_with_and_without(wired: Wired, told: Scripted, case: str) -> None:
    with_us = CASES[case](told)
    sent = [(request.path, request.headers, request.body) for request in told.requests]
    assert len(wired.records) == (0 if case == "not JSON" else 1)
    wire.uninstall()
    told.reset(Answer([ANSWER], headers=JSON))
    assert CASES[case](told) == with_us
    again = [(request.path, request.headers, request.body) for request in told.requests]
    assert without_nonces(sent) == without_nonces(again)


def without_nonces(sent: list[Any]) -> list[Any]:
    """What digest authentication makes up anew each time."""
    return [(path, headers.keys(), body) for path, headers, body in sent]


# --- what is recorded ------------------------------------------------------------------------------
def test_a_plain_call(wired_all: Wired, told: Scripted) -> None:
    post(told)
    attributes = wired_all.attributes()
    assert wired_all.span().name == "chat gpt-4o"
    assert attributes["gen_ai.usage.input_tokens"] == 3
    assert attributes["server.port"] == int(told.url.rpartition(":")[2])
    sent = wired_all.sent()
    assert json.loads(sent["gen_ai.input.messages"])[0]["parts"] == [{"type": "text", "content": "Hi"}]
    assert json.loads(sent["gen_ai.output.messages"])[0]["parts"] == [{"type": "text", "content": "Hi"}]


def test_a_body_given_as_text(wired: Wired, told: Scripted) -> None:
    requests.post(told.url + PATH, data=json.dumps(BODY), timeout=10)
    assert wired.record().request_model == "gpt-4o"


def test_a_body_that_is_generated_is_left_alone(wired: Wired, told: Scripted) -> None:
    """On an unknown host nobody can tell what it is."""
    file = io.BytesIO(json.dumps(BODY).encode())
    requests.post(told.url + PATH, data=file, timeout=10)
    assert json.loads(told.requests[0].body) == BODY
    assert wired.spans == []


def test_an_error_status(wired: Wired, told: Scripted) -> None:
    told.answer(Answer([b'{"error": {"message": "Bad model", "type": "x"}}'], 400, JSON))
    post(told)
    assert wired.record().error_type == "400"
    assert wired.span().status.description == "Bad model"


def test_first_chunk_before_the_end(wired: Wired, told: Scripted) -> None:
    wait = threading.Event()
    told.answer(streamed(SAID[0], wait, *SAID[1:]))
    response = post(told, stream=True)
    lines = response.iter_lines()
    assert next(lines).startswith(b"data:")
    assert wired.records == []
    wait.set()
    assert len(list(lines)) == 7
    record = wired.record()
    assert record.time_to_first_chunk is not None
    assert record.time_to_first_chunk < record.duration
    assert len(record.chunk_gaps) >= 1


def close_response(response: requests.Response) -> None:
    next(response.iter_lines())
    response.close()


def leave_block(response: requests.Response) -> None:
    with response:
        next(response.iter_content(5))


def leave_generator(response: requests.Response) -> None:
    for _ in response.iter_content(5):
        break


def close_unread(response: requests.Response) -> None:
    response.close()


@pytest.mark.parametrize("leave", [close_response, leave_block, leave_generator, close_unread])
def test_left_early(wired: Wired, told: Scripted, leave: Callable[[requests.Response], None]) -> None:
    wait = threading.Event()
    told.answer(streamed(SAID[0], wait, *SAID[1:]))
    response = post(told, stream=True)
    leave(response)
    wait.set()
    record = wired.record()
    assert (record.usage, record.error_type) == (None, None)
    assert wired.attributes()["gen_ai.response.finish_reasons"] == ("error",)


def test_dropped_unread(wired: Wired, told: Scripted) -> None:
    told.answer(streamed())
    response = post(told, stream=True)
    del response
    gc.collect()
    wait_for(lambda: len(wired.accounts.records) == 1)


def wait_for(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(500):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("it did not happen within five seconds")


def test_cut_in_the_middle(wired: Wired, told: Scripted) -> None:
    """What was used until then is counted."""
    told.answer(streamed(*SAID[:3], cut=True))
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        list(post(told, stream=True).iter_lines())
    record = wired.record()
    assert record.usage is not None
    assert record.error_type == "urllib3.exceptions.ProtocolError"


def test_a_read_that_times_out(wired: Wired, told: Scripted) -> None:
    wait = threading.Event()
    told.answer(streamed(SAID[0], wait, *SAID[1:]))
    with pytest.raises(requests.exceptions.ConnectionError):
        list(post(told, stream=True, timeout=0.2).iter_lines())
    wait.set()
    assert wired.record().error_type == "urllib3.exceptions.ReadTimeoutError"


# --- surroundings ----------------------------------------------------------------------------------
class Noting(HTTPAdapter):
    """Looks at the context in which it sends."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[tuple[bool, str]] = []

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        span: Any = trace.get_current_span()
        self.noted.append((is_http_instrumentation_enabled(), span.name))
        return super().send(*args, **kwargs)


def test_http_spans_are_suppressed_for_the_send_only(wired: Wired, told: Scripted) -> None:
    told.answer(streamed())
    with requests.Session() as session:
        adapter = Noting()
        session.mount("http://", adapter)
        response = session.post(told.url + PATH, json=BODY | {"stream": True}, stream=True)
        assert adapter.noted == [(False, "chat gpt-4o")]
        for _ in response.iter_lines():
            assert is_http_instrumentation_enabled()
            assert not trace.get_current_span().get_span_context().is_valid


def test_nothing_of_the_trace_goes_out_unless_listed(wired: Wired, told: Scripted) -> None:
    with trace.get_tracer("app").start_as_current_span("work"):
        post(told)
    assert not {"traceparent", "baggage"} & set(told.requests[0].headers)


def test_listed_hosts_get_it(wired_with: Callable[..., Wired], told: Scripted) -> None:
    wired = wired_with(propagate_hosts=(told.url.removeprefix("http://"),))
    post(told)
    context = wired.span().context
    assert context is not None
    assert f"{context.trace_id:032x}-{context.span_id:016x}" in told.requests[0].headers["traceparent"]


def test_httpx_over_requests_is_one_call(wired: Wired, told: Scripted) -> None:
    class Over(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            answer = requests.post(str(request.url), data=request.read(), timeout=10)
            return httpx.Response(answer.status_code, content=answer.content)

    with httpx.Client(transport=Over()) as client:
        client.post(told.url + PATH, json=BODY)
    assert len(wired.records) == len(wired.spans) == 1


def test_an_adapter_that_answers_itself(wired: Wired) -> None:
    """As mocks do: the body is a plain file or urllib3's response around one."""

    class Made(BaseAdapter):
        def __init__(self, raw: Any) -> None:
            super().__init__()
            self.raw = raw

        def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:
            response = requests.Response()
            response.status_code, response.raw, response.request = 200, self.raw, request
            return response

        def close(self) -> None:
            pass

    class File:
        def __init__(self) -> None:
            self.inner = io.BytesIO(ANSWER)

        def read(self, amount: int = -1) -> bytes:
            return self.inner.read(amount)

        def close(self) -> None:
            pass

    bodies = [HTTPResponse(io.BytesIO(ANSWER), preload_content=False), File()]
    for stream in (False, True):
        for raw in (
            bodies if not stream else [HTTPResponse(io.BytesIO(ANSWER), preload_content=False), File()]
        ):
            session = requests.Session()
            session.mount("http://", Made(raw))
            response = session.post("http://api.openai.com" + PATH, json=BODY, stream=stream)
            assert response.json()["id"] == "r"
    assert [record.usage is not None for record in wired.records] == [True] * 4


def test_a_bug_of_ours_does_not_reach_the_caller(
    wired: Wired, told: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    from otel_agents.wire import requests_hook, urllib3_tee

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("a bug")

    told.answer(streamed())
    for owner, name in ((requests_hook, "format_of"), (urllib3_tee, "tee"), (requests_hook, "in_memory")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, broken)
            assert post(told, stream=True).content == b"".join(SAID)


def test_sessions_made_before(clean_globals: None, told: Scripted, request: Any) -> None:
    session = requests.Session()
    wired: Wired = request.getfixturevalue("wired")
    session.post(told.url + PATH, json=BODY)
    assert len(wired.spans) == 1
