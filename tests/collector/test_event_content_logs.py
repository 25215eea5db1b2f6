"""Messages sent as log records: from an application through Collector and bridge onto their spans."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from collector_rig import START, TRACE_ID, Collector, attributes, key_values, running, span, traces
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from parts import require, wait_for
from starlette.testclient import TestClient

from otel_agents.bridge.app import create_app
from otel_agents.config import resolve
from otel_agents.stack.collector import collector_environment
from otel_agents.stack.ports import Ports

pytestmark = pytest.mark.collector
ONE, TWO = "00000000000000a1", "00000000000000a2"
KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"
QUESTION = [{"role": "user", "parts": [{"type": "text", "content": f"my key is {KEY}, thanks"}]}]
REDACTED = [{"role": "user", "parts": [{"type": "text", "content": "my key is [redacted], thanks"}]}]
ANSWER = [{"role": "assistant", "parts": [{"type": "text", "content": "Fine."}], "finish_reason": "stop"}]


def logs(*records: LogRecord, scope: str = "opentelemetry.instrumentation.openai_v2") -> Any:
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.extend(key_values({"service.name": "app"}))
    scoped = group.scope_logs.add()
    scoped.scope.name = scope
    scoped.log_records.extend(records)
    return request


def record(event: str, span_id: str, given: dict[str, Any] | None = None, body: Any = None) -> LogRecord:
    made = LogRecord(
        event_name=event,
        time_unix_nano=START,
        trace_id=TRACE_ID,
        span_id=bytes.fromhex(span_id),
        attributes=key_values(given or {}),
    )
    if body is not None:
        [pair] = key_values({"body": body})
        made.body.CopyFrom(pair.value)
    return made


DETAILS = record(
    "gen_ai.client.inference.operation.details",
    ONE,
    {"gen_ai.input.messages": QUESTION, "gen_ai.output.messages": ANSWER},
)
QUESTION_ALONE = record("gen_ai.user.message", TWO, body={"content": f"my key is {KEY}, thanks"})
ANSWER_ALONE = record(
    "gen_ai.choice", TWO, body={"index": 0, "finish_reason": "stop", "message": {"content": "Fine."}}
)
OTHERS = (record("", ONE, body="a line of a log"), record("gen_ai.client.operation.exception", ONE))


@pytest.fixture(scope="module")
def off(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    folder = tmp_path_factory.mktemp("off")
    with running(require("collector"), folder, OTELCOL_EVENT_CONTENT="off") as started:
        yield started


def test_messages_reach_the_bridge_and_other_records_do_not(shared_collector: Collector) -> None:
    shared_collector.send(logs(*OTHERS, DETAILS, QUESTION_ALONE, ANSWER_ALONE))
    records = wait_for(
        lambda: found if len(found := shared_collector.backend.log_records()) == 3 else None, "them"
    )
    assert [one.event_name for one in records] == [
        "gen_ai.client.inference.operation.details",
        "gen_ai.user.message",
        "gen_ai.choice",
    ]
    assert {one.span_id.hex() for one in records} == {ONE, TWO}
    assert not any(KEY.encode() in one.body for one in shared_collector.backend.accepted("/v1/logs"))


def test_without_a_bridge_for_spans_they_stay_where_they_are(off: Collector) -> None:
    off.send(logs(DETAILS))
    off.send(logs(record("gen_ai.evaluation.result", ONE, {"gen_ai.evaluation.name": "quality"})))
    records = wait_for(off.backend.log_records, "the evaluation")
    assert [one.event_name for one in records] == ["gen_ai.evaluation.result"]


@pytest.mark.parametrize(
    ("langfuse", "expected"),
    [("http://b:4319/api/public/otel", "on"), ("https://cloud.langfuse.com/api/public/otel", "off")],
)
def test_the_stack_turns_it_on_where_spans_go_through_the_bridge(langfuse: str, expected: str) -> None:
    ports = Ports(**dict.fromkeys(Ports.__annotations__, 1))
    made = collector_environment(
        ports,
        langfuse_endpoint=langfuse,
        public_key="p",
        secret_key="s",
        bridge_endpoint="http://b:4319",
        storage=Path("q"),
    )
    assert made["OTELCOL_EVENT_CONTENT"] == expected


def test_what_the_collector_lets_through_is_what_the_bridge_merges(
    shared_collector: Collector, tmp_path: Path
) -> None:
    """The very requests that the Collector made go through a bridge, whose Langfuse is the stub again."""
    chat = {"gen_ai.operation.name": "chat"}
    shared_collector.send(logs(DETAILS, QUESTION_ALONE, ANSWER_ALONE))
    shared_collector.send(traces(span("chat m", ONE, chat), span("chat m", TWO, chat)))
    backend = shared_collector.backend
    wait_for(lambda: {ONE, TWO} <= backend.by_id().keys(), "the spans")
    wait_for(lambda: len(backend.log_records()) >= 3, "the records")
    requests = list(backend.requests)
    backend.requests.clear()
    settings = resolve(
        {"mode": "disabled"},
        environ={
            "LANGFUSE_BASE_URL": backend.url,
            "LANGFUSE_PUBLIC_KEY": "pk",
            "LANGFUSE_SECRET_KEY": "sk",
            "OTEL_AGENTS_HOME": str(tmp_path),
            "OTEL_AGENTS_SUMMARY_INTERVAL": "0",
        },
        dotenv=False,
    )
    kind = {"content-type": "application/x-protobuf"}
    with TestClient(create_app(settings)) as bridge:
        for request in sorted(requests, key=lambda one: "traces" in one.path):  # records first
            path = "/v1/logs" if request.path.endswith("/v1/logs") else request.path
            assert bridge.post(path, content=request.body, headers=kind).status_code == 200
    for found in (backend.by_id()[ONE], backend.by_id()[TWO]):
        left = attributes(found.attributes)
        assert json.loads(left["langfuse.observation.input"]) == REDACTED
        assert json.loads(left["langfuse.observation.output"]) == ANSWER
