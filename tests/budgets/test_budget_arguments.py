"""What a budget may be; everything else is one line that names the argument."""

from __future__ import annotations

import pickle
from decimal import Decimal
from typing import Any

import pytest

from otel_agents import BudgetExceeded, ConfigError, LoopStopped, guard, set_budget
from otel_agents.budgets import budgets, remove_budget, spent
from otel_agents.config import resolve
from otel_agents.testing import AgentSpans


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"amount": -1}, "amount must be a number of USD of at least 0, not -1"),
        ({"amount": float("nan")}, "amount must"),
        ({"amount": float("inf")}, "amount must"),
        ({"amount": "ten"}, "amount must"),
        ({"amount": None}, "amount must"),
        ({"amount": True}, "amount must"),
        ({"period": "weekly"}, "period must be one of monthly, daily, hourly, run, not 'weekly'"),
        ({"period": None}, "period must"),
        ({"period": ["daily"]}, "period must"),
        ({"on_exceeded": "explode"}, "on_exceeded must be one of warn, block, stop_run"),
        ({"scope": "claude"}, "scope must be None, or agent:, user: or tenant:"),
        ({"scope": "team:x"}, "scope must"),
        ({"scope": "agent:"}, "scope must"),
        ({"scope": 3}, "scope must"),
        ({"agent": "a", "user": "b"}, "scope must be one of agent, user and tenant, not agent and user"),
        ({"agent": ""}, "agent must be a name"),
        ({"user": 7}, "user must be a name"),
        ({"thresholds": (0,)}, "thresholds must be shares above 0"),
        ({"thresholds": ("half",)}, "thresholds must"),
        ({"thresholds": None}, "thresholds must"),
        ({"callback": 5}, "callback must be a function"),
        ({"name": ""}, "name must be text"),
        ({"name": "x" * 101}, "name must be text"),
    ],
)
def test_mistakes(seen: AgentSpans, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        set_budget(**{"amount": 1, **arguments})
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
    assert isinstance(raised.value, ConfigError)
    assert budgets() == []


def test_names_and_scopes(seen: AgentSpans) -> None:
    assert set_budget(30).name == "monthly"
    assert set_budget("2.5", "daily", "agent:claude").name == "daily agent:claude"
    assert set_budget(Decimal("0.1"), "run", agent="gemini").scope == "agent:gemini"
    assert "alice" not in set_budget(1, user="alice").name  # names are metric labels
    assert set_budget(1, tenant="*", name="tenants").each
    assert [one.amount for one in budgets()] == [30, 2.5, 0.1, 1, 1]


def test_same_name_replaces(seen: AgentSpans) -> None:
    set_budget(1, name="b")
    set_budget(2, name="b")
    assert [one.amount for one in budgets()] == [2]
    assert remove_budget("b")
    assert not remove_budget("b")
    with pytest.raises(KeyError):
        spent("b")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "guard needs a limit"),
        ({"max_calls": 0}, "max_calls must be a number above 0"),
        ({"max_seconds": -1}, "max_seconds must"),
        ({"max_depth": "3"}, "max_depth must"),
        ({"max_calls": True}, "max_calls must"),
    ],
)
def test_mistakes_of_guards(seen: AgentSpans, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        guard(**arguments)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_AGENTS_BUDGET", "30"),
        ("OTEL_AGENTS_BUDGET", "-1/daily"),
        ("OTEL_AGENTS_BUDGET", "0/daily"),
        ("OTEL_AGENTS_BUDGET", "1/weekly"),
        ("OTEL_AGENTS_BUDGET_ON_EXCEEDED", "stop"),
        ("OTEL_AGENTS_GUARD", "max_calls"),
        ("OTEL_AGENTS_GUARD", "max_calls=none"),
        ("OTEL_AGENTS_GUARD", "calls=3"),
    ],
)
def test_mistakes_in_settings(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name):
        resolve(environ={name: value}, dotenv=False)


@pytest.mark.parametrize(
    "error", [BudgetExceeded("b", 1.0, 1.5, "daily", "agent:x"), LoopStopped("calls", 3, "claude", "more")]
)
def test_errors_travel_between_processes(error: Exception) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert vars(again) == vars(error)
