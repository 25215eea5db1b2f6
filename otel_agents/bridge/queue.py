"""Scores on disk between the answer to their sender and Langfuse's: one SQLite file, one bridge."""

from __future__ import annotations

import fcntl
import sqlite3
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Final

from otel_agents.bridge.database import open_database
from otel_agents.bridge.errors import BridgeError
from otel_agents.langfuse.score_events import Score

#: Scores that are kept while Langfuse does not take them.
MAX_SCORES: Final = 200_000
#: The same in bytes of their bodies.
MAX_BYTES: Final = 512 * 1024**2

# Replacing a score gives it a new `seq`: one that is being sent in its older form stays in the queue.
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS scores (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    timestamp_ns INTEGER NOT NULL,
    stored_ns INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT
"""
_ADD: Final = "INSERT OR REPLACE INTO scores (id, timestamp_ns, stored_ns, body) VALUES (?, ?, ?, ?)"
_WAITING: Final = "SELECT timestamp_ns, length(body) FROM scores WHERE id = ?"
_REMOVE: Final = "DELETE FROM scores WHERE seq = ? RETURNING length(body)"


class QueueFull(Exception):
    """There is no room, or the disk takes nothing; the scores were not stored."""


class ScoreQueue:
    """The queue. Safe for threads; what :meth:`add` took survives the process, and a power cut.

    Args:
        folder: made when it is missing; held by one queue at a time.
        max_scores: most scores kept.
        max_bytes: most bytes of bodies kept.

    Raises:
        BridgeError: the folder cannot be written, or another process holds it.
    """

    def __init__(self, folder: Path, max_scores: int = MAX_SCORES, max_bytes: int = MAX_BYTES) -> None:
        self._max_scores = max_scores
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._held = _hold(folder)
        try:
            # Scores are few, and their senders forget them.
            self._db = open_database(folder / "scores.db", _SCHEMA, "FULL")
        except BaseException:
            self._held.close()
            raise
        self._count, self._bytes = self._db.execute(
            "SELECT count(*), coalesce(sum(length(body)), 0) FROM scores"
        ).fetchone()

    def add(self, scores: Sequence[Score]) -> None:
        """Stores scores, all or none; they are on disk when it returns.

        A score whose id waits already takes that one's place, unless it is older.

        Raises:
            QueueFull: there is no room.
        """
        with self._lock:
            size = sum(len(score.body) for score in scores)
            if self._count + len(scores) > self._max_scores or self._bytes + size > self._max_bytes:
                raise QueueFull("the queue is full")
            now = time.time_ns()
            count, size = self._count, self._bytes
            try:
                with self._db:
                    self._db.execute("BEGIN IMMEDIATE")
                    for score in scores:
                        row = self._db.execute(_WAITING, (score.id,)).fetchone()
                        if row is not None and row[0] > score.timestamp_ns:
                            continue
                        self._db.execute(_ADD, (score.id, score.timestamp_ns, now, score.body))
                        count += row is None
                        size += len(score.body) - (row[1] if row else 0)
            except sqlite3.Error as error:
                raise QueueFull(f"the queue's file takes nothing: {error}") from error
            self._count, self._bytes = count, size

    def front(self, limit: int) -> list[tuple[int, Score]]:
        """The oldest scores with their places in the queue."""
        with self._lock:
            rows = self._db.execute(
                "SELECT seq, id, timestamp_ns, body FROM scores ORDER BY seq LIMIT ?", (limit,)
            ).fetchall()
        return [(seq, Score(score_id, timestamp, body)) for seq, score_id, timestamp, body in rows]

    def remove(self, places: Iterable[int]) -> None:
        """Forgets scores that are settled.

        Raises:
            sqlite3.Error: the file cannot be written; they will come up again.
        """
        with self._lock:
            removed = []
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                for place in places:
                    removed += self._db.execute(_REMOVE, (place,)).fetchall()
            self._count -= len(removed)
            self._bytes -= sum(size for (size,) in removed)

    def size(self) -> tuple[int, int]:
        """Number of scores, and bytes of their bodies."""
        with self._lock:
            return self._count, self._bytes

    def oldest_seconds(self) -> float:
        """How long the oldest score has been waiting; 0 when there is none."""
        with self._lock:
            [oldest] = self._db.execute("SELECT stored_ns FROM scores ORDER BY seq LIMIT 1").fetchone() or [0]
        return max(time.time_ns() - oldest, 0) / 1e9 if oldest else 0.0

    def close(self) -> None:
        """Closes the file and lets go of the folder."""
        with self._lock:
            self._db.close()
            self._held.close()


def _hold(folder: Path) -> IO[str]:
    """Locks the folder; the lock goes with the process, however that ends."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # comments of scores are in there
        file = (folder / "lock").open("a+")
    except OSError as error:
        raise BridgeError(
            f"{folder} cannot be written ({error.strerror}); set OTEL_AGENTS_HOME to another folder"
        ) from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise BridgeError(
            f"another bridge uses {folder}; stop it, or set OTEL_AGENTS_HOME to another folder"
        ) from None
    return file
