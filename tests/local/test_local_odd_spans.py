"""Whatever a client sends, the mapping reads it and the store keeps it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from local_spans import RECEIVED, any_value, received

from otel_agents.local.mapping.observation import read
from otel_agents.local.store import Store
from otel_agents.local.values import any_value_of_json, any_value_of_protobuf

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALARS = (
    TEXT
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.booleans()
    | st.binary(max_size=5)
    | st.sampled_from(["{}", "[]", '{"input": 5}', "[1", '""', "null", "true", '{"a": null}', "1e999", "-1"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from(
    [
        "langfuse.observation.type",
        "langfuse.observation.usage_details",
        "langfuse.observation.cost_details",
        "langfuse.observation.completion_start_time",
        "langfuse.observation.model.parameters",
        "langfuse.observation.prompt.name",
        "langfuse.observation.prompt.version",
        "langfuse.observation.level",
        "langfuse.observation.input",
        "langfuse.observation.status_message",
        "langfuse.trace.tags",
        "langfuse.trace.name",
        "langfuse.trace.metadata",
        "langfuse.trace.metadata.quality_score",
        "langfuse.trace.metadata.agent",
        "langfuse.trace.metadata.agent_switched",
        "langfuse.trace.metadata.task_type",
        "langfuse.environment",
        "langfuse.release",
        "session.id",
        "user.id",
        "gen_ai.operation.name",
        "gen_ai.request.model",
        "gen_ai.provider.name",
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.cost",
        "gen_ai.usage.anything",
        "gen_ai.prompt.0.role",
        "gen_ai.prompt.0",
        "gen_ai.prompt",
        "gen_ai.completion.x.y",
        "gen_ai.input.messages",
        "gen_ai.tool.definitions",
        "gen_ai.system_instructions",
        "ai.response.msToFirstChunk",
    ]
)


@pytest.fixture(scope="module")
def store() -> Any:
    with tempfile.TemporaryDirectory() as folder:
        found = Store(Path(folder) / "local.db")
        yield found
        found.close()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(KEYS, VALUES, max_size=8), st.booleans())
def test_any_attributes(store: Store, attributes: dict[str, Any], strict: bool) -> None:
    values = {key: any_value_of_protobuf(any_value(value)) for key, value in attributes.items()}
    row, findings = read(received(values), RECEIVED, strict)
    store.add_observations([row], findings)
    trace = store.get_trace(row.trace_id)
    assert trace is not None
    kept = trace.observations[0]
    assert (kept.name, kept.type, kept.input, kept.usage) == (row.name, row.type, row.input, row.usage)
    assert trace.row.n_observations == 1


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "stringValue",
                        "intValue",
                        "arrayValue",
                        "kvlistValue",
                        "bytesValue",
                        "values",
                        "key",
                        "value",
                    ]
                ),
                inner,
                max_size=3,
            )
        ),
        max_leaves=8,
    )
)
def test_any_json_value(value: Any) -> None:
    any_value_of_json(value)


def test_extreme_numbers(store: Store) -> None:
    row, _ = read(received({}, start=2**64 - 1, end=2**64 - 1), RECEIVED)
    store.add_observations([row])
    trace = store.get_trace(row.trace_id)
    assert trace is not None
    assert trace.row.start_ns == 2**63 - 1


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("v2/observations", {"fromStartTime": "9999-12-31T23:59:59Z"}),
        ("v2/observations", {"toStartTime": "0001-01-01T00:00:00Z"}),
        (
            "v2/observations",
            {"filter": '[{"type":"number","column":"latency","operator":">","value":1' + "0" * 40 + "}]"},
        ),
        ("v2/observations", {"filter": "[" * 5000}),
        (
            "v2/observations",
            {"cursor": "eyJsYXN0U3RhcnRUaW1lVG8iOiI5OTk5LTEyLTMxVDIzOjU5OjU5WiIsImxhc3RUcmFjZUlkIjoiIn0"},
        ),
        ("v3/scores", {"fromTimestamp": "9999-12-31T23:59:59Z"}),
        ("v3/scores", {"value": "nan,inf,1e999"}),
        ("v2/prompts/x", {"version": "9" * 30}),
        ("v2/prompts", {"page": "9" * 30}),
        ("v2/metrics", {"query": "[" * 5000}),
        (
            "v2/metrics",
            {
                "query": '{"view":"observations","metrics":[{"measure":"count","aggregation":"count"}],'
                '"timeDimension":{"granularity":"minute"},'
                '"fromTimestamp":"0001-01-01T00:00:00Z","toTimestamp":"9999-01-01T00:00:00Z"}'
            },
        ),
    ],
)
def test_odd_reads_are_answered_or_refused(client: httpx.Client, path: str, params: dict[str, str]) -> None:
    assert client.get(f"/api/public/{path}", params=params).status_code in (200, 400, 404)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("otel/v1/traces", b'{"resourceSpans":' + b"[" * 100_000),
        (
            "otel/v1/traces",
            b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"a","spanId":"b","attributes":[{"key":"k","value":'
            + b'{"arrayValue":{"values":[' * 600
            + b"]}}" * 600
            + b"}]}]}]}]}",
        ),
        ("scores", b'{"name":"x","traceId":"t","value":1' + b"0" * 400 + b"}"),
        ("scores", b'{"name":"x","traceId":"t","value":NaN}'),
        ("scores", b'{"name":"x","traceId":"t","value":1,"metadata":' + b"[" * 5000 + b"]" * 5000 + b"}"),
        ("scores", b"\xff\xfe"),
        ("ingestion", b"[]"),
        ("v2/prompts", b'{"name":"p","prompt":"x","config":1' + b"0" * 50 + b"}"),
    ],
)
def test_odd_bodies_are_taken_or_refused(client: httpx.Client, path: str, content: bytes) -> None:
    answer = client.post(f"/api/public/{path}", content=content, headers={"content-type": "application/json"})
    assert answer.status_code in (200, 201, 400), answer.text
