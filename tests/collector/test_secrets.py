"""Secrets in what other instrumentations send: gone wherever they hide, and nothing else is."""

from __future__ import annotations

import json
import time

import pytest
from collector_rig import Collector, attributes, key_values, span, traces
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from parts import wait_for

pytestmark = pytest.mark.collector

CANARY = "Zx9CANARYq7"
KEY = f"sk-proj-{CANARY}0123456789abcdef"
NUMBERS = {
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 20,
    "gen_ai.usage.cache_read.input_tokens": 40,
    "gen_ai.usage.cost": 0.0125,
    "gen_ai.request.max_tokens": 1024,
    "llm.token_count.prompt": 100,
    "gen_ai.response.time_to_first_chunk": 0.25,
}


def through(collector: Collector, one: Span, scope: str = "someone.else", **resource: object) -> Span:
    collector.send(traces(one, scope=scope, resource={"service.name": "app", **resource}))
    return wait_for(lambda: collector.backend.by_id().get(one.span_id.hex()), "the span")


def test_secrets_go_and_numbers_stay(shared_collector: Collector) -> None:
    messages = [{"role": "user", "parts": [{"type": "text", "content": f"my key is {KEY}, thanks"}]}]
    given = {
        "gen_ai.operation.name": "chat",
        "gen_ai.input.messages": json.dumps(messages),
        "gen_ai.output.messages": [{"role": "assistant", "parts": [{"type": "text", "content": KEY}]}],
        "gen_ai.tool.definitions": json.dumps([{"name": "t", "headers": {"api_key": CANARY, "n": 1}}]),
        "http.request.header.authorization": f"Bearer {CANARY}",
        "db.password": CANARY,
        "session_token": CANARY,
        "account.secret": 1234567890,
        "my.list": ["fine", KEY],
        "my.map": {"deep": {"client_secret": CANARY}},
        "langfuse.trace.tags": ["fine", KEY],
        "otel_agents.metadata.note": f"password={CANARY}",
        "url": f"https://user:{CANARY}@example.org/",
        **NUMBERS,
    }
    event = Span.Event(
        name="exception", attributes=key_values({"exception.message": f"key {KEY}", "l": [KEY]})
    )
    status = Status(code=Status.STATUS_CODE_ERROR, message=f"401 for {KEY} in line 3")
    one = span(f"chat {KEY}", "00000000000000a1", given, status=status, events=[event])
    found = through(
        shared_collector, one, **{"process.command_args": ["app", "--api-key", KEY], "app.secret": CANARY}
    )

    for request in shared_collector.backend.accepted("/v1/traces"):
        assert CANARY.encode() not in request.body
    left = attributes(found.attributes)
    assert {key: left[key] for key in NUMBERS} == NUMBERS
    assert json.loads(left["langfuse.observation.usage_details"]) == {
        "input": 60,
        "input_cached_tokens": 40,
        "output": 20,
        "total": 120,
    }
    assert left["langfuse.observation.cost_details"] == '{"total":0.0125}'
    assert json.loads(left["langfuse.observation.input"]) == {
        "messages": [
            {"role": "user", "parts": [{"type": "text", "content": "my key is [redacted], thanks"}]}
        ],
        "tools": [{"name": "t", "headers": {"api_key": "[redacted]", "n": 1}}],
    }
    assert left["account.secret"] == "[redacted]"
    assert json.loads(left["langfuse.trace.tags"]) == ["fine", "[redacted]"]
    assert found.status.message == "401 for [redacted] in line 3"
    assert left["langfuse.observation.status_message"] == found.status.message
    assert found.name == "chat [redacted]"
    assert not [key for key in left if key.startswith("otel_agents.redaction")]


def test_clean_text_leaves_as_it_came(shared_collector: Collector) -> None:
    text = json.dumps(
        [
            {
                "role": "user",
                "parts": [{"type": "text", "content": 'Count the tokens: "secretary" has 1? $1 \\ ü <b>'}],
            }
        ]
    )
    given = {"gen_ai.operation.name": "chat", "gen_ai.input.messages": text, "gen_ai.token.type": "input"}
    status = Status(code=Status.STATUS_CODE_ERROR, message="token limit exceeded: 4096 tokens")
    found = through(shared_collector, span("chat gpt-4o", "00000000000000b1", given, status=status))
    left = attributes(found.attributes)
    assert {key: left[key] for key in given} == given
    assert (found.name, found.status.message) == ("chat gpt-4o", "token limit exceeded: 4096 tokens")


def test_a_value_that_is_no_json_does_not_switch_redaction_off(shared_collector: Collector) -> None:
    given = {"gen_ai.operation.name": "chat", "odd": float("nan"), "odder": {"x": float("inf")}, "text": KEY}
    found = through(shared_collector, span("chat", "00000000000000c1", given))
    assert attributes(found.attributes)["text"] == "[redacted]"


def test_our_own_spans_are_redacted_already_and_not_searched_again(shared_collector: Collector) -> None:
    given = {"gen_ai.operation.name": "chat", "text": "sk-proj-0123456789abcdefghij"}
    found = through(shared_collector, span("chat", "00000000000000d1", given), scope="otel_agents")
    assert attributes(found.attributes)["text"] == given["text"]


def test_an_evaluation_of_others_is_redacted_too(shared_collector: Collector) -> None:
    request = ExportLogsServiceRequest()
    scoped = request.resource_logs.add().scope_logs.add()
    scoped.scope.name = "someone.else"
    for text in (f"because {KEY}", "no body"):
        record = scoped.log_records.add()
        record.event_name = "gen_ai.evaluation.result"
        record.attributes.extend(
            key_values(
                {"gen_ai.evaluation.explanation": text, "gen_ai.evaluation.score.value": 0.5, "l": [KEY]}
            )
        )
    scoped.log_records[0].body.kvlist_value.values.extend(key_values({"why": [KEY]}))
    shared_collector.send(request)
    first, second = wait_for(shared_collector.backend.log_records, "the evaluation")
    assert CANARY not in str(first)
    assert CANARY not in str(second)
    assert attributes(first.attributes)["gen_ai.evaluation.explanation"] == "because [redacted]"
    assert attributes(first.attributes)["gen_ai.evaluation.score.value"] == 0.5
    assert second.body.WhichOneof("value") is None


def test_the_resource_of_metrics_is_redacted_before_it_is_served(shared_collector: Collector) -> None:
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    given = {
        "service.name": "leaky",
        "service.instance.id": "i",
        "deploy.password": CANARY,
        "cmd": f"serve --api-key {KEY}",
    }
    resource.resource.attributes.extend(key_values(given))
    metric = resource.scope_metrics.add().metrics.add()
    metric.name = "leaky.requests"
    metric.gauge.data_points.add(as_int=7, time_unix_nano=time.time_ns())
    shared_collector.send(request)
    wait_for(lambda: "leaky_requests" in shared_collector.metrics(), "the metric")
    [info] = [
        line
        for line in shared_collector.metrics().splitlines()
        if 'job="leaky"' in line and "target_info{" in line
    ]
    assert CANARY not in info
    assert 'deploy_password="[redacted]"' in info
