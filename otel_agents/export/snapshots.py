"""One process's metrics at one moment, in Prometheus' terms, in memory and on disk.

Every worker process of an app leaves its snapshot in a folder they share; the one that serves
``/metrics`` reads the others' files. Series of different processes are never added up: each carries
its process's ``instance``.
"""

from __future__ import annotations

import bisect
import contextlib
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from otel_agents.export.prometheus_names import label_name, label_value, metric_name

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import Metric, MetricsData

#: Seconds that a dead process's series are served, so that every scrape interval sees the last of it.
EXPIRY = 3600.0
_SUFFIX = ".snapshot"
_JOB_KEYS = ("service.name", "service.namespace", "service.instance.id")


class Exemplar(msgspec.Struct, array_like=True):
    """A measurement that points at its trace; time in seconds since 1970."""

    labels: dict[str, str]
    value: float
    time: float


class Series(msgspec.Struct, array_like=True):
    """One time series. Histograms use ``bounds``, ``counts`` (cumulative, with +Inf) and ``value`` as sum."""

    labels: dict[str, str]
    value: float
    bounds: list[float] = []
    counts: list[int] = []
    #: By bucket; a counter's has index 0.
    exemplars: dict[int, Exemplar] = {}


class Family(msgspec.Struct, array_like=True):
    """All series of one name; ``kind`` is ``counter``, ``gauge`` or ``histogram``."""

    name: str
    kind: str
    help: str
    series: list[Series]


class Snapshot(msgspec.Struct, array_like=True):
    """What one process has counted."""

    job: str
    instance: str
    pid: int
    target: dict[str, str]
    families: list[Family]


_decoder = msgspec.msgpack.Decoder(Snapshot)


class ExemplarMemory:
    """Keeps the newest exemplar of each bucket: the SDK hands each out in one collection only."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, frozenset[tuple[str, str]]], dict[int, Exemplar]] = {}

    def merge(self, name: str, labels: Mapping[str, str], fresh: dict[int, Exemplar]) -> dict[int, Exemplar]:
        """The exemplars of this series: ``fresh`` ones over those of before."""
        key = (name, frozenset(labels.items()))
        kept = self._kept.get(key)
        if kept is None:
            if fresh:
                self._kept[key] = fresh
            return fresh
        kept.update(fresh)
        return kept


def make(resource: Mapping[str, Any], data: MetricsData | None, memory: ExemplarMemory) -> Snapshot:
    """The snapshot of a collection of the SDK's.

    Args:
        resource: the process's attributes: ``job`` and ``instance`` come from them, the rest is on
            ``target_info``.
        data: the collection; None when nothing was collected yet.
        memory: exemplars of earlier collections.
    """
    families: dict[str, Family] = {}
    for resource_metrics in data.resource_metrics if data is not None else ():
        for scope_metrics in resource_metrics.scope_metrics:
            for metric in scope_metrics.metrics:
                _add(families, metric, memory)
    name, namespace = (label_value(resource.get(key, "")) for key in _JOB_KEYS[:2])
    return Snapshot(
        job=f"{namespace}/{name}" if namespace else name,
        instance=label_value(resource.get("service.instance.id", "")),
        pid=os.getpid(),
        target=_labels({key: value for key, value in resource.items() if key not in _JOB_KEYS}),
        families=list(families.values()),
    )


def _labels(attributes: Mapping[str, Any]) -> dict[str, str]:
    result: dict[str, str] = {}
    for key, value in attributes.items():
        name = label_name(key)
        if name:
            shown = label_value(value)
            result[name] = f"{result[name]};{shown}" if name in result else shown
    return result


def _add(families: dict[str, Family], metric: Metric, memory: ExemplarMemory) -> None:
    from opentelemetry.sdk.metrics.export import ExponentialHistogram, Gauge, Histogram, Sum

    data = metric.data
    if isinstance(data, Sum):
        kind = "counter" if data.is_monotonic else "updown"
    elif isinstance(data, Gauge):
        kind = "gauge"
    elif isinstance(data, (Histogram, ExponentialHistogram)):
        kind = "histogram"
    else:
        return
    name = metric_name(metric.name, metric.unit or "", kind)
    kind = "gauge" if kind == "updown" else kind
    if not name:
        return
    family = families.setdefault(name, Family(name, kind, metric.description or "", []))
    if family.kind == kind:  # of two instruments of one name and different kinds the first one stays
        for point in data.data_points:
            family.series.append(_series(name, kind, point, memory))


def _series(name: str, kind: str, point: Any, memory: ExemplarMemory) -> Series:
    labels = _labels(point.attributes or {})
    if kind == "gauge":
        return Series(labels, float(point.value))
    # An exponential histogram has no such bounds: like the Collector's, its text form is sum and count.
    bounds = list(getattr(point, "explicit_bounds", ()))
    fresh = {}
    for exemplar in point.exemplars:
        if exemplar.trace_id and exemplar.span_id:
            ids = {"trace_id": format(exemplar.trace_id, "032x"), "span_id": format(exemplar.span_id, "016x")}
            at = bisect.bisect_left(bounds, exemplar.value)
            fresh[at] = Exemplar(ids, float(exemplar.value), exemplar.time_unix_nano / 1e9)
    exemplars = memory.merge(name, labels, fresh)
    if kind == "counter":
        return Series(labels, float(point.value), exemplars=exemplars)
    counts = _cumulative(getattr(point, "bucket_counts", ()), point.count, len(bounds))
    return Series(labels, float(point.sum or 0), bounds, counts, exemplars)


def _cumulative(counts: Sequence[int], total: int, bounds: int) -> list[int]:
    result = []
    running = 0
    for count in counts[:bounds]:
        running += count
        result.append(running)
    return [*result, total]


# --- the folder ----------------------------------------------------------------------------------


def folder_for(name: str) -> Path:
    """The folder of one address, for this user only; made when it is missing.

    Raises:
        OSError: it cannot be made, or belongs to somebody else.
    """
    user = getattr(os, "getuid", lambda: 0)()
    base = Path(tempfile.gettempdir()) / f"otel-agents-{user}"
    base.mkdir(mode=0o700, exist_ok=True)
    # The temporary folder is everybody's: what lies there under our name need not be ours.
    state = base.lstat()
    if base.is_symlink() or (hasattr(os, "getuid") and (state.st_uid != user or state.st_mode & 0o077)):
        raise PermissionError(f"{base} is not this user's own")
    folder = base / "metrics" / name
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


class SnapshotFile:
    """This process's file: replaced in one step, touched when nothing changed."""

    def __init__(self, folder: Path, instance: str) -> None:
        safe = "".join(character if character.isalnum() else "-" for character in instance)[:64]
        self.path = folder / f"{os.getpid()}-{safe}{_SUFFIX}"
        self._last = b""

    def write(self, snapshot: Snapshot) -> None:
        """Puts ``snapshot`` on disk.

        Raises:
            OSError: no space, no folder.
        """
        content = msgspec.msgpack.encode(snapshot)
        if content == self._last:
            with contextlib.suppress(FileNotFoundError):  # removed under us: written anew below
                os.utime(self.path)
                return
        temporary = self.path.with_suffix(".new")
        temporary.write_bytes(content)
        os.replace(temporary, self.path)
        self._last = content


class Others:
    """The snapshots of all other processes, living and (for an hour) dead."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, tuple[tuple[int, int], Snapshot]] = {}

    def read(self, own: Path, now: float) -> list[Snapshot]:
        """Snapshots but one's own, newest first; files that are too old are removed on the way."""
        found: list[tuple[float, Snapshot]] = []
        seen: dict[Path, tuple[tuple[int, int], Snapshot]] = {}
        for path in self._folder.glob(f"*{_SUFFIX}"):
            if path == own:
                continue
            try:
                state = path.stat()
                if now - state.st_mtime > EXPIRY:
                    path.unlink(missing_ok=True)
                    continue
                stamp = (state.st_mtime_ns, state.st_size)
                known = self._read.get(path)
                snapshot = known[1] if known is not None and known[0] == stamp else _read(path)
            except (OSError, msgspec.DecodeError):
                continue  # gone meanwhile, or of another version
            seen[path] = (stamp, snapshot)
            found.append((state.st_mtime, snapshot))
        self._read = seen
        found.sort(key=lambda one: one[0], reverse=True)
        return [snapshot for _, snapshot in found]


def _read(path: Path) -> Snapshot:
    return _decoder.decode(path.read_bytes())


def distinct(snapshots: Iterable[Snapshot]) -> list[tuple[Snapshot, str]]:
    """Each snapshot with its ``instance``, made different where two processes claim the same one."""
    taken: set[tuple[str, str]] = set()
    result = []
    for snapshot in snapshots:
        instance = snapshot.instance
        while (snapshot.job, instance) in taken:
            instance = f"{instance}-{snapshot.pid}"
        taken.add((snapshot.job, instance))
        result.append((snapshot, instance))
    return result
