"""Collectors with overlays, several in a row."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from collector_rig import Backend, Collector
from compose_file import COLLECTOR
from parts import free_port, wait_for

from otel_agents.stack.collector import cached_binary, config_path
from otel_agents.stack.ports import Ports

OVERLAYS = COLLECTOR / "overlays"
_PORTS = ("otlp_grpc", "otlp_http", "collector_metrics", "collector_self", "collector_health")


def files(*overlays: str) -> list[Path]:
    """otel-collector.yaml and what comes on top of it."""
    return [config_path(), *(OVERLAYS / f"{name}.yaml" for name in overlays)]


def arguments(*overlays: str) -> list[str]:
    return [word for path in files(*overlays) for word in ("--config", str(path))]


def full_binary() -> Path:
    """The full Collector; skips the test when nobody has built it: it takes ten minutes."""
    wanted = os.environ.get("OTELCOL_FULL_BIN")
    found = Path(wanted) if wanted else cached_binary(manifest="builder-full.yaml")
    if not os.access(found, os.X_OK):
        pytest.skip("no full Collector on this machine: `make test-full` builds it, or set OTELCOL_FULL_BIN")
    return found


def validated(binary: Path, folder: Path, *overlays: str) -> tuple[int, str]:
    """What the Collector says to these files, without any variable set."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    command = [binary, "validate", *arguments(*overlays)]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout + done.stderr


def variables(path: Path) -> dict[str, set[str]]:
    """The variables of a configuration with their defaults."""
    body = "\n".join(line for line in path.read_text().splitlines() if not line.lstrip().startswith("#"))
    found: dict[str, set[str]] = {}
    for name, default in re.findall(r"(?<!\$)\$\{env:(\w+):-([^}]*)\}", body):
        found.setdefault(name, set()).add(default)
    return found


@dataclass
class Tier(Collector):
    """A Collector with overlays."""

    overlays: tuple[str, ...] = ()

    def start(self) -> Tier:
        self.folder.mkdir(exist_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self.binary, *arguments(*self.overlays)],
                env=self.environment(),
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )
        wait_for(self._ready, f"the Collector to be ready; log: {self.log}")
        return self


@contextmanager
def tier(binary: Path, folder: Path, backend: Backend, *overlays: str, **extra: str) -> Iterator[Tier]:
    """A Collector on free ports that sends to ``backend`` whatever goes to Langfuse and the bridge."""
    ports = Ports(
        **{f"{name}_port": free_port() for name in _PORTS}, backend_port=0, prometheus_port=0, bridge_port=0
    )
    made = Tier(binary, folder, backend, ports, extra, overlays=overlays)
    try:
        yield made.start()
    finally:
        made.stop()
