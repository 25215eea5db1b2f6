"""What is in the spool folder, for people: every destination, its files and its dead letters."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from otel_agents.export import dead_letters, leftovers
from otel_agents.export.dead_letters import DeadLetter
from otel_agents.export.leftovers import Destination
from otel_agents.export.locks import is_held
from otel_agents.export.spool_file import BROKEN, VERSION

State = Literal["in use", "left", "damaged", "newer"]


@dataclass(frozen=True, slots=True)
class SpoolFile:
    """One file.

    Attributes:
        path: where it is.
        kind: ``spans`` or ``scores``.
        state: ``in use`` by a living process, ``left`` by one that is gone, ``damaged`` and set aside,
            or of a ``newer`` version.
        count: how many spans or scores wait in it.
        size: bytes on disk.
        oldest: when its oldest was taken over, seconds since 1970; None when it is empty.
    """

    path: Path
    kind: str
    state: State
    count: int
    size: int
    oldest: float | None


@dataclass(frozen=True, slots=True)
class Contents:
    """What waits for one destination.

    Attributes:
        key: name of its folder.
        destination: what the folder says it is for; None when that cannot be read.
        files: oldest first.
        dead: spans that were refused for good, oldest first.
    """

    key: str
    destination: Destination | None
    files: list[SpoolFile] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)


def contents(root: Path) -> Iterator[Contents]:
    """Everything under the spool folder ``root``, a destination at a time."""
    with suppress(OSError):
        for folder in sorted(path for path in root.iterdir() if path.is_dir()):
            found = [_file(path) for path in leftovers.files(folder)]
            broken = sorted(path for path in folder.glob(f"*.db{BROKEN}*") if "-wal" not in path.name)
            found += [_damaged(path) for path in broken if not path.name.endswith("-shm")]
            letters = list(dead_letters.read(folder))
            yield Contents(folder.name, leftovers.described(folder), found, letters)


def delete(file: SpoolFile) -> None:
    """Deletes a file and what belongs to it."""
    for one in file.path.parent.glob(f"{file.path.name}*"):
        one.unlink(missing_ok=True)
    file.path.with_suffix(".lock").unlink(missing_ok=True)


def _file(path: Path) -> SpoolFile:
    held = is_held(path)
    kind = path.name.partition("-")[0]
    try:
        database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=1.0)
        try:
            [version] = database.execute("PRAGMA user_version").fetchone()
            if version > VERSION:
                return SpoolFile(path, kind, "newer", 0, _size(path), None)
            count, oldest = database.execute("SELECT count(*), min(at) FROM items").fetchone()
        finally:
            database.close()
    except sqlite3.Error:
        empty = not _size(path)
        return SpoolFile(
            path, kind, "in use" if held else "left" if empty else "damaged", 0, _size(path), None
        )
    return SpoolFile(path, kind, "in use" if held else "left", count, _size(path), oldest)


def _damaged(path: Path) -> SpoolFile:
    return SpoolFile(path, path.name.partition("-")[0], "damaged", 0, _size(path), None)


def _size(path: Path) -> int:
    total = 0
    for one in (path, path.with_name(path.name + "-wal")):
        with suppress(OSError):
            total += one.stat().st_size
    return total
