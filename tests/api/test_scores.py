"""``score(...)``: an OpenTelemetry event for Langfuse, and a metric."""

from __future__ import annotations

import decimal
from typing import Any

import numpy as np
import pytest
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from otel_agents import agent, context, score
from otel_agents.testing import AgentSpans
from otel_agents.tracing import scoring

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Warnings and sequences of other tests do not count."""
    monkeypatch.setattr(scoring, "rejected", type(scoring.rejected)())
    monkeypatch.setattr(scoring, "_given", type(scoring._given)())


def test_on_the_current_span(agent_spans: AgentSpans) -> None:
    with context(experiment="e", environment="staging", project="p"), agent("writer") as run:
        assert score("quality", 0.75, comment="good", metadata={"judge": "j"})
    (found,) = agent_spans.events()
    here = run.span.get_span_context()
    ids = format(here.trace_id, "032x"), format(here.span_id, "016x")
    assert found["name"] == "gen_ai.evaluation.result"
    assert (found["trace_id"], found["span_id"]) == ids
    assert len(found["attributes"].pop("otel_agents.score.id")) == 32
    assert found["attributes"] == {
        "gen_ai.evaluation.name": "quality",
        "gen_ai.evaluation.score.value": 0.75,
        "gen_ai.evaluation.explanation": "good",
        "otel_agents.score.data_type": "NUMERIC",
        "otel_agents.score.trace_id": ids[0],
        "otel_agents.score.observation_id": ids[1],
        "otel_agents.metadata.judge": "j",
        "gen_ai.agent.name": "writer",
        "deployment.environment.name": "staging",
        "otel_agents.project": "p",  # by which the bridge finds its keys
    }
    assert agent_spans.metric_attributes("otel_agents.evaluation.score") == [
        {"gen_ai.evaluation.name": "quality", "gen_ai.agent.name": "writer", "experiment": "e"}
    ]
    assert agent_spans.metric("otel_agents.evaluation.score") == (1, 0.75)


@pytest.mark.parametrize(
    ("value", "data_type", "expected"),
    [
        (1, None, ("NUMERIC", 1.0, None)),
        (0.5, None, ("NUMERIC", 0.5, None)),
        (-3, None, ("NUMERIC", -3.0, None)),
        (np.float64(0.5), None, ("NUMERIC", 0.5, None)),
        (decimal.Decimal("0.5"), None, ("NUMERIC", 0.5, None)),
        ("0.5", "numeric", ("NUMERIC", 0.5, None)),
        (True, None, ("BOOLEAN", 1.0, "true")),
        (np.bool_(False), None, ("BOOLEAN", 0.0, "false")),
        (0, "BOOLEAN", ("BOOLEAN", 0.0, "false")),
        ("true", "BOOLEAN", ("BOOLEAN", 1.0, "true")),
        (True, "NUMERIC", ("NUMERIC", 1.0, None)),
        ("good", None, ("CATEGORICAL", None, "good")),
        (5, "CATEGORICAL", ("CATEGORICAL", None, "5")),
    ],
)
def test_values(
    agent_spans: AgentSpans, value: Any, data_type: str | None, expected: tuple[str, float | None, str | None]
) -> None:
    assert score("s", value, trace_id=TRACE, data_type=data_type)
    attributes = agent_spans.events()[0]["attributes"]
    assert (
        attributes["otel_agents.score.data_type"],
        attributes.get("gen_ai.evaluation.score.value"),
        attributes.get("gen_ai.evaluation.score.label"),
    ) == expected
    measured = agent_spans.metric("otel_agents.evaluation.score")
    measurable = expected[1] is not None and expected[1] >= 0
    assert measured == ((1, expected[1]) if measurable else (0, 0))


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        ("", {"value": 1}, "it has no name"),
        (None, {"value": 1}, "it has no name"),
        ("s", {"value": float("nan")}, "its value is not finite"),
        ("s", {"value": float("inf")}, "its value is not finite"),
        ("s", {"value": None}, "its value is no number"),
        ("s", {"value": object()}, "its value is no number"),
        ("s", {"value": "high", "data_type": "NUMERIC"}, "its value is no number"),
        ("s", {"value": 2, "data_type": "BOOLEAN"}, "a boolean score is true, false, 1 or 0"),
        ("s", {"value": " "}, "its label is empty"),
        ("s", {"value": 1, "data_type": "TEXT"}, "its data type is none of NUMERIC, BOOLEAN and CATEGORICAL"),
        ("s", {"value": 1, "trace_id": "nonsense"}, "its trace id is not 32 hex digits"),
        ("s", {"value": 1, "trace_id": "0" * 32}, "its trace id is not 32 hex digits"),
        ("s", {"value": 1, "trace_id": 1 << 128}, "its trace id is not 32 hex digits"),
        (
            "s",
            {"value": 1, "trace_id": TRACE, "observation_id": "x"},
            "its observation id is not 16 hex digits",
        ),
        ("s", {"value": 1, "session": ""}, "its session is empty"),
        ("s", {"value": 1}, "there is no current span, and neither a trace id nor a session is given"),
    ],
)
def test_nonsense_is_left_out_with_one_warning(
    agent_spans: AgentSpans,
    caplog: pytest.LogCaptureFixture,
    name: Any,
    arguments: dict[str, Any],
    reason: str,
) -> None:
    arguments = {"trace_id": TRACE, **arguments} if "target" in reason or "value" in reason else arguments
    for _ in range(3):
        assert score(name, **arguments) is False
    assert [one for one in caplog.messages if "score" in one] == [
        f"otel-agents: a score was left out: {reason}"
    ]
    assert scoring.rejected == {reason: 3}
    assert agent_spans.events() == []
    assert agent_spans.metric("otel_agents.evaluation.score") == (0, 0)
    caplog.clear()


def test_targets(agent_spans: AgentSpans) -> None:
    with agent("a") as run:
        score("s", 1, trace_id=TRACE)
        score("s", 1, trace_id=TRACE, observation_id=SPAN)
        score("s", 1, trace_id=int(TRACE, 16), observation_id=int(SPAN, 16))
        score("s", 1, trace_id="0AF76519-16CD-43DD-8448-EB211C80319C")
        score("s", 1, observation_id=SPAN)
        score("s", 1, session="chat-1")
    here = format(run.span.get_span_context().trace_id, "032x")
    subjects = [
        {name.removeprefix("otel_agents.score."): value for name, value in one["attributes"].items()
         if name.endswith(("trace_id", "observation_id", "session_id"))}
        for one in agent_spans.events()
    ]  # fmt: skip
    assert subjects == [
        {"trace_id": TRACE},
        {"trace_id": TRACE, "observation_id": SPAN},
        {"trace_id": TRACE, "observation_id": SPAN},
        {"trace_id": TRACE},
        {"trace_id": here, "observation_id": SPAN},
        {"session_id": "chat-1"},
    ]
    assert [one["trace_id"] for one in agent_spans.events()] == [TRACE] * 4 + [here] * 2


def test_ids_are_stable_and_distinct(agent_spans: AgentSpans, monkeypatch: pytest.MonkeyPatch) -> None:
    def run() -> list[str]:
        agent_spans.clear()
        score("s", 1, trace_id=TRACE)
        score("s", 1, trace_id=TRACE)  # a second opinion on the same work
        score("other", 1, trace_id=TRACE)
        score("s", 1, trace_id=TRACE, observation_id=SPAN)
        score("s", 1, session=TRACE)
        score("s", 1, trace_id=TRACE, score_id="mine")
        return [one["attributes"]["otel_agents.score.id"] for one in agent_spans.events()]

    first = run()
    assert len(set(first)) == 6
    assert first[-1] == "mine"
    monkeypatch.setattr(scoring, "_given", type(scoring._given)())  # the program is started again
    assert run() == first


def test_memory_of_sequences_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "_REMEMBERED", 10)
    for number in range(1, 100):
        scoring.score_id(scoring.Target(trace_id=number), "s")
    assert len(scoring._given) == 10


def test_traces_that_were_not_sampled_are_only_measured(agent_spans: AgentSpans) -> None:
    unsampled = NonRecordingSpan(SpanContext(int(TRACE, 16), int(SPAN, 16), False, TraceFlags(0)))
    with trace.use_span(unsampled):
        assert score("s", 1)
    assert agent_spans.events() == []
    assert agent_spans.metric("otel_agents.evaluation.score") == (1, 1.0)


def test_another_agents_work(agent_spans: AgentSpans) -> None:
    with agent("judge"):
        score("quality", 1, agent="writer")
    assert agent_spans.events()[0]["attributes"]["gen_ai.agent.name"] == "writer"
    assert agent_spans.metric_attributes("otel_agents.evaluation.score")[0]["gen_ai.agent.name"] == "writer"
