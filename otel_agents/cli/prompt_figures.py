"""``prompts compare`` in a table, in JSON, and what has to be said beside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_agents.cli.output import counted, dollars, percent, seconds, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_agents.prompts.figures import VersionFigures


def table(found: list[VersionFigures]) -> list[tuple[str, ...]]:
    """A row for each figure, with a cell for each version."""

    def row(title: str, say: Callable[[VersionFigures], str]) -> tuple[str, ...]:
        return (title, *(say(one) for one in found))

    def quality(one: VersionFigures) -> str:
        if one.quality is None:
            return "-"
        width = f" ±{one.quality_error:.3f}" if one.quality_error is not None else ""
        return f"{one.quality:.3f}{width} ({counted(len(one.qualities), 'score')})"

    return [
        row("calls", lambda one: str(one.calls)),
        row("calls that succeeded", lambda one: percent(one.call_success)),
        row("cost a call", lambda one: dollars(one.cost_per_call)),
        row("tokens a call", lambda one: whole(one.tokens_per_call)),
        row("latency a call, mean", lambda one: seconds(one.latency)),
        row("latency a call, p95", lambda one: seconds(one.latency_p95)),
        row("tasks", lambda one: str(one.tasks)),
        row("tasks that succeeded", lambda one: percent(one.task_success)),
        row("cost a task", lambda one: dollars(one.cost_per_task)),
        row("quality", quality),
        row("cost in total", lambda one: dollars(one.cost)),
    ]


def as_json(one: VersionFigures) -> dict[str, object]:
    """One version's figures by name; USD and seconds."""
    return {
        "version": one.version,
        "calls": one.calls,
        "call_success": one.call_success,
        "cost": one.cost,
        "cost_per_call": one.cost_per_call,
        "tokens_per_call": one.tokens_per_call,
        "latency_mean": one.latency,
        "latency_p95": one.latency_p95,
        "tasks": one.tasks,
        "task_success": one.task_success,
        "cost_per_task": one.cost_per_task,
        "quality": one.quality,
        "quality_error": one.quality_error,
        "quality_scores": len(one.qualities),
        "unpriced_calls": one.unpriced,
        "mixed_tasks": one.mixed,
    }


def notes(found: list[VersionFigures]) -> list[str]:
    """What to know before one believes the figures."""
    said = []
    if not any(one.calls for one in found):
        said.append(
            "no call with these versions in this time; a call is linked by `observer.prompt(...)`, or by "
            "prompt_name and prompt_version of `context(...)`"
        )
    for one in found:
        version = f"version {one.version}"
        if one.unpriced:
            said.append(f"{version}: {counted(one.unpriced, 'call')} without a price, so its cost is too low")
        if one.mixed:
            said.append(
                f"{version}: {counted(one.mixed, 'task')} used other versions, too, and count for none"
            )
    return said
