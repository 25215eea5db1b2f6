"""Spans that come again are left out; spans whose delivery failed are not taken for delivered."""

from __future__ import annotations

import gzip
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from collector_rig import span, traces
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from parts import wait_for
from score_server import Answer, ScoreServer

from otel_agents.bridge import BridgeError
from otel_agents.bridge.seen import SeenSpans, span_key

PATH = "/api/public/otel/v1/traces"
HEADERS = {"content-type": "application/x-protobuf", "authorization": "Basic YTpi"}
CHAT = {"gen_ai.operation.name": "chat"}
ONE, TWO, THREE = (f"00000000000000a{number}" for number in (1, 2, 3))


def request_of(*ids: str) -> bytes:
    return traces(*(span(f"chat {one}", one, CHAT) for one in ids)).SerializeToString()


def delivered(server: ScoreServer) -> list[list[str]]:
    """Ids of the spans of each request that Langfuse got."""
    return [[one.span_id.hex() for one in spans_of(request.body)] for request in server.requests]


def spans_of(body: bytes) -> list[Any]:
    if body[:2] == b"\x1f\x8b":
        body = gzip.decompress(body)
    request = ExportTraceServiceRequest.FromString(body)
    return [one for group in request.resource_spans for scope in group.scope_spans for one in scope.spans]


def test_only_what_is_new_goes_on(start_bridge: Any, server: ScoreServer) -> None:
    with start_bridge(server.url) as rig:
        assert rig.client.post(PATH, content=request_of(ONE, TWO), headers=HEADERS).status_code == 202
        assert rig.client.post(PATH, content=request_of(TWO, THREE, ONE), headers=HEADERS).status_code == 202
        assert delivered(server) == [[ONE, TWO], [THREE]]
        assert rig.metric("repeated_spans_total") == 2


def test_a_request_of_nothing_new_is_answered_with_success(start_bridge: Any, server: ScoreServer) -> None:
    with start_bridge(server.url) as rig:
        rig.client.post(PATH, content=request_of(ONE), headers=HEADERS)
        again = rig.client.post(PATH, content=request_of(ONE), headers=HEADERS)
        assert (again.status_code, again.content) == (200, b"")
        assert again.headers["content-type"] == "application/x-protobuf"
        assert delivered(server) == [[ONE]]
        assert rig.metric("trace_requests_total", outcome="repeated") == 1


def test_twice_in_one_request_is_once(start_bridge: Any, server: ScoreServer) -> None:
    with start_bridge(server.url) as rig:
        rig.client.post(PATH, content=request_of(ONE, TWO, ONE), headers=HEADERS)
    assert delivered(server) == [[ONE, TWO]]


def test_groups_without_spans_go_too(start_bridge: Any, server: ScoreServer) -> None:
    both = traces(span("a", ONE, CHAT))
    both.MergeFrom(traces(span("b", TWO, CHAT), resource={"service.name": "other"}))
    with start_bridge(server.url) as rig:
        rig.client.post(PATH, content=request_of(ONE), headers=HEADERS)
        rig.client.post(PATH, content=both.SerializeToString(), headers=HEADERS)
    left = ExportTraceServiceRequest.FromString(gzip.decompress(server.requests[1].body))
    [group] = left.resource_spans
    assert group.resource.attributes[0].value.string_value == "other"


@pytest.mark.parametrize("status", [500, 503, 429, 400])
def test_what_was_not_delivered_was_not_seen(start_bridge: Any, server: ScoreServer, status: int) -> None:
    server.script = [Answer(status)]
    with start_bridge(server.url) as rig:
        assert rig.client.post(PATH, content=request_of(ONE), headers=HEADERS).status_code >= 400
        assert rig.client.post(PATH, content=request_of(ONE), headers=HEADERS).status_code == 202
        assert rig.metric("repeated_spans_total") == 0
    assert delivered(server) == [[ONE], [ONE]]


def test_it_is_remembered_over_a_restart(start_bridge: Any, server: ScoreServer) -> None:
    for content in (request_of(ONE), request_of(ONE, TWO)):
        with start_bridge(server.url) as rig:
            rig.client.post(PATH, content=content, headers=HEADERS)
    assert delivered(server) == [[ONE], [TWO]]


def test_json_as_well(start_bridge: Any, server: ScoreServer) -> None:
    def sent(*ids: str) -> dict[str, Any]:
        made = [
            {"traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": one, "name": "chat", "kind": 3}
            for one in ids
        ]
        return {"resourceSpans": [{"scopeSpans": [{"spans": made}]}]}

    headers = {"authorization": "Basic YTpi"}
    with start_bridge(server.url) as rig:
        rig.client.post(PATH, json=sent(ONE), headers=headers)
        rig.client.post(PATH, json=sent(ONE, TWO), headers=headers)
        rig.client.post(PATH, content=request_of(TWO, THREE), headers=HEADERS)
        again = rig.client.post(PATH, json=sent(ONE), headers=headers)
    assert (again.status_code, again.json()) == (200, {})
    assert server.requests[0].body == sent(ONE)  # the very request
    assert server.requests[1].headers["content-type"] == "application/x-protobuf"
    assert [[one.span_id.hex() for one in spans_of(request.body)] for request in server.requests[1:]] == [
        [TWO],
        [THREE],
    ]


def test_two_projects_get_it_both(start_bridge: Any, server: ScoreServer) -> None:
    with start_bridge(server.url) as rig:
        for keys in ("Basic YTpi", "Basic YzpkZQ==", "Basic YTpi"):
            rig.client.post(PATH, content=request_of(ONE), headers={**HEADERS, "authorization": keys})
    assert delivered(server) == [[ONE], [ONE]]


def test_spans_without_ids_are_never_repeated(start_bridge: Any, server: ScoreServer) -> None:
    nameless = span("x", ONE, CHAT)
    nameless.span_id = b""
    body = traces(nameless, nameless).SerializeToString()
    with start_bridge(server.url) as rig:
        for _ in range(2):
            rig.client.post(PATH, content=body, headers=HEADERS)
    assert delivered(server) == [["", ""], ["", ""]]


@pytest.mark.parametrize("status", [202, 503])
def test_what_is_on_its_way_is_waited_for(start_bridge: Any, server: ScoreServer, status: int) -> None:
    """The sender gave up on its first request, which Langfuse takes (or not) while the second is there."""
    server.gate.clear()
    server.script = [Answer(status)]
    with start_bridge(server.url) as rig, ThreadPoolExecutor(2) as pool:

        def post(*ids: str) -> int:
            return int(rig.client.post(PATH, content=request_of(*ids), headers=HEADERS).status_code)

        first = pool.submit(post, ONE)
        wait_for(lambda: rig.bridge.guard._on_the_way, "the first request to be on its way")
        second = pool.submit(post, ONE, TWO)
        server.gate.set()
        assert (first.result(30), second.result(30)) == (status, 202)
    assert delivered(server) == ([[ONE], [TWO]] if status == 202 else [[ONE], [ONE, TWO]])


def test_the_memory_is_bounded_and_keeps_the_newest(tmp_path: Path) -> None:
    keys = [span_key(b"p", bytes(16), number.to_bytes(8, "big")) for number in range(1000)]
    seen = SeenSpans(tmp_path / "seen.db", limit=100)
    for start in range(0, 1000, 50):
        seen.add(keys[start : start + 50])
        newest = keys[max(start - 50, 0) : start + 50]
        assert seen.known(newest) == set(newest)
    known = seen.known(keys)
    assert 100 <= len(known) <= 200
    assert known == set(keys[-len(known) :])
    seen.close()
    again = SeenSpans(tmp_path / "seen.db", limit=100)
    assert again.known(keys) == known
    again.add(keys[:50])
    assert set(keys[:50]) <= again.known(keys)
    again.close()


def test_a_damaged_file_is_set_aside_and_a_disk_that_fails_loses_no_span(
    start_bridge: Any, server: ScoreServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "bridge").mkdir()
    (tmp_path / "bridge" / "seen.db").write_bytes(b"no database" * 1000)
    with start_bridge(server.url) as rig:
        assert "seen.db is damaged" in caplog.text
        rig.bridge.guard._seen._db.execute("PRAGMA query_only=ON")
        for _ in range(2):
            assert rig.client.post(PATH, content=request_of(ONE), headers=HEADERS).status_code == 202
        rig.bridge.guard._seen._db.execute("PRAGMA query_only=OFF")
    assert delivered(server) == [[ONE], [ONE]]
    assert caplog.text.count("cannot be told from new ones") == 1


def test_a_folder_in_its_place_is_an_error_that_says_what_to_do(start_bridge: Any, tmp_path: Path) -> None:
    (tmp_path / "bridge" / "seen.db").mkdir(parents=True)
    with pytest.raises(BridgeError, match="set OTEL_AGENTS_HOME"), start_bridge("http://127.0.0.1:1"):
        pass


def test_a_request_that_changes_nothing_keeps_its_bytes(start_bridge: Any, server: ScoreServer) -> None:
    packed = gzip.compress(request_of(ONE))
    with start_bridge(server.url) as rig:
        rig.client.post(PATH, content=packed, headers={**HEADERS, "content-encoding": "gzip"})
    assert server.requests[0].body == packed
