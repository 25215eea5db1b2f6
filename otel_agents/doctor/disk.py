"""What waits on disk for another try, and what was refused for good."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from otel_agents.doctor.findings import Finding

if TYPE_CHECKING:
    from otel_agents.config import Settings

#: Seconds after which a file without a process should have been taken up by another one.
_OLD: Final = 3600.0


def spool(settings: Settings) -> Iterator[Finding]:
    """The spool folder of every destination."""
    from otel_agents.export import leftovers
    from otel_agents.export.locks import is_held

    root = leftovers.root_of(settings)
    problem = _unusable(root)
    if problem is not None:
        yield Finding(
            "spool",
            "fail",
            f"the spool {root} {problem}: what cannot be sent is lost when the memory is full",
            "give this user the folder, or set OTEL_AGENTS_HOME to another one",
            {"folder": str(root)},
        )
        return
    places: list[dict[str, Any]] = []
    for folder in sorted(one for one in root.iterdir() if one.is_dir()) if root.is_dir() else ():
        files = leftovers.files(folder)
        orphans = [path for path in files if not is_held(path)]
        named = leftovers.described(folder)
        places.append(
            {
                "folder": str(folder),
                "destination": named.address if named is not None else "",
                "files": len(files),
                "bytes": leftovers.size_of(folder),
                "without_process": len(orphans),
                "oldest_seconds": round(max((_age(path) for path in orphans), default=0.0)),
                "dead_letters": sum(1 for _ in (folder / "dead").glob("*.json")),
                "damaged": sum(
                    1 for _ in folder.glob("*.broken-*") if _.suffix not in (".db-wal", ".db-shm")
                ),
            }
        )
    yield _judged(root, places)


def _judged(root: Path, places: list[dict[str, Any]]) -> Finding:
    details = {"folder": str(root), "destinations": places}
    dead = sum(one["dead_letters"] for one in places)
    damaged = sum(one["damaged"] for one in places)
    files, size = sum(one["files"] for one in places), sum(one["bytes"] for one in places)
    if dead:
        return Finding(
            "spool",
            "warn",
            f"{dead} span(s) were refused for good and are kept in {root}",
            "`otel-agents spool show` says why; then `otel-agents spool retry` or `drop`",
            details,
        )
    if damaged:
        return Finding(
            "spool",
            "warn",
            f"{damaged} damaged file(s) were set aside in {root}",
            "remove the files named *.broken-* when nobody wants to look into them",
            details,
        )
    if any(one["without_process"] and one["oldest_seconds"] > _OLD for one in places):
        return Finding(
            "spool",
            "warn",
            f"{size} bytes of processes that are gone wait in {root}",
            "start an app with the same settings, which takes them over, or see `otel-agents spool show`",
            details,
        )
    text = f"{files} file(s), {size} bytes in {root}" if files else f"nothing waits in {root}"
    return Finding("spool", "ok", text, details=details)


def _unusable(root: Path) -> str | None:
    """What is wrong with the folder; a missing one is made when it is needed."""
    existing = root
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        return f"cannot be made ({existing} is no folder)"
    if not os.access(existing, os.W_OK | os.X_OK):
        return "cannot be written"
    return None


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0
