"""What waits on disk: one SQLite file (WAL) a process, whose lock lives as long as the process does.

The lock is an ``flock`` on a file beside it, so it goes with the process however that ends, and whoever
gets it may send what is left. Files of all processes that send to one place share a folder; see
``leftovers``.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import sys
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Final

from otel_agents.export import locks, tally
from otel_agents.export.entries import Entry
from otel_agents.export.spool_file import NewerVersion, SpoolError, connect, is_damage, remove, set_aside
from otel_agents.export.tally import Tally

#: Bytes that a row takes beside its body.
_ROW: Final = 64
#: Rows that one statement deletes.
_TOGETHER: Final = 500

_FRONT: Final = """
SELECT items.id, heads.head, items.rank, items.at, items.body FROM items JOIN heads ON heads.id = items.head
WHERE items.id > ? AND items.id < ? ORDER BY items.id LIMIT ?
"""

#: Connections that a forked child inherited. SQLite wants them neither used nor closed there.
_inherited: list[sqlite3.Connection] = []


class Spool:
    """One file, held by this process. Not safe for threads: the outbox has a lock around it."""

    def __init__(self, path: Path, lock: int | None, database: sqlite3.Connection) -> None:
        self.path = path
        # None: the process's tally holds it, also when this file is gone.
        self._lock = lock
        self._db = database
        self._heads: dict[bytes, int] = {}
        #: Rows whose fate is decided, but that could not be deleted yet.
        self.done: set[int] = set()
        # Rows up to here come last: the backend failed at them again and again.
        self._aside = 0
        found = database.execute(
            f"SELECT count(*), coalesce(sum(length(body) + {_ROW}), 0), min(at), coalesce(max(id), 0) "
            "FROM items"
        ).fetchone()
        self.count: int = found[0]
        self.bytes: int = found[1]
        #: When its oldest row was taken over, seconds since 1970.
        self.oldest: float = found[2] or time.time()
        self._last: int = found[3]

    @classmethod
    def create(cls, folder: Path, kind: str, durable: bool = False, own: Tally | None = None) -> Spool:
        """A new file in ``folder``, which is made when it is missing.

        Args:
            folder: of one destination.
            kind: what it holds: ``spans`` or ``scores``.
            durable: what :meth:`add` took survives a power cut, not only the process.
            own: the tally of this process's spans, whose lock is the file's as well.

        Raises:
            SpoolError: the folder cannot be written, or not be locked.
        """
        if own is not None:
            own.open()
            if own.path is not None and own.lock is not None:
                try:
                    return cls(own.path, None, connect(own.path, durable=durable, create=True))
                except (sqlite3.Error, OSError) as error:
                    remove(own.path, and_lock=False)
                    raise SpoolError(f"{own.path} cannot be made: {error}") from None
        path = folder / f"{kind}-{time.time_ns():x}-{os.getpid()}-{secrets.token_hex(3)}.db"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # messages are in there
            lock = locks.take(path, create=True)
        except OSError as error:
            raise SpoolError(f"{folder} cannot be used: {error.strerror or error}") from None
        if lock is None:
            raise SpoolError(f"{folder} cannot be locked")
        try:
            return cls(path, lock, connect(path, durable=durable, create=True))
        except (sqlite3.Error, OSError) as error:
            os.close(lock)
            remove(path)
            raise SpoolError(f"{path} cannot be made: {error}") from None

    @classmethod
    def adopt(cls, path: Path, lost: Callable[[int, str], None] = lambda *_: None) -> Spool | None:
        """The file of a process that is gone; None when it is held, or has vanished meanwhile.

        Args:
            path: of the file.
            lost: told, once, what the process took with it: how many spans, and why.

        Raises:
            NewerVersion: a newer version of this package wrote it.
            SpoolError: it cannot be read; a damaged one has been set aside.
        """
        try:
            lock = locks.take(path, create=False)
        except OSError as error:
            raise SpoolError(f"{path} cannot be locked: {error.strerror or error}") from None
        if lock is None:
            return None
        missing = tally.open_fates(lock)
        try:
            if not path.stat().st_size and not path.with_name(path.name + "-wal").exists():
                if missing:
                    lost(missing, "killed")
                remove(path)  # its process was gone before it had written anything
                os.close(lock)
                return None
            made = cls(path, lock, connect(path, durable=False, create=False))
            if missing > made.count:
                lost(missing - made.count, "killed")
            tally.clear(lock)
            return made
        except NewerVersion:
            os.close(lock)
            raise
        except (sqlite3.Error, OSError) as error:
            damaged = is_damage(error)
            if damaged:
                if missing:
                    lost(missing, "spool_damaged")
                set_aside(path)
            os.close(lock)
            raise SpoolError(f"{path} cannot be read: {error}", damaged) from None

    def add(self, entries: Sequence[Entry], instead_of: Collection[int] = ()) -> None:
        """Stores ``entries``, all or none, and gives each its ``row``.

        Args:
            entries: not in the file yet.
            instead_of: rows that go with it; all of it happens, or nothing.

        Raises:
            SpoolError: the disk took nothing.
        """
        first = self._last + 1
        try:
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                self._db.executemany(
                    "INSERT INTO items (id, head, rank, at, body) VALUES (?, ?, ?, ?, ?)",
                    [
                        (row, self._head(entry.head), entry.rank, entry.at, entry.body)
                        for row, entry in enumerate(entries, first)
                    ],
                )
                gone = [self._delete(row) for row in instead_of]
        except sqlite3.Error as error:
            self._heads.clear()  # some of them may have been made in what was just undone
            raise self._error(error) from None
        if not self.count and entries:
            self.oldest = entries[0].at
        for row, entry in enumerate(entries, first):
            entry.row = row
            self.bytes += len(entry.body) + _ROW
        self._last += len(entries)
        self.count += len(entries) - sum(size is not None for size in gone)
        self.bytes -= sum(size or 0 for size in gone)

    def front(self, limit: int, max_bytes: int, before: int | None = None) -> list[Entry]:
        """The oldest entries, at least one if there is any, up to ``max_bytes``. Those put aside next time.

        Args:
            limit: most entries.
            max_bytes: of them together, heads aside.
            before: only rows below this one.

        Raises:
            SpoolError: the file cannot be read.
        """
        found: list[Entry] = []
        size = 0
        try:
            last = before if before is not None else sys.maxsize
            cursor = self._db.execute(_FRONT, (self._aside, last, limit + len(self.done)))
            for row, head, rank, at, body in cursor:
                entry = Entry(head, body, rank, at, row)
                if row in self.done:
                    continue
                size += entry.size
                if found and size > max_bytes:
                    break
                found.append(entry)
            cursor.close()
        except sqlite3.Error as error:
            raise self._error(error) from None
        if found and not self._aside:
            self.oldest = found[0].at
        elif not found:
            self._aside = 0  # these are left; they come up next time
        return found

    def put_aside(self, entries: Sequence[Entry]) -> None:
        """Has the entries that come after these sent before them."""
        self._aside = max((one.row or 0 for one in entries), default=self._aside)

    def remove(self, rows: Iterable[int]) -> int:
        """Forgets rows; answers how many there were.

        Raises:
            SpoolError: the file cannot be written; they will come up again.
        """
        removed: list[tuple[int]] = []
        waiting = list(rows)
        try:
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                for start in range(0, len(waiting), _TOGETHER):
                    some = waiting[start : start + _TOGETHER]
                    marks = ",".join("?" * len(some))
                    removed += self._db.execute(
                        f"DELETE FROM items WHERE id IN ({marks}) RETURNING length(body) + {_ROW}", some
                    ).fetchall()
        except sqlite3.Error as error:
            raise self._error(error) from None
        self.count -= len(removed)
        self.bytes -= sum(size for (size,) in removed)
        return len(removed)

    def evict(self, size: int, by_value: bool, keep: Collection[int] = ()) -> list[int]:
        """Forgets entries that take at least ``size`` bytes together; answers their rows.

        Args:
            size: bytes to get free.
            by_value: those of the lowest rank first, else the oldest.
            keep: rows that stay, as they are being sent.

        Raises:
            SpoolError: the file cannot be written.
        """
        order = "rank, id" if by_value else "id"
        chosen: list[int] = []
        freed = 0
        try:
            for row, length in self._db.execute(f"SELECT id, length(body) FROM items ORDER BY {order}"):
                if freed >= size:
                    break
                if row not in keep:
                    chosen.append(row)
                    freed += length + _ROW
        except sqlite3.Error as error:
            raise self._error(error) from None
        self.remove(chosen)
        return chosen

    def expired(self, before: float, keep: Collection[int] = ()) -> list[int]:
        """Forgets entries taken over before ``before`` (seconds since 1970); answers their rows.

        Raises:
            SpoolError: the file cannot be written.
        """
        if not self.count or self.oldest >= before:
            return []
        try:
            found = self._db.execute("SELECT id FROM items WHERE at < ?", (before,)).fetchall()
        except sqlite3.Error as error:
            raise self._error(error) from None
        rows = [row for (row,) in found if row not in keep]
        self.remove(rows)
        self.oldest = max(self.oldest, before)
        return rows

    def close(self) -> None:
        """Closes the file and lets go of it; an empty one is deleted."""
        with contextlib.suppress(sqlite3.Error):
            self._db.close()
        if self.count <= len(self.done):
            remove(self.path, and_lock=self._lock is not None)
        if self._lock is not None:
            locks.release(self._lock)

    def damaged(self) -> None:
        """Sets the file aside and lets go of it."""
        with contextlib.suppress(sqlite3.Error):
            self._db.close()
        set_aside(self.path, and_lock=self._lock is not None)
        if self._lock is not None:
            locks.release(self._lock)

    def abandon(self) -> None:
        """In a forked child: lets go of what is the parent's. The parent's own lock stays."""
        _inherited.append(self._db)
        if self._lock is not None:
            locks.release(self._lock)  # held here, it would outlive the parent: nobody could adopt the file

    def _delete(self, row: int) -> int | None:
        """Deletes a row; its size, or None when it was not there."""
        found = self._db.execute(
            f"DELETE FROM items WHERE id = ? RETURNING length(body) + {_ROW}", (row,)
        ).fetchone()
        return None if found is None else int(found[0])

    def _head(self, head: bytes) -> int:
        found = self._heads.get(head)
        if found is None:
            self._db.execute("INSERT OR IGNORE INTO heads (head) VALUES (?)", (head,))
            [found] = self._db.execute("SELECT id FROM heads WHERE head = ?", (head,)).fetchone()
            if len(self._heads) > 1000:
                self._heads.clear()
            self._heads[head] = found
        return found

    def _error(self, error: sqlite3.Error) -> SpoolError:
        full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        return SpoolError(f"{self.path}: {error}", is_damage(error), full)
