"""What waits in a spool folder, counted without the code that wrote it."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path


def on_disk(root: Path, kind: str = "spans") -> int:
    """Entries of a kind in the files of all destinations."""
    found = 0
    for path in root.glob(f"*/{kind}-*.db"):
        # It may have been made just now, and have no table yet.
        with closing(sqlite3.connect(path)) as database, suppress(sqlite3.OperationalError):
            found += database.execute("SELECT count(*) FROM items").fetchone()[0]
    return found
