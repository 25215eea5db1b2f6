"""POST /api/public/otel/v1/traces: keys, content types, what is refused and with which body."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import httpx
import pytest
from local_spans import SPAN, START, TRACE, any_value, client_of, export_request, span
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from otel_agents.local.options import LocalOptions
from otel_agents.local.otlp import Rejected, decode, decompress, load_json
from otel_agents.local.server import Running, running
from otel_agents.local.values import Structured, any_value_of_json, any_value_of_protobuf

URL = "/api/public/otel/v1/traces"
PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json"}


def json_export(*spans: dict[str, Any], **scope_spans: Any) -> dict[str, Any]:
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": []},
                "scopeSpans": [{"scope": {"name": "s"}, "spans": list(spans), **scope_spans}],
            }
        ]
    }


def json_span(**rest: Any) -> dict[str, Any]:
    return {"traceId": TRACE, "spanId": SPAN, "name": "n", "startTimeUnixNano": str(START), **rest}


def post_json(client: httpx.Client, body: Any, **headers: str) -> httpx.Response:
    return client.post(URL, content=json.dumps(body), headers={**JSON, **headers})


# --- keys (contract 1, Auth) ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "status", "message"),
    [
        (None, 401, "No authorization header"),
        ("Token abc", 401, "Invalid authorization header"),
        ("Basic !!!", 401, "Invalid authorization header"),
        (
            "Basic " + base64.b64encode(b"pk-lf-local:wrong").decode(),
            401,
            "Invalid credentials. Confirm that you've configured the correct host.",
        ),
        (
            "Bearer wrong",
            401,
            "Invalid public key. Confirm that you've configured the correct host.",
        ),
        ("Bearer pk-lf-local", 403, "Access denied - insufficient permissions for this endpoint"),
    ],
)
def test_keys_are_checked(backend: Running, header: str | None, status: int, message: str) -> None:
    headers = {**PROTOBUF, **({"authorization": header} if header else {})}
    answer = httpx.post(backend.url + URL, content=export_request(span()), headers=headers)
    assert (answer.status_code, answer.json()) == (status, {"message": message})
    assert backend.store.list_traces().items == []


def test_secret_key_decides_and_another_public_key_is_a_finding(backend: Running) -> None:
    # contract 1: "a public key that does not belong to it only logs a warning"
    with client_of(backend, auth=("pk-other", backend.secret_key)) as client:
        assert client.get("/api/public/projects").status_code == 200
    assert [found.kind for found in backend.store.list_findings().items] == ["public_key_mismatch"]


def test_wrong_method(client: httpx.Client) -> None:
    answer = client.get(URL)
    # contract 1: 405
    assert answer.status_code == 405
    assert answer.json() == {"message": "Method not allowed", "error": "MethodNotAllowedError"}


def test_foreign_host_names_are_refused_on_loopback(client: httpx.Client) -> None:
    assert client.get("/api/public/health", headers={"host": "evil.example:3000"}).status_code == 421
    for host in ("localhost:1", "[::1]:3000", "127.0.0.1"):
        assert client.get("/api/public/health", headers={"host": host}).status_code == 200


def test_no_cors(client: httpx.Client) -> None:
    answer = client.request("OPTIONS", "/api/public/projects", headers={"origin": "http://evil.example"})
    assert answer.status_code == 405
    assert "access-control-allow-origin" not in answer.headers


# --- request and responses (contract 1) ----------------------------------------------------------


@pytest.mark.parametrize("content_type", ["application/x-protobuf", "Application/X-Protobuf; charset=x"])
def test_protobuf(client: httpx.Client, backend: Running, content_type: str) -> None:
    answer = client.post(URL, content=export_request(span()), headers={"content-type": content_type})
    # contract 9: 200 {}, JSON for protobuf requests too (contract 1)
    assert (answer.status_code, answer.json()) == (200, {})
    assert answer.headers["content-type"] == "application/json"
    trace = backend.store.get_trace(TRACE)
    assert trace is not None
    assert [row.id for row in trace.observations] == [SPAN]


def test_gzip(client: httpx.Client, backend: Running) -> None:
    body = gzip.compress(export_request(span()))
    answer = client.post(URL, content=body, headers={**PROTOBUF, "content-encoding": "gzip"})
    assert answer.status_code == 200
    assert backend.store.get_trace(TRACE) is not None


def test_json_ids_are_taken_as_they_are(client: httpx.Client, backend: Running) -> None:
    # contract 1: "ids are taken verbatim as strings (no length check, no lower-casing, ...)"
    answer = post_json(client, json_export({**json_span(), "traceId": "ABC-x", "spanId": "S"}))
    assert (answer.status_code, answer.json()) == (200, {})
    trace = backend.store.get_trace("ABC-x")
    assert trace is not None
    assert trace.observations[0].id == "S"


def test_json_int64_as_string_or_number() -> None:
    spans = decode(
        json.dumps(
            json_export(
                json_span(
                    attributes=[
                        {"key": "a", "value": {"intValue": "9007199254740993"}},
                        {"key": "b", "value": {"intValue": 7}},
                    ],
                    endTimeUnixNano=START + 5,
                )
            )
        ).encode(),
        JSON,
        10**6,
    )
    assert spans[0].attributes == {"a": 9007199254740993, "b": 7}
    assert (spans[0].start_ns, spans[0].end_ns) == (START, START + 5)


@pytest.mark.parametrize("parent", ["", None])
def test_json_missing_parent_is_a_root(client: httpx.Client, backend: Running, parent: str | None) -> None:
    post_json(client, json_export(json_span(parentSpanId=parent)))
    trace = backend.store.get_trace(TRACE)
    assert trace is not None
    assert trace.observations[0].is_root


def test_json_all_zero_parent_counts_as_a_parent(client: httpx.Client, backend: Running) -> None:
    post_json(client, json_export(json_span(parentSpanId="0" * 16)))
    trace = backend.store.get_trace(TRACE)
    assert trace is not None
    # contract 1: "all-zero parentSpanId counts as a parent"
    assert not trace.observations[0].is_root


@pytest.mark.parametrize(("code", "level"), [(2, "ERROR"), ("STATUS_CODE_ERROR", "DEFAULT"), (1, "DEFAULT")])
def test_json_status_has_to_be_the_number(
    client: httpx.Client, backend: Running, code: int | str, level: str
) -> None:
    post_json(client, json_export(json_span(status={"code": code, "message": "m"})))
    trace = backend.store.get_trace(TRACE)
    assert trace is not None
    assert trace.observations[0].level == level  # contract 1 and 2.8


@pytest.mark.parametrize("body", [{}, {"resourceSpans": []}, [], {"resourceLogs": [{}]}])
def test_nothing_to_do(client: httpx.Client, body: Any) -> None:
    answer = post_json(client, body)
    assert (answer.status_code, answer.json()) == (200, {})  # contract 1: no resourceSpans or empty list


@pytest.mark.parametrize(
    ("headers", "content", "error"),
    [
        ({"content-type": "text/plain"}, b"{}", "Invalid content type"),
        ({}, b"{}", "Invalid content type"),
        ({**PROTOBUF, "content-encoding": "gzip"}, b"no", "Failed to decompress request body"),
        (
            {**PROTOBUF, "content-encoding": "gzip"},
            gzip.compress(b"x" * 1000, mtime=0)[:-4],
            "Failed to decompress request body",
        ),
        (PROTOBUF, b"\xff\xff\xff", "Failed to parse OTel Protobuf Trace"),
        (JSON, b"{", "Failed to parse OTel JSON Trace"),
        # contract 1: no zstd, br or deflate; they reach the parser as they are
        ({**JSON, "content-encoding": "zstd"}, b"(\xb5/\xfd", "Failed to parse OTel JSON Trace"),
    ],
)
def test_unreadable_bodies(client: httpx.Client, headers: dict[str, str], content: bytes, error: str) -> None:
    answer = client.post(URL, content=content, headers=headers)
    assert (answer.status_code, answer.json()) == (400, {"error": error})  # contract 1, Responses


def test_one_bad_span_rejects_the_whole_batch(client: httpx.Client, backend: Running) -> None:
    good, bad, worse = json_span(), json_span(spanId=""), json_span(traceId=5, parentSpanId=7)
    answer = post_json(client, json_export(good, bad, worse))
    assert answer.status_code == 400
    error = answer.json()["error"]
    # contract 1: the text around the reasons; nothing was ingested
    assert error.startswith("Invalid OTLP trace export: 2 of 3 span(s) cannot be processed (")
    assert "(spanId:absent, traceId:not_an_id, parentSpanId:not_an_id)." in error
    assert "The entire export was rejected and no spans were ingested." in error
    assert "Instrumentation scopes: s." in error
    assert error.endswith("point your log exporter elsewhere.")
    assert backend.store.list_traces().items == []


@pytest.mark.parametrize(
    ("body", "reason", "fields"),
    [
        (json_export(json_span(attributes={})), "attributes:not_an_array", False),
        (json_export(json_span(events={})), "events:not_an_array", False),
        (json_export(json_span(events=[{"attributes": 1}])), "event.attributes:not_an_array", False),
        ({"resourceSpans": [{"scopeSpans": {}}]}, "scopeSpans:not_an_array", True),
        ({"resourceSpans": [{"scopeSpans": [{"spans": "x"}]}]}, "spans:not_an_array", True),
        (
            {"resourceSpans": [{"resource": {"attributes": {}}, "scopeSpans": []}]},
            "resource.attributes:not_an_array",
            True,
        ),
        (
            {"resourceSpans": [{"scopeSpans": [{"scope": {"attributes": {}}, "spans": []}]}]},
            "scope.attributes:not_an_array",
            True,
        ),
    ],
)
def test_fields_that_are_not_arrays(client: httpx.Client, body: Any, reason: str, fields: bool) -> None:
    error = post_json(client, body).json()["error"]
    assert f"({reason})" in error  # contract 1: reason keys
    assert ("; 1 resource- or scope-level field(s) are present but not arrays" in error) is fields


def test_protobuf_without_ids(client: httpx.Client) -> None:
    body = export_request({**span(), "trace_id": b""})
    error = client.post(URL, content=body, headers=PROTOBUF).json()["error"]
    assert "1 of 1 span(s) cannot be processed (traceId:absent)" in error


def test_logs_sent_here_are_refused(client: httpx.Client) -> None:
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=START, severity_text="INFO")
    answer = client.post(URL, content=request.SerializeToString(), headers=PROTOBUF)
    assert answer.status_code == 400  # contract 1, Logs and metrics


@pytest.mark.parametrize("name", ["x-langfuse-ingestion-version", "x_langfuse_ingestion_version"])
@pytest.mark.parametrize(("version", "status"), [("4", 200), ("3", 200), ("5", 400), ("x", 400), ("", 200)])
def test_ingestion_version(client: httpx.Client, name: str, version: str, status: int) -> None:
    answer = post_json(client, json_export(json_span()), **{name: version})
    assert answer.status_code == status
    if status == 400:
        # contract 1: the exact text
        expected = f'Unsupported x-langfuse-ingestion-version: "{version}". Maximum supported: "4".'
        assert answer.json() == {"error": expected}


def test_ingestion_version_is_checked_after_the_body(client: httpx.Client) -> None:
    bad = json_export(json_span(spanId=""))
    error = post_json(client, bad, **{"x-langfuse-ingestion-version": "5"}).json()["error"]
    assert error.startswith("Invalid OTLP trace export")


def test_metrics_are_discarded_and_logs_are_unknown(client: httpx.Client, backend: Running) -> None:
    answer = client.post("/api/public/otel/v1/metrics", content=b"anything")
    assert (answer.status_code, answer.json()) == (200, {"message": "OK"})  # contract 1, Logs and metrics
    assert httpx.post(backend.url + "/api/public/otel/v1/metrics").status_code == 401
    assert client.post("/api/public/otel/v1/logs", content=b"").status_code == 404


def test_bodies_are_bounded(options: LocalOptions) -> None:
    options.max_body_bytes = 1000
    with running(options) as backend, client_of(backend) as client:
        assert client.post(URL, content=b"x" * 1001, headers=PROTOBUF).status_code == 413
        bomb = gzip.compress(b"\0" * 100_000)
        assert len(bomb) < 1000
        answer = client.post(URL, content=bomb, headers={**PROTOBUF, "content-encoding": "gzip"})
        assert answer.json() == {"error": "Failed to decompress request body"}


# --- decoding ------------------------------------------------------------------------------------


def test_several_gzip_members() -> None:
    assert decompress(gzip.compress(b"ab") + gzip.compress(b"cd"), 10) == b"abcd"
    with pytest.raises(Rejected):
        decompress(b"", 10)


def test_lone_surrogates_become_replacement_characters() -> None:
    assert load_json(b'{"a": ["\\ud800x"], "\\udfff": 1}') == {"a": ["\ufffdx"], "\ufffd": 1}


@pytest.mark.parametrize(
    ("value", "text", "meant"),
    [
        # contract 2.1: the raw protobuf JSON of maps, also inside lists
        (
            {"a": "b", "n": 1},
            '{"kvlistValue":{"values":[{"key":"a","value":{"stringValue":"b"}},'
            '{"key":"n","value":{"intValue":1}}]}}',
            {"a": "b", "n": 1},
        ),
        # contract 2.1: bytes become the JSON of a Buffer
        (b"\x01\x02", '{"type":"Buffer","data":[1,2]}', b"\x01\x02"),
    ],
)
def test_structured_values(value: Any, text: str, meant: Any) -> None:
    found = any_value_of_protobuf(any_value(value))
    assert isinstance(found, Structured)
    assert found.text() == text
    assert found.plain == meant


def test_json_values_match_protobuf_values() -> None:
    value = {"arrayValue": {"values": [{"stringValue": "a"}, {"kvlistValue": {"values": []}}]}}
    found = any_value_of_json(value)
    assert found[0] == "a"
    assert found[1].text() == any_value_of_protobuf(any_value({})).text()
    assert any_value_of_json({}) is None
    assert any_value_of_json({"intValue": "x"}) is None
