"""What was told to whom and when, in ``<home>/alerts.json``: an alert is told once in its window."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

logger = logging.getLogger(__name__)

_FORGET_AFTER: Final = timedelta(days=62)


class CannotRemember(Exception):
    """The file cannot be used; the text is one line that says what to do."""


class Told:
    """Times by key; made by :func:`remembered`."""

    def __init__(self, times: dict[str, datetime]) -> None:
        self.times = times

    def since(self, key: str, start: datetime) -> bool:
        """Whether ``key`` was told at ``start`` or later."""
        told = self.times.get(key)
        return told is not None and told >= start

    def note(self, key: str, at: datetime) -> None:
        """``key`` was told."""
        self.times[key] = at


@contextmanager
def remembered(home: Path, now: datetime) -> Iterator[Told]:
    """What is known, for this process alone; what is noted in it is on disk at the end of the block.

    Raises:
        CannotRemember: the home folder cannot be written.
    """
    path = home / "alerts.json"
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (home / "alerts.lock").open("a+")
    except OSError as error:
        raise CannotRemember(
            f"{home} cannot be written ({error.strerror}); set OTEL_AGENTS_HOME to another folder"
        ) from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two checks at one time tell once
        told = Told(_read(path))
        before = dict(told.times)
        try:
            yield told
        finally:
            if told.times != before:
                _write(path, {key: at for key, at in told.times.items() if at > now - _FORGET_AFTER})


def _read(path: Path) -> dict[str, datetime]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {str(key): _time(value) for key, value in found["told"].items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        aside = path.with_name(f"{path.name}.broken-{time.time_ns()}")
        logger.warning("%s cannot be read (%s); set aside as %s", path, error, aside.name)
        try:
            path.rename(aside)
        except OSError:
            pass
        return {}


def _time(value: object) -> datetime:
    at = datetime.fromisoformat(str(value))
    if at.tzinfo is None:
        raise ValueError("a time without a zone")
    return at


def _write(path: Path, times: dict[str, datetime]) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        temporary.write_text(
            json.dumps({"told": {key: at.isoformat() for key, at in times.items()}}, indent=2),
            encoding="utf-8",
        )
        temporary.replace(path)
    except OSError as error:
        raise CannotRemember(
            f"{path} cannot be written ({error.strerror}), so alerts will be told again; make room, or set "
            "OTEL_AGENTS_HOME to another folder"
        ) from None
