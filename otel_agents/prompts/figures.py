"""How the versions of a prompt did: figures of the model calls that used them, and of the tasks around."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otel_agents.langfuse.reading import Rollup
    from otel_agents.langfuse.tasks import Call, Task


@dataclass(slots=True)
class VersionFigures:
    """One version's figures. Money is USD, durations are seconds, shares go from 0 to 1.

    A task counts for a version when all its calls with this prompt used that version; ``mixed`` are
    tasks that used several, which say nothing about one of them. Figures without data are None.

    Attributes:
        version: its number.
        calls: model calls that used it.
        failed_calls: of these, those that failed.
        unpriced: of these, those with tokens but no cost; with them the costs are too low.
        cost: of all its calls.
        tokens: of all its calls.
        latencies: of its calls that did not fail.
        tasks: that used this version only.
        failed_tasks: of these, those that failed.
        task_costs: of each of these, with every call in it.
        qualities: of those that have a score.
        mixed: tasks that used other versions, too.
    """

    version: int
    calls: int = 0
    failed_calls: int = 0
    unpriced: int = 0
    cost: float = 0.0
    tokens: int = 0
    latencies: list[float] = field(default_factory=list)
    tasks: int = 0
    failed_tasks: int = 0
    task_costs: list[float] = field(default_factory=list)
    qualities: list[float] = field(default_factory=list)
    mixed: int = 0

    @property
    def cost_per_call(self) -> float | None:
        """Mean cost of a call."""
        return self.cost / self.calls if self.calls else None

    @property
    def cost_per_task(self) -> float | None:
        """Mean cost of a task, its other calls included."""
        return mean(self.task_costs)

    @property
    def tokens_per_call(self) -> float | None:
        """Mean tokens of a call."""
        return self.tokens / self.calls if self.calls else None

    @property
    def latency(self) -> float | None:
        """Mean duration of a call that did not fail."""
        return mean(self.latencies)

    @property
    def latency_p95(self) -> float | None:
        """95th percentile of the same."""
        return percentile(self.latencies, 0.95)

    @property
    def call_success(self) -> float | None:
        """Share of calls that did not fail."""
        return 1 - self.failed_calls / self.calls if self.calls else None

    @property
    def task_success(self) -> float | None:
        """Share of tasks that did not fail."""
        return 1 - self.failed_tasks / self.tasks if self.tasks else None

    @property
    def quality(self) -> float | None:
        """Mean quality of the tasks that have a score."""
        return mean(self.qualities)

    @property
    def quality_error(self) -> float | None:
        """Half the width of the 95 % interval around :attr:`quality`; None below two scores."""
        return interval(self.qualities)


def of_versions(rollup: Rollup, name: str, versions: Sequence[int]) -> list[VersionFigures]:
    """Figures of these versions of the prompt ``name``, in their order.

    Args:
        rollup: tasks, and the calls outside of any.
    """
    found = {version: VersionFigures(version) for version in versions}
    for task in rollup.tasks:
        _add_task(found, task, name)
    _add_calls(found, rollup.outside, name)
    return list(found.values())


def _add_task(found: dict[int, VersionFigures], task: Task, name: str) -> None:
    _add_calls(found, task.calls, name)
    used = {call.prompt_version for call in task.calls if call.prompt_name == name}
    for version in used:
        figures = found.get(version) if version is not None else None
        if figures is None:
            continue
        if len(used) > 1:
            figures.mixed += 1
            continue
        figures.tasks += 1
        figures.failed_tasks += task.status == "error"
        figures.task_costs.append(task.cost)
        if task.quality is not None:
            figures.qualities.append(task.quality)


def _add_calls(found: dict[int, VersionFigures], calls: Iterable[Call], name: str) -> None:
    for call in calls:
        if call.prompt_name != name or call.prompt_version is None:
            continue
        figures = found.get(call.prompt_version)
        if figures is None:
            continue
        figures.calls += 1
        figures.failed_calls += call.failed
        figures.unpriced += call.cost is None and call.tokens > 0
        figures.cost += call.cost or 0.0
        figures.tokens += call.tokens
        if not call.failed:
            figures.latencies.append(call.latency)


def mean(values: Sequence[float]) -> float | None:
    """The mean; None of nothing."""
    return math.fsum(values) / len(values) if values else None


def percentile(values: Sequence[float], share: float) -> float | None:
    """The value that ``share`` of the values are not above, between two of them by their distance."""
    if not values:
        return None
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def interval(values: Sequence[float]) -> float | None:
    """Half the width of the 95 % interval of the mean, by the normal distribution; None below two values."""
    average = mean(values)
    if average is None or len(values) < 2:
        return None
    variance = math.fsum((value - average) ** 2 for value in values) / (len(values) - 1)
    return 1.96 * math.sqrt(variance / len(values))
