"""``event(...)``: spans without duration, since Langfuse drops span events."""

from __future__ import annotations

from typing import Any

import pytest

from otel_agents import agent, event
from otel_agents.testing import AgentSpans


def test_event(agent_spans: AgentSpans) -> None:
    with agent("a"):
        event("selected", {"agent": "b", "rewards": [0.1, 0.9]}, reason="best", **{"http.route": "/x"})
        event("bare")
    agent_spans.assert_tree("""
        invoke_agent a
          selected
          bare
    """)
    _, selected, bare = agent_spans.snapshot()
    assert selected["kind"] == "INTERNAL"
    assert selected["attributes"] == {
        "gen_ai.agent.name": "a",
        "otel_agents.event": "selected",
        "otel_agents.event.body": {"agent": "b", "rewards": [0.1, 0.9]},
        "otel_agents.event.reason": "best",
        "http.route": "/x",
    }
    assert bare["attributes"] == {"gen_ai.agent.name": "a", "otel_agents.event": "bare"}
    span = agent_spans.named("selected")
    assert span.start_time == span.end_time


def test_without_a_parent(agent_spans: AgentSpans) -> None:
    event("alone")
    agent_spans.assert_tree("alone")


@pytest.mark.parametrize("body", [None, "text", 5, [1], object(), float("nan")])
def test_bodies(agent_spans: AgentSpans, body: Any) -> None:
    event("e", body)
    assert isinstance(agent_spans.named("e").attributes["otel_agents.event.body"], str)


@pytest.mark.parametrize(("name", "expected"), [("", "event"), (None, "event"), (5, "5"), ("x" * 300, None)])
def test_odd_names(agent_spans: AgentSpans, name: Any, expected: str | None) -> None:
    event(name, odd=object(), nothing=None, empty=[])
    (span,) = agent_spans
    assert span.name == span.attributes["otel_agents.event"]
    assert span.name == expected if expected else len(span.name) == 200
    assert "otel_agents.event.empty" not in span.attributes
