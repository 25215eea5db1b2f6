"""Scores on their way to Langfuse: a queue on disk and a thread for each project.

A project is one of ``OTEL_AGENTS_PROJECTS``, named by ``otel_agents.project`` on the evaluation result; what
names none, or one without keys here, is the default project's. One whose Langfuse hangs holds up no other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from otel_agents import semconv, tenants
from otel_agents.bridge.drain import Drain
from otel_agents.bridge.queue import ScoreQueue
from otel_agents.langfuse.scores import connect

if TYPE_CHECKING:
    from otel_agents.bridge.meters import Meters
    from otel_agents.config import Settings
    from otel_agents.langfuse.score_events import Score

#: The default project's lane.
DEFAULT: Final = ""


class Lanes:
    """The queues from now on, and the threads from :meth:`start` to :meth:`stop`.

    Args:
        settings: keys and addresses, and the home folder.
        max_scores: most scores kept for one project.
        max_bytes: the same in bytes.

    Raises:
        BridgeError: a folder cannot be used.
    """

    def __init__(self, settings: Settings, max_scores: int, max_bytes: int) -> None:
        self._settings = {DEFAULT: settings, **tenants.settings_of(settings)}
        self._queues: dict[str, ScoreQueue] = {}
        self._drains: dict[str, Drain] = {}
        folder = settings.home / "bridge"
        try:
            for name in self._settings:
                place = folder / f"project-{quote(name, safe='')}" if name else folder
                self._queues[name] = ScoreQueue(place, max_scores, max_bytes)
        except BaseException:
            self.close()
            raise

    @property
    def default(self) -> ScoreQueue:
        """The default project's queue."""
        return self._queues[DEFAULT]

    def lane_of(self, attributes: Mapping[str, object]) -> str:
        """Whose an evaluation result with these attributes is."""
        named = attributes.get(semconv.PROJECT)
        return named if isinstance(named, str) and named in self._queues else DEFAULT

    def add(self, scores: Mapping[str, Sequence[Score]]) -> None:
        """Stores scores by lane; they are on disk when it returns.

        Raises:
            QueueFull: there is no room in one. Others may have theirs: those that come again replace them.
        """
        for name, some in scores.items():
            self._queues[name].add(some)
        for name in scores:
            if name in self._drains:
                self._drains[name].wake()

    def size(self) -> tuple[int, int]:
        """Number of scores that wait, and bytes of their bodies."""
        sizes = [queue.size() for queue in self._queues.values()]
        return sum(count for count, _ in sizes), sum(size for _, size in sizes)

    def oldest_seconds(self) -> float:
        """How long the oldest score has been waiting; 0 when there is none."""
        return max(queue.oldest_seconds() for queue in self._queues.values())

    def start(self, meters: Meters) -> None:
        """Starts to send, with what a former bridge left."""
        for name, queue in self._queues.items():
            self._drains[name] = Drain(queue, partial(connect, self._settings[name]), meters)
        for drain in self._drains.values():
            drain.start()

    def stop(self) -> None:
        """Stops after the requests that are under way; the rest stays on disk."""
        for drain in self._drains.values():
            drain.ask_to_stop()
        for drain in self._drains.values():
            drain.stop()

    def close(self) -> None:
        """Closes the files."""
        for queue in self._queues.values():
            queue.close()
