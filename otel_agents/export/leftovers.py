"""The spool folder: one folder a destination, and in it the files of processes, living and gone.

What a process could not deliver is sent by another one that sends to the same place with the same
keys, never by one of another project.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_agents.export.spool import Spool
from otel_agents.export.spool_file import SpoolError

if TYPE_CHECKING:
    from otel_agents.config import Otlp, Settings

logger = logging.getLogger(__name__)

_DESCRIPTION: Final = "destination.json"
#: Seconds for which a lock without a file is left alone: its process may be about to make the file.
_YOUNG: Final = 60.0
_said: set[str] = set()


@dataclass(frozen=True, slots=True)
class Destination:
    """Where spans go, and as whose.

    Attributes:
        kind: ``collector`` or ``langfuse``: spans are written differently for each.
        address: URL.
        project: Langfuse's public key; for a Collector a fingerprint of the headers, as these may
            name a tenant. No secrets.
    """

    kind: str
    address: str
    project: str

    @property
    def key(self) -> str:
        """Name of its folder."""
        return hashlib.sha256(json.dumps([self.kind, self.address, self.project]).encode()).hexdigest()[:16]

    def folder(self, root: Path) -> Path:
        """Its folder under ``root``."""
        return root / self.key


def destination_of(settings: Settings) -> Destination | None:
    """Where the settings' spans go; None when they go nowhere over the network."""
    if settings.traces_exporter in ("none", "console"):
        return None
    if settings.mode == "direct":
        return Destination("langfuse", settings.langfuse_base_url, settings.langfuse_public_key or "")
    target = settings.otlp("traces")
    if target is None:
        return None
    return collector(target)


def collector(target: Otlp) -> Destination:
    """A Collector, and as whom its headers say."""
    named = json.dumps(sorted((name.lower(), value) for name, value in target.headers.items()))
    fingerprint = hashlib.sha256(named.encode()).hexdigest()[:12] if target.headers else ""
    return Destination("collector", target.endpoint, fingerprint)


def root_of(settings: Settings) -> Path:
    """The spool folder: all destinations."""
    return settings.spool_dir or settings.home / "spool"


def describe(folder: Path, destination: Destination) -> None:
    """Notes in ``folder`` what it is for; for people and ``otel-agents spool``."""
    path = folder / _DESCRIPTION
    with suppress(OSError):
        if not path.exists():
            path.write_text(json.dumps(asdict(destination)) + "\n")


def described(folder: Path) -> Destination | None:
    """What ``folder`` is for; None when nothing says so."""
    try:
        return Destination(**json.loads((folder / _DESCRIPTION).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def files(folder: Path, kind: str = "") -> list[Path]:
    """The files in ``folder``, oldest first, of processes that live and that are gone."""
    try:
        with os.scandir(folder) as found:
            names = [one.name for one in found if one.name.endswith(".db") and one.name.startswith(kind)]
    except OSError:
        return []
    return [folder / name for name in sorted(names)]


def size_of(folder: Path, besides: Path | None = None) -> int:
    """Bytes of the files in ``folder``, but for the file ``besides`` and its journal."""
    total = 0
    own = besides.name if besides is not None else "\0"
    with suppress(OSError), os.scandir(folder) as found:
        for one in found:
            if not one.name.startswith(own) and ".db" in one.name:
                with suppress(OSError):
                    total += one.stat().st_size
    return total


def adopt(path: Path, lost: Callable[[int, str], None] = lambda *_: None) -> Spool | None:
    """The file of a process that is gone, held by the taker; None when there is nothing to be had of it.

    Args:
        path: of the file.
        lost: told what the process took with it: how many spans, and why.
    """
    try:
        spool = Spool.adopt(path, lost)
    except SpoolError as error:  # damaged, or of a newer version
        _say_once(str(path), str(error))
        return None
    if spool is not None and not spool.count:
        spool.close()
        return None
    return spool


def clear_locks(folder: Path) -> None:
    """Deletes locks that have no file: of processes that ended between making the two."""
    with suppress(OSError):
        for lock in folder.glob("*.lock"):
            with suppress(OSError):
                known = lock.stat()
                young = time.time() - known.st_mtime <= _YOUNG
                if not (known.st_size or young or lock.with_suffix(".db").exists()):
                    Spool.adopt(lock.with_suffix(".db"))


def _say_once(path: str, message: str) -> None:
    if path not in _said and len(_said) < 1000:
        _said.add(path)
        logger.warning("otel-agents: %s", message)
