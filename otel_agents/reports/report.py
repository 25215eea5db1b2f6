"""One report: a period's tasks in figures, by group and by day, projected, with plans beside metered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from otel_agents.accounting import plans as plan_files
from otel_agents.langfuse.tasks import Call, Rollup, Task
from otel_agents.reports import figures, insights, samples, words
from otel_agents.reports.figures import Figures
from otel_agents.reports.insights import Insight
from otel_agents.reports.work import Work, split

#: What tasks can be grouped by.
BY: Final = ("agent", "task_type", "model", "project", "user", "prompt_version", "experiment")

#: A month of the projection; a year has twelve.
MONTH_DAYS: Final = 30

_KEYS: Final[Mapping[str, Callable[[Task], str | None]]] = {
    "task_type": lambda task: task.task_type,
    "project": lambda task: task.project_id,
    "user": lambda task: task.user,
    "prompt_version": lambda task: _prompt(task.prompt_name, task.prompt_version),
    "experiment": lambda task: (
        task.experiment if task.variant is None else f"{task.experiment or '(none)'} / {task.variant}"
    ),
}


@dataclass(frozen=True, slots=True)
class Group:
    """The figures of one group; ``key`` is None for tasks that do not say."""

    key: str | None
    figures: Figures


@dataclass(frozen=True, slots=True)
class Projection:
    """USD for 30 days and for twelve times that, at the period's pace.

    Attributes:
        days: of the period that the pace was taken from.
        metered_month: by the token.
        paid_month: plans' fees, and the metered price of what no plan covers; None without plans.
    """

    days: float
    metered_month: float
    metered_year: float
    paid_month: float | None
    paid_year: float | None


@dataclass(frozen=True, slots=True)
class PlanUse:
    """What the period made of one plan; ``fee`` is the period's part of ``fee_month``."""

    name: str
    fee_month: float
    fee: float
    tasks: int
    metered: float
    saved: float
    paid_mean: float | None
    tokens: int
    tasks_per_day: float | None
    tokens_per_day: float | None
    busiest_day: str | None
    busiest_day_tasks: int
    busiest_day_tokens: int
    room: float | None


@dataclass(frozen=True, slots=True)
class Point:
    """One day, hour or week of the period, from ``start``."""

    start: datetime
    tasks: int
    failed: int
    metered: float
    response_time: float | None
    quality: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """A whole report. ``outside`` are model calls that belong to no task; ``total`` includes their cost."""

    source: str
    generated: datetime
    since: datetime
    until: datetime
    environments: tuple[str, ...]
    by: str
    total: Figures
    groups: list[Group]
    projection: Projection
    plans: list[PlanUse]
    step: str  # hour, day, week
    timeline: list[Point]
    outside_calls: int
    outside_cost: float
    insights: list[Insight]
    notes: list[str]


def build(
    rollup: Rollup,
    *,
    since: datetime,
    until: datetime,
    by: str = "agent",
    plans: plan_files.Plans | None = None,
    source: str = "",
    environments: Sequence[str] = (),
    generated: datetime | None = None,
) -> Report:
    """Makes a report; without tasks its figures are None and its lists empty.

    Args:
        rollup: the period's tasks and the calls outside of them.
        since: the period's start, with a zone.
        until: its end.
        by: one of :data:`BY`.
        plans: flat plans to lay over the metered cost.
        source: where the tasks were read.
        environments: what was asked for, for the heading.
        generated: when; now by default.

    Raises:
        ValueError: ``by`` is none of :data:`BY`.
    """
    if by not in BY:
        raise ValueError(f"{by!r} is nothing to group by; choose from {', '.join(BY)}")
    known = plans or plan_files.Plans()
    tasks, outside = rollup.tasks, rollup.outside
    work = split(tasks)
    spread = plan_files.spread(known, work, since, until)
    uses = {id(use.plan): use for use in spread.uses}
    for one in work:
        one.plan = known.of(one)
        share = uses[id(one.plan)].per_task if one.plan is not None else None
        one.paid = one.cost if share is None else share
    outside_cost = samples.total(call.cost or 0.0 for call in outside)
    paid = spread.total + outside_cost if known else None
    total = figures.of_tasks(tasks, paid, outside)
    days = (until - since) / timedelta(days=1)
    projection = _projection(total, spread, known, outside_cost, days)
    step, timeline = _timeline(tasks, outside, since, until)
    return Report(
        source=source,
        generated=generated or datetime.now(UTC),
        since=since,
        until=until,
        environments=tuple(environments),
        by=by,
        total=total,
        groups=_groups(by, work, tasks, outside, bool(known)),
        projection=projection,
        plans=[_plan_use(use) for use in spread.uses],
        step=step,
        timeline=timeline,
        outside_calls=len(outside),
        outside_cost=outside_cost,
        insights=insights.find(work, spread, days),
        notes=_notes(tasks, outside, outside_cost, total, since, days),
    )


def _groups(
    by: str, work: Sequence[Work], tasks: Sequence[Task], outside: Sequence[Call], with_plans: bool
) -> list[Group]:
    """The groups, the dearest first; those that say nothing last."""
    if by == "model":
        calls: dict[str | None, list[tuple[Call, Task | None]]] = {}
        for task in tasks:
            for call in task.calls:
                calls.setdefault(call.model, []).append((call, task))
        for call in outside:
            calls.setdefault(call.model, []).append((call, None))
        found = [Group(key, figures.of_calls(members)) for key, members in calls.items()]
    elif by == "agent":
        agents: dict[str | None, list[Work]] = {}
        for one in work:
            agents.setdefault(one.agent, []).append(one)
        found = [Group(key, figures.of_work(members, with_plans)) for key, members in agents.items()]
    else:
        key_of = _KEYS[by]
        paid_of: dict[int, float] = {}
        for one in work:
            paid_of[id(one.task)] = paid_of.get(id(one.task), 0.0) + one.paid
        by_key: dict[str | None, list[Task]] = {}
        for task in tasks:
            by_key.setdefault(key_of(task), []).append(task)
        found = [
            Group(
                key,
                figures.of_tasks(
                    members, samples.total(paid_of[id(task)] for task in members) if with_plans else None
                ),
            )
            for key, members in by_key.items()
        ]
    return sorted(
        found,
        key=lambda group: (
            group.key is None,
            -group.figures.cost.metered,
            -group.figures.tasks,
            group.key or "",
        ),
    )


def _prompt(name: str | None, version: str | None) -> str | None:
    if name is None:
        return None if version is None else f"v{version}"
    return name if version is None else f"{name} v{version}"


def _projection(
    total: Figures, spread: plan_files.Spread, plans: plan_files.Plans, outside: float, days: float
) -> Projection:
    pace = MONTH_DAYS / days
    metered = total.cost.metered * pace
    paid = None
    if plans:
        uncovered = spread.total - sum(use.fee for use in spread.uses) + outside
        paid = plans.monthly_fees + uncovered * pace
    return Projection(days, metered, metered * 12, paid, None if paid is None else paid * 12)


def _plan_use(use: plan_files.PlanUse) -> PlanUse:
    busiest = use.busiest_day
    tokens = max((day["tokens"] for day in use.days.values()), default=0)
    return PlanUse(
        name=use.plan.name,
        fee_month=use.plan.fee,
        fee=use.fee,
        tasks=use.tasks,
        metered=use.metered,
        saved=use.saved,
        paid_mean=use.per_task,
        tokens=int(use.tokens),
        tasks_per_day=use.plan.tasks_per_day,
        tokens_per_day=use.plan.tokens_per_day,
        busiest_day=busiest[0].isoformat() if busiest else None,
        busiest_day_tasks=busiest[1] if busiest else 0,
        busiest_day_tokens=tokens,
        room=use.room,
    )


def _timeline(
    tasks: Sequence[Task], outside: Sequence[Call], since: datetime, until: datetime
) -> tuple[str, list[Point]]:
    """The period in UTC hours, days or weeks (from Monday), empty ones too."""
    length = until - since
    if length <= timedelta(days=2):
        step, size = "hour", timedelta(hours=1)
    elif length <= timedelta(days=120):
        step, size = "day", timedelta(days=1)
    else:
        step, size = "week", timedelta(days=7)
    start = since.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    if step != "hour":
        start = start.replace(hour=0)
    if step == "week":
        start -= timedelta(days=start.weekday())
    members: list[list[Task]] = []
    costs: list[list[float]] = []
    at = start
    while at < until:
        members.append([])
        costs.append([])
        at += size
    for task in tasks:
        members[(task.start - start) // size].append(task)
        costs[(task.start - start) // size].append(task.cost)
    for call in outside:
        costs[(call.start - start) // size].append(call.cost or 0.0)
    return step, [
        Point(
            start=start + index * size,
            tasks=len(found),
            failed=sum(task.status != "success" for task in found),
            metered=samples.total(costs[index]),
            response_time=samples.quantile([task.latency for task in found], 0.5),
            quality=samples.mean([task.quality for task in found if task.quality is not None]),
        )
        for index, found in enumerate(members)
    ]


def _notes(
    tasks: Sequence[Task],
    outside: Sequence[Call],
    outside_cost: float,
    total: Figures,
    since: datetime,
    days: float,
) -> list[str]:
    notes = []
    if not tasks:
        notes.append("There are no tasks in this period, so there are no figures.")
    if unpriced := total.cost.unpriced_calls:
        models = {
            call.model
            for call in [*(call for task in tasks for call in task.calls), *outside]
            if call.cost is None and call.tokens > 0
        }
        notes.append(
            f"{words.counted(unpriced, 'model call')} without a price ({', '.join(sorted(models))}): the "
            "true cost is higher; see `otel-agents prices check`."
        )
    if outside:
        notes.append(
            f"In no task: {words.counted(len(outside), 'model call')} of {outside_cost:.4f} USD, counted in "
            "the total and in the groups by model alone."
        )
    if tasks:
        if days < 1:
            notes.append(
                f"The projection rests on {words.length(days)}: work at other hours may be another pace."
            )
        late = (min(task.start for task in tasks) - since) / timedelta(days=1)
        if days >= 1 and late > 0.25 * days:
            notes.append(
                f"The first task was {words.length(days - late)} before the end of a period of "
                f"{words.length(days)}; the projection takes the pace of all of it, so the latest pace is "
                "higher."
            )
    return notes
