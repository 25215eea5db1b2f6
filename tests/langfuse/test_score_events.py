"""Which score an evaluation event becomes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_agents.langfuse.score_events import MAX_REQUEST_BYTES, NotAScore, score_of

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "00f067aa0ba902b7"
OTHER_TRACE = "1" * 32
#: 2025-11-23T12:13:20.123456789Z; its microseconds do not survive a float.
WHEN = 1_763_900_000_123_456_789
NAME = {"gen_ai.evaluation.name": "quality"}
QUALITY = {**NAME, "gen_ai.evaluation.score.value": 0.9}


def body_of(
    attributes: Mapping[str, Any],
    trace_id: str | None = TRACE,
    span_id: str | None = SPAN,
    when: int = WHEN,
    **rest: Any,
) -> dict[str, Any]:
    score = score_of(attributes, trace_id, span_id, when, **rest)
    body: dict[str, Any] = json.loads(score.body)
    assert body["id"] == score.id
    return body


def test_the_whole_of_our_own_event() -> None:
    attributes = {
        **QUALITY,
        "gen_ai.evaluation.explanation": "well argued",
        "gen_ai.agent.name": "claude",
        "deployment.environment.name": "Prod EU",
        "otel_agents.score.id": "id-1",
        "otel_agents.score.data_type": "NUMERIC",
        "otel_agents.score.trace_id": OTHER_TRACE,
        "otel_agents.score.observation_id": SPAN,
        "otel_agents.metadata.judge": "gpt",
    }
    assert body_of(attributes, TRACE, None) == {
        "id": "id-1",
        "traceId": OTHER_TRACE,
        "observationId": SPAN,
        "name": "quality",
        "value": 0.9,
        "dataType": "NUMERIC",
        "timestamp": "2025-11-23T12:13:20.123456Z",
        "environment": "prod-eu",
        "comment": "well argued",
        "metadata": {"judge": "gpt", "agent": "claude"},
    }


@pytest.mark.parametrize(
    ("attributes", "data_type", "value"),
    [
        ({"gen_ai.evaluation.score.value": 0.5}, "NUMERIC", 0.5),
        ({"gen_ai.evaluation.score.value": 3}, "NUMERIC", 3.0),
        ({"gen_ai.evaluation.score.value": True}, "BOOLEAN", 1.0),
        (
            {
                "gen_ai.evaluation.score.value": 0.0,
                "gen_ai.evaluation.score.label": "false",
                "otel_agents.score.data_type": "BOOLEAN",
            },
            "BOOLEAN",
            0.0,
        ),
        # Langfuse would drop it silently as a boolean.
        ({"gen_ai.evaluation.score.value": 0.4, "otel_agents.score.data_type": "BOOLEAN"}, "NUMERIC", 0.4),
        ({"gen_ai.evaluation.score.label": "good"}, "CATEGORICAL", "good"),
        (
            {
                "gen_ai.evaluation.score.value": 4.0,
                "gen_ai.evaluation.score.label": "good",
                "otel_agents.score.data_type": "CATEGORICAL",
            },
            "CATEGORICAL",
            "good",
        ),
    ],
)
def test_type_and_value(attributes: dict[str, Any], data_type: str, value: object) -> None:
    body = body_of({**NAME, **attributes})
    assert (body["dataType"], body["value"]) == (data_type, value)
    assert type(body["value"]) is type(value)


def test_a_label_beside_a_number_is_kept_as_metadata() -> None:
    body = body_of({**QUALITY, "gen_ai.evaluation.score.label": "pass"})
    assert (body["value"], body["metadata"]) == (0.9, {"label": "pass"})


@pytest.mark.parametrize(
    ("attributes", "trace_id", "span_id", "target"),
    [
        ({}, TRACE, SPAN, {"traceId": TRACE, "observationId": SPAN}),
        ({}, TRACE, None, {"traceId": TRACE}),
        ({}, TRACE.upper(), "0" * 16, {"traceId": TRACE}),
        ({"otel_agents.score.trace_id": OTHER_TRACE}, TRACE, SPAN, {"traceId": OTHER_TRACE}),
        ({"otel_agents.score.session_id": "s-1"}, TRACE, SPAN, {"sessionId": "s-1"}),
        ({"otel_agents.score.session_id": "s-1"}, None, None, {"sessionId": "s-1"}),
    ],
)
def test_exactly_one_target(
    attributes: dict[str, Any], trace_id: str | None, span_id: str | None, target: dict[str, str]
) -> None:
    body = body_of({**QUALITY, **attributes}, trace_id, span_id)
    assert {key: body[key] for key in ("traceId", "observationId", "sessionId") if key in body} == target


@pytest.mark.parametrize(
    ("attributes", "trace_id", "why"),
    [
        ({"gen_ai.evaluation.score.value": 1.0}, TRACE, "it has no name"),
        (NAME, TRACE, "it has neither a value nor a label"),
        ({**NAME, "gen_ai.evaluation.score.value": float("nan")}, TRACE, "its value is not finite"),
        ({**NAME, "gen_ai.evaluation.score.value": 10**400}, TRACE, "its value is not finite"),
        ({**NAME, "gen_ai.evaluation.score.value": "0.5"}, TRACE, "it has neither a value nor a label"),
        (QUALITY, None, "it names no trace, span or session"),
        (QUALITY, "0" * 32, "it names no trace, span or session"),
        (QUALITY, "not a trace id", "it names no trace, span or session"),
        ({**QUALITY, "otel_agents.score.id": "x" * MAX_REQUEST_BYTES}, TRACE, "it is too large"),
    ],
)
def test_what_is_no_score(attributes: dict[str, Any], trace_id: str | None, why: str) -> None:
    with pytest.raises(NotAScore, match=why):
        score_of(attributes, trace_id, SPAN, WHEN)


def test_the_same_event_has_the_same_id_and_others_have_others() -> None:
    ids = [
        body_of(QUALITY)["id"],
        body_of(QUALITY, OTHER_TRACE)["id"],
        body_of(QUALITY, TRACE, None)["id"],
        body_of({**QUALITY, "gen_ai.evaluation.name": "speed"})["id"],
        body_of(QUALITY, when=WHEN + 1)["id"],
    ]
    assert len(set(ids)) == len(ids)
    assert body_of(dict(reversed(QUALITY.items())))["id"] == ids[0]


def test_the_events_environment_wins_over_the_resources() -> None:
    assert body_of(QUALITY, environment="Staging")["environment"] == "staging"
    assert "environment" not in body_of(QUALITY)
    named = {**QUALITY, "deployment.environment.name": "langfuse-prod"}
    assert body_of(named, environment="staging")["environment"] == "prod"


def test_a_comment_too_large_for_a_request_is_cut_and_the_score_kept() -> None:
    attributes = {
        **QUALITY,
        "gen_ai.evaluation.explanation": "é" * MAX_REQUEST_BYTES,
        "otel_agents.metadata.more": "x" * MAX_REQUEST_BYTES,
    }
    score = score_of(attributes, TRACE, SPAN, WHEN)
    body = json.loads(score.body)
    assert len(score.body) < MAX_REQUEST_BYTES
    assert (body["value"], len(body["comment"]), body["comment"][-1]) == (0.9, 100_001, "…")


def test_half_characters_are_replaced() -> None:
    body = body_of({**QUALITY, "gen_ai.evaluation.explanation": "a\ud800b"})
    assert body["comment"] == "a?b"


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
_keys = st.sampled_from(
    [
        "gen_ai.evaluation.name",
        "gen_ai.evaluation.score.value",
        "gen_ai.evaluation.score.label",
        "gen_ai.evaluation.explanation",
        "otel_agents.score.id",
        "otel_agents.score.data_type",
        "otel_agents.score.trace_id",
        "otel_agents.score.session_id",
        "otel_agents.metadata.a",
        "deployment.environment.name",
    ]
)


@given(st.dictionaries(_keys, _values), st.integers(0, 2**63))
def test_any_attributes_make_a_sendable_score_or_none(attributes: dict[str, Any], when: int) -> None:
    try:
        score = score_of({**QUALITY, **attributes}, TRACE, SPAN, when)
    except NotAScore:
        return
    body = json.loads(score.body.decode())
    assert isinstance(body["value"], float if body["dataType"] != "CATEGORICAL" else str)
    assert len({"traceId", "sessionId"} & set(body)) == 1
