"""GET /api/public/v2/observations: fields, parameters, filters, pages."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from local_spans import START, TRACE, span

URL = "/api/public/v2/observations"
OTHER = "f" * 32
SECOND = 10**9


def iso(offset_s: float) -> str:
    from otel_agents.local import times

    return times.iso(START + int(offset_s * SECOND))


@pytest.fixture
def rows(client: httpx.Client, export: Callable[..., Any]) -> httpx.Client:
    """An agent with a model call and a tool in one trace; a failed orphan of another trace."""
    export(
        span(
            "a" * 16,
            name="invoke_agent writer",
            attributes={
                "gen_ai.operation.name": "invoke_agent",
                "langfuse.trace.name": "review",
                "langfuse.trace.tags": ["x", "y"],
                "langfuse.trace.metadata.agent": "writer",
                "langfuse.trace.metadata.attempts": 3,
                "langfuse.trace.metadata.switched": True,
                "langfuse.environment": "prod",
                "langfuse.release": "r1",
                "session.id": "s1",
                "user.id": "u1",
                "langfuse.observation.input": "q" * 300,
                "langfuse.observation.output": "final answer",
            },
        ),
        span(
            "b" * 16,
            parent="a" * 16,
            name="chat gpt-4o",
            start=START + SECOND,
            end=START + 3 * SECOND,
            attributes={
                "gen_ai.operation.name": "chat",
                "gen_ai.request.model": "gpt-4o",
                "gen_ai.request.temperature": 0.5,
                "langfuse.observation.usage_details": '{"input":100,"input_cached_tokens":20,"output":40}',
                "langfuse.observation.cost_details": '{"input":0.25,"output":0.5}',
                "langfuse.observation.completion_start_time": iso(1.25),
                "langfuse.observation.prompt.name": "p",
                "langfuse.observation.prompt.version": 2,
            },
        ),
        span(
            "c" * 16,
            parent="a" * 16,
            name="execute_tool search",
            start=START + 2 * SECOND,
            attributes={
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": "search",
                "langfuse.environment": "dev",
                "langfuse.version": "v7",
            },
        ),
    )
    export(
        span(
            "d" * 16,
            trace=OTHER,
            parent="e" * 16,
            name="lost",
            start=START - SECOND,
            status=2,
            message="boom",
        )
    )
    return client


def ids(client: httpx.Client, **params: Any) -> str:
    answer = client.get(URL, params=params)
    assert answer.status_code == 200, answer.text
    return "".join(row["id"][0] for row in answer.json()["data"])


def filtered(client: httpx.Client, *filters: dict[str, Any], **params: Any) -> str:
    return ids(client, filter=json.dumps(filters), **params)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        # contract 5.2: order start_time desc
        ({}, "cbad"),
        ({"type": "GENERATION"}, "b"),
        ({"name": "search"}, "c"),
        ({"userId": "u1"}, "a"),
        ({"sessionId": "s1"}, "a"),
        ({"level": "ERROR"}, "d"),
        ({"traceId": OTHER}, "d"),
        ({"version": "v7"}, "c"),
        ({"parentObservationId": "a" * 16}, "cb"),
        # contract 5.2: '' = no parent
        ({"parentObservationId": ""}, "a"),
        ({"isRootObservation": "true"}, "a"),
        ({"isRootObservation": "false"}, "cbd"),
        ({"environment": "prod"}, "a"),
        # contract 5.2: environment is repeatable
        ({"environment": ["prod", "dev"]}, "ca"),
        # contract 5.2: from is inclusive, to exclusive
        ({"fromStartTime": iso(1)}, "cb"),
        ({"toStartTime": iso(0)}, "d"),
        ({"limit": 2}, "cb"),
        ({"limit": 0}, ""),
    ],
)
def test_parameters(rows: httpx.Client, params: dict[str, Any], expected: str) -> None:
    assert ids(rows, **params) == expected


def s(column: str, operator: str, value: str, **rest: Any) -> dict[str, Any]:
    return {"type": "string", "column": column, "operator": operator, "value": value, **rest}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (s("name", "=", "search"), "c"),
        (s("name", "contains", "o"), "bad"),
        (s("name", "does not contain", "o"), "c"),
        (s("name", "starts with", "chat"), "b"),
        (s("name", "ends with", "gpt-4o"), "b"),
        (s("traceId", "=", OTHER), "d"),
        (s("model", "=", "gpt-4o"), "b"),
        (s("providedModelName", "=", "gpt-4o"), "b"),
        (s("promptName", "=", "p"), "b"),
        (s("statusMessage", "=", "boom"), "d"),
        # contract 2.10: fallback of the trace's name is a root's own
        (s("traceName", "=", "review"), "a"),
        (s("output", "matches", "FINAL"), "a"),
        (s("environment", "=", "default"), "bd"),
        ({"type": "stringOptions", "column": "type", "operator": "any of", "value": ["AGENT", "TOOL"]}, "ca"),
        ({"type": "stringOptions", "column": "type", "operator": "none of", "value": ["AGENT"]}, "cbd"),
        ({"type": "number", "column": "latency", "operator": ">=", "value": 2}, "b"),
        ({"type": "number", "column": "timeToFirstToken", "operator": "<", "value": 0.5}, "b"),
        ({"type": "number", "column": "tokensPerSecond", "operator": "=", "value": 20}, "b"),
        ({"type": "number", "column": "inputTokens", "operator": "=", "value": 120}, "b"),
        ({"type": "number", "column": "tokens", "operator": ">", "value": 0}, "b"),
        ({"type": "number", "column": "totalCost", "operator": "=", "value": 0.75}, "b"),
        ({"type": "number", "column": "promptVersion", "operator": "=", "value": 2}, "b"),
        ({"type": "datetime", "column": "startTime", "operator": "<", "value": iso(0)}, "d"),
        ({"type": "boolean", "column": "isRootObservation", "operator": "=", "value": True}, "a"),
        ({"type": "boolean", "column": "isRootObservation", "operator": "<>", "value": True}, "cbd"),
        ({"type": "arrayOptions", "column": "tags", "operator": "any of", "value": ["x", "z"]}, "a"),
        ({"type": "arrayOptions", "column": "traceTags", "operator": "all of", "value": ["x", "y"]}, "a"),
        ({"type": "arrayOptions", "column": "tags", "operator": "all of", "value": ["x", "z"]}, ""),
        ({"type": "arrayOptions", "column": "tags", "operator": "none of", "value": ["x"]}, "cbd"),
        ({"type": "null", "column": "userId", "operator": "is not null"}, "a"),
        ({"type": "null", "column": "userId", "operator": "is null"}, "cbd"),
        (
            {
                "type": "stringObject",
                "column": "metadata",
                "key": "agent",
                "operator": "=",
                "value": "writer",
            },
            "a",
        ),
        (
            {
                "type": "stringObject",
                "column": "metadata",
                "key": "agent",
                "operator": "ends with",
                "value": "er",
            },
            "a",
        ),
        (
            {
                "type": "stringObject",
                "column": "metadata",
                "key": "switched",
                "operator": "=",
                "value": "true",
            },
            "a",
        ),
        (
            {"type": "stringObject", "column": "metadata", "key": "attempts", "operator": "=", "value": "3"},
            "a",
        ),
        ({"type": "stringObject", "column": "metadata", "key": "agent", "operator": "is set"}, "a"),
        ({"type": "stringObject", "column": "metadata", "key": "agent", "operator": "is not set"}, "cbd"),
        ({"type": "numberObject", "column": "metadata", "key": "attempts", "operator": ">", "value": 2}, "a"),
        (
            {
                "type": "categoryOptions",
                "column": "metadata",
                "key": "agent",
                "operator": "any of",
                "value": ["writer", "b"],
            },
            "a",
        ),
    ],
)
def test_filters(rows: httpx.Client, given: dict[str, Any], expected: str) -> None:
    assert filtered(rows, given) == expected


def test_filter_replaces_the_plain_parameters(rows: httpx.Client) -> None:
    assert filtered(rows, s("name", "=", "search"), type="GENERATION") == "c"  # contract 5.2
    both = (s("type", "=", "TOOL"), s("name", "=", "lost"))
    assert filtered(rows, *both) == ""


@pytest.mark.parametrize(
    "params",
    [
        {"parseIoAsJson": "true"},  # contract 5.2: true → 400
        {"limit": 1001},
        {"limit": "x"},
        {"cursor": "x"},
        {"fromStartTime": "x"},
        {"filter": "{"},
        {"filter": "{}"},
        {"filter": json.dumps([s("nope", "=", "x")])},
        {"filter": json.dumps([s("name", "like", "x")])},
        {"filter": json.dumps([{"type": "number", "column": "latency", "operator": "=", "value": "x"}])},
        {"filter": json.dumps([{"type": "number", "column": "name", "operator": "=", "value": 1}])},
        {
            "filter": json.dumps(
                [{"type": "stringObject", "column": "metadata", "operator": "=", "value": "x"}]
            )
        },
        {"filter": json.dumps([s("input", "contains", "q")])},
        {"filter": "[5]"},
    ],
)
def test_refused(rows: httpx.Client, params: dict[str, Any]) -> None:
    answer = rows.get(URL, params=params)
    assert answer.status_code == 400
    assert answer.json()["message"]


def test_pages(rows: httpx.Client) -> None:
    seen, params = "", {"limit": "1"}
    for _ in range(10):
        answer = rows.get(URL, params=params).json()
        seen += "".join(row["id"][0] for row in answer["data"])
        if "cursor" not in answer["meta"]:  # contract 5.2: only when more
            break
        params = {"limit": "1", "cursor": answer["meta"]["cursor"]}
    assert seen == "cbad"


CORE = {"id", "traceId", "startTime", "endTime", "projectId", "parentObservationId", "type"}
BASIC = {
    "name",
    "level",
    "statusMessage",
    "version",
    "environment",
    "bookmarked",
    "public",
    "userId",
    "sessionId",
    "isRootObservation",
}
ALWAYS = {"modelId", "inputPrice", "outputPrice", "totalPrice"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        # contract 5.2, response
        (None, CORE | BASIC),
        ("core", CORE),
        ("basic", CORE | BASIC),
        ("nonsense", CORE),
        ("time", CORE | {"completionStartTime", "createdAt", "updatedAt"}),
        ("io", CORE | {"input", "output"}),
        ("metadata", CORE | {"metadata"}),
        ("model", CORE | {"providedModelName", "model", "internalModelId", "modelParameters"}),
        ("usage", CORE | {"usageDetails", "costDetails", "totalCost", "usagePricingTierName"}),
        ("prompt", CORE | {"promptId", "promptName", "promptVersion"}),
        ("metrics", CORE | {"latency", "timeToFirstToken"}),
        ("trace_context", CORE | {"tags", "release", "traceName"}),
    ],
)
def test_field_groups(rows: httpx.Client, fields: str | None, expected: set[str]) -> None:
    params = {"fields": fields} if fields else {}
    assert set(rows.get(URL, params=params).json()["data"][0]) == expected | ALWAYS


def test_values_of_a_model_call(rows: httpx.Client) -> None:
    fields = "core,basic,time,io,model,usage,prompt,metrics,trace_context"
    row = rows.get(URL, params={"type": "GENERATION", "fields": fields}).json()["data"][0]
    expected = {
        "id": "b" * 16,
        "traceId": TRACE,
        "startTime": iso(1),
        "endTime": iso(3),
        "projectId": "local",
        "parentObservationId": "a" * 16,
        "type": "GENERATION",
        "name": "chat gpt-4o",
        "level": "DEFAULT",
        "isRootObservation": False,
        "model": "gpt-4o",
        "providedModelName": "gpt-4o",
        "modelParameters": {"temperature": 0.5},
        "usageDetails": {"input": 100, "input_cached_tokens": 20, "output": 40, "total": 160},
        "costDetails": {"input": 0.25, "output": 0.5, "total": 0.75},
        "totalCost": 0.75,
        "promptName": "p",
        "promptVersion": 2,
        "latency": 2.0,
        "timeToFirstToken": 0.25,
        "tags": [],
        "release": None,
        "traceName": None,  # contract 2.10: nothing is copied from the root
        "input": None,
    }
    assert {key: row[key] for key in expected} == expected


def test_io_and_metadata_of_the_root(rows: httpx.Client) -> None:
    params = {"isRootObservation": "true", "fields": "io,metadata,trace_context"}
    row = rows.get(URL, params=params).json()["data"][0]
    assert (row["input"], row["output"]) == ("q" * 300, "final answer")
    assert (row["tags"], row["release"], row["traceName"]) == (["x", "y"], "r1", "review")
    assert row["metadata"]["agent"] == "writer"
    assert row["parentObservationId"] is None  # contract 5.2: null if none


def test_metadata_is_cut_unless_expanded(client: httpx.Client, export: Callable[..., Any]) -> None:
    export(
        span(
            attributes={"langfuse.trace.metadata.long": "x" * 500, "langfuse.trace.metadata.also": "y" * 500}
        )
    )
    params = {"fields": "metadata", "expandMetadata": "long"}
    metadata = client.get(URL, params=params).json()["data"][0]["metadata"]
    assert (len(metadata["long"]), len(metadata["also"])) == (500, 200)  # contract 5.2


def test_io_filter_without_io_fields(rows: httpx.Client) -> None:
    found = filtered(rows, s("input", "matches", "QQQ"), fields="core")
    assert found == "a"
