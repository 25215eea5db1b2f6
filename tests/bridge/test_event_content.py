"""Messages that travel as log records come onto their span, within a bounded wait that few ever notice."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from collector_rig import START, TRACE_ID, key_values, span, traces
from collector_rig import attributes as attributes_of
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from parts import wait_for
from score_server import Answer, ScoreServer

PATH = "/api/public/otel/v1/traces"
PROTOBUF = {"content-type": "application/x-protobuf"}
CHAT = {"gen_ai.operation.name": "chat", "langfuse.observation.type": "generation"}
DETAILS = "gen_ai.client.inference.operation.details"
INPUT, OUTPUT = "langfuse.observation.input", "langfuse.observation.output"
QUESTION = [{"role": "user", "parts": [{"type": "text", "content": "Why?"}]}]
ANSWER = [{"role": "assistant", "parts": [{"type": "text", "content": "Because."}], "finish_reason": "stop"}]
ONE, TWO, THREE = (f"00000000000000a{number}" for number in (1, 2, 3))
WHOLE = {"gen_ai.input.messages": QUESTION, "gen_ai.output.messages": ANSWER}


def record(
    event: str,
    span_id: str = ONE,
    *,
    body: Any = None,
    at: int = START,
    named_by: str = "event_name",
    attributes: Mapping[str, Any] | None = None,
) -> LogRecord:
    made = LogRecord(time_unix_nano=at, trace_id=TRACE_ID, span_id=bytes.fromhex(span_id))
    given = dict(attributes or {})
    if named_by == "event_name":
        made.event_name = event
    else:
        given["event.name"] = event
    made.attributes.extend(key_values(given))
    if body is not None:
        [pair] = key_values({"body": body})
        made.body.CopyFrom(pair.value)
    return made


def logs(*records: LogRecord, service: str = "app") -> bytes:
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.extend(key_values({"service.name": service}))
    group.scope_logs.add().log_records.extend(records)
    return request.SerializeToString()


class Posts:
    """A bridge with one wait, and what Langfuse got from it."""

    def __init__(self, rig: Any, server: ScoreServer) -> None:
        self.rig = rig
        self.server = server

    def say(self, *records: LogRecord, service: str = "app") -> None:
        answer = self.rig.client.post("/v1/logs", content=logs(*records, service=service), headers=PROTOBUF)
        assert answer.status_code == 200, answer.text

    def send(self, *spans: Any, service: str = "app") -> float:
        """Seconds that it took."""
        started = time.monotonic()
        body = traces(*spans, resource={"service.name": service}).SerializeToString()
        answer = self.rig.client.post(PATH, content=body, headers=PROTOBUF)
        assert answer.status_code == 202, answer.text
        return time.monotonic() - started

    def got(self) -> dict[str, dict[str, Any]]:
        """Attributes by span id."""
        found = {}
        for request in self.server.requests:
            body = gzip.decompress(request.body) if request.body[:2] == b"\x1f\x8b" else request.body
            for group in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in group.scope_spans:
                    found |= {one.span_id.hex(): attributes_of(one.attributes) for one in scope.spans}
        return found

    def content(self, span_id: str = ONE) -> tuple[Any, Any]:
        left = self.got()[span_id]
        given, produced = (json.loads(left[key]) if left.get(key) else None for key in (INPUT, OUTPUT))
        return given, produced

    def counted(self, outcome: str) -> float:
        return float(self.rig.metric("event_content_total", outcome=outcome))


@pytest.fixture
def posts(
    start_bridge: Any, server: ScoreServer, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., AbstractContextManager[Posts]]:
    """A bridge that waits for so many seconds."""

    @contextmanager
    def start(wait: float = 2.0) -> Iterator[Posts]:
        with start_bridge(server.url) as rig:
            monkeypatch.setattr(rig.bridge.guard.merger, "_seconds", wait)
            yield Posts(rig, server)

    return start


def test_a_whole_call_in_one_event(posts: Any) -> None:
    with posts() as here:
        here.say(record(DETAILS, attributes={**WHOLE, "gen_ai.request.model": "m"}))
        assert here.send(span("chat m", ONE, CHAT)) < 1
        assert here.content() == (QUESTION, ANSWER)
        assert here.got()[ONE]["langfuse.observation.type"] == "generation"
        assert (here.counted("stored"), here.counted("merged")) == (1, 1)
        assert here.rig.bridge.contents.waiting() == 0


def test_system_instructions_and_tools_go_where_they_go_on_spans(posts: Any) -> None:
    tools = [{"type": "function", "name": "weather"}]
    given = {
        "gen_ai.system_instructions": [{"type": "text", "content": "Be brief."}],
        "gen_ai.input.messages": json.dumps(QUESTION),  # the Collector's redaction makes text of it
        "gen_ai.tool.definitions": tools,
    }
    with posts() as here:
        here.say(record(DETAILS, attributes=given))
        here.send(span("chat m", ONE, CHAT))
        system = {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]}
        assert here.content() == ({"messages": [system, *QUESTION], "tools": tools}, None)


@pytest.mark.parametrize("named_by", ["event_name", "attribute"])
@pytest.mark.parametrize("where", ["body", "text", "attribute"])
def test_a_message_each(posts: Any, where: str, named_by: str) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"at": "Rome"}'}}
    said = [
        ("gen_ai.system.message", {"content": "Be brief."}),
        ("gen_ai.user.message", {"content": "Rain?"}),
        ("gen_ai.assistant.message", {"tool_calls": [call]}),
        ("gen_ai.tool.message", {"id": "c1", "content": "no"}),
        ("gen_ai.choice", {"index": 1, "finish_reason": "stop", "message": {"content": "None."}}),
        ("gen_ai.choice", {"index": 0, "finish_reason": "stop", "message": {"content": "No."}}),
    ]
    records = []
    for number, (event, body) in enumerate(said):
        placed: dict[str, Any] = {"body": body} if where == "body" else {"body": json.dumps(body)}
        if where == "attribute":
            placed = {"attributes": {"gen_ai.event.content": json.dumps(body)}}
        records.append(record(event, at=START + number, named_by=named_by, **placed))
    with posts() as here:
        here.say(*reversed(records))
        here.send(span("chat m", ONE, CHAT))
        given, produced = here.content()
    text = [{"type": "text", "content": "Be brief."}], [{"type": "text", "content": "Rain?"}]
    assert [one["role"] for one in given] == ["system", "user", "assistant", "tool"]
    assert (given[0]["parts"], given[1]["parts"]) == text
    [asked] = given[2]["parts"]
    assert (asked["type"], asked["name"], asked["id"]) == ("tool_call", "weather", "c1")
    assert given[3]["parts"] == [{"type": "tool_call_response", "id": "c1", "response": "no"}]
    assert produced == [
        {"role": "assistant", "parts": [{"type": "text", "content": text}], "finish_reason": "stop"}
        for text in ("No.", "None.")
    ]


def test_a_record_that_comes_twice_is_one_message(posts: Any) -> None:
    question = record("gen_ai.user.message", body={"content": "Why?"})
    with posts() as here:
        here.say(question)
        here.say(question, record("gen_ai.choice", body={"message": {"content": "Because."}}))
        here.send(span("chat m", ONE, CHAT))
        assert here.content()[0] == QUESTION


def test_content_on_the_span_wins_and_its_events_do_not_stay(posts: Any) -> None:
    with posts() as here:
        here.say(record(DETAILS, attributes=WHOLE))
        here.send(span("chat m", ONE, {**CHAT, INPUT: '["mine"]'}))
        assert here.content() == (["mine"], None)
        assert here.rig.bridge.contents.waiting() == 0


def test_empty_input_is_none(posts: Any) -> None:
    with posts() as here:
        here.say(record(DETAILS, attributes=WHOLE))
        here.send(span("chat m", ONE, {**CHAT, INPUT: "", "gen_ai.prompt.name": "p"}))
        assert here.content() == (QUESTION, ANSWER)


def test_a_span_waits_for_its_content_when_the_service_sends_some(posts: Any) -> None:
    with posts(20.0) as here, ThreadPoolExecutor(1) as pool:
        here.say(record(DETAILS, TWO, attributes=WHOLE))
        sending = pool.submit(here.send, span("chat m", ONE, CHAT))
        wait_for(lambda: here.rig.bridge.guard.merger.waiting, "the span to wait")
        here.say(record("gen_ai.user.message", body={"content": "Why?"}))
        assert not sending.done()
        here.say(record("gen_ai.choice", body={"message": {"content": "Because."}, "finish_reason": "stop"}))
        assert sending.result(30) < 15
        assert here.content() == (QUESTION, ANSWER)
        assert here.rig.metric("content_waits_total", outcome="found") == 1


def test_a_call_that_failed_has_no_answer_to_wait_for(posts: Any) -> None:
    with posts(20.0) as here:
        here.say(record("gen_ai.user.message", body={"content": "Why?"}))
        failed = span("chat m", ONE, CHAT, status=Status(code=Status.STATUS_CODE_ERROR))
        assert here.send(failed) < 15
        assert here.content() == (QUESTION, None)


def test_nobody_else_waits(posts: Any) -> None:
    with posts(20.0) as here:
        here.say(record(DETAILS, THREE, attributes=WHOLE))
        assert here.send(span("chat m", ONE, CHAT), service="another") < 15
        tool = {"gen_ai.operation.name": "execute_tool"}
        agent = {"gen_ai.operation.name": "invoke_agent"}
        has = {**CHAT, OUTPUT: "[]"}
        assert here.send(span("tool", TWO, tool), span("agent", "00000000000000b1", agent)) < 15
        assert here.send(span("chat m", "00000000000000b2", has)) < 15
        assert here.rig.metric("content_waits_total", outcome="in_vain") == 0


def test_the_wait_is_bounded_and_given_up_after_a_while(posts: Any) -> None:
    with posts(0.3) as here:
        here.say(record(DETAILS, "00000000000000ff", attributes=WHOLE))
        took = [here.send(span("chat m", f"{number:016x}", CHAT)) for number in range(1, 6)]
        assert [one >= 0.3 for one in took[:3]] == [True] * 3
        assert here.rig.metric("content_waits_total", outcome="in_vain") == 3
        assert len(here.got()) == 5
        assert here.content("0000000000000001") == (None, None)


def test_zero_never_waits_and_merges_what_is_there(posts: Any) -> None:
    with posts(0.0) as here:
        here.say(record(DETAILS, attributes=WHOLE))
        here.send(span("chat m", ONE, CHAT), span("chat m", TWO, CHAT))
        assert here.content() == (QUESTION, ANSWER)
        assert here.rig.metric("content_waits_total", outcome="in_vain") == 0


def test_what_comes_too_late_is_counted(posts: Any) -> None:
    with posts() as here:
        here.send(span("chat m", ONE, CHAT))
        here.say(record(DETAILS, attributes=WHOLE))
        assert (here.counted("late"), here.counted("stored")) == (1, 0)


def test_what_was_not_delivered_keeps_its_content(posts: Any, server: ScoreServer) -> None:
    server.script = [Answer(503)]
    with posts() as here:
        here.say(record(DETAILS, attributes=WHOLE))
        body = traces(span("chat m", ONE, CHAT)).SerializeToString()
        assert here.rig.client.post(PATH, content=body, headers=PROTOBUF).status_code == 503
        server.requests.clear()
        here.send(span("chat m", ONE, CHAT))
        assert here.content() == (QUESTION, ANSWER)


def test_content_outlives_the_bridge(posts: Any) -> None:
    with posts() as here:
        here.say(record(DETAILS, attributes=WHOLE))
    with posts() as here:
        here.send(span("chat m", ONE, CHAT))
        assert here.content() == (QUESTION, ANSWER)


@pytest.mark.parametrize(
    "given",
    [
        record(DETAILS, attributes={"gen_ai.request.model": "m"}),
        record("gen_ai.user.message", body="{broken"),
        record("gen_ai.user.message", body=7),
        record("gen_ai.choice", body={"message": {}}),
        record("gen_ai.choice", body={"index": "x", "message": {"content": {"odd": 1.5}}}),
        record("gen_ai.assistant.message", body={"tool_calls": [None, 3, {"function": "x"}]}),
        record("gen_ai.tool.message", body={"content": [{"type": "text"}], "id": 5}),
        LogRecord(event_name=DETAILS, attributes=key_values(WHOLE)),
        LogRecord(event_name=DETAILS, attributes=key_values(WHOLE), trace_id=b"short", span_id=b"x"),
    ],
)
def test_odd_records_break_nothing(posts: Any, given: LogRecord) -> None:
    with posts() as here:
        here.say(given)
        here.send(span("chat m", ONE, CHAT))
        assert here.got()[ONE]["gen_ai.operation.name"] == "chat"


def test_room_is_bounded_and_the_oldest_goes(posts: Any) -> None:
    with posts() as here:
        here.rig.bridge.contents._max_bytes = 20_000
        for number in range(1, 31):
            text = [{"role": "user", "parts": [{"type": "text", "content": f"{number} " + "x" * 2000}]}]
            here.say(record(DETAILS, f"{number:016x}", attributes={"gen_ai.input.messages": text}))
        left = here.rig.bridge.contents.waiting()
        assert 5 <= left <= 10
        assert here.counted("expired") == 30 - left
        here.send(*(span("chat m", f"{number:016x}", CHAT) for number in (30, 1)))
        assert here.content("000000000000001e")[0][0]["parts"][0]["content"].startswith("30 ")
        assert here.content("0000000000000001") == (None, None)


def test_a_repeated_span_waits_for_nothing(posts: Any) -> None:
    with posts(20.0) as here:
        here.say(record(DETAILS, attributes=WHOLE))
        here.send(span("chat m", ONE, CHAT))
        body = traces(span("chat m", ONE, CHAT)).SerializeToString()
        started = time.monotonic()
        assert here.rig.client.post(PATH, content=body, headers=PROTOBUF).status_code == 200
        assert time.monotonic() - started < 15


def test_the_setting_is_what_a_bridge_waits(
    make_settings: Any, start_bridge: Any, server: ScoreServer
) -> None:
    assert make_settings(server.url).event_wait == 2.0
    assert make_settings(server.url, event_wait=0.5).event_wait == 0.5
    with start_bridge(server.url) as rig:
        wait_for(lambda: rig.bridge.guard.merger._seconds == 2.0, "the default")
