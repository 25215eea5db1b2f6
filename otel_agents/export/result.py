"""What became of the spans that were ended: the answer of ``flush()``."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class FlushResult:
    """What became of every span that ended since the last ``flush()`` (or since the start).

    Attributes:
        delivered: spans that the Collector or Langfuse has acknowledged.
        spooled: spans that wait on disk.
        dropped: spans that are lost; ``reasons`` says why, and how many each.
        pending: spans that are still in memory because the timeout ran out; they are tried again.
        filtered: spans that were not meant for the backend (infrastructure spans in direct mode).
        elapsed: seconds that the flush took.
    """

    delivered: int = 0
    spooled: int = 0
    dropped: int = 0
    pending: int = 0
    filtered: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    elapsed: float = 0.0

    @property
    def ok(self) -> bool:
        """Nothing was lost and nothing waits."""
        return not (self.dropped or self.pending)


class Ledger:
    """Thread-safe count of outcomes between two flushes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()

    def add(self, outcome: str, spans: int, reason: str | None = None) -> None:
        """Notes that ``spans`` spans were ``delivered``, ``spooled``, ``filtered`` or ``dropped``."""
        with self._lock:
            self._counts[outcome] += spans
            if reason is not None:
                self._reasons[reason] += spans

    def take(self, pending: int, elapsed: float) -> FlushResult:
        """The counts so far as a result; counting starts anew."""
        with self._lock:
            counts, reasons = self._counts, self._reasons
            self._counts, self._reasons = Counter(), Counter()
        return FlushResult(
            delivered=counts["delivered"],
            spooled=counts["spooled"],
            dropped=counts["dropped"],
            filtered=counts["filtered"],
            pending=pending,
            reasons=dict(reasons),
            elapsed=elapsed,
        )
