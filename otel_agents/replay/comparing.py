"""The recorded run and its replay, side by side."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otel_agents.langfuse import conversation
from otel_agents.langfuse.recorded import quality

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_agents.langfuse.rows import ScoreRow
    from otel_agents.replay.planning import Plan


@dataclass(slots=True)
class Side:
    """One of the two. Cost is US dollars, latency seconds; None where it is not known."""

    trace_id: str
    agent: str | None
    model: str | None
    status: str  # success, error
    latency: float | None
    tokens: int | None
    cost: float | None
    quality: float | None
    output: str | None


def recorded_side(plan: Plan, scores: Sequence[ScoreRow]) -> Side:
    """What was recorded: the run that was replayed with everything in it, or the one call."""
    source = plan.source
    inside = plan.recorded.inside(source)
    costs = [one.cost for one in inside if one.cost is not None]
    tokens = [one.tokens for one in inside if one.usage]
    failed = source.level == "ERROR" or source.own("status") == "error"
    said = conversation.parse(source.output, "assistant")
    around = plan.recorded.top() if plan.how == "model" else None
    return Side(
        trace_id=plan.recorded.trace_id,
        agent=plan.recorded.agent(source),
        model=next((one.model for one in (source, *inside) if one.model), None),
        status="error" if failed else "success",
        latency=max((source.end - source.start).total_seconds(), 0.0),
        tokens=sum(tokens) if tokens else None,
        cost=sum(costs) if costs else None,
        quality=quality(plan.recorded, around or source, scores),
        output=said.readable() if said is not None else None,
    )


def difference(before: str | None, after: str) -> str | None:
    """A unified diff of two answers; empty when they are the same, None when there is nothing before."""
    if before is None:
        return None
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "recorded", "replay", lineterm="")
    return "\n".join(lines)
