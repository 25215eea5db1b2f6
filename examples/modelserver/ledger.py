"""The ledger: every call that a provider would have billed, as it would have billed it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

from modelserver.prices import Bill, cost


@dataclass(slots=True)
class Entry:
    """One billed call.

    Attributes:
        operation: "chat", "embeddings", "images", "transcription" or "speech".
        model: the name that the answer carried; ``request_model`` is what the client asked for.
        partial: the stream ended early, and the call was billed for what had been produced.
        reported: the client was sent the whole usage. False for cut streams, and for streams
            without ``include_usage``: no observer on the wire can count those.
        cost: USD; None for a model without a price.
        at: Unix time in seconds.
    """

    request_id: str
    response_id: str
    provider: str
    operation: str
    path: str
    request_model: str
    model: str
    stream: bool
    bill: Bill
    partial: bool = False
    reported: bool = True
    scenario: str = ""
    retry_count: int = 0
    at: float = field(default_factory=time.time)

    @property
    def cost(self) -> Decimal | None:
        return cost(self.model, self.bill)

    def as_dict(self) -> dict[str, Any]:
        entry = asdict(self)
        entry.update(entry.pop("bill"))
        amount = self.cost
        entry["cost"] = None if amount is None else _plain(amount)
        return entry


class Ledger:
    """Thread-safe list of entries and counts of errors, summed up on demand."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[Entry] = []
        self._errors: Counter[str] = Counter()

    def bill(self, entry: Entry) -> Entry:
        """Adds one billed call, and returns it."""
        with self._lock:
            self._entries.append(entry)
        return entry

    def error(self, status: int | str) -> None:
        """Counts an answer that no provider bills, by HTTP status (or "dropped")."""
        with self._lock:
            self._errors[str(status)] += 1

    def reset(self) -> None:
        """Forgets everything."""
        with self._lock:
            self._entries.clear()
            self._errors.clear()

    def snapshot(self, records: bool = True) -> dict[str, Any]:
        """Sums over all calls, by model, and of those that were partial or not reported.

        Costs are decimal strings in USD. A cost sum leaves out calls without a price, which
        ``unpriced_calls`` counts.
        """
        with self._lock:
            entries = list(self._entries)
            errors = dict(sorted(self._errors.items()))

        def part(keep: Callable[[Entry], bool]) -> dict[str, Any]:
            return _sums([entry for entry in entries if keep(entry)])

        models = sorted({entry.model for entry in entries})
        snapshot: dict[str, Any] = {
            **_sums(entries),
            "models": {model: part(lambda e, model=model: e.model == model) for model in models},  # type: ignore[misc]
            "partial": part(lambda entry: entry.partial),
            "unreported": part(lambda entry: not entry.reported),
            "errors": errors,
        }
        if records:
            snapshot["records"] = [entry.as_dict() for entry in entries]
        return snapshot


def _sums(entries: list[Entry]) -> dict[str, Any]:
    costs = [entry.cost for entry in entries]
    return {
        "calls": len(entries),
        "input": sum(entry.bill.input for entry in entries),
        "output": sum(entry.bill.output for entry in entries),
        "cache_read": sum(entry.bill.cache_read for entry in entries),
        "cache_write": sum(entry.bill.cache_write for entry in entries),
        "cache_write_1h": sum(entry.bill.cache_write_1h for entry in entries),
        "reasoning": sum(entry.bill.reasoning for entry in entries),
        "cost": _plain(sum((amount for amount in costs if amount is not None), Decimal(0))),
        "unpriced_calls": sum(amount is None for amount in costs),
    }


def _plain(amount: Decimal) -> str:
    """Without an exponent, which ``str`` prints for small amounts."""
    return format(amount.normalize(), "f") if amount else "0"
