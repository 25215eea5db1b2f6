"""What the container (any Linux control group with a limit) of this process uses, and may use.

Nobody else says it: psutil and the Collector's host_metrics show the machine, whatever the limits are. A
process that comes near its container's limit is killed while the machine has plenty of memory left.

Names are of the semantic conventions: ``container.memory.usage``, ``container.memory.available`` (bytes
below the limit) and ``container.cpu.time`` (seconds). There is no metric where there is no limit. Every
process of a container says the same: show the largest, never the sum.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Meter, Observation

#: Version 1 writes "no limit" as the largest multiple of a page; anything as large is none.
_NO_LIMIT: Final = 1 << 60


@dataclass(frozen=True, slots=True)
class Files:
    """Where a control group tells its figures.

    Attributes:
        usage, limit: of memory, in bytes.
        cpu: version 2: lines, among them ``usage_usec``; version 1: nanoseconds.
        stat: ``memory.stat``, which says how much of it is file cache that the kernel takes back first.
    """

    usage: Path
    limit: Path
    cpu: Path
    stat: Path

    def memory(self) -> tuple[int, int] | None:
        """Bytes used (without the file cache that is not in use) and bytes allowed; None without a limit."""
        limit = _number(self.limit)
        usage = _number(self.usage)
        if limit is None or usage is None or limit >= _NO_LIMIT:
            return None
        cache = _entry(self.stat, "inactive_file") or _entry(self.stat, "total_inactive_file") or 0
        return max(usage - cache, 0), limit

    def cpu_seconds(self) -> float | None:
        """Processor time of the whole group."""
        if self.cpu.name == "cpu.stat":
            used = _entry(self.cpu, "usage_usec")
            return None if used is None else used / 1e6
        used = _number(self.cpu)
        return None if used is None else used / 1e9


def find(proc: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> Files | None:
    """The nearest control group of this process that limits memory; None when there is none."""
    try:
        lines = proc.read_text().splitlines()
    except OSError:
        return None
    paths = {}
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        for controller in controllers.split(","):
            paths[controller] = path
    for files in _candidates(paths, root):
        if files.memory() is not None:
            return files
    return None


def observe(meter: Meter, files: Files) -> None:
    """Has the figures of ``files`` read at every collection."""
    from opentelemetry.metrics import Observation

    def memory(position: int) -> Iterable[Observation]:
        found = files.memory()
        if found is not None:
            usage, limit = found
            yield Observation(usage if position == 0 else max(limit - usage, 0))

    def cpu(_: CallbackOptions) -> Iterable[Observation]:
        used = files.cpu_seconds()
        if used is not None:
            yield Observation(used)

    meter.create_observable_up_down_counter(
        "container.memory.usage",
        [lambda _: memory(0)],
        unit="By",
        description="Memory in use in the container, without file cache that can be taken back.",
    )
    meter.create_observable_up_down_counter(
        "container.memory.available",
        [lambda _: memory(1)],
        unit="By",
        description="Memory that the container may still use before its limit.",
    )
    meter.create_observable_counter(
        "container.cpu.time", [cpu], unit="s", description="Processor time of the container."
    )


def _candidates(paths: dict[str, str], root: Path) -> Iterable[Files]:
    """Groups from the process' own upwards. In a container of its own, the root is the container's."""
    for path in _upwards(paths.get("", "/")):
        here = root / path
        yield Files(here / "memory.current", here / "memory.max", here / "cpu.stat", here / "memory.stat")
    times = [root / "cpuacct" / path / "cpuacct.usage" for path in _upwards(paths.get("cpuacct", "/"))]
    cpu = next((path for path in times if path.exists()), times[-1])
    for path in _upwards(paths.get("memory", "/")):
        here = root / "memory" / path
        yield Files(
            here / "memory.usage_in_bytes",
            here / "memory.limit_in_bytes",
            cpu,
            here / "memory.stat",
        )


def _upwards(path: str) -> Iterable[str]:
    parts = [part for part in path.split("/") if part and part != ".."]
    for length in range(len(parts), -1, -1):
        yield "/".join(parts[:length])


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # "max" is no number either
        return None


def _entry(path: Path, name: str) -> int | None:
    try:
        for line in path.read_text().splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return int(value)
    except (OSError, ValueError):
        pass
    return None
