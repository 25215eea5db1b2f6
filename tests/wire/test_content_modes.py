"""Which content leaves, when, and in which form."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from wire_rig import Wired

from otel_agents import semconv

URL = "https://api.openai.com/v1/chat/completions"
SAID = "the weather in Oslo"
KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"
MESSAGES = [{"role": "user", "content": SAID}]
ANSWER = {
    "id": "r",
    "model": "gpt-4o",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "rain"}}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1},
}


def call(messages: Any = MESSAGES, answer: Any = ANSWER, **fields: Any) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=answer))
    httpx.Client(transport=transport).post(URL, json={"model": "gpt-4o", "messages": messages, **fields})


def texts(wired: Wired) -> str:
    return "".join(span.to_json() for span in [*wired.spans, *wired.exported()])


@pytest.mark.parametrize("capture", ["explicit", "none"])
def test_no_content(wired_with: Callable[..., Wired], capture: str) -> None:
    wired = wired_with(capture=capture)
    call()
    assert len(wired.spans) == 1
    assert SAID not in texts(wired)
    assert "rain" not in texts(wired)


@pytest.mark.parametrize("capture", ["messages", "all"])
def test_content_on_the_exported_copy_only(wired_with: Callable[..., Wired], capture: str) -> None:
    wired = wired_with(capture=capture)
    call()
    assert SAID not in wired.span().to_json()
    assert SAID in wired.sent()[semconv.INPUT_MESSAGES]
    assert "rain" in wired.sent()[semconv.OUTPUT_MESSAGES]


def test_content_before_the_end_when_asked_for(wired_with: Callable[..., Wired]) -> None:
    wired = wired_with(capture="all", eager_content=True)
    call()
    assert SAID in wired.attributes()[semconv.INPUT_MESSAGES]


def test_secrets_in_messages_are_redacted(wired_with: Callable[..., Wired]) -> None:
    wired = wired_with(capture="all", eager_content=True)
    choice = {"index": 0, "finish_reason": "stop", "message": {"content": f"yours is {KEY}"}}
    call([{"role": "user", "content": f"my key is {KEY}"}], {**ANSWER, "choices": [choice]})
    assert "my key is" in texts(wired)
    assert KEY not in texts(wired)


def test_a_redaction_that_fails_shows_nothing(wired_with: Callable[..., Wired]) -> None:
    wired = wired_with(capture="all")

    class Broken:
        def text(self, said: str, path: str = "") -> str:
            return said

        def value(self, obj: Any, path: str = "") -> Any:
            raise RuntimeError("a bug")

    wired.runtime._redactor = Broken()  # type: ignore[assignment]
    call()
    assert SAID not in texts(wired)
    assert len(wired.exported()) == 1


def test_long_content_is_cut_and_says_so(wired_with: Callable[..., Wired]) -> None:
    wired = wired_with(capture="all", max_value_chars=1000)
    call([{"role": "user", "content": "x" * 100_000}, *MESSAGES])
    sent = wired.sent()
    first, last = json.loads(sent[semconv.INPUT_MESSAGES])
    assert len(sent[semconv.INPUT_MESSAGES]) <= 1000
    assert first["parts"][0]["content"].startswith("xxx")
    assert last["parts"][0]["content"] == SAID
    assert sent["otel_agents.capture.truncated"] is True


def test_odd_content_hides_nothing_else(wired_with: Callable[..., Wired]) -> None:
    wired = wired_with(capture="all")
    call([{"role": 5, "content": {"a": 1}}, "text", None, *MESSAGES], tools="none")
    sent = wired.sent()
    assert sent["gen_ai.usage.input_tokens"] == 3
    assert "rain" in sent[semconv.OUTPUT_MESSAGES]


def test_events(wired_with: Callable[..., Wired]) -> None:
    """As ``event_only`` asks: structured messages and all attributes in an event, none on the span."""
    wired = wired_with(capture="explicit", capture_events=True)
    events: list[tuple[str, Any, Any]] = []
    wired.runtime.emit_event = lambda *event: events.append(event)  # type: ignore[method-assign]
    call()
    wired.runtime.worker.drain()
    ((name, attributes, context),) = events
    assert name == "gen_ai.client.inference.operation.details"
    assert attributes[semconv.INPUT_MESSAGES] == [
        {"role": "user", "parts": [{"type": "text", "content": SAID}]}
    ]
    assert attributes["gen_ai.usage.input_tokens"] == 3
    assert attributes["gen_ai.request.model"] == "gpt-4o"
    assert trace.get_current_span(context).get_span_context() == wired.span().context
    assert SAID not in texts(wired)


class RecordOnly(Sampler):
    """Spans that are recorded and not exported."""

    def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
        return SamplingResult(Decision.RECORD_ONLY)

    def get_description(self) -> str:
        return "record only"


def test_nothing_is_kept_for_spans_that_are_not_exported(wired_with: Callable[..., Wired]) -> None:
    wired = wired_with(sampler=RecordOnly(), capture="all")
    call()
    with trace.get_tracer("other").start_as_current_span("c", attributes={"gen_ai.operation.name": "chat"}):
        call()
    assert wired.runtime.pipeline is not None
    assert not wired.runtime.pipeline._late
    assert len(wired.records) == 2


def test_many_threads_at_once(wired_with: Callable[..., Wired]) -> None:
    """Every call has its own figures, and the parent of its own thread."""
    import threading

    wired = wired_with(capture="all")
    tracer = trace.get_tracer("app")

    def work(number: int) -> None:
        for turn in range(20):
            said = number * 100 + turn
            answer = {**ANSWER, "id": f"r{said}", "usage": {"prompt_tokens": said, "completion_tokens": 1}}
            with tracer.start_as_current_span(f"work {said}"):
                call([{"role": "user", "content": f"number {said}."}], answer)
        assert otel_context.get_current() == {}

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sent = wired.exported()
    parents: dict[int, ReadableSpan] = {span.context.span_id: span for span in sent if span.context}
    calls = [span for span in sent if span.name == "chat gpt-4o"]
    assert len(calls) == len(wired.records) == 160
    for span in calls:
        attributes: dict[str, Any] = dict(span.attributes or {})
        number = attributes["gen_ai.usage.input_tokens"]
        assert span.parent is not None
        assert parents[span.parent.span_id].name == f"work {number}"
        assert attributes["gen_ai.response.id"] == f"r{number}"
        assert f"number {number}." in str(attributes[semconv.INPUT_MESSAGES])
