"""With and without the hooks: what the server sees and what the caller gets are the same."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest
from modelserver.server import ModelServer
from opentelemetry import trace
from wire_rig import Wired

from otel_agents import wire

HELLO: list[Any] = [{"role": "user", "content": "Say hello"}]
MODULES = pytest.mark.parametrize("http", [httpx, httpx2])
# Different in every request, with and without us.
CHANGING = ("traceparent", "idempotency-key", "x-stainless-idempotency-key")


def openai_client(server: ModelServer, **fields: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="k", max_retries=0, **fields)


def anthropic_client(server: ModelServer, **fields: Any) -> anthropic.Anthropic:
    fields = {"max_retries": 0, "open_telemetry": False, **fields}
    return anthropic.Anthropic(base_url=server.url, api_key="k", **fields)


def create(server: ModelServer, **fields: Any) -> Any:
    return openai_client(server).chat.completions.create(model="gpt-4o", messages=HELLO, **fields)


def stable(value: Any) -> Any:
    """Without what is new in every answer."""
    dumped = value.model_dump() if hasattr(value, "model_dump") else value
    if isinstance(dumped, dict):
        return {
            key: stable(item) for key, item in dumped.items() if key not in ("id", "created", "container")
        }
    return [stable(item) for item in dumped] if isinstance(dumped, list) else dumped


def raw_response(server: ModelServer) -> Any:
    raw = openai_client(server).chat.completions.with_raw_response.create(model="gpt-4o", messages=HELLO)
    return (
        type(raw),
        raw.status_code,
        type(raw.http_response),
        raw.http_response.is_closed,
        stable(raw.parse()),
    )


def streaming_response(server: ModelServer) -> Any:
    with openai_client(server).chat.completions.with_streaming_response.create(
        model="gpt-4o", messages=HELLO
    ) as response:
        lines = list(response.iter_lines())
        return type(response), response.status_code, len(lines), response.http_response.is_closed


def streaming_response_unread(server: ModelServer) -> Any:
    with anthropic_client(server).messages.with_streaming_response.create(
        model="claude-opus-4-8", max_tokens=9, messages=HELLO
    ) as response:
        return type(response), response.http_response.is_closed


def stream_helper(server: ModelServer) -> Any:
    with openai_client(server).chat.completions.stream(model="gpt-4o", messages=HELLO) as stream:
        return [event.type for event in stream], stable(stream.get_final_completion())


def anthropic_stream_helper(server: ModelServer) -> Any:
    with anthropic_client(server).messages.stream(
        model="claude-opus-4-8", max_tokens=50, messages=HELLO
    ) as stream:
        return [event.type for event in stream], stable(stream.get_final_message())


def retries(server: ModelServer) -> Any:
    server.script("500", "429", "ok")
    client = openai_client(server).with_options(max_retries=2)
    answer = client.chat.completions.create(model="gpt-4o", messages=HELLO)
    return stable(answer), [request.headers["x-stainless-retry-count"] for request in server.requests]


def failure(make: Callable[[ModelServer], Any]) -> Callable[[ModelServer], Any]:
    def run(server: ModelServer) -> Any:
        with pytest.raises(Exception) as raised:  # noqa: PT011 - the point is that it is the same one
            make(server)
        chain: list[Any] = []
        error: BaseException | None = raised.value
        while error is not None:
            chain.append((type(error), str(error), error.__suppress_context__))
            error = error.__cause__
        return chain

    return run


def timed_out(server: ModelServer) -> Any:
    return openai_client(server, timeout=0.2).chat.completions.create(model="gpt-4o#hang:5", messages=HELLO)


CUT = {"x-scenario": "cut"}

CASES: dict[str, Callable[[ModelServer], Any]] = {
    "plain": lambda server: stable(create(server)),
    "stream": lambda server: [stable(piece) for piece in create(server, stream=True)],
    "raw response": raw_response,
    "streaming response": streaming_response,
    "streaming response, unread": streaming_response_unread,
    "stream helper": stream_helper,
    "anthropic stream helper": anthropic_stream_helper,
    "retries": retries,
    "401": failure(lambda server: create(server, extra_headers={"x-scenario": "401"})),
    "dropped": failure(lambda server: create(server, extra_headers={"x-scenario": "drop"})),
    "cut stream": failure(lambda server: list(create(server, stream=True, extra_headers=CUT))),
    "timeout": failure(timed_out),
    "wrong arguments": failure(lambda server: create(server, temperature={1, 2})),
}


@pytest.mark.parametrize("case", CASES)
def test_the_same_with_and_without(wired: Wired, server: ModelServer, case: str) -> None:
    with_us = CASES[case](server)
    seen = requests_of(server)
    wire.uninstall()
    server.reset()
    assert CASES[case](server) == with_us
    assert requests_of(server) == seen


def requests_of(server: ModelServer) -> list[Any]:
    return [
        (
            request.method,
            request.path,
            request.body,
            {k: v for k, v in request.headers.items() if k not in CHANGING},
        )
        for request in server.requests
    ]


def test_nothing_of_the_trace_goes_to_the_provider(wired: Wired, server: ModelServer) -> None:
    with trace.get_tracer("app").start_as_current_span("work"):
        create(server)
    assert not {"traceparent", "tracestate", "baggage"} & set(server.requests[0].headers)


def test_unless_the_settings_list_its_host(wired_with: Callable[..., Wired], server: ModelServer) -> None:
    wired = wired_with(propagate_hosts=(server.url.removeprefix("http://"),))
    create(server)
    context = wired.span().context
    assert context is not None
    wanted = f"00-{context.trace_id:032x}-{context.span_id:016x}-"
    assert server.requests[0].headers["traceparent"].startswith(wanted)


@MODULES
def test_event_hooks_mounts_and_transports(wired: Wired, server: ModelServer, http: Any) -> None:
    order: list[str] = []

    class Transport(http.HTTPTransport):  # type: ignore[misc]
        def handle_request(self, request: Any) -> Any:
            order.append(f"transport {trace.get_current_span().get_span_context().is_valid}")
            return super().handle_request(request)

    def on_request(request: Any) -> None:
        order.append("request")

    def on_response(response: Any) -> None:
        order.append(f"response {response.is_closed}")
        response.read()

    hooks = {"request": [on_request], "response": [on_response]}
    with http.Client(event_hooks=hooks, mounts={server.url: Transport()}) as client:
        body = {"model": "gpt-4o", "messages": HELLO}
        headers = {"authorization": "Bearer k"}
        answer = client.post(f"{server.url}/v1/chat/completions", json=body, headers=headers)
    assert answer.status_code == 200
    assert order == ["request", "transport True", "response False"]
    assert wired.record().usage is not None


@MODULES
def test_a_hook_that_raises(wired: Wired, server: ModelServer, http: Any) -> None:
    def raise_for_status(response: Any) -> None:
        response.raise_for_status()

    with (
        http.Client(event_hooks={"response": [raise_for_status]}) as client,
        pytest.raises(http.HTTPStatusError),
    ):
        client.post(
            f"{server.url}/v1/chat/completions",
            json={"model": "gpt-4o#500", "messages": HELLO},
            headers={"authorization": "Bearer k"},
        )
    assert wired.attributes()["error.type"] == "500"


@MODULES
def test_a_transport_that_uses_another_client(wired: Wired, server: ModelServer, http: Any) -> None:
    """A client inside a client is one call, not two."""
    inner = http.Client()

    class Nested(http.BaseTransport):  # type: ignore[misc]
        def handle_request(self, request: Any) -> Any:
            content, headers = request.read(), request.headers
            answer = inner.request(request.method, request.url, content=content, headers=headers)
            return http.Response(answer.status_code, content=answer.content)

    client = http.Client(transport=Nested())
    body = {"model": "gpt-4o", "messages": HELLO}
    client.post(f"{server.url}/v1/chat/completions", json=body, headers={"authorization": "Bearer k"})
    assert len(wired.spans) == len(wired.records) == 1


@MODULES
def test_authentication_in_two_steps(wired: Wired, http: Any) -> None:
    """Each step is a request of its own; the refused one is an error without usage."""
    usage = {"prompt_tokens": 1, "completion_tokens": 2}

    def handle(request: Any) -> Any:
        if "authorization" not in request.headers:
            return http.Response(401, headers={"www-authenticate": 'Digest realm="r", nonce="n", qop="auth"'})
        return http.Response(200, json={"id": "r", "choices": [], "usage": usage})

    client = http.Client(transport=http.MockTransport(handle), auth=http.DigestAuth("u", "p"))
    client.post("https://api.openai.com/v1/chat/completions", json={"model": "m", "messages": []})
    assert [record.error_type for record in wired.records] == ["401", None]


@MODULES
def test_clients_made_before(clean_globals: None, server: ModelServer, http: Any, request: Any) -> None:
    client = http.Client()
    wired: Wired = request.getfixturevalue("wired")
    body = {"model": "gpt-4o", "messages": HELLO}
    client.post(f"{server.url}/v1/chat/completions", json=body, headers={"authorization": "Bearer k"})
    assert len(wired.spans) == 1


@MODULES
def test_the_fallback_to_send(
    wired: Wired, server: ModelServer, http: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For versions of the library without the private method."""
    from otel_agents.wire import httpx_hook

    class Client:
        def __init__(self) -> None:
            self.inner = http.Client()

        def send(self, request: Any, *, stream: bool = False) -> Any:
            return self.inner.send(request, stream=stream)

    module: Any = types.SimpleNamespace(Client=Client)
    wire.uninstall()
    httpx_hook.install(module)
    client = Client()

    def request(**fields: Any) -> Any:
        body = {"model": "gpt-4o", "messages": HELLO, "stream_options": {"include_usage": True}, **fields}
        if not fields:
            del body["stream_options"]
        url = f"{server.url}/v1/chat/completions"
        return client.inner.build_request("POST", url, json=body, headers={"authorization": "Bearer k"})

    client.send(request())
    client.send(request(stream=True), stream=True).read()
    assert [record.usage is not None for record in wired.records] == [True, True]
    httpx_hook.uninstall()
    assert len(wired.spans) == 2


@pytest.fixture
def wrapped_above(wired: Wired) -> Iterator[list[str]]:
    """Another library that wraps the method after us."""
    seen: list[str] = []
    ours = vars(httpx.Client)["_send_single_request"]

    def theirs(self: httpx.Client, request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        answer: httpx.Response = ours.__get__(self, httpx.Client)(request)
        return answer

    original = ours.__wrapped__
    httpx.Client._send_single_request = theirs  # type: ignore[method-assign]
    yield seen
    httpx.Client._send_single_request = original  # type: ignore[method-assign]


def test_removed_below_another_wrapper(wired: Wired, server: ModelServer, wrapped_above: list[str]) -> None:
    """The other wrapper stays; ours, which it holds, only passes on."""
    wire.uninstall()
    httpx.post(
        f"{server.url}/v1/chat/completions",
        json={"model": "gpt-4o", "messages": HELLO},
        headers={"authorization": "Bearer k"},
    )
    assert len(wrapped_above) == 1
    assert wired.spans == []
