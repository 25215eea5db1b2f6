"""Content of events on disk, until the span that it belongs to comes by."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_agents.bridge.database import open_database
from otel_agents.bridge.event_content import Said
from otel_agents.bridge.queue import QueueFull

if TYPE_CHECKING:
    from otel_agents.bridge.meters import Meters

#: Seconds that content waits for its span, which may run for long after its first message.
MAX_AGE: Final = 3600.0
#: Bytes of content that waits; the oldest goes first.
MAX_BYTES: Final = 256 * 1024**2
#: Spans that have gone by and need no content that comes now.
_GONE: Final = 50_000
_AT_ONCE: Final = 500

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS said (
    seq INTEGER PRIMARY KEY,
    span BLOB NOT NULL,
    digest BLOB NOT NULL,
    at_ns INTEGER NOT NULL,
    stored_ns INTEGER NOT NULL,
    event TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (span, at_ns, digest)
) STRICT
"""
_ADD: Final = """
INSERT OR IGNORE INTO said (span, digest, at_ns, stored_ns, event, body) VALUES (?, ?, ?, ?, ?, ?)
"""


class Contents:
    """The content that waits. Safe for threads; survives the process.

    Args:
        path: of the file, in a folder that this process holds.
        meters: counts what becomes of it.
        max_bytes: bytes of content that may wait.

    Raises:
        BridgeError: the file cannot be used.
    """

    def __init__(self, path: Path, meters: Meters, max_bytes: int = MAX_BYTES) -> None:
        self._meters = meters
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._gone: OrderedDict[bytes, None] = OrderedDict()
        self._count = self._bytes = 0
        self._db = open_database(path, _SCHEMA, "NORMAL")
        self._recount()

    def add(self, said: Sequence[Said]) -> None:
        """Keeps content for spans that have not gone by yet.

        Raises:
            QueueFull: the disk takes nothing.
        """
        now = time.time_ns()
        with self._lock:
            early = [one for one in said if one.span not in self._gone]
            late = len(said) - len(early)
            stored = 0
            try:
                with self._db:
                    self._db.execute("BEGIN IMMEDIATE")
                    for one in early:
                        row = (one.span, one.digest, one.at_ns, now, one.event, one.body)
                        if self._db.execute(_ADD, row).rowcount > 0:
                            stored += 1
                            self._count += 1
                            self._bytes += len(one.body)
                    expired = self._make_room(now)
            except sqlite3.Error as error:
                self._recount()
                raise QueueFull(f"the file of contents takes nothing: {error}") from error
        for outcome, count in (("stored", stored), ("late", late), ("expired", expired)):
            self._meters.content.labels(outcome).inc(count)

    def waiting(self) -> int:
        """How many records wait for their span."""
        return self._count

    def find(self, spans: Collection[bytes]) -> dict[bytes, list[Said]]:
        """What was said about these spans, in the order in which it was."""
        found: dict[bytes, list[Said]] = {}
        asked = list(spans) if self._count else []
        with self._lock:
            for start in range(0, len(asked), _AT_ONCE):
                part = asked[start : start + _AT_ONCE]
                rows = self._db.execute(
                    "SELECT span, at_ns, event, body FROM said "
                    f"WHERE span IN ({','.join('?' * len(part))}) ORDER BY at_ns, seq",
                    part,
                )
                for span, at_ns, event, body in rows:
                    found.setdefault(span, []).append(Said(span, at_ns, event, body))
        return found

    def forget(self, spans: Collection[bytes]) -> None:
        """Removes what was said about spans that were delivered; what comes later for them is late."""
        with self._lock:
            for span in spans:
                self._gone[span] = None
                self._gone.move_to_end(span)
            while len(self._gone) > _GONE:
                self._gone.popitem(last=False)
            if not self._count:
                return
            try:
                with self._db:
                    self._db.execute("BEGIN IMMEDIATE")
                    for span in spans:
                        self._deleted("span = ?", (span,))
            except sqlite3.Error:
                self._recount()  # it goes when its time is over

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._db.close()

    def _make_room(self, now: int) -> int:
        """Removes what is too old or too much, the oldest first; answers how many records that were."""
        oldest = f"seq IN (SELECT seq FROM said ORDER BY seq LIMIT {_AT_ONCE})"
        gone = removed = self._deleted(f"{oldest} AND stored_ns < ?", (now - int(MAX_AGE * 1e9),))
        while removed == _AT_ONCE:
            removed = self._deleted(f"{oldest} AND stored_ns < ?", (now - int(MAX_AGE * 1e9),))
            gone += removed
        while self._bytes > self._max_bytes:
            gone += self._deleted("seq = (SELECT min(seq) FROM said)", ())
        return gone

    def _deleted(self, where: str, values: tuple[object, ...]) -> int:
        rows = self._db.execute(f"DELETE FROM said WHERE {where} RETURNING length(body)", values).fetchall()
        self._count -= len(rows)
        self._bytes -= sum(size for (size,) in rows)
        return len(rows)

    def _recount(self) -> None:
        try:
            self._count, self._bytes = self._db.execute(
                "SELECT count(*), coalesce(sum(length(body)), 0) FROM said"
            ).fetchone()
        except sqlite3.Error:
            return
