"""POST /v1/logs: what is taken, what is refused and how, and that 200 means stored."""

from __future__ import annotations

import gzip
import json
import time
from base64 import b64decode
from typing import Any

import pytest
from evaluation_logs import SPAN, TRACE, as_json, as_protobuf, evaluation
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from parts import wait_for
from score_server import Answer, ScoreServer

PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json"}
GZIP = {"content-encoding": "gzip"}


def expected(name: str, **rest: object) -> dict[str, Any]:
    return {
        "traceId": TRACE,
        "observationId": SPAN,
        "name": name,
        "value": 0.9,
        "dataType": "NUMERIC",
        "timestamp": "2025-11-23T12:13:20.123456Z",
        **rest,
    }


def sent(server: ScoreServer, count: int) -> list[dict[str, Any]]:
    wait_for(lambda: len(server.scores()) >= count, f"{count} scores")
    return [{key: value for key, value in score.items() if key != "id"} for score in server.scores()]


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("kind", ["protobuf", "json"])
def test_an_evaluation_becomes_a_score(
    start_bridge: Any, server: ScoreServer, kind: str, packed: bool
) -> None:
    record = evaluation("quality", gen_ai__evaluation__explanation="good")
    if kind == "protobuf":
        body, headers = as_protobuf(record, environment="Prod"), PROTOBUF
    else:
        body, headers = json.dumps(as_json(record, environment="Prod")).encode(), JSON
    if packed:
        body, headers = gzip.compress(body), {**headers, **GZIP}
    with start_bridge(server.url) as rig:
        answer = rig.client.post("/v1/logs", content=body, headers=headers)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == headers["content-type"]
        assert answer.content == (b"" if kind == "protobuf" else b"{}")
        assert sent(server, 1) == [expected("quality", comment="good", environment="prod")]
        wait_for(lambda: rig.waiting() == 0, "an empty queue")


def test_protobuf_and_json_of_one_event_are_one_score(start_bridge: Any, nobody: str) -> None:
    record = evaluation("quality")
    with start_bridge(nobody) as rig:
        rig.client.post("/v1/logs", content=as_protobuf(record), headers=PROTOBUF)
        rig.client.post("/v1/logs", json=as_json(record))
        assert rig.waiting() == 1


def test_all_kinds_of_values(start_bridge: Any, server: ScoreServer) -> None:
    records = [
        evaluation("number", 0.5),
        evaluation("whole", 3),
        evaluation("flag", 1.0, otel_agents__score__data_type="BOOLEAN"),
        evaluation("word", "good"),
        evaluation("talk", 0.5, otel_agents__score__session_id="s-1"),
    ]
    with start_bridge(server.url) as rig:
        assert rig.client.post("/v1/logs", json=as_json(*records)).status_code == 200
        found = {score["name"]: score for score in sent(server, 5)}
    assert {name: (score["dataType"], score["value"]) for name, score in found.items()} == {
        "number": ("NUMERIC", 0.5),
        "whole": ("NUMERIC", 3.0),
        "flag": ("BOOLEAN", 1.0),
        "word": ("CATEGORICAL", "good"),
        "talk": ("NUMERIC", 0.5),
    }
    assert found["talk"]["sessionId"] == "s-1"
    assert "traceId" not in found["talk"]


def test_an_event_named_by_an_attribute_is_one_too(start_bridge: Any, server: ScoreServer) -> None:
    record = evaluation("quality", event__name="gen_ai.evaluation.result")
    del record["eventName"]
    with start_bridge(server.url) as rig:
        rig.client.post("/v1/logs", content=as_protobuf(record), headers=PROTOBUF)
        assert sent(server, 1) == [expected("quality")]


def test_other_log_records_are_taken_and_ignored(start_bridge: Any, nobody: str) -> None:
    other = {"eventName": "gen_ai.client.operation.exception", "attributes": []}
    with start_bridge(nobody) as rig:
        answer = rig.client.post("/v1/logs", json=as_json(other, evaluation("quality"), other))
        assert (answer.status_code, answer.json()) == (200, {})
        assert rig.waiting() == 1
        assert rig.metric("log_records_total", kind="other") == 2
        for empty in (b"", as_protobuf()):
            assert rig.client.post("/v1/logs", content=empty, headers=PROTOBUF).status_code == 200
        assert rig.client.post("/v1/logs", json={}).status_code == 200


def test_what_is_no_score_is_said_and_the_rest_taken(start_bridge: Any, nobody: str) -> None:
    nameless, worthless = evaluation(""), evaluation("quality", None)
    records = [nameless, worthless, evaluation("speed")]
    with start_bridge(nobody) as rig:
        answer = rig.client.post("/v1/logs", json=as_json(*records))
        assert answer.status_code == 200
        partial = answer.json()["partialSuccess"]
        assert partial["rejectedLogRecords"] == "2"
        assert "it has no name" in partial["errorMessage"]
        answer = rig.client.post("/v1/logs", content=as_protobuf(*records), headers=PROTOBUF)
        decoded = ExportLogsServiceResponse.FromString(answer.content).partial_success
        assert (decoded.rejected_log_records, "neither a value" in decoded.error_message) == (2, True)
        assert rig.waiting() == 1
        assert rig.metric("scores_dropped_total", reason="not_a_score") == 4


@pytest.mark.parametrize(
    ("body", "headers", "status", "message"),
    [
        (b"\xff\xff\xff", PROTOBUF, 400, "the body is no OTLP protobuf"),
        (b"{", JSON, 400, "the body is no JSON"),
        (b"[" * 100_000, JSON, 400, "the body is no JSON"),
        (b"[]", JSON, 400, "an object with resourceLogs is expected"),
        (b'{"resourceLogs": {}}', JSON, 400, "resourceLogs is no list"),
        (b'{"resourceLogs": [1]}', JSON, 400, "resourceLogs holds something that is no object"),
        (
            b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"attributes":[{"key":"a","value":1}]}]}]}]}',
            JSON,
            400,
            "an attribute's value is no object",
        ),
        (b"plain", {**PROTOBUF, **GZIP}, 400, "the body is no gzip"),
        (gzip.compress(b"x" * 1000)[:-20], {**PROTOBUF, **GZIP}, 400, "ends too early"),
        (b"", {**PROTOBUF, "content-encoding": "zstd"}, 415, "content-encoding 'zstd' is not supported"),
        (b"", {"content-type": "text/plain"}, 415, "content-type 'text/plain' is not supported"),
        (b"", {}, 415, "content-type '' is not supported"),
    ],
)
def test_bad_bodies_are_refused_with_a_reason(
    start_bridge: Any, nobody: str, body: bytes, headers: dict[str, str], status: int, message: str
) -> None:
    with start_bridge(nobody) as rig:
        answer = rig.client.post("/v1/logs", content=body, headers=headers)
        assert answer.status_code == status
        assert message in answer.json()["message"]
        assert rig.client.get("/healthz").json() == {"status": "ok", "waiting": 0}


def test_a_bad_time_or_id_refuses_no_neighbours(start_bridge: Any, nobody: str) -> None:
    far = {**evaluation("far"), "timeUnixNano": str(10**30)}
    odd = {**evaluation("odd"), "traceId": 7}
    timeless = {**evaluation("timeless"), "timeUnixNano": "0", "observedTimeUnixNano": None}
    with start_bridge(nobody) as rig:
        answer = rig.client.post("/v1/logs", json=as_json(far, odd, timeless, evaluation("fine")))
        assert answer.json()["partialSuccess"]["rejectedLogRecords"] == "2"
        [first, second] = [json.loads(score.body) for _, score in rig.bridge.lanes.default.front(9)]
    assert (first["name"], second["name"]) == ("timeless", "fine")
    assert first["timestamp"].startswith(time.strftime("%Y-"))


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_more_than_64_mib_is_refused(start_bridge: Any, nobody: str, packed: bool) -> None:
    body = b"\0" * (64 * 1024**2 + 1)
    headers = PROTOBUF
    if packed:
        body, headers = gzip.compress(body, 1), {**PROTOBUF, **GZIP}
    with start_bridge(nobody) as rig:
        answer = rig.client.post("/v1/logs", content=body, headers=headers)
        assert (answer.status_code, answer.json()["message"]) == (413, "the body is larger than 64 MiB")


def test_a_full_queue_asks_to_come_again_and_keeps_what_it_has(
    start_bridge: Any, nobody: str, server: ScoreServer
) -> None:
    with start_bridge(nobody, max_scores=3) as rig:
        for name in "abc":
            assert rig.client.post("/v1/logs", json=as_json(evaluation(name))).status_code == 200
        answer = rig.client.post("/v1/logs", json=as_json(evaluation("d")))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
        assert answer.json()["message"] == "the queue is full"
        assert rig.waiting() == 3
        assert rig.metric("queue_full_total") == 1
    with start_bridge(server.url, max_scores=3) as rig:
        assert [score["name"] for score in sent(server, 3)] == ["a", "b", "c"]
        wait_for(lambda: rig.waiting() == 0, "an empty queue")
        assert rig.client.post("/v1/logs", json=as_json(evaluation("d"))).status_code == 200


def test_a_queue_full_of_bytes_asks_too(start_bridge: Any, nobody: str) -> None:
    large = evaluation("large", gen_ai__evaluation__explanation="x" * 10_000)
    with start_bridge(nobody, max_bytes=5_000) as rig:
        assert rig.client.post("/v1/logs", json=as_json(large)).status_code == 503
        assert rig.client.post("/v1/logs", json=as_json(evaluation("small"))).status_code == 200


def test_langfuse_failing_delays_and_refusing_drops(start_bridge: Any, server: ScoreServer) -> None:
    server.script = [Answer(500, {}), Answer(401, {}), Answer(403, {}), Answer(429, {}, {"Retry-After": "0"})]
    server.answer = lambda body: Answer(400, {"message": "no"}) if "poison" in json.dumps(body) else Answer()
    with start_bridge(server.url) as rig:
        records = [evaluation(name) for name in ("a", "poison", "b")]
        assert rig.client.post("/v1/logs", json=as_json(*records)).status_code == 200
        wait_for(lambda: rig.waiting() == 0, "an empty queue")
        assert rig.metric("scores_sent_total") == 2
        assert rig.metric("scores_dropped_total", reason="refused") == 1
        assert rig.metric("score_requests_failed_total") == 4
        assert rig.metric("scores_stored_total") == 3


def test_metrics_and_health(start_bridge: Any, nobody: str) -> None:
    with start_bridge(nobody) as rig:
        rig.client.post("/v1/logs", json=as_json(evaluation("a"), evaluation("b")))
        page = rig.client.get("/metrics")
        assert page.headers["content-type"].startswith("text/plain; version=")
        lines = page.text.splitlines()
        assert 'otel_agents_bridge_log_records_total{kind="evaluation"} 2.0' in lines
        assert "otel_agents_bridge_scores_stored_total 2.0" in lines
        assert "otel_agents_bridge_queue_scores 2.0" in lines
        assert 'otel_agents_bridge_scores_dropped_total{reason="refused"} 0.0' in lines
        assert "python_info" not in page.text  # a registry of its own
        accept = {"accept": "application/openmetrics-text; version=1.0.0"}
        assert rig.client.get("/metrics", headers=accept).text.endswith("# EOF\n")
        assert rig.client.get("/healthz").json() == {"status": "ok", "waiting": 2}
        assert rig.client.get("/health").status_code == 200
        assert rig.client.get("/v1/logs").status_code == 405
        assert rig.client.get("/nothing").status_code == 404


def test_each_project_has_its_keys_and_its_queue(start_bridge: Any, server: ScoreServer, nobody: str) -> None:
    """A project whose Langfuse is away holds up no other, and nobody else gets its scores."""
    with ScoreServer() as other:
        projects = {
            "a": {"public_key": "pk-lf-a", "secret_key": "sk-lf-a", "base_url": other.url},
            "../b c": {"public_key": "pk-lf-b", "secret_key": "sk-lf-b", "base_url": nobody},
        }
        records = [
            evaluation(f"of {name}", otel_agents__project=name) for name in ("a", "../b c", "somebody else")
        ]
        with start_bridge(server.url, projects) as rig:
            body = as_protobuf(*records, evaluation("of nobody"))
            assert rig.client.post("/v1/logs", content=body, headers=PROTOBUF).status_code == 200
            assert {one["name"] for one in sent(server, 2)} == {"of somebody else", "of nobody"}
            assert [one["name"] for one in sent(other, 1)] == ["of a"]
            wait_for(lambda: rig.waiting() == 1, "the one that has nowhere to go")
            assert rig.metric("queue_scores") == 1
            assert rig.client.get("/healthz").json()["waiting"] == 1
        for one, key in ((server, "pk-lf-local:sk-lf-local"), (other, "pk-lf-a:sk-lf-a")):
            keys = {b64decode(found.headers["authorization"].split()[1]).decode() for found in one.requests}
            assert keys == {key}
        projects["../b c"]["base_url"] = other.url
        with start_bridge(server.url, projects):
            wait_for(lambda: len(other.scores()) == 2, "what had waited on disk")
    assert [one["name"] for one in other.scores()] == ["of a", "of ../b c"]
    assert len(server.scores()) == 2
