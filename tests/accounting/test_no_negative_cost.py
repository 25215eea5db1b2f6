"""A negative cost, wherever it comes from, neither reaches a span nor a metric."""

from __future__ import annotations

import pytest

from otel_agents import agent, inference, semconv
from otel_agents.testing import AgentSpans


@pytest.mark.parametrize("bad", [-0.5, "-0.5", float("nan"), -1])
def test_given_as_an_attribute(agent_spans: AgentSpans, bad: object) -> None:
    with agent("a") as run, inference("own", "unheard-of", attributes={semconv.USAGE_COST: bad}) as call:
        call.record(usage={"input": 1, "output": 1}, attributes={semconv.USAGE_COST: bad})
        run.update(attributes={semconv.USAGE_COST: bad})
    for span in agent_spans.spans:
        assert semconv.USAGE_COST not in (span.attributes or {})


def test_given_as_cost_the_price_list_counts(agent_spans: AgentSpans) -> None:
    with inference("openai", "gpt-4o-mini") as call:
        call.record(usage={"input": 1_000_000, "output": 0}, cost=-3)
    (span,) = agent_spans.spans
    assert (span.attributes or {})[semconv.USAGE_COST] == 0.15


def test_a_true_cost_as_an_attribute_stays(agent_spans: AgentSpans) -> None:
    with inference("own", "unheard-of", attributes={semconv.USAGE_COST: 0.5}):
        pass
    assert (agent_spans.spans[0].attributes or {})[semconv.USAGE_COST] == 0.5
