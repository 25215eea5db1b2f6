"""Which requests are model calls, and whose."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from wire_rig import Wired

from otel_agents import wire
from otel_agents.wire import formats, recognise
from otel_agents.wire.formats import Content, RequestFacts, ResponseFacts

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
ANSWER = {"id": "r", "model": "m", "choices": [{"index": 0, "finish_reason": "stop", "message": {}}]}


def post(url: str, json: Any = CHAT, **fields: Any) -> httpx.Response:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=ANSWER))
    with httpx.Client(transport=transport) as client:
        return client.post(url, json=json, **fields)


@pytest.mark.parametrize(
    ("url", "provider"),
    [
        ("https://api.openai.com/v1/chat/completions", "openai"),
        ("https://api.anthropic.com/v1/messages", "anthropic"),
        ("https://api.anthropic.com/v1/messages?beta=true", "anthropic"),
        ("https://api.groq.com/openai/v1/chat/completions", "groq"),
        ("https://my.openai.azure.com/openai/deployments/d/chat/completions", "azure.ai.openai"),
        ("http://localhost:8000/v1/chat/completions", "openai"),
        ("http://10.0.0.1/v1/messages", "anthropic"),
    ],
)
def test_by_host_or_path(wired: Wired, url: str, provider: str) -> None:
    post(url)
    assert wired.record().provider == provider


@pytest.mark.parametrize(
    "url",
    [
        "https://api.openai.com/v1/moderations",
        "https://api.openai.com/v1/files",
        "https://api.anthropic.com/v1/messages/count_tokens",
        "http://localhost/v1/chat/completions/c1",
        "http://localhost/messages",
        "http://localhost/",
    ],
)
def test_other_endpoints(wired: Wired, url: str) -> None:
    post(url)
    assert wired.spans == []


@pytest.mark.parametrize(
    "json", [[], {"messages": []}, {"model": "m"}, {"model": "m", "messages": "x"}, "text"]
)
def test_another_shape_on_an_unknown_host(wired: Wired, json: Any) -> None:
    post("http://localhost/v1/chat/completions", json)
    assert wired.spans == []


def test_a_body_that_cannot_be_seen(wired: Wired) -> None:
    """Streamed request bodies are not touched; the answer tells the model."""

    def body() -> Any:
        yield b'{"model": "m", "messages": []}'

    transport = httpx.MockTransport(
        lambda request: httpx.Response(200, json={**ANSWER, "got": len(request.read())})
    )
    with httpx.Client(transport=transport) as client:
        answer = client.post("https://api.openai.com/v1/chat/completions", content=body())
        assert answer.json()["got"] == 30
        client.post("http://localhost/v1/chat/completions", content=body())
    assert wired.span().name == "chat"
    assert wired.record().response_model == "m"


def test_get_is_no_call(wired: Wired) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=ANSWER))
    with httpx.Client(transport=transport) as client:
        client.get("https://api.openai.com/v1/chat/completions")
    assert wired.spans == []


def test_settings_name_the_provider(wired_with: Any) -> None:
    wired = wired_with(provider_hosts={"localhost:8080": "vllm", "localhost": "proxy"})
    post("http://localhost:8080/v1/chat/completions")
    post("http://localhost:8081/v1/chat/completions")
    post("http://localhost/v1/chat/completions")
    assert [record.provider for record in wired.records] == ["vllm", "proxy", "proxy"]
    assert [record.server_port for record in wired.records] == [8080, 8081, 80]


def test_disabled_means_nothing(wired_with: Any) -> None:
    wired = wired_with(enabled=False)
    post("https://api.openai.com/v1/chat/completions")
    assert wired.spans == []
    assert wired.records == []


class Echo:
    """A format of somebody else's."""

    name = "test.echo"
    provider = "echo"
    operation = "text_completion"

    def matches(self, path: str) -> bool:
        return path == "/echo"

    def read_request(self, body: bytes) -> RequestFacts | None:
        return RequestFacts(model="echo-1")

    def read_response(self, body: bytes, streamed: bool, request: RequestFacts) -> ResponseFacts:
        raise RuntimeError("a bug in somebody else's format")

    def input_content(self, body: bytes, limit: int) -> Content:
        return {}

    def output_content(self, body: bytes, streamed: bool, limit: int) -> Content:
        return {}


def test_formats_of_others(wired: Wired, monkeypatch: pytest.MonkeyPatch) -> None:
    class Entry:
        name = "echo"

        def load(self) -> Any:
            return Echo

    class Broken(Entry):
        def load(self) -> Any:
            raise ImportError("not there")

    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [Broken(), Entry()])
    monkeypatch.setattr(formats, "_formats", None)
    assert post("http://localhost/echo").status_code == 200
    assert wired.span().name == "text_completion echo-1"
    assert wired.attributes()["otel_agents.capture.unreadable"] == "internal_error"
    monkeypatch.setattr(formats, "_formats", None)


def test_registered_formats_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "_formats", None)
    echo = Echo()
    formats.register(echo)
    assert recognise.format_of("/echo") is echo
    other = Echo()
    formats.register(other)
    assert recognise.format_of("/echo") is other
    assert len([known for known in formats.formats() if known.name == "test.echo"]) == 1
    monkeypatch.setattr(formats, "_formats", None)


def test_our_exporters_are_not_watched(wired: Wired) -> None:
    from opentelemetry.instrumentation.utils import suppress_instrumentation

    with suppress_instrumentation():
        post("https://api.openai.com/v1/chat/completions")
    assert wired.spans == []


def test_installing_twice_and_removing(wired: Wired) -> None:
    wire.install()
    post("https://api.openai.com/v1/chat/completions")
    assert len(wired.spans) == 1
    wire.uninstall()
    wire.uninstall()
    post("https://api.openai.com/v1/chat/completions")
    assert len(wired.spans) == 1
    assert "_send_single_request" not in repr(type(vars(httpx.Client)["_send_single_request"]))
    wire.install()
    post("https://api.openai.com/v1/chat/completions")
    assert len(wired.spans) == 2
