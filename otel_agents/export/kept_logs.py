"""Events on their way to a Collector wait on disk as spans do: an evaluation result is a score in Langfuse.

OTLP's request for logs has the form of the one for spans (resource, scope, records), so that entries, the
outbox and its files serve both.
"""

from __future__ import annotations

import logging
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from opentelemetry.sdk._logs.export import (
    LogRecordExporter,
    LogRecordExportResult,
    SimpleLogRecordProcessor,
)

from otel_agents import forks, signals
from otel_agents.export import leftovers
from otel_agents.export.connections import connection
from otel_agents.export.entries import ERROR, Entry, head_of
from otel_agents.export.leftovers import Destination
from otel_agents.export.limits import Limits
from otel_agents.export.outbox import Mode, Outbox
from otel_agents.export.sender import Answer, Sender

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import ReadableLogRecord

    from otel_agents.config import Settings

logger = logging.getLogger(__name__)

KIND: Final = "logs"
#: Seconds that an export waits for the Collector's answer before it leaves the rest to the outbox.
_PATIENCE: Final = 10.0
#: Seconds at the end of the process.
_AT_LAST: Final = 2.0
_made: weakref.WeakSet[KeptLogs] = weakref.WeakSet()
_watching = False


class KeptLogs(LogRecordExporter):
    """Takes log records, and keeps them until the Collector has them.

    Args:
        connect: makes the sender.
        destination: the Collector, as the spool knows it.
        root: the spool folder.
        mode: ``memory``, ``spill`` or ``durable``.
        limits: of bytes and age.
    """

    def __init__(
        self,
        connect: Callable[[], Sender],
        destination: Destination,
        root: Path,
        mode: Mode,
        limits: Limits,
    ) -> None:
        self._checkpoint = limits.checkpoint
        self._outbox = Outbox(
            connect, _note, mode=mode, root=root, destination=destination, limits=limits, kind=KIND
        )
        _made.add(self)
        _watch_forks()
        self._outbox.start_for_leftovers()

    @classmethod
    def from_settings(cls, settings: Settings) -> KeptLogs | None:
        """As the settings say; None when no events go to a Collector."""
        found = outlet(settings)
        if found is None:
            return None
        # Imported now: a thread that is importing cannot be forked.
        from opentelemetry.exporter.otlp.proto.common import _log_encoder  # noqa: F401

        destination, connect = found
        mode = cast("Mode", settings.spool_mode)
        limits = replace(Limits.from_settings(settings), span_bytes=1 << 30)  # only spans can be trimmed
        return cls(connect, destination, leftovers.root_of(settings), mode, limits)

    @property
    def durable(self) -> bool:
        """Whether records are on disk when :meth:`export` returns."""
        return self._outbox.durable

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        self._outbox.start()
        with signals.put_off():
            self._outbox.put(_encoded(batch))
        if self.durable:
            return LogRecordExportResult.SUCCESS
        started = time.monotonic()
        self._outbox.flush(started + self._checkpoint)
        if self._outbox.waiting()[0] and self._outbox.save():
            logger.debug("otel-agents: events wait on disk for the Collector's answer")
        self._outbox.flush(started + _PATIENCE)
        return LogRecordExportResult.SUCCESS

    def force_flush(self, timeout_millis: int = 10_000) -> bool:
        self._outbox.flush(time.monotonic() + timeout_millis / 1000)
        return not self._outbox.waiting()[0]

    def shutdown(self) -> None:
        self._outbox.close(time.monotonic() + _AT_LAST)


class AtOnce(SimpleLogRecordProcessor):
    """For ``durable``: each record is on disk when the app goes on; a queue in memory would die with it."""

    def __init__(self, exporter: KeptLogs) -> None:
        super().__init__(exporter)
        self._kept = exporter

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._kept.force_flush(timeout_millis)


def outlet(settings: Settings) -> tuple[Destination, Callable[[], Sender]] | None:
    """The Collector that events go to, as the spool knows it, and what makes the sender to it."""
    target = settings.otlp("logs")
    if target is None:
        return None
    connect = connection(target, KIND)
    return leftovers.collector(target), lambda: _Records(connect())


class _Records:
    """A sender of log records: these cannot be trimmed as spans are, so one that is too large is refused."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def send(self, entries: Sequence[Entry], timeout: float | None = None) -> Answer:
        answer = self._sender.send(entries, timeout)
        if answer.kind == "too_large" and len(entries) == 1:
            return replace(answer, kind="refused")
        return answer

    def close(self) -> None:
        self._sender.close()


def _encoded(batch: Sequence[ReadableLogRecord]) -> list[Entry]:
    from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs

    now = time.time()
    entries = []
    for resource in encode_logs(batch).resource_logs:
        scopes = list(resource.scope_logs)
        resource.ClearField("scope_logs")
        outer = resource.SerializeToString()
        for scope in scopes:
            inside = list(scope.log_records)
            scope.ClearField("log_records")
            head = head_of(outer, scope.SerializeToString())
            entries += [Entry(head, record.SerializeToString(), ERROR, now) for record in inside]
    return entries


def _note(outcome: str, records: int, reason: str | None, own: bool) -> None:
    """The metrics count spans; of events that are lost the log tells."""


def _before_fork() -> None:
    for one in list(_made):
        one._outbox.before_fork()


def _after_fork_in_parent() -> None:
    for one in list(_made):
        one._outbox.after_fork_in_parent()


def _after_fork() -> None:
    for one in list(_made):
        one._outbox.after_fork()


def _watch_forks() -> None:
    global _watching
    if not _watching:
        _watching = True
        forks.watch(_after_fork, before=_before_fork, in_parent=_after_fork_in_parent)
