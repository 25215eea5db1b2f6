"""Scores: sending one or many, the older batch endpoint, reading, deleting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from local_spans import START, TRACE, client_of, span

from otel_agents.local import times
from otel_agents.local.options import LocalOptions
from otel_agents.local.server import Running, running

URL = "/api/public/scores"
READ = "/api/public/v3/scores"


def body(**rest: Any) -> dict[str, Any]:
    return {"name": "quality", "value": 0.5, "traceId": TRACE, **rest}


def read(client: httpx.Client, **params: Any) -> list[dict[str, Any]]:
    answer = client.get(READ, params=params)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


def test_one_object(client: httpx.Client) -> None:
    answer = client.post(URL, json=body(id="s1"))
    assert (answer.status_code, answer.json()) == (200, {"id": "s1"})  # contract 3
    answer = client.post(URL, json=body(id=""))
    assert len(answer.json()["id"]) == 36  # contract 3: empty or absent → UUID


def test_array(client: httpx.Client) -> None:
    answer = client.post(URL, json=[body(id="a"), body(id="b")])
    assert (answer.status_code, answer.json()) == (202, {"message": "Accepted"})  # contract 3
    assert {score["id"] for score in read(client)} == {"a", "b"}


def test_array_with_bad_items(client: httpx.Client) -> None:
    answer = client.post(URL, json=[body(id="a"), {"name": "x"}, 5])
    assert answer.status_code == 207  # contract 3
    found = answer.json()
    assert (found["accepted"], found["rejected"]) == (1, 2)
    assert all(set(error) == {"message"} for error in found["errors"])
    assert [score["id"] for score in read(client)] == ["a"]


def test_array_on_a_server_before_4_59(options: LocalOptions) -> None:
    options.legacy_scores = True
    with running(options) as backend, client_of(backend) as client:
        answer = client.post(URL, json=[body()])
        assert answer.status_code == 400
        assert answer.json()["message"] == "Invalid request data"  # contract, version trap
        # contract 3: timestamp ignored, time of arrival
        client.post(URL, json=body(timestamp="2020-01-01T00:00:00Z"))
        assert read(client)[0]["timestamp"] > "2026"


@pytest.mark.parametrize(
    ("given", "path"),
    [
        # contract 3, fields
        (body(name=""), "name"),
        ({"value": 1, "traceId": "t"}, "name"),
        ({"name": "x", "traceId": "t"}, "value"),
        (body(value=True), "value"),
        (body(value=None), "value"),
        (body(dataType="NUMBER"), "dataType"),
        (body(source="EVAL"), "source"),
        (body(source="ANNOTATION"), "configId"),
        (body(dataType="CORRECTION", value="x", configId="c"), "configId"),
        # contract 3: exactly one subject
        ({"name": "x", "value": 1}, ""),
        (body(sessionId="s"), ""),
        ({"name": "x", "value": 1, "sessionId": "s", "observationId": "o"}, "observationId"),
        (body(timestamp="yesterday"), "timestamp"),
        (body(timestamp="2026-01-01T00:00:00"), "timestamp"),
        (body(comment=5), "comment"),
        ("text", ""),
    ],
)
def test_refused(client: httpx.Client, given: Any, path: str) -> None:
    answer = client.post(URL, json=given)
    assert answer.status_code == 400
    found = answer.json()
    assert found["message"] == "Invalid request data"  # contract 3
    assert path in [".".join(issue["path"]) for issue in found["error"]]
    assert read(client) == []


@pytest.mark.parametrize(
    ("given", "data_type", "value"),
    [
        # contract 3, dataType: absent number → NUMERIC, string → CATEGORICAL
        (body(value=2), "NUMERIC", 2),
        (body(value="good"), "CATEGORICAL", "good"),
        (body(value=1, dataType="BOOLEAN"), "BOOLEAN", True),
        (body(value=0, dataType="BOOLEAN"), "BOOLEAN", False),
        (body(value="why", dataType="TEXT"), "TEXT", "why"),
        (body(value="fixed", dataType="CORRECTION"), "CORRECTION", "fixed"),
    ],
)
def test_values_by_type(client: httpx.Client, given: dict[str, Any], data_type: str, value: Any) -> None:
    client.post(URL, json=given)
    score = read(client)[0]
    assert (score["dataType"], score["value"]) == (data_type, value)
    assert type(score["value"]) is (float if data_type == "NUMERIC" else type(value))


@pytest.mark.parametrize(
    "given",
    [
        body(value="x", dataType="NUMERIC"),
        body(value=2, dataType="BOOLEAN"),
        body(value="true", dataType="BOOLEAN"),
        body(value=1, dataType="CATEGORICAL"),
        body(value="x" * 501, dataType="TEXT"),
        body(value="", dataType="TEXT"),
        body(configId="c"),
    ],
)
def test_dropped_after_it_was_accepted(client: httpx.Client, backend: Running, given: dict[str, Any]) -> None:
    # contract 3: "the score is dropped silently after a 200/207"
    assert client.post(URL, json=given).status_code == 200
    assert read(client) == []
    assert [found.kind for found in backend.store.list_findings().items] == ["score_dropped"]


def test_public_key_alone_may_send_scores(backend: Running) -> None:
    # contract 3: accepts Basic, and Bearer public key
    bearer = {"authorization": f"Bearer {backend.public_key}"}
    assert httpx.post(backend.url + URL, json=body(), headers=bearer).status_code == 200
    assert httpx.get(backend.url + READ, headers=bearer).status_code == 403


def test_same_id_and_day_replaces(client: httpx.Client, backend: Running) -> None:
    at = {"timestamp": "2026-01-01T10:00:00Z"}
    client.post(URL, json=body(id="a", value=1, **at))
    client.post(URL, json=body(id="a", value=2, **at))
    assert [score["value"] for score in read(client)] == [2]  # contract 3, Idempotency
    assert backend.store.count_findings() == []
    client.post(URL, json=body(id="a", value=3, timestamp="2026-01-02T10:00:00Z"))
    assert [score["value"] for score in read(client)] == [3, 2]  # another day is another row
    assert [found.kind for found in backend.store.count_findings()] == ["score_id_reused"]


def test_body_limit(client: httpx.Client) -> None:
    answer = client.post(URL, json=body(comment="x" * 1_100_000))
    assert answer.status_code == 413  # contract 1: Next's 1 MB


def test_older_batch_endpoint(client: httpx.Client) -> None:
    stamp = "2026-01-01T00:00:00.000Z"
    events = [
        {"id": "e1", "type": "score-create", "timestamp": stamp, "body": body(id="a")},
        {"id": "e2", "type": "trace-create", "timestamp": stamp, "body": {}},
        {"id": "e3", "type": "score-create", "timestamp": stamp, "body": {"name": "x"}},
        {"id": "e4", "type": "sdk-log", "timestamp": stamp, "body": {}},
    ]
    answer = client.post("/api/public/ingestion", json={"batch": events, "metadata": {}})
    assert answer.status_code == 207  # contract 3: always 207
    found = answer.json()
    assert found["successes"] == [{"id": "e1", "status": 201}, {"id": "e4", "status": 201}]
    assert [(error["id"], error["status"]) for error in found["errors"]] == [("e2", 400), ("e3", 400)]
    assert all(set(error) == {"id", "status", "message", "error"} for error in found["errors"])
    assert [(score["id"], score["timestamp"]) for score in read(client)] == [("a", stamp)]


def test_delete(client: httpx.Client) -> None:
    client.post(URL, json=body(id="a"))
    answer = client.delete(f"{URL}/a")
    # contract 3
    assert (answer.status_code, answer.json()) == (202, {"message": "Score deletion queued successfully"})
    assert read(client) == []


# --- reading (contract 3, GET v3) ----------------------------------------------------------------


@pytest.fixture
def four(client: httpx.Client) -> httpx.Client:
    at = "2026-01-0{}T00:00:00Z"
    client.post(
        URL,
        json=[
            body(id="1", value=0.1, timestamp=at.format(1), comment="c", metadata={"a": 1}),
            body(id="2", value="good", name="label", timestamp=at.format(2), observationId="o"),
            {
                "id": "3",
                "name": "ok",
                "value": 1,
                "dataType": "BOOLEAN",
                "sessionId": "s",
                "timestamp": at.format(3),
            },
            {
                "id": "4",
                "name": "quality",
                "value": 0.9,
                "datasetRunId": "d",
                "environment": "prod",
                "timestamp": at.format(4),
            },
        ],
    )
    return client


@pytest.mark.parametrize(
    ("params", "ids"),
    [
        ({}, "4321"),
        ({"name": "quality,ok"}, "431"),
        ({"id": "1,2"}, "21"),
        ({"dataType": "NUMERIC"}, "41"),
        ({"dataType": "NUMERIC", "valueMin": 0.5}, "4"),
        ({"dataType": "NUMERIC", "valueMax": 0.5}, "1"),
        ({"value": "good,true"}, "32"),
        ({"value": "0.1"}, "1"),
        ({"environment": "prod"}, "4"),
        ({"traceId": TRACE}, "21"),
        ({"traceId": TRACE, "observationId": "o"}, "2"),
        ({"sessionId": "s"}, "3"),
        ({"experimentId": "d"}, "4"),
        ({"source": "API"}, "4321"),
        ({"fromTimestamp": "2026-01-02T00:00:00Z", "toTimestamp": "2026-01-04T00:00:00Z"}, "32"),
    ],
)
def test_filters(four: httpx.Client, params: dict[str, Any], ids: str) -> None:
    assert "".join(score["id"] for score in read(four, **params)) == ids


@pytest.mark.parametrize(
    "params",
    [
        {"userId": "u"},
        {"traceTags": "t"},
        {"other": "x"},
        {"fields": "core,all"},
        {"limit": 0},
        {"limit": 101},
        {"limit": "x"},
        {"valueMin": 0.5},
        {"observationId": "o"},
        {"traceId": "t", "sessionId": "s"},
        {"fromTimestamp": "x"},
        {"cursor": "x"},
    ],
)
def test_refused_reads(four: httpx.Client, params: dict[str, Any]) -> None:
    assert four.get(READ, params=params).status_code == 400


def test_pages(four: httpx.Client) -> None:
    seen = []
    cursor: dict[str, str] = {}
    for expected in (2, 2):
        answer = four.get(READ, params={"limit": 2, **cursor}).json()
        seen += [score["id"] for score in answer["data"]]
        assert len(answer["data"]) == expected
        cursor = {"cursor": answer["meta"]["cursor"]} if "cursor" in answer["meta"] else {}
    assert seen == ["4", "3", "2", "1"]
    assert cursor == {}


def test_rows(four: httpx.Client) -> None:
    rows = {score["id"]: score for score in read(four, fields="core,details,subject,annotation")}
    assert set(read(four)[0]) == {
        "id",
        "projectId",
        "name",
        "dataType",
        "value",
        "source",
        "timestamp",
        "environment",
        "createdAt",
        "updatedAt",
    }
    assert (rows["1"]["comment"], rows["1"]["metadata"], rows["1"]["environment"]) == (
        "c",
        {"a": 1},
        "default",
    )
    assert rows["1"]["timestamp"] == "2026-01-01T00:00:00.000Z"
    assert [rows[key]["subject"] for key in "1234"] == [
        {"kind": "trace", "id": TRACE},
        {"kind": "observation", "id": "o", "traceId": TRACE},
        {"kind": "session", "id": "s"},
        {"kind": "experiment", "id": "d"},
    ]


# --- quality of a trace --------------------------------------------------------------------------


@pytest.mark.parametrize("scores_first", [True, False])
def test_quality_of_a_trace_is_the_mean_of_its_scores(
    client: httpx.Client, backend: Running, export: Callable[..., Any], scores_first: bool
) -> None:
    scores = [body(id="a", value=0.25), body(id="b", value=0.75), body(id="c", value=1, name="other")]
    if scores_first:
        client.post(URL, json=scores)
    export(span())
    if not scores_first:
        client.post(URL, json=scores)
    assert backend.store.list_traces().items[0].quality == 0.5
    client.delete(f"{URL}/a")
    assert backend.store.list_traces().items[0].quality == 0.75


def test_quality_of_the_metadata_wins(
    client: httpx.Client, backend: Running, export: Callable[..., Any]
) -> None:
    export(span(attributes={"langfuse.trace.metadata.quality_score": 0.125}))
    client.post(URL, json=body(value=1))
    assert backend.store.list_traces().items[0].quality == 0.125


def test_times_round_down() -> None:
    assert times.iso(START) == "2026-01-02T03:04:05.678Z"
    assert times.parse("2026-01-02T04:04:05.678901+01:00") == START // 1000 * 1000
