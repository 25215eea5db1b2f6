"""Spans that will never be taken: each in its own file with the reason, to be looked at or sent again."""

from __future__ import annotations

import base64
import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from otel_agents.export.entries import Entry, span_of

logger = logging.getLogger(__name__)

_FOLDER: Final = "dead"
#: Files kept a destination; the oldest go first.
_LIMIT: Final = 1000


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A span that was refused.

    Attributes:
        path: its file.
        reason: such as ``status_400``.
        message: what the server said.
        at: when it was refused, seconds since 1970.
        name: of the span.
        trace_id: 32 hex digits.
        span_id: 16 hex digits.
        entry: what was refused.
    """

    path: Path
    reason: str
    message: str
    at: float
    name: str
    trace_id: str
    span_id: str
    entry: Entry


def write(folder: Path, entry: Entry, reason: str, message: str) -> bool:
    """Puts a refused span into ``folder`` (a destination's); False when the disk does not take it."""
    span = span_of(entry)
    trace_id, span_id = span.trace_id.hex(), span.span_id.hex()
    content = {
        "reason": reason,
        "message": message,
        "at": time.time(),
        "name": span.name,
        "trace_id": trace_id,
        "span_id": span_id,
        "rank": entry.rank,
        "head": base64.b64encode(entry.head).decode(),
        "body": base64.b64encode(entry.body).decode(),
    }
    place = folder / _FOLDER
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = place / f"{time.time_ns():x}-{span_id or 'unknown'}.json"
        unfinished = path.with_suffix(".tmp")
        unfinished.write_text(json.dumps(content, indent=1) + "\n")
        unfinished.rename(path)
        _make_room(place)
    except OSError as error:
        logger.warning("otel-agents: a refused span could not be kept: %s", error)
        return False
    return True


def read(folder: Path) -> Iterator[DeadLetter]:
    """The refused spans of a destination's folder, oldest first."""
    for path in sorted((folder / _FOLDER).glob("*.json")):
        try:
            found = json.loads(path.read_text())
            entry = Entry(
                base64.b64decode(found["head"]), base64.b64decode(found["body"]), found["rank"], found["at"]
            )
            yield DeadLetter(
                path,
                found["reason"],
                found["message"],
                found["at"],
                found["name"],
                found["trace_id"],
                found["span_id"],
                entry,
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            logger.warning("otel-agents: %s cannot be read: %s", path, error)


def _make_room(place: Path) -> None:
    with os.scandir(place) as found:
        names = [one.name for one in found if one.name.endswith(".json")]
    for name in sorted(names)[: max(len(names) - _LIMIT, 0)]:
        with suppress(OSError):
            (place / name).unlink()
