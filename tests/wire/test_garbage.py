"""A model server that answers garbage: the caller gets what it gets without us, the span says what it was."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest
from modelserver.server import ModelServer
from opentelemetry.trace import StatusCode
from wire_rig import Wired

from otel_agents import wire
from otel_agents.accounting import Usage

HELLO: list[Any] = [{"role": "user", "content": "Say hello"}]
OPENAI = "https://api.openai.com/v1/chat/completions"
ANTHROPIC = "https://api.anthropic.com/v1/messages"
CHAT = {"model": "m", "messages": [], "max_tokens": 1}

GARBAGE: dict[str, tuple[bytes, dict[str, str], str | None]] = {
    "nothing": (b"", {}, "empty"),
    "html": (b"\n <!doctype html><html>Sign in</html>", {"content-type": "text/html"}, "html"),
    "html as a stream": (b"<html></html>", {"content-type": "text/event-stream"}, "html"),
    "text": (b"upstream error", {"content-type": "text/plain"}, "not_json"),
    "half a body": (b'{"id": "r", "model": "m", "cho', {}, "malformed_json"),
    "a list": (b"[1, 2]", {}, "malformed_json"),
    "a number": (b"17", {}, "not_json"),
    "bytes": (bytes(range(256)), {}, "not_json"),
    "not UTF-8": (b'{"id": "\xff\xfe"}', {}, None),
    "deep": (b'{"a":' * 100_000, {}, "malformed_json"),
    "wrong types": (b'{"id": 1, "model": [], "choices": 3, "usage": "x", "stop_reason": {}}', {}, None),
    "no usage": (b'{"id": "r", "model": "m"}', {}, None),
    "null": (b'{"id": null, "model": null, "choices": null, "usage": null}', {}, None),
    "choices of nothing": (b'{"choices": [null, 1, {"finish_reason": 3}]}', {}, None),
    "an empty stream": (b"\n\n", {"content-type": "text/event-stream"}, None),
    "a stream of comments": (b": ping\n\n: ping\n\n", {"content-type": "text/event-stream"}, None),
    "a stream of garbage": (b"data: {\n\ndata: x\n\n\xff", {"content-type": "text/event-stream"}, None),
}


@pytest.mark.parametrize("url", [OPENAI, ANTHROPIC])
@pytest.mark.parametrize("kind", GARBAGE)
@pytest.mark.parametrize("http", [httpx, httpx2])
def test_bodies(wired_with: Callable[..., Wired], http: Any, kind: str, url: str) -> None:
    wired = wired_with(capture="all")
    body, headers, unreadable = GARBAGE[kind]

    class Pieces(http.SyncByteStream):  # type: ignore[misc]
        def __iter__(self) -> Any:
            return iter([body[start : start + 50_000] for start in range(0, len(body), 50_000)])

    transport = http.MockTransport(lambda request: http.Response(200, headers=headers, stream=Pieces()))
    response = http.Client(transport=transport).post(url, json=CHAT)
    assert response.content == body
    attributes = wired.sent()
    assert attributes.get("otel_agents.capture.unreadable") == unreadable
    assert set(attributes["gen_ai.response.finish_reasons"]) == {"error"}
    assert "gen_ai.usage.input_tokens" not in attributes
    assert wired.record().usage is None
    assert wired.record().unpriced_reason == "no_usage"


@pytest.mark.parametrize("cut", [0, 1, 5, 12, 40])
def test_truncated_gzip(wired: Wired, cut: int) -> None:
    answer = {"id": "r", "model": "m", "usage": {"prompt_tokens": 1, "completion_tokens": 2}, "choices": []}
    whole = gzip.compress(json.dumps(answer).encode())

    class Pieces(httpx.SyncByteStream):
        def __iter__(self) -> Any:
            yield whole[: len(whole) - cut]

    headers = {"content-encoding": "gzip"}
    transport = httpx.MockTransport(lambda request: httpx.Response(200, headers=headers, stream=Pieces()))
    httpx.Client(transport=transport).post(OPENAI, json=CHAT)
    usage = wired.record().usage
    if cut == 0:
        assert usage is not None
        assert usage.total == 3
        assert "otel_agents.capture.unreadable" not in wired.attributes()
    else:
        assert wired.attributes()["otel_agents.capture.unreadable"] == "truncated_gzip"


def test_a_wrong_encoding_fails_as_it_does_without_us(wired: Wired) -> None:
    class Pieces(httpx.SyncByteStream):
        def __iter__(self) -> Any:
            yield b"no gzip"

    headers = {"content-encoding": "gzip"}
    transport = httpx.MockTransport(lambda request: httpx.Response(200, headers=headers, stream=Pieces()))
    with pytest.raises(httpx.DecodingError):
        httpx.Client(transport=transport).post(OPENAI, json=CHAT)
    assert wired.attributes()["otel_agents.capture.unreadable"] == "malformed_gzip"


@pytest.mark.parametrize(
    "scenario", ["html", "malformed", "truncate", "cut", "empty", "gzip", "crlf", "bytes"]
)
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("sdk", ["openai", "anthropic"])
def test_the_sdks_see_the_same(
    wired: Wired, server: ModelServer, scenario: str, streamed: bool, sdk: str
) -> None:
    """The outcome (answer, or type and text of the exception) with the hooks is the one without."""
    watched = outcome_of(server, sdk, scenario, streamed)
    assert len(wired.spans) == len(wired.records) == 1
    wire.uninstall()
    assert outcome_of(server, sdk, scenario, streamed) == watched
    assert len(wired.records) == 1


def outcome_of(server: ModelServer, sdk: str, scenario: str, streamed: bool) -> Any:
    server.reset()
    try:
        if sdk == "openai":
            client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="k", max_retries=0)
            answer: Any = client.chat.completions.create(
                model=f"gpt-4o#{scenario}", messages=HELLO, stream=streamed
            )
            if streamed:
                return [piece.choices[0].delta.content for piece in answer if piece.choices]
            return said(answer, lambda: answer.choices[0].message.content)
        claude = anthropic.Anthropic(base_url=server.url, api_key="k", max_retries=0, open_telemetry=False)
        answer = claude.messages.create(
            model=f"claude-opus-4-8#{scenario}", messages=HELLO, stream=streamed, max_tokens=50
        )
        if streamed:
            return [piece.type for piece in answer]
        return said(answer, lambda: answer.content[0].text)
    except Exception as error:
        return type(error), str(error), type(error.__cause__), str(error.__cause__)


def said(answer: Any, read: Callable[[], Any]) -> Any:
    """Answers that are no JSON come out of the SDK as text."""
    return answer if isinstance(answer, str) else read()


def test_an_html_error_page(wired: Wired, server: ModelServer) -> None:
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="k", max_retries=0)
    with pytest.raises(openai.APIStatusError):
        client.chat.completions.create(model="gpt-4o#html:502", messages=HELLO)
    attributes = wired.attributes()
    assert attributes["error.type"] == "502"
    assert attributes["otel_agents.capture.unreadable"] == "html"
    assert wired.span().status.status_code is StatusCode.ERROR
    assert wired.span().status.description == "502"


def test_secrets_in_errors_are_redacted(wired: Wired) -> None:
    key = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"
    error = {"error": {"message": f"Incorrect API key provided: {key}", "type": "invalid_request_error"}}
    transport = httpx.MockTransport(lambda request: httpx.Response(401, json=error))
    httpx.Client(transport=transport).post(OPENAI, json={**CHAT, "stop": [key], "model": key})

    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError(f"https://user:{key}@host refused")

    with pytest.raises(httpx.ConnectError):
        httpx.Client(transport=httpx.MockTransport(broken)).post(OPENAI, json=CHAT)
    assert len(wired.spans) == 2
    for span in wired.spans:
        assert key not in span.to_json()
    assert key not in repr(wired.records)


@pytest.mark.parametrize("host", ["api.openai.com", "gateway.example"])
@pytest.mark.parametrize("http", [httpx, httpx2])
def test_a_redirect_is_not_a_call_that_was_made(wired: Wired, http: Any, host: str) -> None:
    def handle(request: Any) -> Any:
        if request.url.path.startswith("/old"):
            return http.Response(307, headers={"location": f"https://{host}/v1/chat/completions"})
        usage = {"prompt_tokens": 1, "completion_tokens": 2}
        return http.Response(200, json={"id": "r", "choices": [], "usage": usage})

    with http.Client(transport=http.MockTransport(handle), follow_redirects=True) as client:
        client.post(f"https://{host}/old/v1/chat/completions", json=CHAT)
    record = wired.record()
    assert (record.request_model, record.usage) == ("m", Usage(1, 2))
    moved, answered = wired.spans
    assert moved.attributes is not None
    assert moved.attributes["http.response.status_code"] == 307
    assert moved.status.status_code is StatusCode.UNSET
    assert answered.attributes is not None
    assert answered.attributes["gen_ai.response.id"] == "r"
