"""What became of the spans that were ended: the answer of ``flush()``."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ScoreResult:
    """What became of the scores since the last ``flush()`` (or since the start).

    Attributes:
        delivered: scores that Langfuse has accepted.
        pending: scores that wait in memory; they are tried again.
        dropped: scores that are lost: refused, without a target, or more than the queue holds.
        spooled: scores that wait on disk.
    """

    delivered: int = 0
    pending: int = 0
    dropped: int = 0
    spooled: int = 0


@dataclass(frozen=True, slots=True)
class FlushResult:
    """What became of every span that ended since the last ``flush()`` (or since the start).

    ``pending`` and ``spooled`` say what waits now; the others count what happened. So a span that an
    outage kept on disk is ``spooled`` in each result until it is ``delivered`` in one.

    Attributes:
        delivered: spans that the Collector or Langfuse has acknowledged.
        spooled: spans of this process that wait on disk; what it does not deliver, a later one will.
        dropped: spans that are lost; ``reasons`` says why, and how many each.
        pending: spans that are in memory alone because the timeout ran out; they are tried again.
        filtered: spans that were not meant for the backend (infrastructure spans in direct mode).
        quarantined: spans that the backend will never take; they are kept with the reason
            (``otel-agents spool show``).
        reasons: why spans were dropped or quarantined, and how many each.
        elapsed: seconds that the flush took.
        scores: what became of scores, in direct mode.
    """

    delivered: int = 0
    spooled: int = 0
    dropped: int = 0
    pending: int = 0
    filtered: int = 0
    quarantined: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    elapsed: float = 0.0
    scores: ScoreResult = field(default_factory=ScoreResult)

    @property
    def ok(self) -> bool:
        """Nothing was lost or refused, and nothing is in memory alone."""
        lost = self.dropped or self.quarantined or self.scores.dropped
        return not (lost or self.pending or self.scores.pending)


class Ledger:
    """Thread-safe count of outcomes between two flushes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()

    def add(self, outcome: str, spans: int, reason: str | None = None) -> None:
        """Notes that ``spans`` spans were ``delivered``, ``filtered``, ``dropped`` or ``quarantined``."""
        with self._lock:
            self._counts[outcome] += spans
            if reason is not None:
                self._reasons[reason] += spans

    def take(self, pending: int, spooled: int, elapsed: float) -> FlushResult:
        """The counts so far as a result; counting starts anew."""
        with self._lock:
            counts, reasons = self._counts, self._reasons
            self._counts, self._reasons = Counter(), Counter()
        return FlushResult(
            delivered=counts["delivered"],
            spooled=spooled,
            dropped=counts["dropped"],
            filtered=counts["filtered"],
            quarantined=counts["quarantined"],
            pending=pending,
            reasons=dict(reasons),
            elapsed=elapsed,
        )
