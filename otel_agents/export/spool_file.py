"""The SQLite file that a spool keeps: made, opened, set aside when it is damaged, deleted."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
from pathlib import Path
from typing import Final

from otel_agents.export import locks

logger = logging.getLogger(__name__)

#: Of the file's form. A file of a newer form is left to the version that wrote it.
VERSION: Final = 1
BROKEN: Final = ".broken-"

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS heads (id INTEGER PRIMARY KEY, head BLOB NOT NULL UNIQUE) STRICT;
CREATE TABLE IF NOT EXISTS items (
    id INTEGER PRIMARY KEY,
    head INTEGER NOT NULL,
    rank INTEGER NOT NULL,
    at REAL NOT NULL,
    body BLOB NOT NULL
) STRICT;
"""


class SpoolError(Exception):
    """The disk cannot be used. The text is one line.

    Attributes:
        damaged: the file itself is broken (it has been set aside, or should be).
        full: there is no room for what was to be written.
    """

    def __init__(self, message: str, damaged: bool = False, full: bool = False) -> None:
        super().__init__(message)
        self.damaged = damaged
        self.full = full


class NewerVersion(SpoolError):
    """The file was written by a newer version of this package; it is left as it is."""


def set_aside(path: Path, and_lock: bool = True) -> Path:
    """Gives a damaged file another name, under which nobody takes it up."""
    aside = path.with_name(f"{path.name}{BROKEN}{time.time_ns():x}")
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(OSError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    if and_lock:
        with contextlib.suppress(OSError):
            locks.path_of(path).unlink()
    logger.error("otel-agents: %s is damaged; set aside as %s", path, aside.name)
    return aside


def connect(path: Path, *, durable: bool, create: bool) -> sqlite3.Connection:
    """Opens a file.

    Args:
        path: of the file.
        durable: what is written survives a power cut, not only the process.
        create: it is a new one. Else it is looked through for damage.

    Raises:
        NewerVersion: a newer version of this package wrote it.
        sqlite3.Error: it cannot be made or read; :func:`is_damage` tells what that means.
    """
    mode = "rwc" if create else "rw"
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    database = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=5.0)
    try:
        [version] = database.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise NewerVersion(
                f"{path} was written by a newer version (form {version}); "
                "update otel-agents, or `otel-agents spool drop` it"
            )
        database.execute("PRAGMA journal_mode=WAL")
        database.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        if version < VERSION:
            database.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version={VERSION}; COMMIT;")
        if not create and (found := database.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise sqlite3.DatabaseError(found)
    except BaseException:
        database.close()
        raise
    return database


def remove(path: Path, and_lock: bool = True) -> None:
    """Deletes a file with its journal, as far as possible."""
    for one in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        with contextlib.suppress(OSError):
            one.unlink()
    if and_lock:
        with contextlib.suppress(OSError):
            locks.path_of(path).unlink()


def is_damage(error: Exception) -> bool:
    """Whether the file is broken, rather than the disk full, read-only or busy."""
    return isinstance(error, sqlite3.DatabaseError) and not isinstance(
        error, sqlite3.OperationalError | sqlite3.ProgrammingError | sqlite3.IntegrityError
    )
