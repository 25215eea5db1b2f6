"""What is counted: the work of one agent on one task, or one model call."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from otel_agents.langfuse.rows import number
from otel_agents.langfuse.tasks import Call, Event, Run, Task

if TYPE_CHECKING:
    from otel_agents.accounting.plans import Plan


@dataclass(slots=True)
class Work:
    """What one agent did on one task: its runs, usually a single one.

    It has what :mod:`otel_agents.accounting.plans` looks at, so that a plan's fee is spread over it.
    ``plan`` is the plan that covers it; ``paid`` its part of that one's fee, else its metered cost (USD).
    """

    task: Task
    agent: str | None
    runs: list[Run]
    start: datetime
    status: str
    cost: float
    tokens: int
    latency: float
    quality: float | None
    paid: float = 0.0
    plan: Plan | None = None

    @property
    def models(self) -> tuple[str, ...]:
        """The models that its runs called."""
        return tuple(dict.fromkeys(call.model for call in self.calls))

    @property
    def calls(self) -> list[Call]:
        """The model calls of its runs."""
        return [call for run in self.runs for call in run.calls]

    def events(self, name: str) -> list[Event]:
        """The events of its runs."""
        ids = {run.observation_id for run in self.runs}
        return [event for event in self.task.events if event.name == name and event.run in ids]


@dataclass(slots=True)
class Reduction:
    """Tokens before and after compression, added up."""

    events: int = 0
    original: float = 0.0
    actual: float = 0.0

    def add(self, event: Event) -> None:
        """Takes in one ``token_reduction`` event, if it says both numbers."""
        original, actual = number(event.body.get("original")), number(event.body.get("actual"))
        if original is not None and actual is not None and original > 0 and actual >= 0:
            self.events += 1
            self.original += original
            self.actual += actual


@dataclass(slots=True)
class Switches:
    """Switches from one agent to another, and the quality after less the quality before."""

    count: int = 0
    gained: list[float] = field(default_factory=list)

    def add(self, event: Event) -> None:
        """Takes in one ``agent_switch`` event."""
        self.count += 1
        gained = number(event.body.get("quality_gained"))
        if gained is None:
            before = number(event.body.get("quality_before"))
            after = number(event.body.get("quality_after"))
            gained = None if before is None or after is None else after - before
        if gained is not None:
            self.gained.append(gained)


def split(tasks: Iterable[Task]) -> list[Work]:
    """The tasks' work, apart by agent; a task whose agents never switched is one piece."""
    found: list[Work] = []
    for task in tasks:
        agents = list(dict.fromkeys(run.agent for run in task.runs))
        if len(agents) == 1:
            found.append(_whole(task))
        else:
            found.extend(_part(task, agent) for agent in agents)
    return found


def _whole(task: Task) -> Work:
    return Work(
        task,
        task.agent,
        task.runs,
        task.start,
        task.status,
        task.cost,
        task.tokens,
        task.latency,
        task.quality,
        task.cost,
    )


def _part(task: Task, agent: str | None) -> Work:
    runs = [run for run in task.runs if run.agent == agent]
    last = max(runs, key=lambda run: (run.end, run.start))
    # The task's quality is the last agent's; the others have one when they were scored before a switch.
    quality = task.quality if agent == task.agent else last.quality
    if quality is None:
        said = [
            number(event.body.get("quality_before"))
            for event in task.events_named("agent_switch")
            if event.body.get("from_agent") == agent
        ]
        quality = next((one for one in reversed(said) if one is not None), None)
    cost = sum(run.cost for run in runs)
    return Work(
        task,
        agent,
        runs,
        min(run.start for run in runs),
        last.status,
        cost,
        sum(run.tokens for run in runs),
        sum((run.end - run.start).total_seconds() for run in runs),
        quality,
        cost,
    )
