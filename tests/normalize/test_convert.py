"""``otel-agents convert``: every form that OTLP is written in, and what is none."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from collector_rig import key_values, span, traces
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_agents.cli import main
from otel_agents.normalize.otlp_json import decoded

OLDER = {"gen_ai.operation.name": "chat", "gen_ai.system": "az.ai.openai", "gen_ai.usage.prompt_tokens": 7}


def some_traces(number: int = 1) -> ExportTraceServiceRequest:
    return traces(span("chat", f"{number:016x}", OLDER), scope="somebody")


def some_logs() -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add()
    record.time_unix_nano = 1
    record.trace_id, record.span_id = bytes(range(16)), bytes(range(8))
    record.event_name = "gen_ai.client.inference.operation.details"
    record.body.string_value = "said"
    record.attributes.extend(key_values(OLDER))
    return request


def some_metrics() -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add()
    metric.name = "gen_ai.client.token.usage"
    point = metric.histogram.data_points.add()
    point.count, point.sum, point.time_unix_nano = 1, 7.0, 1
    point.attributes.extend(key_values({"gen_ai.system": "openai", "gen_ai.token.type": "input"}))
    return request


def varint(number: int) -> bytes:
    found = b""
    while number > 0x7F:
        found += bytes([number & 0x7F | 0x80])
        number >>= 7
    return found + bytes([number])


def as_json(request: Any) -> dict[str, Any]:
    from otel_agents.normalize.otlp_files import requests

    [found] = requests(request.SerializeToString(), lambda why: pytest.fail(why))
    return found


FORMS = {
    "one JSON object": lambda many: json.dumps(
        {key: value for one in many for key, value in as_json(one).items()}, indent=2
    ).encode(),
    "a list": lambda many: json.dumps([as_json(one) for one in many]).encode(),
    "lines": lambda many: "\n\n".join(json.dumps(as_json(one)) for one in many).encode(),
    "lengths of four bytes": lambda many: b"".join(
        len(one).to_bytes(4, "big") + one for one in (request.SerializeToString() for request in many)
    ),
    "lengths as varints": lambda many: b"".join(
        varint(len(one)) + one for one in (request.SerializeToString() for request in many)
    ),
    "gzipped": lambda many: gzip.compress("\n".join(json.dumps(as_json(one)) for one in many).encode()),
}


def converted(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, list[Any], str]:
    status = main(["convert", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, [json.loads(line) for line in captured.out.splitlines()], captured.err


@pytest.mark.parametrize("form", FORMS)
def test_every_form(tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(FORMS[form]([some_metrics(), some_traces(), some_logs()]))
    status, lines, error = converted(capsys, path)
    assert (status, error) == (0, "")
    assert [list(one) for one in lines] == [["resourceSpans"], ["resourceLogs"], ["resourceMetrics"]]
    [one] = lines[0]["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert one["spanId"] == "0000000000000001"
    assert one["traceId"] == "0af7651916cd43dd8448eb211c80319c"
    assert decoded(one["attributes"]) == {
        **OLDER, "gen_ai.provider.name": "azure.ai.openai", "gen_ai.usage.input_tokens": 7,
    }  # fmt: skip
    [log] = lines[1]["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    assert log["traceId"] == bytes(range(16)).hex()
    assert decoded(log["attributes"])["gen_ai.provider.name"] == "azure.ai.openai"
    [metric] = lines[2]["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]
    assert decoded(metric["histogram"]["dataPoints"][0]["attributes"])["gen_ai.provider.name"] == "openai"


@pytest.mark.parametrize("request_of", [some_traces, some_logs, some_metrics])
def test_one_request_of_protobuf(tmp_path: Path, capsys: pytest.CaptureFixture[str], request_of: Any) -> None:
    path = tmp_path / "body"
    path.write_bytes(request_of().SerializeToString())
    status, lines, error = converted(capsys, path)
    assert (status, error, len(lines)) == (0, "", 1)


def test_several_files_become_one_line_a_signal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in (1, 2):
        (tmp_path / f"{number}.json").write_text(json.dumps(as_json(some_traces(number))))
    target = tmp_path / "out.jsonl"
    status, lines, error = converted(capsys, tmp_path / "1.json", tmp_path / "2.json", "-o", target)
    assert (status, lines) == (0, [])
    assert error == f"{target}: 2 spans, log records and data points rewritten\n"
    [line] = target.read_text().splitlines()
    assert len(json.loads(line)["resourceSpans"]) == 2


def test_requests_with_what_they_came_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As recorders write them."""
    file = tmp_path / "recorded.json"
    file.write_text(json.dumps({"path": "/v1/traces", "body": as_json(some_traces())}))
    assert main(["convert", str(file)]) == 0
    [line] = capsys.readouterr().out.splitlines()
    [group] = json.loads(line)["resourceSpans"]
    given = decoded(group["scopeSpans"][0]["spans"][0]["attributes"])
    assert given["gen_ai.usage.input_tokens"] == 7


def test_originals_are_kept_on_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "file"
    given = {"openinference.span.kind": "TOOL", "tool.name": "weather"}
    path.write_bytes(traces(span("t", "0000000000000001", given), scope="x").SerializeToString())
    for arguments, names in (((), {"gen_ai.tool.name"}), (("--keep",), {"gen_ai.tool.name", "tool.name"})):
        _, lines, _ = converted(capsys, path, *arguments)
        found = decoded(lines[0]["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"])
        assert {key for key in found if key.endswith("tool.name")} == names


def test_what_is_none_is_skipped_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "lines"
    whole = json.dumps(as_json(some_traces()))
    path.write_text(f'{whole}\n{{"a": 1}}\nno JSON\n{whole[:50]}\n')
    status, lines, error = converted(capsys, path)
    assert (status, len(lines)) == (0, 1)
    assert error.splitlines() == [
        f"warning: {path}: line 2 is no OTLP (no resourceSpans, resourceLogs or resourceMetrics); skipped",
        f"warning: {path}: line 3 is no JSON; skipped",
        f"warning: {path}: line 4 is no JSON; skipped",
    ]


@pytest.mark.parametrize(
    "content", [b"", b"\x00\x01\x02", b"plain text", b'{"a": 1}', b"\x1f\x8bbroken", b"["]
)
def test_nothing_to_convert(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    status, lines, error = converted(capsys, path)
    assert (status, lines) == (1, [])
    assert error.endswith("error: nothing to convert: none of the files holds OTLP\n")


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "none"
    assert converted(capsys, path) == (
        1, [], f"error: {path} cannot be read (No such file or directory); give a file of OTLP\n",
    )  # fmt: skip


def test_attributes_of_any_shape_are_survived(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = [None, 1, "x", [], {}, {"key": 1}, {"key": "a"}, {"key": "b", "value": {"intValue": "no number"}},
           {"key": "c", "value": {"arrayValue": {}}},
           {"key": "gen_ai.system", "value": {"stringValue": "openai"}},
           {"key": "d", "value": {"arrayValue": {"values": [{}, {"stringValue": "y"}]}}}]  # fmt: skip
    spans = [
        {"spanId": 1, "name": None, "attributes": odd, "events": [None, {}]},
        "no span",
        {"attributes": 3},
    ]
    path = tmp_path / "odd.json"
    path.write_text(
        json.dumps({"resourceSpans": [None, {"scopeSpans": [{"scope": None, "spans": spans}, 7]}]})
    )
    status, lines, _ = converted(capsys, path)
    assert status == 0
    [first, *rest] = lines[0]["resourceSpans"][1]["scopeSpans"][0]["spans"]
    assert {"key": "gen_ai.provider.name", "value": {"stringValue": "openai"}} in first["attributes"]
    assert {"key": "b", "value": {"intValue": "no number"}} in first["attributes"]
    assert rest == spans[1:]
