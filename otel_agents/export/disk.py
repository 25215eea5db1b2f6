"""This process's file in the spool folder, the files of others that it took up, the folder's limits."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Final

from otel_agents.export import leftovers
from otel_agents.export.entries import Entry
from otel_agents.export.leftovers import Destination
from otel_agents.export.limits import Limits
from otel_agents.export.spool import Spool
from otel_agents.export.spool_file import SpoolError
from otel_agents.export.tally import Tally, collect

logger = logging.getLogger(__name__)

#: Seconds after which a disk that took nothing is tried again.
_PAUSE: Final = 5.0
#: Seconds for which the size of the others' files is taken for known.
_SIZE_KNOWN: Final = 10.0
#: Seconds between two looks for files of processes that are gone.
_LOOK: Final = 30.0
#: Files that are tried before others get their turn with the disk.
_AT_ONCE: Final = 10
#: Share of the limit that is made free when it is reached.
_ROOM: Final = 0.05


def _uptime() -> float:
    """Seconds that no setting of the clock changes; where possible those of the machine's sleep too."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


#: Stands for all rows of this process's file.
WHOLE_FILE: Final = frozenset({-1})
#: Told of what gave way or was lost: rows of this process's file (none for another's), how many, why.
Gone = Callable[[Collection[int], int, str], None]


class Disk:
    """Where one outbox keeps what cannot be sent. Not safe for threads: the outbox has a lock for it.

    Nothing raises: a disk that fails is said once, left alone for some seconds, and tried again.

    Args:
        destination: whose folder it is.
        root: the spool folder.
        kind: ``spans`` or ``scores``.
        durable: writes survive a power cut.
        limits: of bytes and age.
        gone: told of what gives way; rows of other processes' files are only counted (no rows given).
        tally: of this process's spans; with one, what killed processes took with them is counted too.
    """

    def __init__(
        self,
        destination: Destination,
        root: Path,
        kind: str,
        durable: bool,
        limits: Limits,
        gone: Gone,
        tally: Tally | None = None,
    ) -> None:
        self.folder = destination.folder(root)
        self._tally = tally
        self._started, self._up = time.time(), _uptime()
        self._destination = destination
        self._kind = kind
        self._durable = durable
        self._limits = limits
        self._gone = gone
        self.own: Spool | None = None
        self.leftover: Spool | None = None
        self._waiting: deque[Path] = deque()  # files that may be nobody's
        self._looked = -_LOOK
        self._failed: float | None = None
        self._said: set[str] = set()
        self._others = (-_SIZE_KNOWN, 0)

    def save(self, entries: Sequence[Entry], in_flight: Collection[int] = ()) -> bool:
        """Writes ``entries`` and gives each its row; False when the disk does not take them all.

        On a full disk the first ones are written, as many as there is room for.

        Args:
            entries: not on disk yet.
            in_flight: rows of this process's file that are being sent, and so do not give way.
        """
        if not entries:
            return True
        now = time.monotonic()
        if self._failed is not None and now - self._failed < _PAUSE:
            return False
        try:
            if self.own is None:
                self.own = Spool.create(self.folder, self._kind, self._durable, self._tally)
                leftovers.describe(self.folder, self._destination)
            self._make_room(self.own, sum(one.size + 64 for one in entries), in_flight)
            _add(self.own, entries)
        except SpoolError as error:
            self._failed = now
            self._trouble(error)
            return False
        self._failed = None
        return True

    def front(self, limit: int, before: int | None) -> list[Entry]:
        """The oldest entries of this process's file, of rows below ``before``."""
        if self.own is None or not self.own.count:
            return []
        found = self._front(self.own, limit, before)
        return found if found or self.own is None else self._front(self.own, limit, before)

    def front_of_leftover(self, limit: int) -> list[Entry]:
        """The oldest entries of a file whose process is gone; :attr:`leftover` is that file."""
        if self.leftover is None and (found := self._next_leftover()) is not None:
            self.leftover = found
        if self.leftover is None:
            return []
        entries = self._front(self.leftover, limit, None)
        if not entries and self.leftover is not None and not self.leftover.done:
            self._let_go()
        return entries

    def forget(self, spool: Spool, entries: Sequence[Entry]) -> None:
        """Deletes entries of ``spool`` whose fate is decided."""
        spool.done.update(one.row for one in entries if one.row is not None)
        self._clear(spool)
        if spool.count > len(spool.done):
            return
        if spool is self.leftover:
            self._let_go()
        elif spool.done:  # a full disk takes no deletion either, but a file can go
            spool.close()
            self.own = None

    def _clear(self, spool: Spool) -> None:
        """Deletes what is done. A disk that cannot even delete has it remembered: it is not sent again."""
        try:
            spool.remove(spool.done)
            spool.done.clear()
        except SpoolError as error:
            self._trouble(error)

    def expire(self, in_flight: Collection[int], failing: bool) -> None:
        """Gives up what has been waiting for too long.

        Args:
            in_flight: rows of this process's file that are being sent.
            failing: the backend does not take spans. Only then what others left is given up: it costs no
                more to send it, and its age may be the doing of a clock that was wrong.
        """
        try:
            if self.own is not None:
                self._drop(self.own, self.own.expired(self._oldest(), in_flight), "too_old")
            if self.leftover is not None and failing:
                self._drop(self.leftover, self.leftover.expired(self._oldest()), "too_old")
        except SpoolError as error:
            self._trouble(error)

    def _oldest(self) -> float:
        """When the oldest was taken over that may stay. A clock that was put forward makes nothing older."""
        ahead = time.time() - self._started - (_uptime() - self._up)
        return time.time() - max(ahead, 0.0) - self._limits.max_age

    @property
    def has_work(self) -> bool:
        """Whether there is something to send, or it is time to look for what other processes left."""
        own = self.own is not None and self.own.count > 0
        return own or self.leftover is not None or bool(self._waiting) or self._look_again()

    def _look_again(self) -> bool:
        return time.monotonic() - self._looked >= _LOOK

    def close(self) -> None:
        """Lets go of all files; what is in them is for the next process."""
        for spool in (self.own, self.leftover):
            if spool is not None:
                spool.close()
        self.own = self.leftover = None

    def abandon(self) -> None:
        """In a forked child: leaves all files to the parent."""
        for spool in (self.own, self.leftover):
            if spool is not None:
                spool.abandon()
        self.own = self.leftover = None

    def _front(self, spool: Spool, limit: int, before: int | None) -> list[Entry]:
        if self._failed is not None and time.monotonic() - self._failed < _PAUSE:
            return []
        if spool.done:
            self._clear(spool)
        try:
            return spool.front(limit, self._limits.batch_bytes, before)
        except SpoolError as error:
            self._failed = time.monotonic()
            self._trouble(error)
            return []

    def _next_leftover(self) -> Spool | None:
        if not self._waiting and self._look_again():
            self._looked = time.monotonic()
            if self._tally is not None:
                self._lost(collect(self.folder, self._tally.found), "killed")
            leftovers.clear_locks(self.folder)
            own = self.own.path if self.own is not None else None
            self._waiting = deque(path for path in leftovers.files(self.folder, self._kind) if path != own)
        for _ in range(min(_AT_ONCE, len(self._waiting))):
            found = leftovers.adopt(self._waiting.popleft(), self._missing)
            if found is not None:
                logger.info("otel-agents: sending what another process left: %s", found.path)
                return found
        return None

    def _missing(self, count: int, reason: str) -> None:
        """A process that was killed took so many with it."""
        if self._tally is not None:
            self._tally.found(count)
        self._lost(count, reason)

    def _lost(self, count: int, reason: str) -> None:
        if count:
            self._gone((), count, reason)

    def _let_go(self) -> None:
        if self.leftover is not None:
            self.leftover.close()
            self.leftover = None

    def _make_room(self, spool: Spool, size: int, in_flight: Collection[int]) -> None:
        self._drop(spool, spool.expired(self._oldest(), in_flight), "too_old")
        over = spool.bytes + self._others_size() + size - self._limits.disk_bytes
        if over <= 0:
            return
        wanted = max(over, int(self._limits.disk_bytes * _ROOM))
        by_value = self._limits.by_value
        self._drop(spool, spool.evict(wanted, by_value, in_flight), "spool_full")

    def _others_size(self) -> int:
        known, size = self._others
        if time.monotonic() - known >= _SIZE_KNOWN:
            size = leftovers.size_of(self.folder, self.own.path if self.own is not None else None)
            self._others = (time.monotonic(), size)
        return size

    def _drop(self, spool: Spool, rows: Sequence[int], reason: str) -> None:
        if rows:
            self._gone(set(rows) if spool is self.own else (), len(rows), reason)

    def _trouble(self, error: SpoolError) -> None:
        text = str(error)
        if text not in self._said and len(self._said) < 20:
            self._said.add(text)
            logger.warning("otel-agents: %s; what cannot be sent stays in memory", text)
        if not error.damaged:
            return
        for spool in (self.own, self.leftover):
            if spool is not None and str(spool.path) in text:
                count, own = spool.count, spool is self.own
                spool.damaged()
                if own:
                    self.own = None
                else:
                    self.leftover = None
                self._gone(WHOLE_FILE if own else (), count, "spool_damaged")


def _add(spool: Spool, entries: Sequence[Entry]) -> None:
    """Stores entries; on a full disk the first of them, as many as it takes.

    Raises:
        SpoolError: it did not take all.
    """
    try:
        spool.add(entries)
    except SpoolError as error:
        if not error.full or len(entries) < 2:
            raise
        middle = len(entries) // 2
        _add(spool, entries[:middle])
        _add(spool, entries[middle:])
