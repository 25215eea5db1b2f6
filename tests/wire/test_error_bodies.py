"""Errors of gateways, proxies and frameworks, whose words are not those of the API that was called."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from scripted_server import Answer, scripted
from wire_rig import Wired

from otel_agents.wire import errors

HELLO: list[Any] = [{"role": "user", "content": "Hi"}]
CALLS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"model": "m", "messages": HELLO},
    "/v1/messages": {"model": "m", "max_tokens": 1, "messages": HELLO},
    "/v1beta/models/gemini-2.5-flash:generateContent": {"contents": [{"parts": [{"text": "Hi"}]}]},
    "/model/amazon.nova-lite-v1:0/converse": {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]},
}
BODIES: dict[str, Any] = {
    "OpenAI": {"error": {"message": "No", "type": "t", "code": "c"}},
    "AWS": {"message": "No"},
    "Mistral": {"object": "error", "message": "No", "type": "invalid_request_error", "code": "1500"},
    "Azure's gateway": {"statusCode": 401, "message": "No"},
    "FastAPI": {"detail": "No"},
    "pydantic": {"detail": [{"loc": ["body"], "msg": "No", "type": "missing"}]},
    "Google, in OpenAI's words": [{"error": {"code": 400, "message": "No", "status": "INVALID_ARGUMENT"}}],
    "Cloudflare": {"success": False, "errors": [{"code": 10, "message": "No"}]},
    "a text": {"error": "No"},
}


@pytest.mark.parametrize("path", CALLS)
def test_the_span_has_the_message_whoever_wrote_it(wired: Wired, path: str) -> None:
    with scripted() as server, httpx.Client() as client:
        for body in BODIES.values():
            server.reset(Answer([json.dumps(body).encode()], 400, {"content-type": "application/json"}))
            client.post(f"{server.url}{path}", json=CALLS[path])
    assert [span.status.description for span in wired.spans] == ["No"] * len(BODIES)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"<html>No</html>",
        b'{"error": {"code": 3}}',
        b"[]",
        b'{"a": 1}',
        b"[" * 5000,
        b'{"message": ""}',
    ],
)
def test_what_says_nothing(body: bytes) -> None:
    assert errors.message(body) is None


def test_bodies_that_are_too_big_for_an_error_are_not_read() -> None:
    assert errors.message(b'{"message": "%b"}' % (b"x" * 70_000)) is None
    assert errors.message(b'{"message": "%b"}' % (b"x" * 7000)) == "x" * 2000
