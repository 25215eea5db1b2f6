"""Accounts that all processes of a host share: one small SQLite file, in short transactions.

A process that may be refused spends from a lease: an amount that the file holds back for it, for a few
seconds. So processes together cannot spend what is left twice, and none needs the file for every call.
A lease that its holder does not renew (because it was killed) lapses. What was spent is written apart
from leases, so that a lapsed lease changes no sum.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

#: Seconds that a lease lasts unless it is renewed.
LEASE: Final = 10.0
#: Seconds that one transaction waits for others.
_PATIENCE: Final = 0.5
#: Seconds after which a period nobody wrote to is forgotten; longer than any period.
_KEPT: Final = 400 * 86400.0

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS spent (
    account TEXT NOT NULL, period TEXT NOT NULL, nano INTEGER NOT NULL, written REAL NOT NULL,
    PRIMARY KEY (account, period)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lease (
    account TEXT NOT NULL, period TEXT NOT NULL, holder TEXT NOT NULL, nano INTEGER NOT NULL,
    until REAL NOT NULL, PRIMARY KEY (account, period, holder)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS alert (
    account TEXT NOT NULL, period TEXT NOT NULL, threshold REAL NOT NULL, written REAL NOT NULL,
    PRIMARY KEY (account, period, threshold)
) WITHOUT ROWID;
"""


class Exchanged(NamedTuple):
    """What a transaction found, in nano-dollars.

    Attributes:
        spent: by all processes in the period.
        lease: what this process may spend until it asks again.
        passed: thresholds that nobody has passed in this period before.
    """

    spent: int
    lease: int
    passed: tuple[float, ...]


class Store:
    """The file. Its methods raise ``sqlite3.Error`` or ``OSError`` when it cannot be used."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def exchange(
        self,
        account: str,
        period: str,
        holder: str,
        used: int,
        *,
        limit: int,
        want: int,
        thresholds: Sequence[float] = (),
    ) -> Exchanged:
        """Writes what was spent since the last time, gives the lease back and takes a new one.

        Args:
            used: nano-dollars to add.
            want: size of the lease, 0 for none. What is left is shared: a lease is at most a quarter
                of it, or a thousandth of ``limit``.
            thresholds: shares of ``limit`` to look at.
        """
        now = time.time()
        with self._transaction() as connection:
            spent = _add(connection, account, period, used, now)
            connection.execute(
                "DELETE FROM lease WHERE account = ? AND period = ? AND (holder = ? OR until < ?)",
                (account, period, holder, now),
            )
            lease = 0
            if want > 0:
                held = connection.execute(
                    "SELECT coalesce(sum(nano), 0) FROM lease WHERE account = ? AND period = ?",
                    (account, period),
                ).fetchone()[0]
                lease = _share(limit - spent - held, limit, want)
            if lease:
                connection.execute(
                    "INSERT INTO lease VALUES (?, ?, ?, ?, ?)", (account, period, holder, lease, now + LEASE)
                )
            passed = tuple(
                threshold
                for threshold in thresholds
                if spent >= round(threshold * limit)
                and connection.execute(
                    "INSERT OR IGNORE INTO alert VALUES (?, ?, ?, ?)", (account, period, threshold, now)
                ).rowcount
            )
        return Exchanged(spent, lease, passed)

    def spent(self, account: str, period: str) -> int:
        """Nano-dollars written so far."""
        with self._transaction(write=False) as connection:
            row = connection.execute(
                "SELECT nano FROM spent WHERE account = ? AND period = ?", (account, period)
            ).fetchone()
        return int(row[0]) if row else 0

    def close(self) -> None:
        """Closes the file; the next use opens it again."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    @contextlib.contextmanager
    def _transaction(self, write: bool = True) -> Iterator[sqlite3.Connection]:
        with self._lock:
            connection = self._connection or self._open()
            connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            try:
                yield connection
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            self.path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
        )
        try:
            _write_ahead(connection)
            # Without waiting for the disk: a killed process loses nothing, a power cut the last moments.
            connection.execute("PRAGMA synchronous = NORMAL")
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            for table in ("spent", "alert"):
                connection.execute(f"DELETE FROM {table} WHERE written < ?", (time.time() - _KEPT,))
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switches to write-ahead logging. Processes that do so at the same time are refused without a wait."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _add(connection: sqlite3.Connection, account: str, period: str, used: int, now: float) -> int:
    (row,) = connection.execute(
        "INSERT INTO spent VALUES (?, ?, ?, ?) ON CONFLICT (account, period) "
        "DO UPDATE SET nano = nano + excluded.nano, written = excluded.written RETURNING nano",
        (account, period, used, now),
    ).fetchall()
    return int(row[0])


def _share(free: int, limit: int, want: int) -> int:
    """How much of what is free one process may hold."""
    if free <= 0:
        return 0
    least = max(limit // 1000, 1)
    return min(max(want, least), max(free // 4, min(free, least)))
