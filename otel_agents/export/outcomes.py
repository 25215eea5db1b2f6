"""Tells what becomes of an outbox's entries: whoever counts, and the log, of each matter once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from otel_agents.export.delivery import Report

logger = logging.getLogger(__name__)

#: Told of every outcome: what, how many spans, why, and whether they were this process's own.
Note = Callable[[str, int, str | None, bool], None]


class Outcomes:
    """What an outbox tells.

    Args:
        note: told of every outcome.
        changed: told of what waits: spans in memory, spans on disk, bytes on disk.
        kind: what they are called: ``spans``, ``logs`` or ``scores``.
    """

    def __init__(self, note: Note, changed: Callable[[int, int, int], None] | None, kind: str) -> None:
        self._note = note
        self._changed = changed
        self._kind = kind
        self._said: set[str] = set()
        self._waiting = (0, 0, 0)

    def settled(self, report: Report, kept: Sequence[bool], own: bool) -> None:
        """What became of a batch.

        Args:
            report: of it.
            kept: of each that was refused, whether it is kept as a dead letter.
            own: the batch was this process's.
        """
        if delivered := len(report.delivered) - report.rejected:
            self._note("delivered", delivered, None, own)
        if report.rejected:
            self.say("rejected", f"the backend threw {report.rejected} {self._kind} away: {report.message}")
            self.lost(report.rejected, "rejected", own)
        for (_, answer), is_kept in zip(report.refused, kept, strict=True):
            self.say(answer.reason, f"one of the {self._kind} was refused for good: {answer.message}")
            self._note("quarantined" if is_kept else "dropped", 1, answer.reason, own)

    def lost(self, count: int, reason: str, own: bool = True) -> None:
        """So many are lost."""
        if count:
            self._note("dropped", count, reason, own)
            what = "were lost with a process that was killed" if reason == "killed" else f"are lost: {reason}"
            self.say(reason, f"{count} {self._kind} {what} (further ones are only counted)")

    def say(self, what: str, message: str) -> None:
        """Warns of ``what``, the first time."""
        if what not in self._said and len(self._said) < 100:
            self._said.add(what)
            logger.warning("otel-agents: %s", message)

    def waiting(self, in_memory: int, on_disk: int, size: int) -> None:
        """How much waits now."""
        now = (in_memory, on_disk, size)
        if self._changed is not None and now != self._waiting:
            self._waiting = now
            self._changed(*now)
