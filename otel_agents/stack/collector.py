"""Find the OpenTelemetry Collector, and start it with the project's ``otel-collector.yaml``.

Three ways lead to a Collector: a binary on this machine (ours, or the stock contrib distribution),
one that :func:`build_collector` compiles, or the stock container image. All three read the same
configuration file; everything that differs between them travels in environment variables.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from otel_agents.config.settings import Settings
from otel_agents.stack.errors import StackError
from otel_agents.stack.ports import LOOPBACK, Ports
from otel_agents.stack.process import Child, Children, answers

#: The release that ``collector/builder.yaml`` names and that the configuration is tested with.
COLLECTOR_VERSION: Final = "0.158.0"
#: The stock distribution, pinned: a newer one may have renamed what the configuration uses.
CONTRIB_IMAGE: Final = f"otel/opentelemetry-collector-contrib:{COLLECTOR_VERSION}"
#: Name of our own build, in the cache and on PATH.
BINARY_NAME: Final = "otelcol-agents.exe" if os.name == "nt" else "otelcol-agents"
#: Names looked for on PATH, best first. Plain ``otelcol`` lacks transform, file_storage and basicauth.
_NAMES_ON_PATH: Final = ("otelcol-agents", "otelcol-contrib")
#: Older releases do not know the component names in the configuration.
_OLDEST: Final = (0, 158)

_PACKAGE: Final = Path(__file__).resolve().parent
_IN_CONTAINER: Final = {"config": "/etc/otel-agents/otel-collector.yaml", "storage": "/var/lib/otel-agents"}


class CollectorNotFound(StackError):
    """There is no Collector; the message says what to do about it, in one line."""


class BuildError(StackError):
    """The Collector could not be built; the message says why, in one line."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How a Collector is started."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    """What the configuration reads, to be put over the caller's environment."""
    origin: str
    """Where it comes from, for people: a path or an image."""


def config_path(name: str = "otel-collector.yaml") -> Path:
    """Where ``otel-collector.yaml``, a builder's manifest or ``alertmanager.yaml`` is on this machine.

    A checkout has them in the project's root and in ``collector/``; a wheel carries copies inside the
    package, because a user of ``pip install`` has no checkout.

    Raises:
        StackError: the installation is incomplete.
    """
    root = _PACKAGE.parent.parent
    places = (_PACKAGE / "data", root, root / "collector", root / "collector" / "alertmanager")
    for candidate in (place / name for place in places):
        if candidate.is_file():
            return candidate
    raise StackError(f"{name} is missing from this installation of otel-agents; install it again")


def cache_key(manifest: Path | None = None) -> str:
    """Names one build: version, platform, and a hash of what the manifest says (comments apart)."""
    text = (manifest or config_path("builder.yaml")).read_text(encoding="utf-8")
    meaning = "\n".join(
        line.split(" #")[0].rstrip() for line in text.splitlines() if line.strip() and line.strip()[0] != "#"
    )
    digest = hashlib.sha256(meaning.encode()).hexdigest()[:12]
    machine = platform.machine().lower() or "unknown"
    return f"{COLLECTOR_VERSION}-{sys.platform}-{machine}-{digest}"


def cached_binary(settings: Settings | None = None, manifest: str = "builder.yaml") -> Path:
    """Where our own build of the manifest as it is now lives, whether it exists or not."""
    if settings is not None:
        cache = settings.cache_dir
    elif named := os.environ.get("OTEL_AGENTS_CACHE_DIR", "").strip():
        cache = Path(named).expanduser()
    else:
        cache = Settings().cache_dir
    return cache / "collector" / cache_key(config_path(manifest)) / BINARY_NAME


def find_collector(settings: Settings | None = None) -> Path | None:
    """The Collector to run: ``$OTELCOL_BIN``, then PATH, then our own build in the cache.

    Raises:
        CollectorNotFound: ``OTELCOL_BIN`` names something that cannot be run. A wish that cannot be
            fulfilled is an error, not a reason to take another Collector silently.
    """
    wanted = os.environ.get("OTELCOL_BIN") if settings is None else settings.collector_bin
    if wanted:
        found = shutil.which(os.path.expanduser(wanted))
        if found is None:
            raise CollectorNotFound(f"OTELCOL_BIN={wanted} is not an executable file; correct or unset it")
        return Path(found).absolute()
    for name in _NAMES_ON_PATH:
        if (found := shutil.which(name)) and _new_enough(found):
            return Path(found).absolute()
    cached = cached_binary(settings)
    return cached if os.access(cached, os.X_OK) else None


def _new_enough(binary: str) -> bool:
    """Whether the Collector is of a release that can read the configuration; unknown versions count."""
    try:
        said = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10).stdout
    except (OSError, subprocess.TimeoutExpired):
        return False
    version = re.search(r"version v?(\d+)\.(\d+)", said)
    return version is None or (int(version[1]), int(version[2])) >= _OLDEST


def build_collector(
    progress: Callable[[str], None], settings: Settings | None = None, manifest: str = "builder.yaml"
) -> Path:
    """Builds the Collector from a manifest of ``collector/`` into the cache, or finds it there.

    Takes three to five minutes on two cores the first time (``builder-full.yaml``: nine); needs Go, or pip
    to get Go, and the network.

    Args:
        progress: told what happens, one line each time.
        manifest: ``builder.yaml``, or ``builder-full.yaml`` for what a gateway of many machines needs.

    Raises:
        BuildError: one line that says what went wrong.
    """
    from otel_agents.stack import build

    return build.build(cached_binary(settings, manifest), config_path(manifest), progress)


def docker_works() -> bool:
    """Whether there is a Docker client and an engine that answers it."""
    if shutil.which("docker") is None:
        return False
    try:
        said = subprocess.run(
            ["docker", "info", "--format", "{{.ServerVersion}}"], capture_output=True, text=True, timeout=15
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return said.returncode == 0 and bool(said.stdout.strip())


def collector_environment(
    ports: Ports,
    *,
    langfuse_endpoint: str,
    public_key: str,
    secret_key: str,
    bridge_endpoint: str,
    storage: Path,
    host: str = LOOPBACK,
) -> dict[str, str]:
    """What ``otel-collector.yaml`` reads from the environment, for one stack.

    Args:
        ports: where it listens.
        langfuse_endpoint: OTLP address without ``/v1/traces``; the bridge's own, when that stands between.
        bridge_endpoint: OTLP address without ``/v1/logs``.
        storage: folder of the queues on disk; made by the Collector.
        host: the address to listen on.
    """
    return {
        "LANGFUSE_OTLP_ENDPOINT": langfuse_endpoint.rstrip("/"),
        "LANGFUSE_PUBLIC_KEY": public_key,
        "LANGFUSE_SECRET_KEY": secret_key,
        "OTEL_AGENTS_BRIDGE_ENDPOINT": bridge_endpoint.rstrip("/"),
        # Only the bridge can put content of events onto spans, and only if they pass it.
        "OTELCOL_EVENT_CONTENT": "on" if langfuse_endpoint.startswith(bridge_endpoint) else "off",
        "OTELCOL_HOST": host,
        "OTELCOL_GRPC_PORT": str(ports.otlp_grpc_port),
        "OTELCOL_HTTP_PORT": str(ports.otlp_http_port),
        "OTELCOL_PROMETHEUS_PORT": str(ports.collector_metrics_port),
        "OTELCOL_SELF_PORT": str(ports.collector_self_port),
        "OTELCOL_HEALTH_PORT": str(ports.collector_health_port),
        "OTELCOL_STORAGE_DIR": str(storage),
    }


def collector_command(binary: Path, environment: Mapping[str, str]) -> Launch:
    """How a binary is started."""
    return Launch((str(binary), "--config", str(config_path())), environment, str(binary))


def docker_command(environment: Mapping[str, str]) -> Launch:
    """How the stock contrib image is started: with the host's network, the caller's user and its files.

    Values stay out of the command line, which every user of the machine can read.
    """
    storage = Path(environment["OTELCOL_STORAGE_DIR"]).absolute()
    storage.mkdir(parents=True, exist_ok=True)  # else Docker makes it, as root
    inside = {**environment, "OTELCOL_STORAGE_DIR": _IN_CONTAINER["storage"]}
    volumes = [f"{config_path()}:{_IN_CONTAINER['config']}:ro", f"{storage}:{_IN_CONTAINER['storage']}"]
    if sys.platform == "linux":
        volumes.append("/:/hostfs:ro")
        inside["OTELCOL_HOST_ROOT"] = "/hostfs"
    command = ["docker", "run", "--rm", "--init", "--network", "host"]
    if hasattr(os, "getuid"):
        command += ["--user", f"{os.getuid()}:{os.getgid()}"]
    for volume in volumes:
        command += ["--volume", volume]
    passed = {
        *inside,
        *(name for name in os.environ if name.startswith("OTELCOL_") and name != "OTELCOL_BIN"),
    }
    for name in sorted(passed):
        command += ["--env", name]
    command += [CONTRIB_IMAGE, "--config", _IN_CONTAINER["config"]]
    return Launch(tuple(command), inside, CONTRIB_IMAGE)


def choose(environment: Mapping[str, str], settings: Settings | None = None) -> Launch:
    """The Collector of this machine: a binary, else the stock image with Docker.

    Raises:
        CollectorNotFound: neither is there; the message names the ways to get one.
    """
    if (binary := find_collector(settings)) is not None:
        return collector_command(binary, environment)
    if docker_works():
        return docker_command(environment)
    raise CollectorNotFound(
        "no OpenTelemetry Collector on this machine: run `otel-agents collector build` (needs Go or pip), "
        "put otelcol-contrib on PATH, or start Docker"
    )


def start_collector(children: Children, launch: Launch, timeout: float = 30.0) -> Child:
    """Starts the Collector as a child and waits until it takes data.

    Raises:
        StackError: when it ends before that, or ``timeout`` seconds are over.
    """
    environment = {**os.environ, **launch.environment}
    child = children.start("collector", launch.command, environment)
    host = launch.environment.get("OTELCOL_HOST", LOOPBACK)
    address = LOOPBACK if host == "0.0.0.0" else host
    health = f"http://{address}:{launch.environment['OTELCOL_HEALTH_PORT']}/"
    children.wait_ready(child, lambda: answers(health), timeout)
    return child
