"""Health, project, media, deletion, the endpoints that are gone, and those Langfuse does not have."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from local_spans import SPAN, TRACE, client_of, export_request, received, span
from parts import wait_for

from otel_agents.local.options import LocalOptions
from otel_agents.local.raw import RawSpans
from otel_agents.local.server import Running, running

TRACES = "/api/public/otel/v1/traces"
PROTOBUF = {"content-type": "application/x-protobuf"}


def test_health_needs_no_keys(backend: Running) -> None:
    answer = httpx.get(f"{backend.url}/api/public/health")
    assert (answer.status_code, answer.json()) == (
        200,
        {"status": "OK", "version": "4.59.0"},
    )  # contract 6, 9
    assert httpx.get(f"{backend.url}/api/public/ready").status_code == 200


def test_health_that_asks_for_events(client: httpx.Client, export: Callable[..., Any]) -> None:
    params = {"failIfNoRecentEvents": "true"}
    assert client.get("/api/public/health", params=params).status_code == 503  # contract 6
    export(span())
    assert client.get("/api/public/health", params=params).status_code == 200
    assert client.get("/api/public/health", params={"failIfDatabaseUnavailable": "true"}).status_code == 200


def test_project(client: httpx.Client) -> None:
    data = client.get("/api/public/projects").json()["data"]
    assert len(data) == 1
    assert data[0] == {
        "id": "local",
        "name": "local",
        "organization": {"id": "local", "name": "local"},
        "metadata": {},
        "retentionDays": 30,
    }  # contract 6


def test_media_are_already_there(client: httpx.Client) -> None:
    body = {"sha256Hash": "ab+/" + "x" * 40, "contentType": "image/png", "contentLength": 5, "traceId": TRACE}
    answer = client.post("/api/public/media", json=body)
    assert answer.json() == {"mediaId": "ab-_" + "x" * 18, "uploadUrl": None}  # contract 9
    assert client.patch("/api/public/media/x", json={}).status_code == 200
    assert client.get("/api/public/media/x").status_code == 404


def test_delete_traces(client: httpx.Client, backend: Running, export: Callable[..., Any]) -> None:
    traces = [f"{number:032x}" for number in range(1, 4)]
    for trace in traces:
        export(span(trace=trace, attributes={"session.id": "s"}))
    answer = client.delete(f"/api/public/traces/{traces[0]}")
    assert (answer.status_code, set(answer.json())) == (200, {"message"})  # contract 9
    answer = client.request("DELETE", "/api/public/traces", json={"traceIds": traces[1:2]})
    assert answer.status_code == 200
    assert [row.trace_id for row in backend.store.list_traces().items] == traces[2:]
    assert [row.n_traces for row in backend.store.list_sessions().items] == [1]
    for bad in ({"traceIds": []}, {"traceIds": ["x"] * 1001}, {"traceIds": [1]}, {}, []):
        assert client.request("DELETE", "/api/public/traces", json=bad).status_code == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [
        # contract 5.1: all of these are 404, before the keys are looked at
        ("GET", "traces"),
        ("GET", "traces/abc"),
        ("GET", "observations"),
        ("GET", "observations/abc"),
        ("GET", "metrics"),
        ("GET", "metrics/daily"),
        ("GET", "sessions"),
        ("GET", "sessions/a%2Fb"),
        ("GET", "scores"),
        ("GET", "scores/abc"),
        ("GET", "v2/scores"),
        ("GET", "v2/scores/abc"),
        ("POST", "traces"),
        ("POST", "spans"),
        ("POST", "generations"),
        ("POST", "events"),
        ("GET", "datasets/x/runs"),
    ],
)
def test_legacy_endpoints_are_gone(backend: Running, method: str, path: str) -> None:
    answer = httpx.request(method, f"{backend.url}/api/public/{path}")
    assert answer.status_code == 404
    assert answer.json() == {
        "message": "This endpoint is not available on deployments running in Langfuse v4 events_only mode."
        " Learn more about Langfuse v4 at: https://langfuse.com/docs/v4"
    }


def test_unknown_paths(client: httpx.Client) -> None:
    assert client.get("/api/public/nope").status_code == 404
    assert client.put("/api/public/projects").status_code == 405


# --- findings, raw spans, stats, reset -----------------------------------------------------------


def test_duplicates_are_replaced_and_reported(
    client: httpx.Client, backend: Running, export: Callable[..., Any]
) -> None:
    given = {"langfuse.observation.cost_details": '{"total": 0.5}'}
    export(span(name="first", attributes=given), span(name="second", attributes=given))
    export(span(name="third", attributes=given))
    trace = backend.store.get_trace(TRACE)
    assert trace is not None
    # contract 9: upsert by (traceId, spanId) but report duplicates
    assert [row.name for row in trace.observations] == ["third"]
    assert (trace.row.total_cost, trace.row.n_observations, trace.row.name) == (0.5, 1, "third")
    found = client.get("/api/local/findings").json()
    assert [entry["kind"] for entry in found["data"]] == ["duplicate_span"]
    assert found["counts"] == [{"kind": "duplicate_span", "severity": "error", "count": 2}]
    assert found["data"][0]["traceId"] == TRACE
    assert found["data"][0]["observationId"] == SPAN
    assert found["data"][0]["detail"] == {"name": "second"}


def test_orphans_are_found_when_reading_and_settled_when_the_parent_comes(
    client: httpx.Client, export: Callable[..., Any]
) -> None:
    def kinds() -> list[str]:
        return [entry["kind"] for entry in client.get("/api/local/findings").json()["data"]]

    export(span("b" * 16, parent="a" * 16), span("c" * 16, parent="b" * 16))
    export(span("d" * 16, parent="a" * 16, attributes={"langfuse.internal.is_app_root": True}))
    assert kinds() == ["orphan"]
    assert kinds() == ["orphan"]
    assert client.get("/api/local/stats").json()["findings"] == 1
    export(span("a" * 16))
    assert kinds() == []
    assert client.get("/api/local/findings").json()["counts"] == []


def test_a_parent_may_come_late(options: LocalOptions) -> None:
    options.orphan_grace_s = 3600
    with running(options) as backend, client_of(backend) as client:
        client.post(TRACES, content=export_request(span("b" * 16, parent="a" * 16)), headers=PROTOBUF)
        assert client.get("/api/local/findings").json()["data"] == []


def test_findings_by_kind_trace_and_page(client: httpx.Client, export: Callable[..., Any]) -> None:
    for number in range(1, 4):
        export(
            span(trace=f"{number:032x}", attributes={"error.type": "x", "langfuse.environment": "Prod EU"})
        )
    url = "/api/local/findings"
    found = client.get(url, params={"kind": "environment_invalid", "limit": 2}).json()
    assert [entry["traceId"][-1] for entry in found["data"]] == ["3", "2"]
    rest = client.get(
        url, params={"kind": "environment_invalid", "limit": 2, "cursor": found["meta"]["cursor"]}
    ).json()
    assert [entry["traceId"][-1] for entry in rest["data"]] == ["1"]
    assert rest["meta"] == {}
    assert len(client.get(url, params={"severity": "warning"}).json()["data"]) == 3
    assert len(client.get(url, params={"traceId": f"{1:032x}"}).json()["data"]) == 2
    assert client.get(url, params={"cursor": "x"}).status_code == 400


def test_lenient_mode_records_nothing(options: LocalOptions) -> None:
    options.strict = False
    with running(options) as backend, client_of(backend) as client:
        body = export_request(span(parent="a" * 16, attributes={"langfuse.environment": "Prod EU"}))
        for _ in range(2):
            client.post(TRACES, content=body, headers=PROTOBUF)
        assert client.get("/api/local/findings").json() == {"data": [], "counts": [], "meta": {}}


def test_raw_dump_is_bounded(options: LocalOptions) -> None:
    options.raw_spans = 2
    with running(options) as backend, client_of(backend) as client:
        for number in range(1, 4):
            attributes = {"n": number, "map": {"a": [1]}}
            spans = span(f"{number:016x}", attributes=attributes, events={"e": {"k": "v"}})
            client.post(
                TRACES, content=export_request(spans, resource={"service.name": "x"}), headers=PROTOBUF
            )
        data = client.get("/api/local/raw").json()["data"]
        assert [entry["spanId"] for entry in data] == [f"{number:016x}" for number in (2, 3)]
        assert data[1]["attributes"] == {"n": 3, "map": {"a": [1]}}
        assert data[1]["events"][0]["attributes"] == {"k": "v"}
        assert data[1]["resource"] == {"service.name": "x"}
        assert client.get("/api/local/raw", params={"traceId": "x"}).json() == {"data": []}


def test_raw_dump_is_bounded_in_size_too() -> None:
    spans = RawSpans(most=100, most_chars=1000)
    spans.add([received({"text": "x" * 300}, name=f"{number}") for number in range(5)])
    assert [span.name for _, span in spans.newest(10)] == ["2", "3", "4"]
    spans.add([received({"list": ["x" * 600] * 2})])
    assert spans.newest(10) == []


def test_reset(client: httpx.Client, export: Callable[..., Any]) -> None:
    export(span("b" * 16, parent="a" * 16), span(), span())
    client.post("/api/public/scores", json={"name": "x", "value": 1, "traceId": TRACE})
    client.post("/api/public/v2/prompts", json={"name": "p", "prompt": "x"})
    client.post("/api/local/faults", json={"status": 500, "times": 0, "path": "/api/public/projects"})
    assert client.get("/api/local/findings").json()["data"]
    before = client.get("/api/local/stats").json()
    assert (before["observations"], before["traces"], before["scores"], before["prompts"]) == (2, 1, 1, 1)
    assert client.post("/api/local/reset").status_code == 200
    after = client.get("/api/local/stats").json()
    assert [after[key] for key in ("observations", "traces", "scores", "prompts", "findings")] == [0] * 5
    assert after["change"] > before["change"]
    assert client.get("/api/public/projects").status_code == 200
    assert client.get("/api/local/raw").json() == {"data": []}
    # spans that come after are looked at again
    export(span("b" * 16, parent="a" * 16))
    assert [entry["kind"] for entry in client.get("/api/local/findings").json()["data"]] == ["orphan"]


@pytest.mark.parametrize("path", ["findings", "raw", "stats", "faults"])
def test_local_endpoints_need_the_keys(backend: Running, path: str) -> None:
    assert httpx.get(f"{backend.url}/api/local/{path}").status_code == 401
    assert httpx.post(f"{backend.url}/api/local/reset").status_code == 401


# --- faults --------------------------------------------------------------------------------------


def test_rate_limit_then_right_again(client: httpx.Client) -> None:
    fault = {"status": 429, "retry_after": 2, "times": 2, "path": "/api/public/projects"}
    assert client.post("/api/local/faults", json=fault).status_code == 201
    assert client.get("/api/public/health").status_code == 200
    for _ in range(2):
        answer = client.get("/api/public/projects")
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "2")
        # contract 1: the body of a rate limit
        assert answer.json()["message"] == "Rate limit exceeded"
        assert answer.json()["code"] == "rate_limited"
        assert answer.json()["details"]["retryAfterSeconds"] == 2
    assert client.get("/api/public/projects").status_code == 200
    assert client.get("/api/local/faults").json() == {"faults": []}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (503, {"message": "Service Unavailable"}),  # contract 1: database down
        (500, {"message": "Internal Server Error", "error": "InjectedFault"}),  # contract 1: other
    ],
)
def test_server_errors_until_cleared(client: httpx.Client, status: int, body: dict[str, str]) -> None:
    client.post("/api/local/faults", json={"status": status, "times": 0})
    for _ in range(3):
        answer = client.get("/api/public/projects")
        assert (answer.status_code, answer.json()) == (status, body)
    client.delete("/api/local/faults")
    assert client.get("/api/public/projects").status_code == 200


def test_slow_answer(client: httpx.Client) -> None:
    client.post("/api/local/faults", json={"delay_ms": 200})
    start = time.monotonic()
    assert client.get("/api/public/projects").status_code == 200
    assert time.monotonic() - start >= 0.2


def test_answer_that_got_lost(client: httpx.Client, backend: Running) -> None:
    client.post("/api/local/faults", json={"status": 500, "after": True, "path": TRACES})
    body = export_request(span())
    assert client.post(TRACES, content=body, headers=PROTOBUF).status_code == 500
    assert backend.store.get_trace(TRACE) is not None
    assert client.post(TRACES, content=body, headers=PROTOBUF).status_code == 200
    assert [found.kind for found in backend.store.list_findings().items] == ["duplicate_span"]


@pytest.mark.parametrize(
    "fault",
    [{}, {"status": 200}, {"status": "500"}, {"nope": 1}, {"status": 500, "times": -1}, {"status": True}, []],
)
def test_odd_faults(client: httpx.Client, fault: Any) -> None:
    assert client.post("/api/local/faults", json=fault).status_code == 400


# --- delayed writes ------------------------------------------------------------------------------


def test_ingestion_lag(options: LocalOptions) -> None:
    options.ingest_delay_ms = 300
    with running(options) as backend, client_of(backend) as client:
        assert client.post(TRACES, content=export_request(span()), headers=PROTOBUF).status_code == 200
        client.post("/api/public/scores", json={"name": "x", "value": 1, "traceId": TRACE})
        assert backend.store.get_trace(TRACE) is None
        trace = wait_for(lambda: backend.store.get_trace(TRACE), "the delayed span")
        assert trace is not None
        wait_for(lambda: client.get("/api/public/v3/scores").json()["data"], "the delayed score")


def test_what_was_accepted_is_written_when_the_server_stops(options: LocalOptions) -> None:
    options.ingest_delay_ms = 600_000
    with running(options) as backend, client_of(backend) as client:
        client.post(TRACES, content=export_request(span()), headers=PROTOBUF)
    options.ingest_delay_ms = 0
    with running(options) as backend:
        assert backend.store.get_trace(TRACE) is not None
