"""The figures of a report: of all tasks, or of a group of them.

Money is USD, times are seconds, shares lie between 0 and 1. None is "there is no such figure": no tasks,
no scores, nothing compressed. ``metered`` is the price by the token, ``paid`` what is left to pay with flat
plans: their fees in parts, and the metered price of what no plan covers. The two are never mixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from otel_agents.langfuse.tasks import Call, Task
from otel_agents.reports import samples
from otel_agents.reports.work import Reduction, Switches, Work


@dataclass(frozen=True, slots=True)
class Cost:
    """USD. ``unpriced_calls`` used tokens and have no price: with them the true cost is higher."""

    metered: float
    metered_mean: float | None
    paid: float | None
    paid_mean: float | None
    failed: float
    unpriced_calls: int


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds."""

    mean: float | None
    p50: float | None
    p95: float | None


@dataclass(frozen=True, slots=True)
class Quality:
    """The mean over the tasks that have a score, and where it lies with 95 % confidence."""

    mean: float | None
    low: float | None
    high: float | None
    scored: int


@dataclass(frozen=True, slots=True)
class Tokens:
    """Counts; ``per_success`` is all tokens, those of failures too, over the successful tasks."""

    total: int
    input: int
    output: int
    per_task: float | None
    per_success: float | None


@dataclass(frozen=True, slots=True)
class Compression:
    """Tokens before and after; ``ratio`` is original over actual, ``reduction`` the share saved."""

    events: int
    original: int
    actual: int
    ratio: float | None
    reduction: float | None


@dataclass(frozen=True, slots=True)
class Switching:
    """Switches between agents; ``quality_gained`` is the mean over the ``measured`` ones."""

    count: int
    measured: int
    quality_gained: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything about one group of tasks. ``attempts`` counts runs of tasks, repeated ones too."""

    tasks: int
    succeeded: int
    failed: int
    success_rate: float | None
    attempts: int
    calls: int
    cost: Cost
    response_time: Times
    quality: Quality
    tokens: Tokens
    compression: Compression
    switches: Switching


def of_tasks(tasks: Sequence[Task], paid: float | None, outside: Sequence[Call] = ()) -> Figures:
    """Figures of whole tasks; ``paid`` is what they cost with plans, ``outside`` adds to cost and tokens."""
    calls = [call for task in tasks for call in task.calls]
    reduction, switches = Reduction(), Switches()
    for task in tasks:
        for event in task.events:
            if event.name == "token_reduction":
                reduction.add(event)
            elif event.name == "agent_switch":
                switches.add(event)
        if not task.events_named("agent_switch"):
            switches.count += task.switches  # told as a number, in the metadata
    metered = samples.total([*(task.cost for task in tasks), *(call.cost or 0.0 for call in outside)])
    tokens = sum(task.tokens for task in tasks) + sum(call.tokens for call in outside)
    return _figures(
        good=[task.status == "success" for task in tasks],
        attempts=sum(task.attempts for task in tasks),
        calls=[*calls, *outside],
        metered=metered,
        paid=paid,
        failed=samples.total(task.cost for task in tasks if task.status != "success"),
        latencies=[task.latency for task in tasks],
        qualities=[task.quality for task in tasks if task.quality is not None],
        tokens=tokens,
        reduction=reduction,
        switches=switches,
    )


def of_work(work: Sequence[Work], with_plans: bool) -> Figures:
    """Figures of agents' work: a task counts once for each agent that worked on it.

    A switch counts for the agent that was left.
    """
    reduction, switches = Reduction(), Switches()
    for one in work:
        for event in one.events("token_reduction"):
            reduction.add(event)
        for event in one.task.events_named("agent_switch"):
            left = event.body.get("from_agent")
            ran = any(run.agent == left for run in one.task.runs)
            # An agent that was left before it ran anything has no work; the one that took over has.
            if left == one.agent or (not ran and one.agent == one.task.agent):
                switches.add(event)
    return _figures(
        good=[one.status == "success" for one in work],
        attempts=sum(len(one.runs) if len(one.task.runs) > 1 else one.task.attempts for one in work),
        calls=[call for one in work for call in one.calls],
        metered=samples.total(one.cost for one in work),
        paid=samples.total(one.paid for one in work) if with_plans else None,
        failed=samples.total(one.cost for one in work if one.status != "success"),
        latencies=[one.latency for one in work],
        qualities=[one.quality for one in work if one.quality is not None],
        tokens=sum(one.tokens for one in work),
        reduction=reduction,
        switches=switches,
    )


def of_calls(calls: Sequence[tuple[Call, Task | None]]) -> Figures:
    """Figures of one model's calls: success and response time are the calls', quality is their tasks'.

    There is no ``paid``: a plan's fee is for agents' tasks, and no part of it is a single call's.
    """
    alone = [call for call, _ in calls]
    tasks = {id(task): task for _, task in calls if task is not None}
    return _figures(
        good=[not call.failed for call in alone],
        attempts=len(alone),
        calls=alone,
        metered=samples.total(call.cost or 0.0 for call in alone),
        paid=None,
        failed=samples.total(call.cost or 0.0 for call in alone if call.failed),
        latencies=[call.latency for call in alone],
        qualities=[task.quality for task in tasks.values() if task.quality is not None],
        tokens=sum(call.tokens for call in alone),
        reduction=Reduction(),
        switches=Switches(),
        tasks=len(tasks),
    )


def _figures(
    *,
    good: Sequence[bool],
    attempts: int,
    calls: Sequence[Call],
    metered: float,
    paid: float | None,
    failed: float,
    latencies: Sequence[float],
    qualities: Sequence[float],
    tokens: int,
    reduction: Reduction,
    switches: Switches,
    tasks: int | None = None,
) -> Figures:
    units = len(good)
    successes = sum(good)
    interval = samples.mean_interval(qualities)
    return Figures(
        tasks=units if tasks is None else tasks,
        succeeded=successes,
        failed=units - successes,
        success_rate=successes / units if units else None,
        attempts=attempts,
        calls=len(calls),
        cost=Cost(
            metered=metered,
            metered_mean=metered / units if units else None,
            paid=paid,
            paid_mean=paid / units if units and paid is not None else None,
            failed=failed,
            unpriced_calls=sum(call.cost is None and call.tokens > 0 for call in calls),
        ),
        response_time=Times(
            samples.mean(latencies), samples.quantile(latencies, 0.5), samples.quantile(latencies, 0.95)
        ),
        quality=Quality(
            samples.mean(qualities),
            interval.low if interval else None,
            interval.high if interval else None,
            len(qualities),
        ),
        tokens=Tokens(
            total=tokens,
            input=sum(call.input_tokens for call in calls),
            output=sum(call.output_tokens for call in calls),
            per_task=tokens / units if units else None,
            per_success=tokens / successes if successes else None,
        ),
        compression=Compression(
            events=reduction.events,
            original=int(reduction.original),
            actual=int(reduction.actual),
            ratio=reduction.original / reduction.actual if reduction.actual else None,
            reduction=1 - reduction.actual / reduction.original if reduction.original else None,
        ),
        switches=Switching(
            count=switches.count,
            measured=len(switches.gained),
            quality_gained=samples.mean(switches.gained),
        ),
    )
