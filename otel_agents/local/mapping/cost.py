"""Cost: what was sent, or what Langfuse computes from usage and model when nothing was."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from otel_agents.local.findings import Notes
from otel_agents.local.mapping import prices
from otel_agents.local.mapping.kinds import json_object

EXPLICIT: Final = "langfuse.observation.cost_details"


def given_cost(attributes: Mapping[str, Any], notes: Notes) -> dict[str, Any]:
    """The cost that was sent, with the total that Langfuse adds (only to input and output alone)."""
    found = _given(attributes, notes)
    if not found:
        return {}
    for key, value in found.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            notes.add("cost_not_a_number", key=key, value=value)
    if "total" not in found:
        if set(found) <= {"input", "output"}:
            found["total"] = _added(list(found.values()))
        else:
            notes.add("cost_without_total", keys=sorted(found))
    return found


def total_of(cost: Mapping[str, Any]) -> float | None:
    """What `totalCost` reads: the value of `total`, nothing else."""
    return number_of(cost.get("total"))


def number_of(value: Any) -> float | None:
    """A stored cost as a number; None when it is not one."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, int | float) and math.isfinite(value):
        return float(value)
    return None


def computed_cost(
    model: str | None, provider: str | None, usage: Mapping[str, int], strict: bool, notes: Notes
) -> dict[str, Any]:
    """Cost from usage and list prices, a bucket at a time; empty when nothing has a price."""
    if not model or not usage:
        return {}
    cost, unpriced = prices.cost(model, provider, usage, strict)
    if cost and unpriced:
        notes.add("tokens_unpriced", model=model, buckets=sorted(unpriced))
    return cost


def _given(attributes: Mapping[str, Any], notes: Notes) -> dict[str, Any]:
    if EXPLICIT in attributes:
        found = json_object(attributes[EXPLICIT])
        if found is not None:
            return {key: value for key, value in found.items() if value is not None}
        notes.add("cost_details_invalid", value=attributes[EXPLICIT])
    for key in ("gen_ai.usage.cost", "llm.cost.total"):
        if (value := attributes.get(key)) is not None:
            return {"total": value}
    return {}


def _added(values: list[Any]) -> Any:
    """JavaScript's `+`: one string makes it a concatenation."""
    if any(isinstance(value, str) for value in values):
        return "".join(str(value) for value in values)
    return sum(values)
