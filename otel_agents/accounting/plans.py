"""Flat monthly plans and free tiers: what work really costs, beside what it would cost by the token.

``otel_agents.cost`` and ``gen_ai.usage.cost`` are always the metered price. A plan changes nothing about
them; it is laid over them when somebody looks at a period::

    known = plans.load(settings)                        # no file: no plans
    seen = plans.spread(known, tasks, since, until)     # anything with agent, model, cost, start, tokens
    seen.effective(task)                                # USD of one task: its share of the fee, else metered
    seen.metered, seen.total                            # USD of the period: by the token, and as paid
    for use in seen.uses:                               # one a plan, also those that nothing ran under
        use.plan.name, use.fee, use.tasks, use.metered, use.saved, use.busiest_day, use.room

The file (``OTEL_AGENTS_PLANS_FILE``, TOML or YAML)::

    [plans.copilot]
    fee = 10                    # USD a month; 0 for a free tier
    agents = ["copilot"]        # what it covers: agents, or providers, or models (* at the end matches more)

    [plans.gemini-free]
    fee = 0
    agents = ["gemini"]
    limits = { tasks_per_day = 100, tokens_per_day = 1000000 }

A fee belongs to a calendar month in UTC; a period pays for its part of each month, to the second. The fee
of a period is spread over the tasks of it that the plan covers, in equal parts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from otel_agents import metrics
from otel_agents.accounting import files

if TYPE_CHECKING:
    from otel_agents.config import Settings
    from otel_agents.runtime import Runtime

SETTING: Final = "OTEL_AGENTS_PLANS_FILE"
_KEYS: Final = ("agents", "fee", "limits", "models", "providers")
_LIMITS: Final = ("tasks_per_day", "tokens_per_day")


class Task(Protocol):
    """What is looked at of a task; reports' tasks have all of it.

    ``cost`` is metered USD, ``start`` in any time zone (without one: UTC). ``model`` (or ``models``) and
    ``provider`` are used when they are there.
    """

    @property
    def agent(self) -> str | None: ...
    @property
    def cost(self) -> float | None: ...
    @property
    def start(self) -> datetime: ...


@dataclass(frozen=True, slots=True)
class Plan:
    """A flat fee, or a free tier.

    Attributes:
        fee: USD for a calendar month.
        agents: names of agents whose tasks it covers; ``providers`` and ``models`` likewise. A task
            is covered when one of its names matches; ``*`` at the end of a name matches any rest.
        tasks_per_day: what the plan allows on one day (UTC); None when it does not say.
        tokens_per_day: likewise.
    """

    name: str
    fee: float
    agents: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    tasks_per_day: float | None = None
    tokens_per_day: float | None = None

    def covers(self, agent: str | None, provider: str | None = None, models: Sequence[str] = ()) -> bool:
        """Whether work of this agent, at this provider, or with one of these models is under the plan."""
        return (
            _matches(agent, self.agents)
            or _matches(provider, self.providers)
            or any(_matches(model, self.models) for model in models)
        )


@dataclass(slots=True)
class PlanUse:
    """What a period made of one plan.

    Attributes:
        fee: USD of the period: the plan's fee for as much of each month as the period holds.
        tasks: that the plan covered; ``metered`` is their price by the token in USD.
        days: tasks and tokens by day (UTC).
    """

    plan: Plan
    fee: float
    tasks: int = 0
    metered: float = 0.0
    tokens: float = 0.0
    days: dict[date, Counter[str]] = field(default_factory=dict)

    @property
    def per_task(self) -> float | None:
        """USD of the fee for each task; None without tasks."""
        return self.fee / self.tasks if self.tasks else None

    @property
    def saved(self) -> float:
        """USD that the plan saved against the metered price; below 0 when it cost more."""
        return self.metered - self.fee

    @property
    def busiest_day(self) -> tuple[date, int] | None:
        """The day with the most tasks, and how many; None without tasks."""
        if not self.days:
            return None
        day = max(self.days, key=lambda one: (self.days[one]["tasks"], one))
        return day, self.days[day]["tasks"]

    @property
    def room(self) -> float | None:
        """Share of the daily limits that the busiest day left free; None without limits.

        Below 0 when a day went beyond them.
        """
        limits = {"tasks": self.plan.tasks_per_day, "tokens": self.plan.tokens_per_day}
        left = [
            1 - max((day[kind] for day in self.days.values()), default=0) / limit
            for kind, limit in limits.items()
            if limit
        ]
        return min(left) if left else None


@dataclass(slots=True)
class Spread:
    """A period's tasks with the plans laid over them. All figures are in USD.

    Attributes:
        uses: one for each plan, in the file's order.
        metered: of all tasks, by the token.
        total: as paid: the fees, and the metered price of what no plan covers.
    """

    plans: Plans
    uses: list[PlanUse]
    metered: float
    total: float

    def use(self, task: Task) -> PlanUse | None:
        """The plan that covers ``task``."""
        found = self.plans.of(task)
        return next((use for use in self.uses if use.plan is found), None)

    def effective(self, task: Task) -> float:
        """What ``task`` cost: its share of the plan's fee, or its metered price."""
        use = self.use(task)
        if use is None or use.per_task is None:
            return task.cost or 0.0
        return use.per_task


@dataclass(frozen=True, slots=True)
class Plans:
    """The plans of a file, in its order; the first that covers a task counts."""

    plans: tuple[Plan, ...] = ()
    file: Path | None = None

    def __bool__(self) -> bool:
        return bool(self.plans)

    def find(self, agent: str | None, provider: str | None = None, models: Sequence[str] = ()) -> Plan | None:
        """The plan that covers such work; None when it is metered."""
        return next((plan for plan in self.plans if plan.covers(agent, provider, models)), None)

    def of(self, task: Task) -> Plan | None:
        """The plan that covers ``task``; None when it is metered."""
        if not self.plans:
            return None
        given: Any = getattr(task, "models", None) or getattr(task, "model", None) or ()
        models = [given] if isinstance(given, str) else [str(one) for one in given]
        provider = getattr(task, "provider", None)
        if provider is None and any(plan.providers for plan in self.plans):
            provider = next((found for model in models if (found := maker(model))), None)
        return self.find(task.agent, provider, models)

    @property
    def monthly_fees(self) -> float:
        """USD a month for all of them."""
        return sum(plan.fee for plan in self.plans)


def load(settings: Settings) -> Plans:
    """The plans of the settings' file; none when there is no file.

    Raises:
        otel_agents.ConfigError: one line that names the file and the key.
    """
    if settings.plans_file is None:
        return Plans()
    top = files.read(settings.plans_file, SETTING)
    top.known(("plans",))
    return Plans(
        tuple(_plan(name, table) for name, table in top.tables("plans").items()), settings.plans_file
    )


def spread(plans: Plans, tasks: Iterable[Task], since: datetime, until: datetime) -> Spread:
    """Lays ``plans`` over ``tasks``, which are those of the period from ``since`` to ``until``."""
    months = months_between(since, until)
    uses = [PlanUse(plan, plan.fee * months) for plan in plans.plans]
    by_plan = {id(use.plan): use for use in uses}
    metered = uncovered = 0.0
    for task in tasks:
        cost = task.cost or 0.0
        metered += cost
        plan = plans.of(task)
        if plan is None:
            uncovered += cost
            continue
        use = by_plan[id(plan)]
        tokens = _total(getattr(task, "tokens", None))
        use.tasks += 1
        use.metered += cost
        use.tokens += tokens
        day = use.days.setdefault(_utc(task.start).date(), Counter())
        day["tasks"] += 1
        day["tokens"] += int(tokens)
    return Spread(plans, uses, metered, uncovered + sum(use.fee for use in uses))


def announce(plans: Plans, running: Runtime) -> None:
    """Has every plan's fee told as a gauge, for dashboards that show plans beside the metered cost."""
    for plan in plans.plans:
        running.instruments.count(metrics.PLAN_FEE, plan.fee, {"plan": plan.name})


def months_between(since: datetime, until: datetime) -> float:
    """Calendar months (UTC) in a period, parts of months counted by the second.

    >>> months_between(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 15, 12, tzinfo=UTC))
    2.467741935483871
    """
    since, until = _utc(since), _utc(until)
    months = 0.0
    while since < until:
        start = since.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        end = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
        months += (min(until, end) - since) / (end - start)
        since = end
    return months


def maker(model: str) -> str | None:
    """The provider that the price library finds for a model's name; None when it knows none."""
    try:
        from genai_prices.data_snapshot import get_snapshot

        provider, _ = get_snapshot().find_provider_model(model, None, None, None)
    except Exception:
        return None
    return str(provider.id)


def _plan(name: str, table: files.Table) -> Plan:
    table.known(_KEYS)
    fee = table.number("fee", "USD a month")
    if fee is None:
        raise table.error("fee", "is missing; give USD a month, 0 for a free tier")
    agents, providers, models = (table.texts(key) for key in ("agents", "providers", "models"))
    if not (agents or providers or models):
        raise table.error("agents", "is missing; list agents, providers or models that the plan covers")
    limits = table.table("limits")
    bounds: dict[str, float | None] = {}
    if limits is not None:
        limits.known(_LIMITS)
        for key in _LIMITS:
            found = limits.number(key, "a day")
            if found == 0:
                raise limits.error(key, "must be above 0; leave it out when there is no limit")
            bounds[key] = None if found is None else float(found)
    return Plan(name, float(fee), agents, providers, models, **bounds)


def _matches(name: str | None, patterns: tuple[str, ...]) -> bool:
    if not name:
        return False
    lowered = name.lower()
    match: Callable[[str, str], bool] = fnmatchcase
    return any(match(lowered, pattern.lower()) for pattern in patterns)


def _total(tokens: Any) -> float:
    if isinstance(tokens, int | float):
        return float(tokens)
    total = getattr(tokens, "total", None)
    return float(total) if isinstance(total, int | float) else 0.0


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
