"""Attempts at one call are one span, one record and one duration, with an event for each attempt."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from collections.abc import Callable
from typing import Any

import anthropic
import httpx
import openai
import pytest
from modelserver.server import ModelServer
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import StatusCode
from wire_rig import Wired

from otel_agents.wire import retries

HELLO: list[Any] = [{"role": "user", "content": "Say hello"}]
BODY = {"model": "gpt-4o", "messages": HELLO}


@pytest.fixture
def client(server: ModelServer) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="sk-any", max_retries=2)


def ask(client: openai.OpenAI, **more: Any) -> Any:
    return client.chat.completions.create(model="gpt-4o", messages=HELLO, **more)


def scripted(*answers: int | Exception, headers: dict[str, str] | None = None) -> httpx.MockTransport:
    """Answers in this order: a status, or an exception that the send raises."""
    left = list(answers)
    good = {
        "id": "c",
        "model": "gpt-4o",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 2},
    }

    def answer(request: httpx.Request) -> httpx.Response:
        one = left.pop(0)
        if isinstance(one, Exception):
            raise one
        if one == 200:
            return httpx.Response(200, json=good)
        return httpx.Response(one, json={"error": {"message": f"status {one}"}}, headers=headers)

    return httpx.MockTransport(answer)


def send(http: httpx.Client, body: Any = BODY, **headers: str) -> None:
    try:
        http.post("https://api.openai.com/v1/chat/completions", json=body, headers=headers)
    except httpx.HTTPError:
        pass


def test_a_retry_is_part_of_the_call(wired: Wired, server: ModelServer, client: openai.OpenAI) -> None:
    server.script("429", "500", "ok")
    before = time.time_ns()
    answer = ask(client)
    span = wired.span()
    assert span.status.status_code is StatusCode.UNSET
    attributes = wired.attributes()
    assert attributes["http.request.resend_count"] == 2
    assert "error.type" not in attributes
    assert attributes["gen_ai.usage.output_tokens"] == answer.usage.completion_tokens
    first, second, third = span.events
    assert {event.name for event in span.events} == {"otel_agents.attempt"}
    assert first.attributes == {
        "otel_agents.attempt.number": 1,
        "otel_agents.attempt.delay": 0,
        "http.response.status_code": 429,
        "error.type": "429",
    }
    assert second.attributes is not None
    assert third.attributes is not None
    assert (second.attributes["error.type"], "error.type" in third.attributes) == ("500", False)
    assert third.attributes["http.response.status_code"] == 200
    # The waiting before the last attempt, as the SDK did it, is between the attempts.
    assert float(third.attributes["otel_agents.attempt.delay"]) > 0  # type: ignore[arg-type]
    assert before < first.timestamp < second.timestamp < third.timestamp <= (span.end_time or 0)
    record = wired.record()
    assert record.error_type is None
    assert record.usage is not None
    assert record.duration == pytest.approx(((span.end_time or 0) - (span.start_time or 0)) / 1e9, rel=0.5)
    assert record.duration > float(third.attributes["otel_agents.attempt.delay"])  # type: ignore[arg-type]
    assert server.ledger()["calls"] == 1


def test_a_stream_after_a_failure(wired: Wired, server: ModelServer, client: openai.OpenAI) -> None:
    server.script("503", "ok")
    list(ask(client, stream=True, stream_options={"include_usage": True}))
    span, record = wired.span(), wired.record()
    assert wired.attributes()["http.request.resend_count"] == 1
    assert record.time_to_first_chunk is not None
    assert len(span.events) == 2
    # The first chunk came after everything that was before it, so the waiting counts.
    assert record.time_to_first_chunk > (span.events[0].timestamp - (span.start_time or 0)) / 1e9


async def test_the_async_client(wired: Wired, server: ModelServer) -> None:
    server.script("500", "ok")
    client = openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="sk-any", max_retries=2)
    await client.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert wired.attributes()["http.request.resend_count"] == 1
    assert wired.record().error_type is None


def test_anthropic_without_its_tracing(
    wired: Wired, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = anthropic.Anthropic(base_url=server.url, api_key="sk-any", max_retries=3)
    server.script("529", "500", "ok")
    client.messages.create(model="claude-opus-4-8", max_tokens=10, messages=HELLO)
    assert len(wired.spans) == 1
    assert wired.sent()["http.request.resend_count"] == 2
    assert wired.record().error_type is None


def test_the_enclosing_spans_end_is_the_calls_at_the_latest(
    wired: Wired, server: ModelServer, client: openai.OpenAI
) -> None:
    """Without a look at flush: what a plain provider's processor has seen, in the order of ends."""
    server.script("500", "429", "503")
    with trace.get_tracer("app").start_as_current_span("work"):
        with pytest.raises(openai.InternalServerError):
            ask(client)
        assert wired._seen.get_finished_spans() == ()
        assert wired.accounts.records == []
        ended = time.time_ns()
        time.sleep(0.05)
    call, work = wired._seen.get_finished_spans()
    assert (call.name, work.name) == ("chat gpt-4o", "work")
    assert call.end_time is not None
    assert call.end_time <= ended
    assert call.status.status_code is StatusCode.ERROR
    assert call.attributes is not None
    assert call.attributes["error.type"] == "503"
    assert call.attributes["http.request.resend_count"] == 2
    assert [event.attributes["error.type"] for event in call.events if event.attributes] == [
        "500",
        "429",
        "503",
    ]
    (record,) = wired.accounts.records
    assert (record.error_type, record.usage, record.unpriced_reason) == ("503", None, None)
    assert retries.held == {}


def test_a_span_that_is_not_sampled_settles_too(
    wired_with: Callable[..., Wired], server: ModelServer, client: openai.OpenAI
) -> None:
    wired = wired_with(sampler=ALWAYS_OFF)
    server.script("500", "500", "500")
    with (
        pytest.raises(openai.InternalServerError),
        trace.get_tracer("app").start_as_current_span("work"),
    ):
        ask(client)
    (record,) = wired.accounts.records
    assert record.error_type == "500"


def test_a_deadline_settles_what_nothing_else_does(
    wired: Wired, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "DEADLINE", 0.3)
    with httpx.Client(transport=scripted(500)) as http:
        send(http)
    ended = time.time_ns()
    assert wired._seen.get_finished_spans() == ()
    limit = time.monotonic() + 20
    while not wired._seen.get_finished_spans() and time.monotonic() < limit:
        time.sleep(0.02)
    (span,) = wired._seen.get_finished_spans()
    assert (span.end_time or 0) <= ended
    assert span.events == ()  # one attempt is the call itself


@pytest.mark.parametrize(
    ("headers", "least"),
    [({"retry-after": "5"}, 5), ({"retry-after-ms": "7000"}, 7), ({"retry-after": "soon"}, 0), ({}, 0)],
)
def test_the_deadline_leaves_room_for_what_the_server_asks(
    wired: Wired, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], least: float
) -> None:
    asked: list[float] = []
    monkeypatch.setattr(wired.runtime.worker, "later", lambda delay, *_: asked.append(delay))
    with httpx.Client(transport=scripted(429, headers=headers)) as http:
        send(http)
    retries.settle_open()
    assert asked == [retries.DEADLINE + least]
    assert len(wired.spans) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_what_is_not_tried_again_ends_at_once(wired: Wired, status: int) -> None:
    with httpx.Client(transport=scripted(status, 200)) as http:
        send(http)
        assert len(wired._seen.get_finished_spans()) == 1
        send(http)
    assert [record.error_type for record in wired.accounts.records] == [str(status), None]


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_the_same_request_sent_again(wired: Wired, status: int) -> None:
    """By a client that sends no count: a loop of the app's, tenacity, urllib3's retries."""
    with httpx.Client(transport=scripted(status, 200)) as http:
        send(http)
        send(http)
    assert len(wired._seen.get_finished_spans()) == 1
    assert wired.attributes()["http.request.resend_count"] == 1


@pytest.mark.parametrize(
    "error", [httpx.ConnectError("refused"), httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("gone")]
)
def test_connections_and_timeouts(wired: Wired, error: httpx.HTTPError) -> None:
    with httpx.Client(transport=scripted(error, 200)) as http:
        send(http)
        send(http)
    first, _ = wired.span().events
    assert first.attributes is not None
    assert first.attributes["error.type"] == f"httpx.{type(error).__name__}"
    assert "http.response.status_code" not in first.attributes
    assert wired.record().error_type is None


def test_a_connection_that_stays_broken_says_why(wired: Wired) -> None:
    with httpx.Client(transport=scripted(httpx.ConnectError("refused"))) as http:
        send(http)
    span = wired.span()
    (event,) = span.events
    assert event.name == "exception"
    assert event.timestamp <= (span.end_time or 0)
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "refused")
    assert wired.attributes()["error.type"] == "httpx.ConnectError"


@pytest.mark.parametrize(("said", "ended"), [("false", 1), ("true", 0)])
def test_the_server_may_say_whether_to_try_again(wired: Wired, said: str, ended: int) -> None:
    status = 500 if said == "false" else 400
    with httpx.Client(transport=scripted(status, headers={"x-should-retry": said})) as http:
        send(http)
    assert len(wired._seen.get_finished_spans()) == ended


async def test_a_cancelled_call_is_over(wired: Wired) -> None:
    async def wait(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60)
        raise AssertionError

    async with httpx.AsyncClient(transport=httpx.MockTransport(wait)) as http:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(
                http.post("https://api.openai.com/v1/chat/completions", json=BODY), timeout=0.05
            )
    assert len(wired._seen.get_finished_spans()) == 1


def test_other_requests_are_other_calls(wired: Wired) -> None:
    with httpx.Client(transport=scripted(500, 200, 200)) as http:
        send(http)
        send(http, {**BODY, "temperature": 1})
        with trace.get_tracer("app").start_as_current_span("elsewhere"):
            send(http)
    with httpx.Client(transport=scripted(200)) as http:
        send(http)
    assert [record.error_type for record in wired.accounts.records] == [None, None, None]
    assert [record.error_type for record in wired.records] == [None, None, None, "500"]


def test_a_count_that_starts_anew_is_a_new_call(
    wired: Wired, server: ModelServer, client: openai.OpenAI
) -> None:
    """The SDK gave up and raised; what the app does next is its next call."""
    server.script("500", "500", "500", "500", "ok")
    with trace.get_tracer("app").start_as_current_span("work"):
        with pytest.raises(openai.InternalServerError):
            ask(client)
        ask(client)
    calls = [span for span in wired.spans if span.name == "chat gpt-4o"]
    assert sorted(dict(span.attributes or {})["http.request.resend_count"] for span in calls) == [1, 2]  # type: ignore[type-var]
    assert sorted(str(record.error_type) for record in wired.records) == ["500", "None"]


def test_attempts_of_equal_calls_do_not_mix(wired: Wired) -> None:
    """Two equal calls at once, both of which fail: each goes on by its own count."""
    transport = scripted(500, 500, 500, 200, 200)
    with httpx.Client(transport=transport) as http:
        for count in ("0", "0", "1", "1", "2"):
            send(http, **{"x-stainless-retry-count": count})
    counts = [dict(span.attributes or {})["http.request.resend_count"] for span in wired.spans]
    assert counts == [1, 2]
    assert [record.error_type for record in wired.records] == [None, None]


def test_an_attempt_whose_predecessor_was_settled(wired: Wired) -> None:
    with httpx.Client(transport=scripted(500, 200)) as http:
        send(http, **{"x-stainless-retry-count": "0"})
        retries.settle_open()
        send(http, **{"x-stainless-retry-count": "1"})
    failed, passed = wired.spans
    assert "http.request.resend_count" not in dict(failed.attributes or {})
    assert dict(passed.attributes or {})["http.request.resend_count"] == 1


def test_the_run_counts_calls_not_attempts(wired: Wired, server: ModelServer, client: openai.OpenAI) -> None:
    from opentelemetry import context as otel_context

    from otel_agents.tracing.contexts import SCOPE_KEY, AgentRun, inside_run, scope

    run = AgentRun("planner")
    token = otel_context.attach(otel_context.set_value(SCOPE_KEY, inside_run(scope(), run)))
    server.script("500", "500", "ok")
    ask(client)
    otel_context.detach(token)
    assert run.inference_calls == 1
    assert wired.record().agent_name == "planner"


def test_content_is_that_of_the_last_attempt(
    wired_all: Wired, server: ModelServer, client: openai.OpenAI
) -> None:
    server.script("500", {"text": "Hello there"})
    ask(client)
    sent = wired_all.sent()
    assert "Hello there" in sent["gen_ai.output.messages"]
    assert "Say hello" in sent["gen_ai.input.messages"]


def test_a_failure_within_anothers_span(wired_all: Wired, server: ModelServer, client: openai.OpenAI) -> None:
    """The span is theirs; the one record is written when it ends."""
    server.script("500", "500", "500")
    with (
        pytest.raises(openai.InternalServerError),
        trace.get_tracer("other").start_as_current_span("chat", attributes={"gen_ai.operation.name": "chat"}),
    ):
        ask(client)
    (record,) = wired_all.accounts.records
    assert record.error_type == "500"
    assert len(wired_all.spans) == 1


def test_open_calls_are_bounded(wired: Wired, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "LIMIT", 3)
    with httpx.Client(transport=scripted(*[500] * 8)) as http:
        for number in range(8):
            send(http, {**BODY, "seed": number})
    assert len(retries.held) == 3
    assert len(wired._seen.get_finished_spans()) == 5
    assert len(wired.spans) == 8


def test_neither_clients_nor_frames_are_kept_alive(wired: Wired) -> None:
    class Local:
        pass

    def fail() -> tuple[weakref.ref[Any], weakref.ref[Any]]:
        http = httpx.Client(transport=scripted(httpx.ConnectError("refused")))
        local = Local()
        send(http)
        return weakref.ref(http), weakref.ref(local)

    http, local = fail()
    gc.collect()
    assert len(retries.held) == 1
    assert (http(), local()) == (None, None)
    assert len(wired.spans) == 1


def test_flush_and_shutdown_settle(server: ModelServer, client: openai.OpenAI, clean_globals: None) -> None:
    import otel_agents
    from otel_agents import runtime, wire

    otel_agents.configure(mode="disabled", traces_exporter="console", instrument_libraries=False)
    wire.install()
    try:
        server.script("500", "500", "500", "500", "500", "500")
        with pytest.raises(openai.InternalServerError):
            ask(client)
        assert len(retries.held) == 1
        otel_agents.flush()
        assert retries.held == {}
        with pytest.raises(openai.InternalServerError):
            ask(client)
        otel_agents.shutdown()
        assert retries.held == {}
    finally:
        wire.uninstall()
        runtime.replace(None)
