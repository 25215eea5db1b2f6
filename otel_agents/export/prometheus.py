"""``/metrics`` of an app that has no Collector: one answer for all of its processes.

Each process keeps its counts to itself and leaves a snapshot of them in a folder that all share
(:mod:`otel_agents.export.snapshots`). The process that gets hold of the port serves the union of
all snapshots, each series under its process's ``job`` and ``instance``, as the Collector's exporter
does. When that process ends, another one takes the port within seconds.
"""

from __future__ import annotations

import errno
import importlib
import logging
import math
import os
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.metrics.export import MetricReader

from otel_agents import forks
from otel_agents.export import snapshots, tally

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricsData
    from opentelemetry.sdk.resources import Resource
    from prometheus_client import Metric

    from otel_agents.config import Settings

logger = logging.getLogger(__name__)

#: Seconds between two snapshots, and between two tries to get the port.
INTERVAL: Final = 2.0
_FIRST: Final = 0.25

_readers: weakref.WeakSet[SnapshotReader] = weakref.WeakSet()
_fork_hook = False


def start(settings: Settings, resource: Resource, interval: float = INTERVAL) -> SnapshotReader:
    """A metric reader that takes part in serving ``/metrics``; give it to a ``MeterProvider``.

    Args:
        settings: ``metrics_host`` and ``metrics_port``; port 0 takes any free one, for this process alone.
        resource: ``service.instance.id`` has to be different in every process.
        interval: seconds between two snapshots.

    Nothing raises: when the port is taken by another program, one log line says so and the app runs on.
    """
    global _fork_hook
    # Here and not on a thread: a fork in the middle of an import leaves a child that hangs in it.
    for module in ("wsgiref.simple_server", "prometheus_client.exposition"):
        importlib.import_module(module)
    # And this one before the meter provider: the SDK's hook for forked children (1.45) starts a
    # thread pool, whose lock works in the child only if the pool's own hook was registered first.
    importlib.import_module("concurrent.futures.thread")
    reader = SnapshotReader(settings.metrics_host, settings.metrics_port, resource.attributes, interval)
    _readers.add(reader)
    if not _fork_hook:
        _fork_hook = True
        forks.watch(after_fork)
    return reader


def after_fork() -> None:
    """In a forked child: lets go of everything inherited, above all the listening socket.

    The inherited readers hold the parent's counts and stay silent from now on; the child makes a
    reader of its own with :func:`start` and a resource with a new ``service.instance.id``.
    """
    for reader in list(_readers):
        reader.abandon()
    _readers.clear()


class SnapshotReader(MetricReader):
    """Collects this process's metrics for its snapshot and, while it has the port, serves everybody's."""

    def __init__(self, host: str, port: int, resource: Mapping[str, Any], interval: float) -> None:
        super().__init__()
        self._host = host
        self._wanted = port
        self._resource = dict(resource)
        self._interval = interval
        self._memory = snapshots.ExemplarMemory()
        self._latest: MetricsData | None = None
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._abandoned = False
        self._complained = False
        self._server: _Server | None = None
        self._election: _Election | None = None
        self._file: snapshots.SnapshotFile | None = None
        self._others: snapshots.Others | None = None
        try:
            name = f"{socket.gethostname()}_{host}_{port or f'process-{os.getpid()}'}".replace("/", "-")
            folder = snapshots.folder_for(name.replace(":", "-"))
            instance = str(self._resource.get("service.instance.id", ""))
            self._file = snapshots.SnapshotFile(folder, instance)
            self._others = snapshots.Others(folder)
            self._election = _Election(folder / "serving.lock")
            tally.will_be_told()
        except OSError as error:
            logger.warning("otel-agents: /metrics shows this process alone: %s", error)
        self._thread = threading.Thread(target=self._run, name="otel-agents-metrics", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int | None:
        """The port that this process serves now; None while another process serves."""
        server = self._server
        return server.port if server is not None else None

    # --- the SDK's side --------------------------------------------------------------------------

    def _receive_metrics(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: object
    ) -> None:
        self._latest = metrics_data

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Puts a fresh snapshot on disk, for the process that serves."""
        return self._write()

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: object) -> None:
        """Leaves the last snapshot for the others to serve, and lets another process have the port."""
        if self._stop.is_set():
            return
        self._stop.set()
        if self._abandoned:
            return
        self._write()
        self._leave()
        self._thread.join(min(timeout_millis / 1000, 2.0))

    def abandon(self) -> None:
        """Drops what a forked child has inherited, without a word to the parent's files or socket."""
        self._abandoned = True
        self._file = None
        self._lock = threading.RLock()
        self._stop = threading.Event()  # the inherited locks may be held by threads that are not here
        self._stop.set()
        if self._server is not None:
            self._server.close_inherited()
            self._server = None
        if self._election is not None:
            self._election.close()
            self._election = None

    # --- snapshots -------------------------------------------------------------------------------

    def snapshot(self) -> snapshots.Snapshot:
        """This process's metrics now; those of the last collection when collecting fails."""
        with self._lock:
            if self._collect is not None:  # given to a meter provider
                try:
                    self.collect()
                except Exception:
                    logger.debug("otel-agents: could not collect metrics", exc_info=True)
            return snapshots.make(self._resource, self._latest, self._memory)

    def everything(self) -> list[tuple[snapshots.Snapshot, str]]:
        """The snapshots of all processes with their ``instance``; this process's is fresh."""
        found = [self.snapshot()]
        if self._others is not None and self._file is not None:
            with self._lock:
                found += self._others.read(self._file.path, time.time())
        return snapshots.distinct(found)

    def _write(self) -> bool:
        if self._file is None or self._collect is None:
            return False
        try:
            with self._lock:
                self._file.write(self.snapshot())
        except OSError as error:
            self._complain(f"cannot write a snapshot of the metrics: {error}")
            return False
        tally.told()  # what is in a snapshot is served, also when its process has been killed
        return True

    # --- the port --------------------------------------------------------------------------------

    def _run(self) -> None:
        stop = self._stop
        wait = min(_FIRST, self._interval)
        while not stop.wait(wait):
            wait = self._interval
            try:
                self._take_port()
                self._write()
            except Exception:
                logger.debug("otel-agents: error in the metrics thread", exc_info=True)

    def _take_port(self) -> None:
        if self._server is not None or (self._election is not None and not self._election.won()):
            return
        try:
            server = _Server(self._host, self._wanted, self.everything)
        except OSError as error:
            address = f"{self._host}:{self._wanted}"
            if error.errno == errno.EADDRINUSE:
                why = f"{address} is in use by another program; set OTEL_EXPORTER_PROMETHEUS_PORT"
            else:
                reason = error.strerror or str(error)
                why = f"{address}: {reason}; set OTEL_EXPORTER_PROMETHEUS_HOST or _PORT"
            self._complain(f"cannot serve /metrics: {why}")
            return
        if self._stop.is_set():
            server.close()
            return
        self._server = server
        self._complained = False
        logger.debug("otel-agents: serving /metrics on %s:%s", self._host, server.port)

    def _leave(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        if self._election is not None:
            self._election.close()  # after the port, so that whoever wins finds it free

    def _complain(self, text: str) -> None:
        if not self._complained:
            self._complained = True
            logger.warning("otel-agents: %s", text)


class _Election:
    """Which of our processes may try the port: the holder of a lock that dies with its process.

    It also tells a port that another of our processes serves, which is as it should be, from one
    that another program has. Forked children close the descriptor: a lock lives as long as any copy.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def won(self) -> bool:
        """Whether this process holds the lock, taking it when it is free."""
        if self._descriptor is None:
            return False
        try:
            import fcntl
        except ImportError:  # no such locks here: whoever gets the port has won
            return True
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Lets go of the lock."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


class _Server:
    """prometheus-client's WSGI app on a daemon thread: text or OpenMetrics, as the scraper asks."""

    def __init__(
        self, host: str, port: int, collect: Callable[[], list[tuple[snapshots.Snapshot, str]]]
    ) -> None:
        from wsgiref.simple_server import WSGIRequestHandler, make_server

        from prometheus_client import CollectorRegistry
        from prometheus_client.exposition import ThreadingWSGIServer, make_wsgi_app

        class Silent(WSGIRequestHandler):
            timeout = 30  # a client that says nothing does not keep a thread for ever

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Listener(ThreadingWSGIServer):
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

            def server_bind(self) -> None:
                # Not WSGIServer's: it asks DNS for the name of the address, which can take long.
                import socketserver

                socketserver.TCPServer.server_bind(self)
                self.server_name, self.server_port = host, self.server_address[1]
                self.setup_environ()

        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Union(collect))
        self._listener = make_server(
            host, port, make_wsgi_app(registry), server_class=Listener, handler_class=Silent
        )
        self.port = self._listener.server_port
        threading.Thread(
            target=self._listener.serve_forever, args=(0.2,), name="otel-agents-metrics-http", daemon=True
        ).start()

    def close(self) -> None:
        """Stops serving and frees the port."""
        self._listener.shutdown()
        self._listener.server_close()

    def close_inherited(self) -> None:
        """In a forked child: the serving thread is not here, so only the socket is closed."""
        self._listener.socket.close()


class _Union:
    """prometheus-client's collector over the snapshots of all processes."""

    def __init__(self, collect: Callable[[], list[tuple[snapshots.Snapshot, str]]]) -> None:
        self._collect = collect

    def describe(self) -> list[Metric]:
        """Nothing: which metrics there are is known when they are collected."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All families, each once, with the series of every process."""
        from prometheus_client import Metric

        families: dict[str, Metric] = {}
        target = families["target_info"] = Metric("target_info", "Target metadata", "gauge")
        for snapshot, instance in self._collect():
            identity = {"job": snapshot.job, "instance": instance}
            target.add_sample("target_info", {**snapshot.target, **identity}, 1)
            if environment := snapshot.target.get("deployment_environment_name"):
                identity["deployment_environment_name"] = environment  # on every series, as dashboards ask
            for family in snapshot.families:
                name = family.name.removesuffix("_total") if family.kind == "counter" else family.name
                metric = families.get(name)
                if metric is None:
                    metric = families[name] = Metric(name, family.help, family.kind)
                if metric.type == family.kind:
                    for series in family.series:
                        _add_samples(metric, family, series, identity)
        yield from families.values()


def _add_samples(
    metric: Metric, family: snapshots.Family, series: snapshots.Series, identity: dict[str, str]
) -> None:
    from prometheus_client.samples import Exemplar
    from prometheus_client.utils import floatToGoString as go_float

    labels = {**series.labels, **identity}

    def exemplar(at: int) -> Exemplar | None:
        found = series.exemplars.get(at)
        return Exemplar(found.labels, found.value, found.time) if found is not None else None

    if family.kind != "histogram":
        metric.add_sample(family.name, labels, series.value, exemplar=exemplar(0))
        return
    for at, count in enumerate(series.counts):
        bound = series.bounds[at] if at < len(series.bounds) else math.inf
        le = str(go_float(bound))  # type: ignore[no-untyped-call]
        metric.add_sample(f"{family.name}_bucket", {**labels, "le": le}, count, exemplar=exemplar(at))
    metric.add_sample(f"{family.name}_count", labels, series.counts[-1])
    metric.add_sample(f"{family.name}_sum", labels, series.value)
