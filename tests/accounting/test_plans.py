"""Flat plans: what a period's tasks really cost, beside their price by the token."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

import otel_agents
from otel_agents import setup
from otel_agents.accounting import plans
from otel_agents.config import ConfigError, resolve
from otel_agents.testing import AgentSpans

FILE = """
[plans.copilot]
fee = 10
agents = ["copilot"]

[plans.claude-pro]
fee = 20
agents = ["claude"]

[plans.gemini-free]
fee = 0
providers = ["google"]
limits = { tasks_per_day = 4, tokens_per_day = 1000 }
"""


@dataclass
class Task:
    agent: str | None
    cost: float | None
    start: datetime
    tokens: float = 0
    model: str | None = None


def load(tmp_path: Path, text: str = FILE, name: str = "plans.toml") -> plans.Plans:
    file = tmp_path / name
    file.write_text(text)
    return plans.load(resolve({"plans_file": file}, environ={}, dotenv=False))


JUNE = datetime(2026, 6, 1, tzinfo=UTC)


def test_fee_is_spread_over_the_tasks_of_the_period(tmp_path: Path) -> None:
    tasks = [
        Task("claude", 0.50, JUNE),
        Task("Claude", 1.50, JUNE),
        Task("copilot", None, JUNE),
        Task("other", 0.25, JUNE),
    ]
    seen = plans.spread(load(tmp_path), tasks, JUNE, JUNE + timedelta(days=30))
    assert [(use.plan.name, use.fee, use.tasks, use.metered) for use in seen.uses] == [
        ("copilot", 10.0, 1, 0.0),
        ("claude-pro", 20.0, 2, 2.0),
        ("gemini-free", 0.0, 0, 0.0),
    ]
    assert [seen.effective(task) for task in tasks] == [10.0, 10.0, 10.0, 0.25]
    assert (seen.metered, seen.total) == (2.25, 30.25)
    assert seen.uses[1].saved == -18.0
    assert sum(seen.effective(task) for task in tasks) == seen.total


def test_fee_without_tasks_is_paid_all_the_same(tmp_path: Path) -> None:
    seen = plans.spread(load(tmp_path), [], JUNE, JUNE + timedelta(days=15))
    assert seen.total == 15.0
    assert seen.uses[0].per_task is None


def test_free_tier_by_the_provider_of_the_model_and_the_room_that_is_left(tmp_path: Path) -> None:
    tasks = [Task("scout", 0.1, JUNE + timedelta(hours=hour), 200, "gemini-2.5-flash") for hour in (0, 1, 30)]
    seen = plans.spread(load(tmp_path), tasks, JUNE, JUNE + timedelta(days=2))
    use = seen.use(tasks[0])
    assert use is not None
    assert use.plan.name == "gemini-free"
    assert use.busiest_day == (date(2026, 6, 1), 2)
    assert use.room == 0.5  # two of four tasks; 400 of 1000 tokens leave more
    assert seen.effective(tasks[0]) == 0.0
    assert use.saved == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("since", "until", "months"),
    [
        (JUNE, JUNE + timedelta(days=30), 1.0),
        (JUNE, JUNE + timedelta(days=3), 0.1),
        (datetime(2026, 1, 31, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC), 1 / 31 + 1),
        (datetime(2025, 12, 1), datetime(2026, 12, 1), 12.0),
        (JUNE, JUNE, 0.0),
    ],
)
def test_months(since: datetime, until: datetime, months: float) -> None:
    assert plans.months_between(since, until) == pytest.approx(months)


def test_no_file_no_plans() -> None:
    none = plans.load(resolve(environ={}, dotenv=False))
    assert not none
    task = Task("claude", 0.5, JUNE)
    seen = plans.spread(none, [task], JUNE, JUNE + timedelta(days=1))
    assert (seen.metered, seen.total, seen.effective(task)) == (0.5, 0.5, 0.5)


def test_yaml_says_the_same(tmp_path: Path) -> None:
    text = "plans:\n  copilot:\n    fee: 10\n    agents: copilot\n"
    assert load(tmp_path, text, "plans.yaml").plans == (plans.Plan("copilot", 10.0, ("copilot",)),)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[plans.x]\nagents = ['a']", "plans.x.fee is missing"),
        ("[plans.x]\nfee = -1\nagents = ['a']", "plans.x.fee must be a number of at least 0"),
        ("[plans.x]\nfee = nan\nagents = ['a']", "plans.x.fee must be a number"),
        ("[plans.x]\nfee = '10'\nagents = ['a']", "plans.x.fee must be a number"),
        ("[plans.x]\nfee = 10", "plans.x.agents is missing"),
        ("[plans.x]\nfee = 10\nagents = [1]", "plans.x.agents must be a name or a list of names"),
        ("[plans.x]\nfees = 10", "plans.x.fees is not known here; there are agents, fee"),
        (
            "[plans.x]\nfee = 0\nagents = 'a'\nlimits = { tasks_per_day = 0 }",
            "plans.x.limits.tasks_per_day must be above 0",
        ),
        ("[plan.x]\nfee = 10", "plan is not known here; there are plans"),
        ("plans = 3", "plans must be a table, not 3"),
        ("[plans", "no TOML: "),
    ],
)
def test_mistakes_name_file_and_key(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, text)
    message = str(raised.value)
    assert message.startswith(f"{tmp_path / 'plans.toml'}: ")
    assert said in message
    assert "\n" not in message


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="OTEL_AGENTS_PLANS_FILE"):
        plans.load(resolve({"plans_file": tmp_path / "none.toml"}, environ={}, dotenv=False))


def test_fees_are_a_gauge(tmp_path: Path, agent_spans: AgentSpans) -> None:
    plans.announce(load(tmp_path), agent_spans.runtime)
    fees = {
        one["plan"]: agent_spans.metric("otel_agents.plan.fee", one).sum
        for one in agent_spans.metric_attributes("otel_agents.plan.fee")
    }
    assert fees == {"copilot": 10, "claude-pro": 20, "gemini-free": 0}


def test_configure_refuses_a_bad_file(clean_globals: None, tmp_path: Path) -> None:
    (tmp_path / "plans.toml").write_text("[plans.x]\nfee = -1\n")
    with pytest.raises(ConfigError, match=r"plans\.x\.fee must be"):
        otel_agents.configure(plans_file=tmp_path / "plans.toml")
    assert not setup.configured()
