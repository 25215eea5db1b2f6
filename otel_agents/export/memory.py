"""The part of an outbox that is in memory: what has come in, in its order, and what is in flight."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Collection, Sequence

from otel_agents.export.entries import Entry
from otel_agents.export.limits import Limits
from otel_agents.export.spool import Spool


class Memory:
    """Entries in memory. Safe for threads; ``changed`` tells whoever waits.

    Entries that are on disk as well have a ``row``, and come before those that have none.
    """

    def __init__(self, limits: Limits) -> None:
        self.changed = threading.Condition(threading.RLock())
        self._limits = limits
        self._fresh: deque[Entry] = deque()
        self._bytes = 0
        self._aside = False
        #: What is being sent, and the file it came from; None when it came from here.
        self.flying: list[Entry] = []
        self.source: Spool | None = None
        #: Number of the newest entry.
        self.newest = 0

    def __len__(self) -> int:
        return len(self._fresh)

    def add(self, entries: Sequence[Entry]) -> None:
        """Takes entries over."""
        now = time.monotonic()
        with self.changed:
            for entry in entries:
                self.newest += 1
                entry.number, entry.queued, entry.size = self.newest, now, len(entry.body) + 8
                self._bytes += entry.size
            self._fresh.extend(entries)
            self.changed.notify_all()

    def all(self) -> list[Entry]:
        """Everything whose fate is open, in order."""
        with self.changed:
            flying = self.flying if self.source is None else ()
            return [*(one for one in flying if not one.settled), *self._fresh]

    def unsaved(self) -> list[Entry]:
        """What is in memory alone, in order."""
        return [one for one in self.all() if one.row is None]

    def first_row(self) -> int | None:
        """The lowest row of what waits here; None when nothing of it has one."""
        with self.changed:
            if not self._aside:
                return self._fresh[0].row if self._fresh else None
            # What was put aside may stand behind what came later, and have got its row later.
            return min((one.row for one in self._fresh if one.row is not None), default=None)

    def over(self) -> bool:
        """Whether it is more than the limits allow. What is in flight comes on top, as it cannot give way."""
        return len(self._fresh) > self._limits.memory_spans or self._bytes > self._limits.memory_bytes

    def leave_to_disk(self) -> bool:
        """Forgets, as far as needed, what is on disk as well; answers whether that was enough."""
        with self.changed:
            while self.over() and self._fresh and self._fresh[0].row is not None:
                self._bytes -= self._fresh.popleft().size
            return not self.over()

    def give_way(self) -> int:
        """Gives up as many entries as needed, the oldest or the least valuable; answers how many."""
        with self.changed:
            order = sorted(self._fresh, key=lambda one: one.rank if self._limits.by_value else 0)
            spans, size = len(order), self._bytes
            for one in order:
                if spans <= self._limits.memory_spans and size <= self._limits.memory_bytes:
                    break
                one.settled = True
                spans -= 1
                size -= one.size
            return self._sweep()

    def drop_rows(self, rows: Collection[int]) -> None:
        """Gives up the entries whose rows the disk gave up."""
        with self.changed:
            for one in self._fresh:
                if one.row in rows:
                    one.settled = True
            self._sweep()

    def lose_rows(self) -> int:
        """The file is gone: what is here as well gets other rows; answers how many entries that are."""
        with self.changed:
            kept = [one for one in self.all() if one.row is not None]
            for one in kept:
                one.row = None
            return len(kept)

    def take(self) -> bool:
        """Puts the oldest entries in flight, as many as one request takes. Those put aside come last."""
        with self.changed:
            batch: list[Entry] = []
            later: list[Entry] = []
            size = 0
            if self._aside and all(one.aside for one in self._fresh):
                for one in self._fresh:
                    one.aside = False
                self._aside = bool(self._fresh)
            while self._fresh and len(batch) < self._limits.batch_spans:
                if self._fresh[0].aside:
                    later.append(self._fresh.popleft())
                    continue
                size += self._fresh[0].size
                if batch and size > self._limits.batch_bytes:
                    break
                batch.append(self._fresh.popleft())
            self._fresh.extendleft(reversed(later))
            return self.fly(batch, None)

    def put_aside(self, entries: Sequence[Entry]) -> None:
        """Has all others sent before these."""
        with self.changed:
            self._aside = self._aside or bool(entries)
            for one in entries:
                one.aside = True

    def fly(self, batch: list[Entry], source: Spool | None) -> bool:
        """Puts a batch in flight; False when there is nothing in it."""
        with self.changed:
            self.flying, self.source = batch, source
            return bool(batch)

    def land(self, left: Sequence[Entry], decided: Sequence[Entry]) -> None:
        """Nothing is in flight any more: ``left`` goes back to where it came from."""
        with self.changed:
            for one in decided:
                one.settled = True
            if self.source is None:
                self._bytes -= sum(one.size for one in decided)
                self._fresh.extendleft(reversed(left))
            self.fly([], None)

    def clear(self) -> None:
        """Forgets everything."""
        with self.changed:
            self._fresh.clear()
            self._bytes = 0
            self.fly([], None)

    def notify(self) -> None:
        """Wakes whoever waits."""
        with self.changed:
            self.changed.notify_all()

    def _sweep(self) -> int:
        """Forgets what waits here and is settled; answers how many entries that were."""
        before = len(self._fresh)
        self._bytes -= sum(one.size for one in self._fresh if one.settled)
        self._fresh = deque(one for one in self._fresh if not one.settled)
        self.changed.notify_all()
        return before - len(self._fresh)
