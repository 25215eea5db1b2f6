"""Every figure of a month, as a person works it out from the table in `report_history`.

Nothing here is computed by the package: the numbers are sums written down.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import report_history as history
from report_rig import reader_of

from otel_agents.accounting.plans import Plan, Plans
from otel_agents.langfuse.tasks import Rollup
from otel_agents.local.server import Running
from otel_agents.reports.report import Group, Report, build

PLANS = Plans(
    (
        Plan("claude-pro", 20.0, agents=("claude",)),
        Plan("copilot", 10.0, agents=("copilot",)),
        Plan("gemini-free", 0.0, agents=("gemini",), tasks_per_day=60, tokens_per_day=20_000),
    ),
    Path("plans.toml"),
)


@pytest.fixture(scope="session")
def rollup(month: Running) -> Rollup:
    """The month, read back from the backend."""
    with reader_of(month) as reader:
        return reader.roll_up(since=history.SINCE, until=history.UNTIL)


def made(rollup: Rollup, by: str = "agent", plans: Plans | None = None) -> Report:
    return build(rollup, since=history.SINCE, until=history.UNTIL, by=by, plans=plans)


def groups(report: Report) -> dict[str | None, Group]:
    return {group.key: group for group in report.groups}


def close(value: float) -> object:
    return pytest.approx(value, rel=1e-9, abs=1e-12)


def test_the_whole_month(rollup: Rollup) -> None:
    total = made(rollup).total
    assert (total.tasks, total.succeeded, total.failed) == (700, 632, 68)  # 87 + 57 + 144 + 252 + 92
    assert total.success_rate == close(632 / 700)
    assert total.cost.metered == close(1.02)  # 150 x 0.0046 + 450 x 0 + 100 x 0.0033
    assert total.cost.metered_mean == close(1.02 / 700)
    assert total.cost.failed == close(6 * 0.0046 + 8 * 0.0033)
    assert total.cost.unpriced_calls == 0
    assert total.response_time.mean == close((150 * 12 + 450 * 7 + 100 * 5) / 700)
    assert (total.response_time.p50, total.response_time.p95) == (7.0, 13.0)
    assert total.quality.scored == 550
    assert total.quality.mean == close((90 * 0.94 + 60 * 0.89 + 150 * 0.89 + 150 * 0.81 + 100 * 0.88) / 550)
    assert total.tokens.total == 728_450  # 150 x 1523 + 450 x 1000 + 100 x 500
    assert (total.tokens.input, total.tokens.output) == (267_500, 460_950)
    assert total.tokens.per_success == close(728_450 / 632)
    assert (total.compression.events, total.compression.original, total.compression.actual) == (
        20,
        76_000,
        20_000,
    )
    assert total.compression.ratio == close(3.8)
    assert total.compression.reduction == close(1 - 1 / 3.8)
    assert (total.switches.count, total.switches.measured) == (10, 10)
    assert total.switches.quality_gained == close(0.2)
    assert (total.attempts, total.calls) == (700, 700)


def test_by_agent(rollup: Rollup) -> None:
    report = made(rollup)
    assert [group.key for group in report.groups] == ["claude", "copilot", "gemini"]  # the dearest first
    by_agent = groups(report)
    claude, gemini, copilot = (by_agent[name].figures for name in ("claude", "gemini", "copilot"))
    assert (claude.tasks, gemini.tasks, copilot.tasks) == (150, 450, 100)
    assert [one.success_rate for one in (claude, gemini, copilot)] == [0.96, 0.88, 0.92]
    assert claude.cost.metered == close(0.69)
    assert claude.cost.metered_mean == close(0.0046)
    assert gemini.cost.metered == 0.0
    assert copilot.cost.metered == close(0.33)
    assert [one.response_time.mean for one in (claude, gemini, copilot)] == [12.0, 7.0, 5.0]
    assert [one.response_time.p95 for one in (claude, gemini, copilot)] == [14.0, 8.0, 6.0]
    assert [one.quality.scored for one in (claude, gemini, copilot)] == [150, 300, 100]
    assert claude.quality.mean == close(0.92)
    assert gemini.quality.mean == close(0.85)
    assert copilot.quality.mean == close(0.88)
    assert claude.tokens.per_task == 1523
    assert claude.tokens.per_success == close(150 * 1523 / 144)
    assert (claude.switches.count, gemini.switches.count) == (10, 0)
    assert claude.compression.ratio == close(3.8)
    assert gemini.compression.ratio is None


def test_projection_by_the_token(rollup: Rollup) -> None:
    report = made(rollup)
    assert report.projection.days == 30.0
    assert report.projection.metered_month == close(1.02)
    assert report.projection.metered_year == close(12.24)
    assert report.projection.paid_month is None
    assert report.total.cost.paid is None


def test_plans_stand_beside_the_metered_cost(rollup: Rollup) -> None:
    report = made(rollup, plans=PLANS)
    assert report.total.cost.metered == close(1.02)  # as without plans
    assert report.total.cost.paid == close(30.0)  # April is a whole month: 20 + 10 + 0
    assert (report.projection.paid_month, report.projection.paid_year) == (close(30.0), close(360.0))
    assert report.projection.metered_year == close(12.24)
    by_agent = groups(report)
    assert by_agent["claude"].figures.cost.paid == close(20.0)
    assert by_agent["claude"].figures.cost.paid_mean == close(20 / 150)
    assert by_agent["copilot"].figures.cost.paid_mean == close(0.10)
    assert by_agent["gemini"].figures.cost.paid == 0.0
    claude, copilot, gemini = report.plans
    assert (claude.fee_month, claude.fee, claude.tasks) == (20.0, close(20.0), 150)
    assert copilot.saved == close(0.33 - 10)
    assert (gemini.busiest_day_tasks, gemini.busiest_day_tokens) == (15, 15_000)
    assert gemini.room == close(0.25)  # tokens are nearer to their limit: 15 of 20 thousand, tasks 15 of 60


def test_a_plan_for_one_agent_leaves_the_others_metered(rollup: Rollup) -> None:
    report = made(rollup, plans=Plans((PLANS.plans[1],)))
    assert report.total.cost.paid == close(0.69 + 10)
    assert report.projection.paid_year == close((0.69 + 10) * 12)
    assert groups(report)["claude"].figures.cost.paid == close(0.69)


def test_half_the_month_is_projected_to_a_whole_one(month: Running) -> None:
    since, until = history.SINCE.replace(day=16), history.UNTIL
    with reader_of(month) as reader:
        found = reader.roll_up(since=since, until=until)
    report = build(found, since=since, until=until, plans=Plans((PLANS.plans[1],)))
    assert report.total.tasks == 15 * 20  # copilot was done after ten days
    assert report.total.cost.metered == close(75 * 0.0046)
    assert report.projection.metered_month == close(0.69)
    assert report.total.cost.paid == close(75 * 0.0046 + 5)  # half of the fee
    assert report.projection.paid_month == close(0.69 + 10)


def test_a_project_that_has_just_begun_is_said_to_be_young(rollup: Rollup) -> None:
    just_now = replace(rollup.tasks[0], start=history.UNTIL - timedelta(minutes=5))
    [note] = [note for note in made(Rollup([just_now], [])).notes if "projection" in note]
    assert note.startswith(
        "The first task was 5 minutes before the end of a period of 30.0 days; the projection"
    )


def test_by_task_type(rollup: Rollup) -> None:
    by_type = groups(made(rollup, "task_type", PLANS))
    security, documentation, tests = (
        by_type[name].figures for name in ("security", "documentation", "tests")
    )
    assert (security.tasks, documentation.tasks, tests.tasks) == (90, 210, 400)
    assert security.cost.metered == close(0.414)
    assert documentation.cost.metered == close(0.276)
    assert tests.cost.metered == close(0.33)
    assert documentation.success_rate == close((57 + 144) / 210)
    assert tests.quality.mean == close((150 * 0.81 + 100 * 0.88) / 250)
    assert security.cost.paid == close(90 * 20 / 150)
    assert tests.cost.paid == close(10.0)
    assert security.switches.count == 10


def test_by_model_counts_calls(rollup: Rollup) -> None:
    by_model = groups(made(rollup, "model", PLANS))
    claude = by_model["claude-sonnet-4-5"].figures
    assert (claude.calls, claude.tasks) == (150, 150)
    assert claude.cost.metered == close(0.69)
    assert claude.cost.paid is None  # a fee is no single call's
    assert claude.response_time.mean == close(6.0)  # calls take half of the task's time
    assert claude.success_rate == 1.0  # the tasks failed, not the calls
    assert claude.tokens.total == 228_450
    assert sum(group.figures.cost.metered for group in by_model.values()) == close(1.02)


def test_by_project_user_prompt_and_experiment(rollup: Rollup) -> None:
    assert {key: one.figures.tasks for key, one in groups(made(rollup, "project")).items()} == {
        "project-0": 350,
        "project-1": 350,
    }
    assert {key: one.figures.tasks for key, one in groups(made(rollup, "user")).items()} == {
        f"user-{number}": 175 for number in range(4)
    }
    prompts = made(rollup, "prompt_version")
    assert [(one.key, one.figures.tasks) for one in prompts.groups] == [
        ("guideline v1", 30),
        ("guideline v2", 30),
        (None, 640),  # those that name none come last
    ]
    by_prompt = groups(prompts)
    assert by_prompt["guideline v1"].figures.quality.mean == close(0.88)
    assert by_prompt["guideline v2"].figures.quality.mean == close(0.90)
    experiments = groups(made(rollup, "experiment"))
    assert {key: one.figures.tasks for key, one in experiments.items()} == {
        "latent_reasoning_v2 / off": 20,
        "latent_reasoning_v2 / on": 20,
        None: 660,
    }


def test_day_by_day(rollup: Rollup) -> None:
    report = made(rollup)
    assert report.step == "day"
    assert len(report.timeline) == 30
    first, last = report.timeline[0], report.timeline[-1]
    assert (first.start, first.tasks) == (history.SINCE, 30)  # 5 + 15 + 10
    assert (last.tasks, last.failed) == (20, 1)
    assert first.metered == close(5 * 0.0046 + 10 * 0.0033)
    assert last.metered == close(5 * 0.0046)
    assert sum(point.metered for point in report.timeline) == close(1.02)


def test_a_day_is_shown_by_hour_and_a_year_by_week(rollup: Rollup) -> None:
    day = build(
        Rollup([], []),
        since=history.SINCE,
        until=history.SINCE.replace(day=2),
    )
    assert (day.step, len(day.timeline)) == ("hour", 24)
    year = build(rollup, since=history.SINCE.replace(year=2025), until=history.UNTIL)
    assert year.step == "week"
    assert all(point.start.weekday() == 0 for point in year.timeline)
    assert sum(point.tasks for point in year.timeline) == 700


def test_insights_rest_on_numbers(rollup: Rollup) -> None:
    found = {one.kind: one for one in made(rollup).insights}
    assert set(found) == {"dearest_task_types", "cheaper_agent", "over_used_agent", "failed_cost"}
    dearest = found["dearest_task_types"].numbers["task_types"]
    assert [(one["task_type"], one["tasks"]) for one in dearest] == [
        ("security", 90),
        ("tests", 400),
        ("documentation", 210),
    ]
    assert dearest[0]["share"] == close(0.414 / 1.02)
    cheaper = found["cheaper_agent"].numbers
    assert (cheaper["task_type"], cheaper["agent"], cheaper["cheaper_agent"]) == (
        "documentation",
        "claude",
        "gemini",
    )
    # Both have .88 and .90 in turn: standard deviation .01 but for Bessel's correction. Welch's degrees of
    # freedom are 108.96, where t is 1.98196.
    error = (0.0001 / 59 + 0.0001 / 149) ** 0.5
    assert cheaper["quality_difference"] == pytest.approx(0, abs=1e-12)
    assert cheaper["quality_difference_low"] == pytest.approx(-1.982 * error, rel=1e-3)
    assert cheaper["saved"] == close(60 * 0.0046)
    over_used = found["over_used_agent"].numbers
    assert (over_used["agent"], over_used["tasks"], over_used["tasks_for_cheaper"]) == ("claude", 150, 60)
    assert found["failed_cost"].numbers["metered"] == close(6 * 0.0046 + 8 * 0.0033)


def test_insights_with_plans_say_what_the_bill_would_be(rollup: Rollup) -> None:
    found = made(rollup, plans=PLANS).insights
    (cheaper,) = [one for one in found if one.kind == "cheaper_agent"]
    assert cheaper.numbers["saved"] == 0.0  # Claude Pro is paid either way
    assert cheaper.numbers["saved_metered"] == close(0.276)
    assert "nothing on the bill while plan claude-pro is kept" in cheaper.text
    assert {one.numbers["plan"] for one in found if one.kind == "plan_cost"} == {"claude-pro", "copilot"}
    (room,) = [one for one in found if one.kind == "free_room"]
    assert room.numbers["busiest_day_tasks"] == 15
    assert room.numbers["room"] == close(0.25)
    assert room.numbers["tasks_per_day_mean"] == close(15.0)


def test_nothing_to_report_gives_none_not_errors() -> None:
    report = made(Rollup([], []), plans=PLANS)
    total = report.total
    assert (total.tasks, total.cost.metered) == (0, 0.0)
    assert (total.success_rate, total.cost.metered_mean, total.quality.mean) == (None, None, None)
    assert (total.response_time.p50, total.tokens.per_success, total.compression.ratio) == (None, None, None)
    assert report.groups == []
    assert report.total.cost.paid == close(30.0)  # a fee is due without tasks, too
    assert report.notes == ["There are no tasks in this period, so there are no figures."]


def test_grouping_by_what_there_is_not(rollup: Rollup) -> None:
    with pytest.raises(ValueError, match="'colour' is nothing to group by; choose from agent, task_type"):
        made(rollup, "colour")
