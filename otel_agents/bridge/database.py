"""The bridge's SQLite files: opened, or set aside and begun anew when they are damaged."""

from __future__ import annotations

import logging
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import Literal

from otel_agents.bridge.errors import BridgeError

logger = logging.getLogger(__name__)


def open_database(path: Path, schema: str, synchronous: Literal["FULL", "NORMAL"]) -> sqlite3.Connection:
    """The file with its tables, in WAL mode, for use under a lock of the caller's.

    Args:
        path: of the file; its folder is there and held by this process.
        schema: statements that make what is missing.
        synchronous: FULL survives a power cut, NORMAL the end of the process.

    Raises:
        BridgeError: it cannot be written; one line that says what to do.
    """
    try:
        return _sound(path, schema, synchronous)
    except (sqlite3.Error, OSError) as error:
        raise BridgeError(f"cannot use {path} ({error}); set OTEL_AGENTS_HOME to another folder") from None


def _sound(path: Path, schema: str, synchronous: str) -> sqlite3.Connection:
    try:
        return _connected(path, schema, synchronous)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise  # no space, no permission: the file may be sound
        aside = path.with_name(f"{path.name}.broken-{time.time_ns()}")
        logger.error("%s is damaged (%s); set aside as %s", path, error, aside.name)
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
        return _connected(path, schema, synchronous)


def _connected(path: Path, schema: str, synchronous: str) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    try:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute(f"PRAGMA synchronous={synchronous}")
        database.executescript(schema)
        if (found := database.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise sqlite3.DatabaseError(found)
    except BaseException:
        database.close()
        raise
    return database
