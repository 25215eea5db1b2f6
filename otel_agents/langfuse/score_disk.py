"""Scores that wait on disk, in the spool folder of their project, for this process or the next one."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from otel_agents.export import leftovers
from otel_agents.export.disk import Disk
from otel_agents.export.entries import AGENT, Entry
from otel_agents.export.limits import Limits
from otel_agents.export.spool import Spool
from otel_agents.langfuse.score_api import BATCH, first_batch
from otel_agents.langfuse.score_events import Score

if TYPE_CHECKING:
    from pathlib import Path

    from otel_agents.config import Settings
    from otel_agents.export.leftovers import Destination

logger = logging.getLogger(__name__)

_KIND = "scores"


class ScoreDisk:
    """Keeps scores, gives them back in their order, and takes up what other processes left. Safe for threads.

    Args:
        destination: the project.
        root: the spool folder.
        limits: of bytes and age.
        lost: told how many scores had to give way, and why.
    """

    def __init__(
        self, destination: Destination, root: Path, limits: Limits, lost: Callable[[int, str], None]
    ) -> None:
        self._make: Callable[[], Disk] = lambda: Disk(destination, root, _KIND, False, limits, self._gone)
        self._lost = lost
        self._reset()

    @classmethod
    def from_settings(cls, settings: Settings, lost: Callable[[int, str], None]) -> ScoreDisk | None:
        """As the settings say; None when nothing is to be kept on disk."""
        destination = leftovers.destination_of(settings)
        if settings.spool_mode == "memory" or destination is None:
            return None
        return cls(destination, leftovers.root_of(settings), Limits.from_settings(settings), lost)

    def _reset(self) -> None:
        self._guard = threading.RLock()
        self._disk = self._make()
        self._taken: tuple[Spool, dict[str, Entry]] | None = None
        self._closed = False

    def save(self, scores: Sequence[Score]) -> bool:
        """Writes scores; False when the disk does not take them."""
        now = time.time()
        with self._guard:
            return not self._closed and self._disk.save([_entry(score, now) for score in scores])

    def take(self) -> list[Score]:
        """The oldest scores, as many as one request takes; :meth:`settle` them before the next take."""
        with self._guard:
            found, spool = self._disk.front(BATCH, None), self._disk.own
            if not found:
                found, spool = self._disk.front_of_leftover(BATCH), self._disk.leftover
            if not found or spool is None:
                self._taken = None
                return []
            scores = first_batch(_score(entry) for entry in found)
            self._taken = (spool, {score.id: entry for score, entry in zip(scores, found, strict=False)})
            return scores

    def settle(self, unsent: Sequence[Score]) -> None:
        """Forgets the scores of the last take, but for those that are to be sent again."""
        with self._guard:
            if self._taken is None:
                return
            spool, entries = self._taken
            self._taken = None
            for score in unsent:
                entries.pop(score.id, None)
            self._disk.forget(spool, list(entries.values()))

    @property
    def has_work(self) -> bool:
        """Whether there may be scores to send."""
        return self._disk.has_work

    @property
    def has_leftovers(self) -> bool:
        """Whether there are files that other processes may have left."""
        return bool(leftovers.files(self._disk.folder, _KIND))

    @property
    def waiting(self) -> int:
        """Scores of this process on disk."""
        own = self._disk.own
        return own.count if own is not None else 0

    def close(self) -> None:
        """Lets go of the files; what is in them is for the next process."""
        with self._guard:
            self._closed = True
            self._disk.close()

    def before_fork(self) -> None:
        """Waits until no thread of ours is inside SQLite: a child would inherit its locks, held."""
        self._guard.acquire(timeout=5.0)

    def after_fork_in_parent(self) -> None:
        """Goes on."""
        with contextlib.suppress(RuntimeError):  # it was not to be had in time
            self._guard.release()

    def after_fork(self) -> None:
        """In a forked child: leaves the files to the parent."""
        self._disk.abandon()
        self._reset()

    def _gone(self, rows: Collection[int], count: int, reason: str) -> None:
        self._lost(count, reason)


def _entry(score: Score, now: float) -> Entry:
    head = json.dumps([score.id, score.timestamp_ns]).encode()
    return Entry(head, score.body, AGENT, now)


def _score(entry: Entry) -> Score:
    score_id, timestamp_ns = json.loads(entry.head)
    return Score(score_id, timestamp_ns, entry.body)
