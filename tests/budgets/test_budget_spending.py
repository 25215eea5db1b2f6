"""What is charged to which budget, what is told on the way, and what is refused at the end."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import otel_agents
from otel_agents import BudgetExceeded, agent, context, inference, set_budget, tool
from otel_agents.budgets import Alert, budgets, ledger, spent
from otel_agents.testing import AgentSpans


def call(cost: float) -> None:
    with inference("own", "model") as one:
        one.record(usage={"input": 1, "output": 1}, cost=cost)


def totals(seen: AgentSpans, name: str) -> dict[Any, float]:
    found = [tuple(sorted(labels.items())) for labels in seen.metric_attributes(name)]
    return {labels: seen.metric(name, dict(labels)).sum for labels in found}


class TestWarn:
    def test_thresholds_are_told_once_by_callback_event_metric_and_log(
        self, seen: AgentSpans, caplog: pytest.LogCaptureFixture
    ) -> None:
        told: list[Alert] = []
        set_budget(1.0, "daily", thresholds=(0.5, 1.0), callback=told.append)
        with agent("writer"):
            for _ in range(4):
                call(0.3)
                seen.runtime.settle()
        assert told == [
            Alert("daily", 0.5, 0.6, 1.0, "daily", ""),
            Alert("daily", 1.0, 1.2, 1.0, "daily", ""),
        ]
        events = [span for span in seen.spans if span.name == "budget_threshold"]
        assert [(span.attributes or {})["otel_agents.event.threshold"] for span in events] == [0.5, 1.0]
        assert {span.context.trace_id for span in events} == {seen.spans[0].context.trace_id}
        assert [one for one in caplog.messages if "budget" in one] == [
            "otel-agents: budget 'daily' has reached 50 %: 0.6 of 1 USD daily",
            "otel-agents: budget 'daily' has reached 100 %: 1.2 of 1 USD daily",
        ]
        alerts = totals(seen, "otel_agents.budget.alerts")
        assert alerts == {
            (("budget", "daily"), ("period", "daily"), ("threshold", "0.5")): 1,
            (("budget", "daily"), ("period", "daily"), ("threshold", "1")): 1,
        }
        assert totals(seen, "otel_agents.budget.spent") == {(("budget", "daily"), ("period", "daily")): 1.2}
        assert totals(seen, "otel_agents.budget.limit") == {(("budget", "daily"), ("period", "daily")): 1.0}
        # What was spent counts until midnight (UTC), whether or not anybody spends afterwards.
        [ends] = totals(seen, "otel_agents.budget.period_end").values()
        assert 0 < ends - time.time() <= 86_400
        assert ends % 86_400 == 0

    def test_callback_that_fails_is_logged(self, seen: AgentSpans, caplog: pytest.LogCaptureFixture) -> None:
        set_budget(1, callback=lambda alert: 1 / 0, thresholds=(0.5,))
        call(0.9)
        seen.runtime.settle()
        assert "callback of budget 'monthly' failed" in caplog.text
        assert spent("monthly") == 0.9

    def test_unsampled_calls_count(self, seen: AgentSpans, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", TracerProvider(sampler=ALWAYS_OFF))
        set_budget(1)
        call(0.25)
        assert seen.spans == []
        assert spent("monthly") == 0.25

    def test_failed_and_unpriced_calls_cost_nothing(self, seen: AgentSpans) -> None:
        set_budget(1)
        with pytest.raises(RuntimeError), inference("own", "unheard-of"):
            raise RuntimeError
        call(-3)
        assert spent("monthly") == 0

    def test_priced_by_the_price_list(self, seen: AgentSpans) -> None:
        set_budget(1)
        with inference("openai", "gpt-4o-mini") as one:
            one.record(usage={"input": 1_000_000, "output": 0})
        assert spent("monthly") == 0.15


class TestBlock:
    def test_no_call_after_the_amount_is_spent(self, seen: AgentSpans) -> None:
        set_budget(1.0, "daily", on_exceeded="block", name="mine")
        call(0.6)
        call(0.6)
        with pytest.raises(BudgetExceeded) as raised:
            call(0.1)
        error = raised.value
        assert (error.budget, error.amount, error.spent, error.period) == ("mine", 1.0, 1.2, "daily")
        assert str(error) == "budget 'mine' is used up: 1.2 of 1 USD daily"
        assert isinstance(error, Exception)
        assert spent("mine") == 1.2
        assert totals(seen, "otel_agents.budget.blocked") == {(("budget", "mine"), ("period", "daily")): 1}

    def test_nothing_may_be_spent_of_0(self, seen: AgentSpans) -> None:
        set_budget(0, on_exceeded="block")
        with pytest.raises(BudgetExceeded):
            call(0.1)

    def test_agents_are_refused_at_their_start(self, seen: AgentSpans) -> None:
        set_budget(1.0, on_exceeded="block")
        call(1.0)
        ran: list[str] = []

        @agent
        def plain() -> None:
            ran.append("plain")

        @agent
        async def coroutine() -> None:
            ran.append("coroutine")

        @agent
        def generator() -> Any:
            ran.append("generator")
            yield 1

        with pytest.raises(BudgetExceeded):
            plain()
        with pytest.raises(BudgetExceeded):
            asyncio.run(coroutine())
        with pytest.raises(BudgetExceeded):
            list(generator())
        with pytest.raises(BudgetExceeded), agent("block"):
            ran.append("block")
        assert ran == []

    def test_tools_go_on(self, seen: AgentSpans) -> None:
        set_budget(1.0, on_exceeded="block")
        with agent("a"):
            call(1.0)
            with tool("save"):
                pass

    def test_enclosing_agent_fails_with_it(self, seen: AgentSpans) -> None:
        set_budget(1.0, on_exceeded="block")

        @agent
        def work() -> None:
            call(1.0)
            call(1.0)

        with pytest.raises(BudgetExceeded):
            work()
        (span,) = (span for span in seen.spans if span.name == "invoke_agent work")
        assert (span.attributes or {})["error.type"] == "otel_agents.budgets.errors.BudgetExceeded"

    def test_lifted_by_a_higher_amount(self, seen: AgentSpans) -> None:
        set_budget(1.0, on_exceeded="block")
        call(1.0)
        with pytest.raises(BudgetExceeded):
            call(1.0)
        set_budget(2.0, on_exceeded="block")
        call(0.5)
        assert spent("monthly") == 1.5


class TestScopes:
    def test_agent_and_what_it_calls(self, seen: AgentSpans) -> None:
        set_budget(1, agent="claude")
        with agent("orchestrator"):
            call(0.1)
            with agent("claude"):
                call(0.2)
                with agent("searcher"):
                    call(0.4)
        assert spent("monthly agent:claude") == 0.6

    def test_only_that_agent_is_refused(self, seen: AgentSpans) -> None:
        set_budget(1, agent="claude", on_exceeded="block")
        with agent("claude"):
            call(1)
        with pytest.raises(BudgetExceeded), agent("claude"):
            pass
        with agent("gemini"):
            call(1)
            with pytest.raises(BudgetExceeded), agent("claude"):
                pass

    def test_user_and_tenant(self, seen: AgentSpans) -> None:
        set_budget(1, user="alice@example.com", name="alice", on_exceeded="block")
        set_budget(5, scope="tenant:acme", name="acme")
        with context(user="alice@example.com", metadata={"tenant": "acme"}):
            call(1)
            with pytest.raises(BudgetExceeded):
                call(1)
        with context(user="bob", metadata={"tenant": "acme"}):
            call(0.5)
        call(0.25)
        assert (spent("alice"), spent("acme")) == (1, 1.5)

    def test_each_user_has_the_amount(self, seen: AgentSpans) -> None:
        set_budget(1, user="*", name="each", on_exceeded="block")
        for user in ("a", "b"):
            with context(user=user):
                call(1)
                with pytest.raises(BudgetExceeded) as raised:
                    call(1)
                assert raised.value.spent == 1
        call(5)  # nobody's
        assert spent("each") is None
        assert totals(seen, "otel_agents.budget.spent") == {}


class TestRuns:
    def test_every_outermost_run_has_the_amount(self, seen: AgentSpans) -> None:
        told: list[float] = []
        set_budget(
            1, "run", on_exceeded="stop_run", callback=lambda alert: told.append(alert.spent), thresholds=(1,)
        )
        for _ in range(2):
            with agent("outer"):
                with agent("inner"):
                    call(0.7)
                call(0.5)
                with pytest.raises(BudgetExceeded):
                    call(0.1)
                with pytest.raises(BudgetExceeded), tool("search"):
                    pass
                with pytest.raises(BudgetExceeded), agent("inner"):
                    pass
        seen.runtime.settle()
        assert told == [1.2, 1.2]
        call(9)  # outside of runs
        assert spent("run") is None

    def test_stop_run_lets_calls_outside_of_runs_go_on(self, seen: AgentSpans) -> None:
        set_budget(1, "daily", on_exceeded="stop_run")
        with agent("a"):
            call(1)
            with pytest.raises(BudgetExceeded):
                call(1)
        call(1)
        with tool("outside"):
            pass
        assert spent("daily") == 2


class TestPeriods:
    def test_a_new_day_has_the_whole_amount(self, seen: AgentSpans, monkeypatch: pytest.MonkeyPatch) -> None:
        now = datetime(2026, 5, 31, 23, 59, 59, tzinfo=UTC).timestamp()
        monkeypatch.setattr(time, "time", lambda: now)
        told: list[float] = []
        set_budget(
            1, "daily", on_exceeded="block", thresholds=(1,), callback=lambda alert: told.append(alert.spent)
        )
        set_budget(9, "monthly")
        set_budget(9, "hourly")
        call(1)
        with pytest.raises(BudgetExceeded):
            call(1)
        now += 2
        call(1.5)
        with pytest.raises(BudgetExceeded):
            call(1)
        seen.runtime.settle()
        assert told == [1, 1.5]
        assert (spent("daily"), spent("monthly"), spent("hourly")) == (1.5, 1.5, 1.5)

    def test_what_was_not_written_belongs_to_the_day_it_was_spent(
        self, seen: AgentSpans, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = datetime(2026, 5, 30, 23, 59, 59, tzinfo=UTC).timestamp()
        monkeypatch.setattr(time, "time", lambda: now)
        monkeypatch.setattr(seen.runtime.worker, "later", lambda *arguments: None)
        set_budget(1, "daily")
        call(0.25)
        now += 2
        call(0.5)
        ledger._ledger.settle()
        store = ledger._ledger._store()
        assert store.spent("app|daily|", "2026-05-30") == 250_000_000
        assert store.spent("app|daily|", "2026-05-31") == 500_000_000


def test_disabled_watches_nothing(seen: AgentSpans) -> None:
    assert budgets() == []
    call(1)
    otel_agents.flush()
    assert not (seen.runtime.settings.home / "budgets.db").exists()


def test_user_ids_are_not_written_down(seen: AgentSpans) -> None:
    set_budget(1, user="*", name="each")
    with context(user="alice-in-wonderland"):
        call(0.5)
    seen.runtime.settle()
    for file in seen.runtime.settings.home.glob("budgets.db*"):
        assert b"alice-in-wonderland" not in file.read_bytes()
