"""One SQLite file: a single writer behind a lock, and a read-only connection for every thread.

WAL lets readers go on while the writer commits. ``synchronous=NORMAL`` keeps the file consistent after
a crash of the process; only a power cut can take the last commits.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from otel_agents.local import schema
from otel_agents.local.options import LocalError

_BUSY_MS = 10_000


class _Reader:
    """Closes its connection when the thread that owns it ends."""

    __slots__ = ("__weakref__", "connection")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def __del__(self) -> None:
        self.connection.close()


class Database:
    """Connections to one file.

    Raises:
        LocalError: the file cannot be opened, is not SQLite, or was made by another version.
    """

    __slots__ = ("_closed", "_local", "_lock", "_readers", "_readers_lock", "_writer", "path")

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._readers_lock = threading.Lock()
        self._readers: weakref.WeakSet[_Reader] = weakref.WeakSet()
        self._local = threading.local()
        self._closed = False
        self._writer = _open_writer(path)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction on the writer: committed at the end, rolled back on an exception."""
        with self._lock:
            if self._closed:
                raise LocalError("the local backend's database is closed")
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
            except BaseException:
                self._writer.execute("ROLLBACK")
                raise
            self._writer.execute("COMMIT")

    @contextmanager
    def exclusive(self) -> Iterator[sqlite3.Connection]:
        """The writer outside of a transaction (for PRAGMA and checkpoints)."""
        with self._lock:
            if self._closed:
                raise LocalError("the local backend's database is closed")
            yield self._writer

    def reader(self) -> sqlite3.Connection:
        """This thread's read-only connection."""
        reader: _Reader | None = getattr(self._local, "reader", None)
        if reader is None:
            if self._closed:
                raise LocalError("the local backend's database is closed")
            connection = sqlite3.connect(
                f"{self.path.resolve().as_uri()}?mode=ro",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                timeout=_BUSY_MS / 1000,
            )
            connection.execute("PRAGMA query_only=ON")
            connection.execute("PRAGMA cache_size=-32000")
            connection.execute("PRAGMA temp_store=MEMORY")
            reader = self._local.reader = _Reader(connection)
            with self._readers_lock:
                self._readers.add(reader)
        return reader.connection

    def close(self) -> None:
        """Closes every connection; the WAL is merged into the file."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            with self._readers_lock:
                for reader in self._readers:
                    reader.connection.close()
            self._writer.close()


def _open_writer(path: Path) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Prompts and answers are nobody else's business; SQLite's side files take the same mode.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=_BUSY_MS / 1000
        )
    except (OSError, sqlite3.Error) as error:
        raise LocalError(f"cannot open the database {path}: {_reason(error)}; choose another path") from error
    try:
        _prepare(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise LocalError(
            f"cannot use the database {path}: {_reason(error)}; move it away or choose another path"
        ) from error
    except LocalError:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables and found != schema.VERSION:
        raise LocalError(
            f"the database {path} has layout {found}, this version needs {schema.VERSION}; "
            "move it away or choose another path"
        )
    if not tables:
        # Has to come before the first table: lets retention give pages back without a full VACUUM.
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.execute("PRAGMA cache_size=-64000")
    connection.execute("PRAGMA journal_size_limit=67108864")
    if not tables:
        connection.executescript(f"BEGIN;{schema.TABLES};PRAGMA user_version={schema.VERSION};COMMIT;")
    # A file that opens but cannot be written should fail now, not at the first span.
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE state SET value = value WHERE name = 'change'")
    connection.execute("COMMIT")


def _reason(error: BaseException) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.splitlines()[0] if text else type(error).__name__
