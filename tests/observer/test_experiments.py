"""``experiment(...)``: sticky, fair, and known to what is inside."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest

from otel_agents import agent, context, experiment
from otel_agents.observer import LangfuseObserver
from otel_agents.testing import AgentSpans

AB = {"a": 1, "b": 2}


def test_the_same_key_gets_the_same_variant() -> None:
    chosen = {key: experiment("greeting", AB, key=key).variant for key in range(200)}
    assert set(chosen.values()) == {"a", "b"}
    assert all(
        experiment("greeting", dict(reversed(AB.items())), key=key).variant == chosen[key] for key in chosen
    )
    code = (
        "from otel_agents import experiment\n"
        "print([experiment('greeting', {'a': 1, 'b': 2}, key=key).variant for key in range(200)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(list(chosen.values())), "in another process, too"


def test_the_value_is_that_of_the_variant() -> None:
    chosen = experiment("greeting", AB, key="ada")
    assert chosen.value == AB[chosen.variant]
    assert chosen.metadata == {"experiment": "greeting", "variant": chosen.variant}


def test_shares_are_fair_and_weights_count() -> None:
    def shares(variants: dict[str, Any], **rest: Any) -> Counter[str]:
        return Counter(experiment("e", variants, key=key, **rest).variant for key in range(2000))

    assert abs(shares(AB)["a"] - 1000) < 120
    assert abs(shares(AB, weights={"a": 9, "b": 1})["b"] - 200) < 60
    assert shares(AB, weights={"a": 1})["a"] == 2000


def test_experiments_are_independent_of_each_other() -> None:
    same = sum(
        experiment("one", AB, key=k).variant == experiment("two", AB, key=k).variant for k in range(1000)
    )
    assert 400 < same < 600


def test_a_new_variant_takes_its_share_and_moves_nobody_else() -> None:
    more = {**AB, "c": 3}
    moved = Counter()
    for key in range(1000):
        before, after = experiment("e", AB, key=key).variant, experiment("e", more, key=key).variant
        if before != after:
            moved[after] += 1
    assert set(moved) == {"c"}
    assert 260 < moved["c"] < 410


def test_without_a_key_the_user_decides(agent_spans: AgentSpans) -> None:
    for user in range(30):
        with context(user=f"u{user}", session="s"):
            expected = experiment("e", AB, key=f"u{user}").variant
            assert {experiment("e", AB).variant for _ in range(5)} == {expected}
    assert len({experiment("e", AB).variant for _ in range(100)}) == 2, "else chance"


async def test_what_is_inside_carries_it(agent_spans: AgentSpans) -> None:
    observer = LangfuseObserver()
    async with experiment("e", {"only": "v7"}) as chosen:
        assert chosen.value == "v7"
        with observer.trace_agent_execution("t1", "claude"):
            pass
    with observer.trace_agent_execution("t2", "gemini"), experiment("e", {"only": 1}), agent("inner"):
        pass
    for name in ("invoke_agent claude", "invoke_agent inner", "invoke_agent gemini"):
        attributes = agent_spans.named(name).attributes
        assert (attributes["otel_agents.experiment"], attributes["otel_agents.variant"]) == ("e", "only")
    labels = {"experiment": "e", "variant": "only"}
    assert agent_spans.metric("otel_agents.task.count", labels).sum == 1


@pytest.mark.parametrize("variants", [{}, None, [], 5, {"a": 1}])
def test_nonsense_degrades(variants: Any, caplog: pytest.LogCaptureFixture, agent_spans: AgentSpans) -> None:
    caplog.set_level(logging.WARNING, "otel_agents")
    weights = {"a": -1} if variants else None
    with experiment("e", variants, key=object(), weights=weights) as chosen, agent("x"):
        pass
    assert (chosen.variant, chosen.value, chosen.metadata) == ("", None, {})
    assert caplog.messages
    assert "otel_agents.experiment" not in agent_spans.named("invoke_agent x").attributes
