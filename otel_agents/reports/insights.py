"""What follows from the figures: each finding in words, with the numbers that it rests on.

**Equal quality** is shown, not guessed: with 95 % confidence (Welch's t) the cheaper agent's mean quality in
the task type is less than :data:`MARGIN` below the dearer one's. Few or scattered scores show nothing and
lead to no finding. Its success rate, too, may be at most :data:`MARGIN` lower.

**Cheaper** is told twice, and not mixed. ``saved`` is by the bill: work that a plan covers adds nothing to
it, other work its metered price. ``saved_metered`` is by the token, as if there were no plans. An agent whose
work would make the bill higher is not cheaper, whatever its tokens cost.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from otel_agents.accounting import plans as plan_files
from otel_agents.reports import samples, words
from otel_agents.reports.work import Work

#: How much lower a quality, or a success rate, may be and still count as equal.
MARGIN: Final = 0.05
#: Scores that an agent has to have in a task type.
FEWEST: Final = 5
_MONTH_DAYS: Final = 30
_DEAREST: Final = 3


@dataclass(frozen=True, slots=True)
class Insight:
    """A finding: its kind, one sentence for people, the numbers for programs."""

    kind: str  # dearest_task_types, cheaper_agent, over_used_agent, free_room, plan_cost, failed_cost
    text: str
    numbers: Mapping[str, Any]


@dataclass(slots=True)
class _Cell:
    """One agent's work of one task type."""

    task_type: str
    agent: str
    work: list[Work]

    @property
    def qualities(self) -> list[float]:
        return [one.quality for one in self.work if one.quality is not None]

    @property
    def metered_mean(self) -> float:
        return samples.total(one.cost for one in self.work) / len(self.work)

    @property
    def marginal(self) -> float:
        """USD that one more such task adds to the bill."""
        return samples.total(0.0 if one.plan else one.cost for one in self.work) / len(self.work)

    @property
    def success_rate(self) -> float:
        return sum(one.status == "success" for one in self.work) / len(self.work)


def find(work: Sequence[Work], spread: plan_files.Spread, days: float) -> list[Insight]:
    """The findings of a period of ``days`` days, the most useful first."""
    cheaper = _cheaper_agents(work, days)
    return [
        *_dearest(work),
        *cheaper,
        *_over_used(work, cheaper),
        *_free_room(spread, days),
        *_plan_costs(spread),
        *_failed(work),
    ]


def _dearest(work: Sequence[Work]) -> list[Insight]:
    by_type: dict[str, list[Work]] = defaultdict(list)
    for one in work:
        if one.task.task_type is not None:
            by_type[one.task.task_type].append(one)
    everything = samples.total(one.cost for one in work)
    if everything <= 0 or len(by_type) < 2:
        return []
    rows: list[dict[str, Any]] = []
    for task_type, members in by_type.items():
        cost = samples.total(one.cost for one in members)
        tasks = len({id(one.task) for one in members})
        rows.append(
            {
                "task_type": task_type,
                "tasks": tasks,
                "metered": cost,
                "metered_mean": cost / tasks,
                "share": cost / everything,
            }
        )
    rows.sort(key=lambda row: (-row["metered"], row["task_type"]))
    top = [row for row in rows[:_DEAREST] if row["metered"]]
    named = ", ".join(
        f"{row['task_type']} {words.money(row['metered'])} ({words.share(row['share'])}; "
        f"{words.counted(row['tasks'], 'task')} at {words.money(row['metered_mean'])})"
        for row in top
    )
    return [Insight("dearest_task_types", f"Dearest task types: {named}.", {"task_types": top})]


def _cheaper_agents(work: Sequence[Work], days: float) -> list[Insight]:
    cells: dict[str, dict[str, _Cell]] = defaultdict(dict)
    for one in work:
        if one.task.task_type is not None and one.agent is not None:
            cell = cells[one.task.task_type].setdefault(one.agent, _Cell(one.task.task_type, one.agent, []))
            cell.work.append(one)
    found = []
    for by_agent in cells.values():
        for dear in by_agent.values():
            pairs = [_compare(dear, other, days) for other in by_agent.values() if other is not dear]
            best = max(
                (one for one in pairs if one is not None),
                key=lambda one: (_worth(one), one.numbers["quality_difference"]),
                default=None,
            )
            if best is not None:
                found.append(best)
    return sorted(found, key=_worth, reverse=True)


def _worth(one: Insight) -> tuple[float, float]:
    return float(one.numbers["saved"]), float(one.numbers["saved_metered"])


def _compare(dear: _Cell, cheap: _Cell, days: float) -> Insight | None:
    """The finding that ``cheap`` does the work of ``dear`` as well, if it is shown and saves money."""
    count = len(dear.work)
    saved = (dear.marginal - cheap.marginal) * count
    metered = (dear.metered_mean - cheap.metered_mean) * count
    if saved < -1e-9 or max(saved, metered) <= 1e-9:
        return None
    if min(len(dear.qualities), len(cheap.qualities)) < FEWEST:
        return None
    interval = samples.difference(cheap.qualities, dear.qualities)
    if interval is None or interval.low < -MARGIN or cheap.success_rate < dear.success_rate - MARGIN:
        return None
    plan, kept = cheap.work[0].plan, dear.work[0].plan
    a_month = _MONTH_DAYS / days
    numbers: dict[str, Any] = {
        "task_type": dear.task_type,
        "agent": dear.agent,
        "cheaper_agent": cheap.agent,
        "tasks": count,
        "cheaper_tasks": len(cheap.work),
        "metered_mean": dear.metered_mean,
        "cheaper_metered_mean": cheap.metered_mean,
        "cheaper_plan": plan.name if plan else None,
        "quality": samples.mean(dear.qualities),
        "cheaper_quality": samples.mean(cheap.qualities),
        "scored": len(dear.qualities),
        "cheaper_scored": len(cheap.qualities),
        "quality_difference": interval.middle,
        "quality_difference_low": interval.low,
        "quality_difference_high": interval.high,
        "confidence": samples.CONFIDENCE,
        "success_rate": dear.success_rate,
        "cheaper_success_rate": cheap.success_rate,
        "plan": kept.name if kept else None,
        "saved": max(saved, 0.0),
        "saved_month": max(saved, 0.0) * a_month,
        "saved_metered": metered,
        "saved_metered_month": metered * a_month,
    }
    if saved > 1e-9:
        gain = (
            f"{words.money(cheap.marginal)} instead of {words.money(dear.marginal)} a task"
            f"{' under plan ' + plan.name if plan else ''}: the {count} tasks of {dear.agent} would have "
            f"saved {words.money(saved)}, {words.money(saved * a_month)} a month"
        )
    else:
        gain = (
            f"{words.money(cheap.metered_mean)} instead of {words.money(dear.metered_mean)} a task by the "
            f"token: the {count} tasks of {dear.agent} would have been {words.money(metered)} less, but "
            f"nothing on the bill while plan {kept.name if kept else ''} is kept"
        )
    text = (
        f"{dear.task_type}: {cheap.agent} does as well as {dear.agent} "
        f"(quality {numbers['cheaper_quality']:.3f} of {numbers['cheaper_scored']} against "
        f"{numbers['quality']:.3f} of {numbers['scored']}; difference {interval.middle:+.3f}, 95 % between "
        f"{interval.low:+.3f} and {interval.high:+.3f}) for {gain}."
    )
    return Insight("cheaper_agent", text, numbers)


def _over_used(work: Sequence[Work], cheaper: Sequence[Insight]) -> list[Insight]:
    by_agent: dict[str, list[Insight]] = defaultdict(list)
    for one in cheaper:
        by_agent[one.numbers["agent"]].append(one)
    found = []
    for agent, reasons in by_agent.items():
        everything = sum(one.agent == agent for one in work)
        tasks = sum(one.numbers["tasks"] for one in reasons)
        types = {one.numbers["task_type"]: one.numbers["tasks"] for one in reasons}
        sums = {
            name: samples.total(one.numbers[name] for one in reasons)
            for name in ("saved", "saved_month", "saved_metered", "saved_metered_month")
        }
        named = ", ".join(f"{name} {count}" for name, count in types.items())
        found.append(
            Insight(
                "over_used_agent",
                f"{agent} is over-used: {tasks} of its {everything} tasks "
                f"({words.share(tasks / everything)}) are of types that a cheaper agent does as well "
                f"({named}): {words.money(sums['saved_month'])} a month on the bill, "
                f"{words.money(sums['saved_metered_month'])} by the token.",
                {
                    "agent": agent,
                    "tasks": everything,
                    "tasks_for_cheaper": tasks,
                    "share": tasks / everything,
                    "task_types": types,
                    **sums,
                },
            )
        )
    return found


def _free_room(spread: plan_files.Spread, days: float) -> list[Insight]:
    found = []
    for use in spread.uses:
        room = use.room
        if room is None:
            continue
        most = {
            kind: max((day[kind] for day in use.days.values()), default=0) for kind in ("tasks", "tokens")
        }
        parts = [
            f"{most[kind]:,} of {limit:,.0f} {kind}"
            for kind, limit in (("tasks", use.plan.tasks_per_day), ("tokens", use.plan.tokens_per_day))
            if limit
        ]
        verdict = (
            f"{words.share(room)} of the daily limit was left" if room >= 0 else "a day went beyond the limit"
        )
        found.append(
            Insight(
                "free_room",
                f"Plan {use.plan.name}: {' and '.join(parts)} on its busiest day; {verdict}.",
                {
                    "plan": use.plan.name,
                    "tasks_per_day": use.plan.tasks_per_day,
                    "tokens_per_day": use.plan.tokens_per_day,
                    "busiest_day_tasks": most["tasks"],
                    "busiest_day_tokens": most["tokens"],
                    "tasks": use.tasks,
                    "tasks_per_day_mean": use.tasks / days,
                    "room": room,
                },
            )
        )
    return found


def _plan_costs(spread: plan_files.Spread) -> list[Insight]:
    """Plans whose fee was more than their work by the token."""
    return [
        Insight(
            "plan_cost",
            f"Plan {use.plan.name} cost {words.money(use.fee)} for {use.tasks} tasks that would have been "
            f"{words.money(use.metered)} by the token: {words.money(-use.saved)} more.",
            {
                "plan": use.plan.name,
                "fee": use.fee,
                "tasks": use.tasks,
                "metered": use.metered,
                "saved": use.saved,
            },
        )
        for use in spread.uses
        if use.fee > 0 and use.saved < 0
    ]


def _failed(work: Sequence[Work]) -> list[Insight]:
    failed = [one for one in work if one.status != "success"]
    cost = samples.total(one.cost for one in failed)
    everything = samples.total(one.cost for one in work)
    if cost <= 0:
        return []
    return [
        Insight(
            "failed_cost",
            f"Work that failed cost {words.money(cost)} ({words.share(cost / everything)} of the cost): "
            f"{len(failed)} of {len(work)} runs of tasks.",
            {"failed": len(failed), "work": len(work), "metered": cost, "share": cost / everything},
        )
    ]
