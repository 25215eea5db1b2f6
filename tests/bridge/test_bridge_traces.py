"""Traces on their way to Langfuse: untouched, and errors that pass by themselves become 503."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from score_server import Answer, ScoreServer

PATH = "/api/public/otel/v1/traces"
BODY = b"\x0a\x00 spans, as far as the bridge cares"
HEADERS = {
    "content-type": "application/x-protobuf",
    "content-encoding": "gzip",
    "authorization": "Basic c2VuZGVyOnNlY3JldA==",
    "x-langfuse-ingestion-version": "4",
    "x-langfuse-sdk-name": "collector",
    "user-agent": "Collector/1",
    "cookie": "is=not passed on",
}


def test_what_comes_goes_on_as_it_is(start_bridge: Any, server: ScoreServer) -> None:
    packed = gzip.compress(BODY)
    server.answer = lambda _: Answer(200, {"id": "job-1"})
    with start_bridge(server.url) as rig:
        answer = rig.client.post(PATH, content=packed, headers=HEADERS)
        assert (answer.status_code, answer.json()) == (200, {"id": "job-1"})
        assert rig.metric("trace_requests_total", outcome="delivered") == 1
    [request] = server.requests
    assert (request.path, request.body) == (PATH, packed)
    assert {name: request.headers.get(name) for name in HEADERS} == {**HEADERS, "cookie": None}


def test_the_bridges_keys_are_used_when_the_sender_gives_none(start_bridge: Any, server: ScoreServer) -> None:
    with start_bridge(server.url) as rig:
        rig.client.post(PATH, content=BODY, headers={"content-type": "application/x-protobuf"})
    [request] = server.requests
    assert request.headers["authorization"] == "Basic cGstbGYtbG9jYWw6c2stbGYtbG9jYWw="
    assert request.headers["x-langfuse-ingestion-version"] == "4"


@pytest.mark.parametrize(
    ("status", "becomes"),
    [
        (401, 503),
        (403, 503),
        (408, 503),
        (500, 503),
        (502, 503),
        (503, 503),
        (520, 503),
        (429, 429),
        # What will not pass: the Collector drops the batch and says so, instead of sending it for ever.
        (400, 400),
        (404, 404),
        (413, 413),
        (422, 422),
    ],
)
def test_errors(start_bridge: Any, server: ScoreServer, status: int, becomes: int) -> None:
    server.answer = lambda _: Answer(status, {"message": "no"})
    with start_bridge(server.url) as rig:
        answer = rig.client.post(PATH, content=BODY, headers=HEADERS)
        outcome = "retry" if becomes in (429, 503) else "refused"
        assert rig.metric("trace_requests_total", outcome=outcome) == 1
    assert answer.status_code == becomes
    assert answer.headers.get("retry-after") == ("2" if outcome == "retry" else None)


def test_langfuses_own_retry_after_is_passed_on(start_bridge: Any, server: ScoreServer) -> None:
    server.answer = lambda _: Answer(429, {"message": "slow down"}, {"Retry-After": "37"})
    with start_bridge(server.url) as rig:
        answer = rig.client.post(PATH, content=BODY, headers=HEADERS)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "37")


def test_nobody_there_is_said_once(start_bridge: Any, nobody: str, caplog: pytest.LogCaptureFixture) -> None:
    with start_bridge(nobody) as rig:
        for _ in range(3):
            answer = rig.client.post(PATH, content=BODY, headers=HEADERS)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert caplog.text.count("spans wait for Langfuse") == 1


def test_too_large_is_refused(start_bridge: Any, server: ScoreServer) -> None:
    with start_bridge(server.url) as rig:
        answer = rig.client.post(PATH, content=b"\0" * (64 * 1024**2 + 1), headers=HEADERS)
    assert answer.status_code == 413
    assert server.requests == []
