"""Responses made in the background: what is counted when they are accepted and when they are fetched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from modelserver.server import ModelServer
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode
from wire_rig import Wired

from otel_agents.wire import httpx_hook
from otel_agents.wire.providers import openai_background


@pytest.fixture(autouse=True)
def _fetches_are_seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The hook hands GETs over."""
    begin = httpx_hook._begin

    def with_fetches(client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        request = args[0] if args else kwargs["request"]
        if request.method != "GET":
            return begin(client, args, kwargs)
        path, _, query = request.url.raw_path.decode().partition("?")
        port = request.url.port or 443
        return openai_background.begin(request.url.host, port, path, query)

    monkeypatch.setattr(httpx_hook, "_begin", with_fetches)
    openai_background.forget()
    yield
    openai_background.forget()


@pytest.fixture
def client(server: ModelServer) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="sk-any", max_retries=0)


def totals(wired: Wired) -> tuple[int, int, float]:
    used = [record.usage for record in wired.records if record.usage is not None]
    cost = sum(record.cost or 0.0 for record in wired.records)
    return sum(usage.input for usage in used), sum(usage.output for usage in used), cost


def billed(server: ModelServer) -> tuple[int, int, Any]:
    ledger = server.ledger()
    return ledger["input"], ledger["output"], pytest.approx(float(ledger["cost"]))


def test_what_is_accepted_has_no_usage_yet(wired: Wired, client: openai.OpenAI) -> None:
    accepted = client.responses.create(model="gpt-4.1", input="Think", background=True)
    attributes = wired.attributes()
    assert wired.span().name == "chat gpt-4.1"
    assert attributes["gen_ai.response.status"] == "queued"
    assert attributes["gen_ai.response.id"] == accepted.id
    assert "gen_ai.response.finish_reasons" not in attributes
    assert "gen_ai.usage.input_tokens" not in attributes
    assert wired.record().usage is None


def test_usage_is_counted_at_the_first_fetch_that_sees_the_end(
    wired: Wired, server: ModelServer, client: openai.OpenAI
) -> None:
    with trace.get_tracer("app").start_as_current_span("work") as work:
        accepted = client.responses.create(model="gpt-4.1", input="Think", background=True)
    states = [client.responses.retrieve(accepted.id).status for _ in range(4)]
    assert states == ["in_progress", "completed", "completed", "completed"]
    assert totals(wired) == billed(server)

    fetches = [span for span in wired.spans if span.name == "fetch_response"]
    assert len(fetches) == 4
    for span, status in zip(fetches, states, strict=True):
        assert span.kind is SpanKind.CLIENT
        assert span.attributes is not None
        assert span.attributes["gen_ai.operation.name"] == "fetch_response"
        assert span.attributes["gen_ai.response.id"] == accepted.id
        assert span.attributes["gen_ai.response.status"] == status
        assert not [name for name in span.attributes if name.startswith("gen_ai.usage")]

    asked, run = [span for span in wired.spans if span.name == "chat gpt-4.1"]
    assert run.attributes is not None
    assert asked.parent is not None
    assert run.parent == asked.parent
    assert run.parent is not None
    assert run.parent.span_id == work.get_span_context().span_id
    assert run.attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert run.attributes["gen_ai.request.model"] == "gpt-4.1"
    assert run.attributes["gen_ai.response.model"] == "gpt-4.1-2025-04-14"
    assert run.attributes["gen_ai.usage.output_tokens"] == server.ledger()["output"]
    assert [link.context for link in run.links] == [fetches[1].context]
    assert (run.start_time or 0) <= (run.end_time or 0)


def test_a_fetch_by_somebody_else_counts_nothing(
    wired: Wired, server: ModelServer, client: openai.OpenAI
) -> None:
    accepted = client.responses.create(model="gpt-4.1", input="Think", background=True)
    openai_background.forget()  # as in another process
    for _ in range(3):
        client.responses.retrieve(accepted.id)
    assert totals(wired) == (0, 0, 0.0)
    assert [span.name for span in wired.spans[1:]] == ["fetch_response"] * 3


def test_a_call_that_was_waited_for_is_not_counted_again(
    wired: Wired, server: ModelServer, client: openai.OpenAI
) -> None:
    plain = client.responses.create(model="gpt-4.1", input="Think")
    client.responses.retrieve(plain.id)
    list(client.responses.create(model="gpt-4.1", input="Think", stream=True, background=True))
    assert totals(wired) == billed(server)


async def test_a_stream_that_broke_off_is_counted_when_it_is_taken_up(
    wired: Wired, server: ModelServer
) -> None:
    client = openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="sk-any", max_retries=0)
    stream = await client.responses.create(model="gpt-4.1", input="Think", stream=True, background=True)
    events = stream.__aiter__()
    first: Any = await anext(events)
    await stream.close()
    async for _ in await client.responses.retrieve(first.response.id, stream=True, starting_after=1):
        pass
    fetch = next(span for span in wired.spans if span.name == "fetch_response")
    assert fetch.attributes is not None
    assert fetch.attributes["gen_ai.request.stream"] is True
    assert fetch.attributes["gen_ai.request.stream_cursor"] == "1"
    (counted,) = [record for record in wired.records if record.usage is not None]
    assert counted.cost is not None
    assert [span.name for span in wired.spans].count("chat gpt-4.1") == 2


def test_messages_are_on_the_run(wired_all: Wired, client: openai.OpenAI) -> None:
    accepted = client.responses.create(model="gpt-4.1", input="Think", background=True)
    for _ in range(3):
        answer = client.responses.retrieve(accepted.id)
    said = [
        (span.name, json.loads(str((span.attributes or {})["gen_ai.output.messages"]))[0]["parts"])
        for span in wired_all.exported()
        if "gen_ai.output.messages" in (span.attributes or {})
    ]
    parts = [{"type": "text", "content": answer.output_text}]
    assert said == [("chat gpt-4.1", parts), ("fetch_response", parts)]


def test_a_response_that_is_not_there(wired: Wired, client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve("resp_gone")
    assert wired.span().status.status_code is StatusCode.ERROR
    assert wired.attributes()["error.type"] == "404"
    assert wired.records == []


def test_a_run_that_failed(wired: Wired) -> None:
    frame = {"id": "resp_1", "model": "gpt-4.1", "usage": None}
    failed = {**frame, "status": "failed", "error": {"code": "server_error", "message": "Sorry"}}
    answers = iter([{**frame, "status": "queued"}, failed])
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=next(answers)))
    with httpx.Client(transport=transport, base_url="https://api.openai.com/v1") as client:
        client.post("/responses", json={"model": "gpt-4.1", "input": "Hi", "background": True})
        client.get("/responses/resp_1")
    fetch, run = wired.spans[-1], wired.spans[-2]
    assert (fetch.name, fetch.status.status_code) == ("fetch_response", StatusCode.UNSET)
    assert (run.status.status_code, run.status.description) == (StatusCode.ERROR, "Sorry")
    assert wired.records[-1].error_type == "server_error"
    assert wired.records[-1].unpriced_reason is None


@pytest.mark.parametrize(
    "url",
    [
        "http://survey.example.com/responses/12",
        "http://survey.example.com/responses",
        "https://api.openai.com/v1/models/gpt-4.1",
        "https://api.openai.com/v1/responses/resp_1/input_items",
    ],
)
def test_other_requests(wired: Wired, url: str) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={}))
    with httpx.Client(transport=transport) as client:
        client.get(url)
    assert wired.spans == []


def test_only_so_many_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from otel_agents.wire.formats import RequestFacts

    monkeypatch.setattr(openai_background, "_LIMIT", 3)
    for number in range(10):
        openai_background.expect(f"resp_{number}", RequestFacts("m"))
    assert list(openai_background._expected) == ["resp_7", "resp_8", "resp_9"]
