"""Metrics through an outage: what a Collector did not take of a process's last collection waits on disk.

While a process lives an outage costs nothing, because counters are cumulative and every export holds them
whole. What its last export held would be lost with it. So it is kept, and sent by another process as
it is: under the identity and start time of the process that counted, never added to anybody else's.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult

from otel_agents.export import leftovers
from otel_agents.export.connections import connection
from otel_agents.export.entries import ERROR, Entry
from otel_agents.export.grpc_sender import GrpcSender
from otel_agents.export.leftovers import Destination
from otel_agents.export.sender import Answer, HttpSender
from otel_agents.export.spool import Spool
from otel_agents.export.spool_file import SpoolError

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricsData

    from otel_agents.config import Settings

logger = logging.getLogger(__name__)

_KIND: Final = "metrics"
#: Seconds between two looks for what other processes left.
_LOOK: Final = 30.0
#: Files that one look sends.
_AT_ONCE: Final = 20
_made: list[LastMetrics] = []


class LastMetrics(MetricExporter):
    """Passes metrics on to ``exporter``, and remembers what it did not take.

    Args:
        exporter: to the Collector.
        destination: the same, as the spool knows it.
        root: the spool folder.
        connect: makes what sends leftovers.
        max_age: seconds after which a leftover is of no use any more.
    """

    def __init__(
        self,
        exporter: MetricExporter,
        destination: Destination,
        root: Path,
        connect: Callable[[], HttpSender | GrpcSender],
        max_age: float,
    ) -> None:
        super().__init__(exporter._preferred_temporality, exporter._preferred_aggregation)
        self._exporter = exporter
        self._destination = destination
        self._folder = destination.folder(root)
        self._connect = connect
        self._max_age = max_age
        self._unsent: MetricsData | None = None
        self._lock = threading.Lock()
        self._looked = -_LOOK
        self._process = os.getpid()
        _made[:] = [one for one in _made if one._process == self._process] + [self]

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        self._unsent = metrics_data  # until the answer is known, should the process end meanwhile
        result = self._exporter.export(metrics_data, timeout_millis, **kwargs)
        if result is MetricExportResult.SUCCESS:
            self._unsent = None
            if time.monotonic() - self._looked >= _LOOK:
                self._looked = time.monotonic()
                self._send_leftovers()
        return result

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return self._exporter.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        self._exporter.shutdown(timeout_millis, **kwargs)

    def save(self) -> None:
        """Writes what the Collector did not take to disk; for the end of the process."""
        with self._lock:
            data, self._unsent = self._unsent, None
        if data is None or os.getpid() != self._process:
            return
        from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics

        try:
            body = encode_metrics(data).SerializeToString()
            spool = Spool.create(self._folder, _KIND)
            leftovers.describe(self._folder, self._destination)
            spool.add([Entry(b"", body, ERROR, time.time())])
            spool.close()
        except SpoolError as error:
            logger.warning("otel-agents: the last metrics are lost: %s", error)

    def _send_leftovers(self) -> None:
        found = leftovers.files(self._folder, _KIND)[:_AT_ONCE]
        if not found:
            return
        sender = self._connect()
        try:
            for path in found:
                spool = leftovers.adopt(path)
                if spool is None:
                    continue
                try:
                    spool.expired(time.time() - self._max_age)
                    for entry in spool.front(100, 16 * 1024**2):
                        answer = sender.post(entry.body)
                        if answer.kind == "later":
                            return
                        if answer.kind != "taken":
                            logger.warning("otel-agents: metrics were refused: %s", answer.message)
                        spool.remove([entry.row] if entry.row is not None else [])
                finally:
                    spool.close()
        except SpoolError as error:
            logger.warning("otel-agents: %s", error)
        finally:
            sender.close()


def keep_last(exporter: MetricExporter, settings: Settings) -> MetricExporter:
    """``exporter`` with its last collection kept, where the settings have a spool and a Collector."""
    found = outlet(settings)
    if found is None or settings.spool_mode == "memory":
        return exporter
    destination, connect = found
    return LastMetrics(exporter, destination, leftovers.root_of(settings), connect, settings.spool_max_age)


def outlet(settings: Settings) -> tuple[Destination, Callable[[], HttpSender | GrpcSender]] | None:
    """The Collector that metrics go to, as the spool knows it, and what makes the sender to it."""
    target = settings.otlp("metrics")
    return None if target is None else (leftovers.collector(target), connection(target, "metrics"))


class WholeRequests:
    """Sends entries that are requests already, as those of this module are, one at a time."""

    def __init__(self, sender: HttpSender | GrpcSender) -> None:
        self._sender = sender

    def send(self, entries: Sequence[Entry], timeout: float | None = None) -> Answer:
        answer = Answer("taken")
        for entry in entries:
            answer = self._sender.post(entry.body, 1, timeout)
            if answer.kind == "too_large":
                return replace(answer, kind="refused")
            if answer.kind != "taken":
                break
        return answer

    def close(self) -> None:
        self._sender.close()


def save_last() -> None:
    """Writes what no Collector took to disk; called when this process has stopped exporting."""
    for one in _made:
        one.save()
    _made.clear()
