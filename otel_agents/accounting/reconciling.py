"""What a provider bills against what was recorded, by day and model."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

if TYPE_CHECKING:
    from otel_agents.accounting.invoices import Invoice

Number = TypeVar("Number", int, float)

#: Shown in place of models where the invoice does not tell them apart.
ALL_MODELS: Final = "(all models)"
_DATE: Final = re.compile(r"(?:[-@](?:20\d\d-?[01]\d-?[0-3]\d))$")
#: Differences below this many USD are of rounding.
_ROUNDING: Final = 0.005


class Recorded(Protocol):
    """What is looked at of a recorded model call; Langfuse's observations have it."""

    @property
    def start(self) -> datetime: ...
    @property
    def model(self) -> str | None: ...
    @property
    def cost(self) -> float | None: ...
    @property
    def input_tokens(self) -> int: ...
    @property
    def output_tokens(self) -> int: ...


@dataclass(slots=True)
class Side:
    """Sums of one side; USD and tokens. ``cost`` or tokens are None where the side does not say."""

    cost: float | None = None
    input: int | None = None
    output: int | None = None
    calls: int | None = None

    def add(self, cost: float | None, input: int | None, output: int | None, calls: int | None) -> None:
        self.cost = _sum(self.cost, cost)
        self.input = _sum(self.input, input)
        self.output = _sum(self.output, output)
        self.calls = _sum(self.calls, calls)


@dataclass(slots=True)
class Row:
    """One day and model.

    Attributes:
        status: ``ok``, ``differs``, ``not recorded`` or ``not billed``.
    """

    day: date
    model: str
    billed: Side = field(default_factory=Side)
    recorded: Side = field(default_factory=Side)
    status: str = "ok"

    def difference(self, what: str) -> float | None:
        """Recorded less billed of ``cost``, ``input``, ``output``, ``calls``; None when a side is silent."""
        billed, recorded = getattr(self.billed, what), getattr(self.recorded, what)
        return None if billed is None or recorded is None else recorded - billed

    def share(self, what: str) -> float | None:
        """The difference as a share of what is billed; None when nothing is."""
        difference, billed = self.difference(what), getattr(self.billed, what)
        return difference / float(billed) if difference is not None and billed else None


@dataclass(slots=True)
class Reconciliation:
    """Rows by day and model, and their sums."""

    rows: list[Row]
    total: Row

    @property
    def agrees(self) -> bool:
        """Whether every row is ``ok``."""
        return all(row.status == "ok" for row in self.rows)


def reconcile(
    invoice: Invoice,
    recorded: Iterable[Recorded],
    *,
    tolerance: float = 0.01,
    maker: Callable[[str], str | None] = lambda model: None,
) -> Reconciliation:
    """Compares them on the days (UTC) from the invoice's first to its last.

    A day and model differs when cost (or, where the invoice has none, input or output tokens) is off by
    more than ``tolerance`` of what is billed and, for cost, by half a cent.

    Args:
        recorded: model calls. Those of models that are not in the invoice count when ``maker`` says
            that they are its provider's, and always when that is ``generic``.
        tolerance: a share.
        maker: tells the provider of a model's name.
    """
    first, last = min(line.day for line in invoice.lines), max(line.day for line in invoice.lines)
    whole = all(not line.model for line in invoice.lines)
    rows: dict[tuple[date, str], Row] = {}
    names: dict[str, str] = {}
    for line in invoice.lines:
        key = canonical(line.model)
        names.setdefault(key, line.model or ALL_MODELS)
        row = rows.setdefault((line.day, key), Row(line.day, names[key]))
        row.billed.add(None if line.cost is None else float(line.cost), line.input, line.output, line.calls)
    known = {key for _, key in rows}
    for call in recorded:
        day = _day(call.start)
        model = call.model or ""
        key = canonical(model)
        if not first <= day <= last or not (key in known or invoice.provider in ("generic", maker(model))):
            continue
        if whole:
            key = ""
        names.setdefault(key, model or "(no model)")
        row = rows.setdefault((day, key), Row(day, names[key]))
        row.recorded.add(call.cost, call.input_tokens, call.output_tokens, 1)
    ordered = [rows[key] for key in sorted(rows)]
    total = Row(last, "total")
    for row in ordered:
        row.status = _status(row, tolerance)
        for side, summed in ((row.billed, total.billed), (row.recorded, total.recorded)):
            summed.add(side.cost, side.input, side.output, side.calls)
    total.status = _status(total, tolerance)
    return Reconciliation(ordered, total)


def canonical(model: str) -> str:
    """One spelling for names of one model: without vendor, date, case and dots.

    >>> canonical("Claude Haiku 4.5"), canonical("claude-haiku-4-5-20251001")
    ('claude-haiku-4-5', 'claude-haiku-4-5')
    """
    name = re.sub(r"[\s._]+", "-", model.strip().lower().rpartition("/")[2])
    return _DATE.sub("", name)


def _status(row: Row, tolerance: float) -> str:
    empty = Side()
    if row.recorded == empty:
        return "ok" if _nothing(row.billed) else "not recorded"
    if row.billed == empty:  # calls that failed are not billed, and used nothing
        return "ok" if _nothing(row.recorded) else "not billed"
    if row.billed.cost is not None:
        off = (row.recorded.cost or 0.0) - row.billed.cost
        return "differs" if abs(off) > max(tolerance * row.billed.cost, _ROUNDING) else "ok"
    for what in ("input", "output"):
        difference, billed = row.difference(what), getattr(row.billed, what)
        if difference is not None and abs(difference) > tolerance * (billed or 0):
            return "differs"
    return "ok"


def _nothing(side: Side) -> bool:
    return not side.cost and not side.input and not side.output


def _day(moment: datetime) -> date:
    return (moment.astimezone(UTC) if moment.tzinfo else moment).date()


def _sum(one: Number | None, other: Number | None) -> Number | None:
    if one is None or other is None:
        return other if one is None else one
    return one + other
