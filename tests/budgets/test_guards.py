"""Runs that go in circles, too deep or too long are stopped at their next call."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

import otel_agents
from otel_agents import LoopStopped, agent, guard, inference, semconv, tool
from otel_agents.budgets import gate
from otel_agents.testing import AgentSpans


def call() -> None:
    with inference("own", "model"):
        pass


@tool
def search(query: str, limit: int = 3) -> str:
    return query


def test_identical_tool_calls(seen: AgentSpans, caplog: pytest.LogCaptureFixture) -> None:
    with agent("scout"), guard(max_identical_tool_calls=2):
        search("a")
        search("b")
        search(query="a")
        search("a", 4)
        with pytest.raises(LoopStopped) as raised:
            search("a")
        with pytest.raises(LoopStopped):  # stopped is stopped, whatever comes next
            call()
    error = raised.value
    assert (error.reason, error.limit, error.agent) == ("identical_tool_calls", 2, "scout")
    assert str(error) == "agent 'scout' was stopped: more than 2 identical tool calls (search)"
    assert len([span for span in seen.spans if span.name == "execute_tool search"]) == 4
    assert seen.metric_attributes("otel_agents.loops_stopped") == [
        {semconv.AGENT_NAME: "scout", "reason": "identical_tool_calls"}
    ]
    assert seen.metric("otel_agents.loops_stopped").sum == 1
    (event,) = (span for span in seen.spans if span.name == "loop_stopped")
    assert (event.attributes or {})["otel_agents.event.reason"] == "identical_tool_calls"
    assert caplog.text.count("was stopped") == 1


def test_calls(seen: AgentSpans) -> None:
    with guard(max_calls=2):
        call()
        call()
        with pytest.raises(LoopStopped, match="the run was stopped: more than 2 calls"):
            call()
    call()


def test_depth(seen: AgentSpans) -> None:
    reached: list[int] = []

    @agent
    def dig(level: int = 1) -> None:
        reached.append(level)
        dig(level + 1)

    with agent("around"), guard(max_depth=3), pytest.raises(LoopStopped, match="3 agents inside of each"):
        dig()
    assert reached == [1, 2, 3]


def test_seconds(seen: AgentSpans, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with guard(max_seconds=60):
        call()
        now += 61
        for act in (call, lambda: search("x"), lambda: agent(lambda: None)()):
            with pytest.raises(LoopStopped, match="more than 60 seconds"):
                act()


class TestDecorated:
    def test_each_call_is_watched_for_itself(self, seen: AgentSpans) -> None:
        @guard(max_calls=2)
        @agent
        def twice(times: int) -> None:
            for _ in range(times):
                call()

        twice(2)
        twice(2)
        with pytest.raises(LoopStopped):
            twice(3)
        twice(2)

    def test_coroutines_and_what_they_start(self, seen: AgentSpans) -> None:
        @guard(max_calls=3)
        async def many(count: int) -> list[object]:
            async def one() -> None:
                await asyncio.sleep(0)
                call()

            return await asyncio.gather(*(one() for _ in range(count)), return_exceptions=True)

        async def both() -> list[list[object]]:
            return list(await asyncio.gather(many(5), many(3)))

        first, second = asyncio.run(both())
        assert [type(one) for one in first].count(LoopStopped) == 2
        assert second == [None] * 3

    def test_generators(self, seen: AgentSpans) -> None:
        @guard(max_calls=2)
        def steps() -> Iterator[int]:
            for number in range(5):
                call()
                yield number

        made = steps()
        for number in (0, 1):
            assert next(made) == number
            call()  # the consumer's calls are its own
        with pytest.raises(LoopStopped):
            next(made)


def test_guards_nest(seen: AgentSpans) -> None:
    with guard(max_calls=3):
        with guard(max_calls=1):
            call()
            with pytest.raises(LoopStopped, match="more than 1 calls"):
                call()
        call()
        call()
        with pytest.raises(LoopStopped, match="more than 3 calls"):
            call()


def test_threads_of_one_guard(seen: AgentSpans) -> None:
    outcomes: list[type[Any]] = []
    with guard(max_calls=50):
        run = otel_agents.bind(lambda: outcomes.extend(_try() for _ in range(20)))
        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (outcomes.count(int), outcomes.count(LoopStopped)) == (50, 30)


def _try() -> type[Any]:
    try:
        call()
    except LoopStopped:
        return LoopStopped
    return int


def test_from_settings_for_every_outermost_run(
    clean_globals: None, seen: AgentSpans, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_AGENTS_GUARD", "max_calls=2, max_identical_tool_calls=1")
    monkeypatch.setenv("OTEL_AGENTS_HOME", str(seen.runtime.settings.home))
    otel_agents.configure(mode="collector", otlp_endpoint="http://127.0.0.1:9", instrument_libraries=False)
    for _ in range(2):
        with agent("outer"):
            call()
            with agent("inner"):
                call()
                with pytest.raises(LoopStopped):
                    call()
    call()


def test_settings_declare_budgets(
    clean_globals: None, seen: AgentSpans, monkeypatch: pytest.MonkeyPatch
) -> None:
    from otel_agents.budgets import budgets

    monkeypatch.setenv("OTEL_AGENTS_BUDGET", "30/monthly, 0.5/run")
    monkeypatch.setenv("OTEL_AGENTS_BUDGET_ON_EXCEEDED", "stop_run")
    monkeypatch.setenv("OTEL_AGENTS_HOME", str(seen.runtime.settings.home))
    otel_agents.configure(mode="collector", otlp_endpoint="http://127.0.0.1:9", instrument_libraries=False)
    assert [(one.name, one.amount, one.on_exceeded) for one in budgets()] == [
        ("monthly", 30.0, "stop_run"),
        ("run", 0.5, "stop_run"),
    ]
    otel_agents.shutdown(timeout=0.2)
    monkeypatch.delenv("OTEL_AGENTS_BUDGET")
    otel_agents.configure(mode="collector", otlp_endpoint="http://127.0.0.1:9", instrument_libraries=False)
    assert budgets() == []


def test_without_any_nothing_is_looked_at(seen: AgentSpans, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError

    for name in ("before_call", "before_run", "before_tool", "charge", "guarded"):
        monkeypatch.setattr(gate, name, never)
    assert gate.armed is False
    with agent("a"):
        search("x")
        call()
