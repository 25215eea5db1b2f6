"""What is held against thresholds, and which of them are passed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from otel_agents.langfuse.tasks import Rollup

Name = Literal["cost", "quality", "error_share"]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When somebody is told; None is never.

    Attributes:
        cost: US dollars in the window above which.
        quality: mean score below which.
        error_share: share of failed tasks, 0 to 1, above which.
        fewest: tasks (for quality: with a score) that a mean or a share needs to mean anything.
    """

    cost: float | None = None
    quality: float | None = None
    error_share: float | None = None
    fewest: int = 5


@dataclass(frozen=True, slots=True)
class Reading:
    """One figure of the window beside its threshold.

    Attributes:
        name: of the figure.
        value: None when there is too little to say.
        threshold: as it was given.
        passed: whether it is on the wrong side.
        text: one sentence about it.
    """

    name: Name
    value: float | None
    threshold: float
    passed: bool
    text: str


@dataclass(frozen=True, slots=True)
class Window:
    """The time that is looked at, both ends with a zone, and what to call it."""

    since: datetime
    until: datetime
    label: str


def readings(found: Rollup, thresholds: Thresholds, window: Window) -> list[Reading]:
    """The figure of every threshold that is set."""
    made = []
    if thresholds.cost is not None:
        made.append(_cost(found, thresholds.cost, window))
    if thresholds.quality is not None:
        made.append(_quality(found, thresholds.quality, thresholds.fewest, window))
    if thresholds.error_share is not None:
        made.append(_errors(found, thresholds.error_share, thresholds.fewest, window))
    return made


def _cost(found: Rollup, limit: float, window: Window) -> Reading:
    outside = [call.cost for call in found.outside if call.cost is not None]
    cost = math.fsum([*(task.cost for task in found.tasks), *outside])
    unpriced = sum(task.unpriced for task in found.tasks)
    unpriced += sum(call.cost is None and call.tokens > 0 for call in found.outside)
    text = f"Cost of {window.label} is {cost:.2f} USD ({_limit('more', cost > limit)} {limit:g})"
    if unpriced:
        text += f"; {unpriced} model call(s) without a price are not in it"
    return Reading("cost", cost, limit, cost > limit, text)


def _quality(found: Rollup, limit: float, fewest: int, window: Window) -> Reading:
    scores = [task.quality for task in found.tasks if task.quality is not None]
    if len(scores) < fewest:
        text = f"Quality of {window.label}: {len(scores)} score(s), fewer than {fewest}"
        return Reading("quality", None, limit, False, text)
    mean = math.fsum(scores) / len(scores)
    below = _limit("less", mean < limit)
    text = f"Mean quality of {window.label} is {mean:.3g} over {len(scores)} tasks ({below} {limit:g})"
    return Reading("quality", mean, limit, mean < limit, text)


def _errors(found: Rollup, limit: float, fewest: int, window: Window) -> Reading:
    tasks = len(found.tasks)
    failed = sum(task.status == "error" for task in found.tasks)
    if tasks < fewest:
        text = f"Errors of {window.label}: {tasks} task(s), fewer than {fewest}"
        return Reading("error_share", None, limit, False, text)
    share = failed / tasks
    above = _limit("more", share > limit)
    text = f"{failed} of {tasks} tasks of {window.label} failed, {share:.1%} ({above} {limit:.1%})"
    return Reading("error_share", share, limit, share > limit, text)


def _limit(word: str, passed: bool) -> str:
    return f"{word} than" if passed else f"not {word} than"
