"""A span (log record, data point) while it is rewritten: what it says, and what it is to say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: Name and attributes of one span event.
EventFacts = tuple[str, Mapping[str, Any]]


@dataclass(slots=True)
class Record:
    """What rules look at, and what they change.

    Attributes:
        scope: name of the instrumentation scope.
        name: the span's.
        attributes: changed by rules; values as the SDK has them, structured ones allowed.
        events: the span's, in order; never changed.
        spent: names of attributes whose content now stands elsewhere as well.
        ids: the span's own and its parent's id, 16 hexadecimal digits each, "" for none.
    """

    scope: str
    name: str
    attributes: dict[str, Any]
    events: Sequence[EventFacts] = ()
    spent: set[str] = field(default_factory=set)
    ids: tuple[str, str] = ("", "")


def integer(value: Any) -> int | None:
    """A number as OTTL's ``Int`` reads it: fractions cut, digits in text accepted; else None."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if abs(value) < 2**63 else None
    if isinstance(value, str):
        digits = value[1:] if value[:1] in ("+", "-") else value
        return int(value) if digits.isascii() and digits.isdigit() and len(digits) < 19 else None
    return None


def number(value: Any) -> float | None:
    """A number as OTTL's ``Double`` reads it; None for what is none, and for what is not finite."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if abs(found) < float("inf") else None
