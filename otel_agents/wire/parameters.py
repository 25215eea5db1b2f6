"""Request parameters as attribute values: of the right type, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue


def attributes(values: Mapping[str, AttributeValue | None]) -> dict[str, AttributeValue]:
    """``values`` without those that are None."""
    return {name: value for name, value in values.items() if value is not None}


def number(value: object) -> float | None:
    """A finite number as float (the conventions' ``double``); None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        converted = float(value)
    except OverflowError:
        return None
    return converted if abs(converted) < float("inf") else None


def whole(value: object) -> int | None:
    """An integer that fits OTLP's 64 bits; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if -(2**63) <= value < 2**63 else None


def strings(value: object) -> list[str] | None:
    """One string or a list of strings, as a list; None when there are none."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [item for item in value if isinstance(item, str)] or None
    return None
