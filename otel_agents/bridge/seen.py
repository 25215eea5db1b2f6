"""Which spans were delivered already: a bounded memory on disk.

A span comes again when a sender did not hear the answer to its first try: a Collector that is started
again repeats what was on its way, an application whose request was refused by one branch of a Collector
repeats it for all. Langfuse keeps a row for each, and until its storage merges them, tokens and cost count
twice.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import threading
import time
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

from otel_agents.bridge.database import open_database

logger = logging.getLogger(__name__)

#: Spans that are remembered at least; twice as many at most. About 30 bytes each on disk.
MAX_SPANS: Final = 500_000
#: Keys in one query; SQLite takes more, but not for ever.
_AT_ONCE: Final = 500
_LOG_INTERVAL: Final = 60.0

# Two halves instead of an age for each span: when the newer one is full, the older one is emptied and
# takes its place. No second index, and no deletes among what is being written.
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS seen_0 (key BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS seen_1 (key BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS newer (half INTEGER NOT NULL) STRICT;
INSERT INTO newer SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM newer);
"""


def span_key(project: bytes, trace_id: bytes, span_id: bytes) -> bytes:
    """What a span is known by. One span sent to two projects is two.

    Args:
        project: whatever tells the projects apart, such as the request's keys.
    """
    return hashlib.blake2b(trace_id + span_id, digest_size=16, key=project[:64]).digest()


class SeenSpans:
    """Keys of delivered spans. Safe for threads; survives the process.

    What cannot be read or written is logged and counts as not seen: a span delivered twice is better than
    one that is lost.

    Args:
        path: of the file, in a folder that this process holds.
        limit: keys that each half takes.

    Raises:
        BridgeError: the file cannot be used.
    """

    def __init__(self, path: Path, limit: int = MAX_SPANS) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._logged = float("-inf")
        self._db = open_database(path, _SCHEMA, "NORMAL")
        self._newer = int(self._db.execute("SELECT half FROM newer").fetchone()[0])
        self._count = self._counted()

    def known(self, keys: Collection[bytes]) -> set[bytes]:
        """Those of the keys that were seen before."""
        found: set[bytes] = set()
        asked = list(keys)
        with self._lock:
            try:
                for start in range(0, len(asked), _AT_ONCE):
                    part = asked[start : start + _AT_ONCE]
                    marks = ",".join("?" * len(part))
                    for half in (0, 1):
                        query = f"SELECT key FROM seen_{half} WHERE key IN ({marks})"
                        found.update(key for (key,) in self._db.execute(query, part))
            except sqlite3.Error as error:
                self._complain(error)
        return found

    def add(self, keys: Iterable[bytes]) -> None:
        """Remembers keys; on disk when it returns, if the disk takes them."""
        with self._lock:
            try:
                with self._db:
                    self._db.execute("BEGIN IMMEDIATE")
                    if self._count >= self._limit:
                        self._turn()
                    before = self._db.total_changes
                    self._db.executemany(
                        f"INSERT OR IGNORE INTO seen_{self._newer} VALUES (?)", [(key,) for key in keys]
                    )
                    added = self._db.total_changes - before
                self._count += added
            except sqlite3.Error as error:
                self._complain(error)
                self._reread()

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._db.close()

    def _turn(self) -> None:
        older = 1 - self._newer
        self._db.execute(f"DELETE FROM seen_{older}")  # without WHERE it is as fast as DROP
        self._db.execute("UPDATE newer SET half = ?", (older,))
        self._newer, self._count = older, 0

    def _reread(self) -> None:
        """A turn that was taken back by the file is taken back here."""
        try:
            self._newer = int(self._db.execute("SELECT half FROM newer").fetchone()[0])
            self._count = self._counted()
        except sqlite3.Error:
            logger.debug("the file cannot be read", exc_info=True)

    def _counted(self) -> int:
        return int(self._db.execute(f"SELECT count(*) FROM seen_{self._newer}").fetchone()[0])

    def _complain(self, error: sqlite3.Error) -> None:
        if time.monotonic() - self._logged > _LOG_INTERVAL:
            self._logged = time.monotonic()
            logger.error("repeated spans cannot be told from new ones: %s", error)
