"""What happened in a window of time, in the few figures that a dashboard asks for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from otel_agents.langfuse.tasks import Rollup, Task

#: Longest window, in hours: 31 days. A read goes through every observation in it.
LONGEST_HOURS: Final = 744.0
#: Name of what has no agent's name.
UNKNOWN: Final = "unknown"


class BadWindow(ValueError):
    """No window can be made of what was asked for; the text says what can."""


@dataclass(slots=True)
class Figures:
    """Sums over tasks.

    Attributes:
        tasks: how many there were.
        succeeded: how many did not end in an error.
        cost: US dollars, of the tasks whose cost is known.
        qualities: scores of the tasks that have one.
    """

    tasks: int = 0
    succeeded: int = 0
    cost: float = 0.0
    qualities: list[float] = field(default_factory=list)

    def add(self, task: Task) -> None:
        """Counts one task."""
        self.tasks += 1
        self.succeeded += task.status != "error"
        if math.isfinite(task.cost):
            self.cost += task.cost
        if task.quality is not None and math.isfinite(task.quality):
            self.qualities.append(task.quality)

    @property
    def avg_quality(self) -> float | None:
        """Mean of the scores; tasks without one do not count as bad ones. None when there is none."""
        return math.fsum(self.qualities) / len(self.qualities) if self.qualities else None

    @property
    def success_rate(self) -> float | None:
        """Share from 0 to 1; None without tasks."""
        return self.succeeded / self.tasks if self.tasks else None

    @property
    def error_share(self) -> float | None:
        """Share from 0 to 1; None without tasks."""
        return 1 - self.succeeded / self.tasks if self.tasks else None


@dataclass(frozen=True, slots=True)
class Summary:
    """A window's figures, in total and by agent.

    Attributes:
        since: beginning of the window.
        until: its end, which is when it was read.
        total: figures of all tasks.
        agents: figures by agent, most tasks first.
        outside: US dollars of model calls that belong to no task.
    """

    since: datetime
    until: datetime
    total: Figures
    agents: Mapping[str, Figures]
    outside: float = 0.0

    @property
    def cost(self) -> float:
        """US dollars, of tasks and of model calls outside of any."""
        return self.total.cost + self.outside

    def body(self) -> dict[str, Any]:
        """As ``GET /langfuse/summary`` answers it. Means of nothing are None, sums of nothing are 0."""
        return {
            "total_tasks": self.total.tasks,
            "total_cost": round(self.cost, 9),
            "avg_quality": _rounded(self.total.avg_quality),
            "agent_breakdown": {name: figures.tasks for name, figures in self.agents.items()},
            "success_rate": _rounded(self.total.success_rate),
            "agents": {
                name: {
                    "tasks": figures.tasks,
                    "cost": round(figures.cost, 9),
                    "avg_quality": _rounded(figures.avg_quality),
                    "success_rate": _rounded(figures.success_rate),
                }
                for name, figures in self.agents.items()
            },
            "cost_outside_tasks": round(self.outside, 9),
            "window": {
                "hours": (self.until - self.since).total_seconds() / 3600,
                "from": self.since.isoformat(),
                "to": self.until.isoformat(),
            },
        }


def summarise(found: Rollup, since: datetime, until: datetime) -> Summary:
    """The figures of what was found in one window."""
    total = Figures()
    agents: dict[str, Figures] = {}
    for task in found.tasks:
        total.add(task)
        agents.setdefault(task.agent or UNKNOWN, Figures()).add(task)
    by_size = sorted(agents.items(), key=lambda one: (-one[1].tasks, one[0]))
    outside = math.fsum(call.cost for call in found.outside if call.cost is not None)
    return Summary(since, until, total, dict(by_size), outside)


def hours_of(given: str | None) -> float:
    """The length of a window from a query parameter; an hour when it is missing.

    Raises:
        BadWindow: it is no number above 0, or above :data:`LONGEST_HOURS`.
    """
    if given is None or not given.strip():
        return 1.0
    try:
        hours = float(given)
    except ValueError:
        hours = math.nan
    if not 0 < hours <= LONGEST_HOURS:
        raise BadWindow(f"hours must be a number above 0 and up to {LONGEST_HOURS:g}, not {given[:40]!r}")
    return hours


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
