"""A Langfuse of one's own by Docker: do its services run, have they the memory that they need."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from typing import Any, Final

from otel_agents.doctor.findings import Finding

#: What a Langfuse consists of, by words in the names of containers and images.
_SERVICES: Final = {
    "langfuse-web": ("langfuse-web", "langfuse/langfuse:", "langfuse/langfuse@"),
    "langfuse-worker": ("langfuse-worker",),
    "clickhouse": ("clickhouse",),
    "redis": ("redis", "valkey"),
    "minio": ("minio", "s3"),
    "postgres": ("postgres",),
}
#: Langfuse asks for 4 cores and 16 GiB; below this ClickHouse is the first to be killed.
_LEAST_MEMORY: Final = 8 * 1024**3
_NEARLY: Final = 0.9
_TIMEOUT: Final = 15


class _NoDocker(Exception):
    pass


def self_hosted() -> Iterator[Finding]:
    """The services of Langfuse's compose file, and memory."""
    yield _machine()
    try:
        containers = _docker("ps", "--all", "--no-trunc", "--format", "{{json .}}")
        stats = _docker("stats", "--no-stream", "--format", "{{json .}}")
    except _NoDocker as error:
        yield Finding(
            "self_hosted.services",
            "skip",
            f"containers cannot be looked at ({error})",
            "run this where Docker runs, as a user that may ask it",
        )
        return
    yield from _services(containers)
    yield from _memory(stats)


def _services(containers: Sequence[dict[str, Any]]) -> Iterator[Finding]:
    named = [(f"{one.get('Names', '')} {one.get('Image', '')}".lower(), one) for one in containers]
    states: dict[str, str] = {}
    for service, words in _SERVICES.items():
        matching = [one for text, one in named if any(word in text for word in words)]
        running = [one for one in matching if one.get("State") == "running"]
        chosen = (running or matching or [{}])[0]
        states[service] = str(chosen.get("Status", "")) if chosen else ""
    if not states["langfuse-web"] and not states["langfuse-worker"]:
        yield Finding(
            "self_hosted.services",
            "skip",
            "no container of Langfuse is on this machine",
            "run this on the machine that has them",
        )
        return
    missing = [name for name, state in states.items() if not state]
    sick = [
        f"{name} ({state})"
        for name, state in states.items()
        if state and (not state.startswith("Up") or "unhealthy" in state or "Restarting" in state)
    ]
    details = {"services": states}
    if missing or sick:
        said = [*(f"{name} (not there)" for name in missing), *sick]
        yield Finding(
            "self_hosted.services",
            "fail",
            f"not running well: {', '.join(said)}",
            "`docker compose up -d`, then `docker compose logs` of the service",
            details,
        )
    else:
        yield Finding("self_hosted.services", "ok", "all six services of Langfuse run", details=details)


def _memory(stats: Sequence[dict[str, Any]]) -> Iterator[Finding]:
    shares = {}
    for one in stats:
        if found := re.match(r"\s*([0-9.]+)\s*%", str(one.get("MemPerc", ""))):
            shares[str(one.get("Name", ""))] = float(found[1]) / 100
    full = [f"{name} ({share:.0%})" for name, share in shares.items() if share >= _NEARLY]
    if full:
        yield Finding(
            "self_hosted.memory",
            "fail",
            f"near the limit of its memory: {', '.join(full)}",
            "raise mem_limit of the service, or the machine's memory",
            {"shares": shares},
        )
    elif shares:
        yield Finding(
            "self_hosted.memory", "ok", "no container is short of memory", details={"shares": shares}
        )


def _machine() -> Finding:
    total, available = _meminfo()
    if total is None or available is None:
        return Finding("self_hosted.machine", "skip", "this machine does not tell its memory")
    details = {"total": total, "available": available}
    text = f"{total / 1024**3:.1f} GiB of memory, {available / 1024**3:.1f} GiB free"
    if total < _LEAST_MEMORY:
        return Finding(
            "self_hosted.machine",
            "warn",
            f"{text}: little for the six services of Langfuse",
            "give it 16 GiB, or use `otel-agents up` for a small installation",
            details,
        )
    return Finding("self_hosted.machine", "ok", text, details=details)


def _meminfo() -> tuple[int | None, int | None]:
    try:
        import psutil
    except ModuleNotFoundError:
        return None, None
    found = psutil.virtual_memory()
    return int(found.total), int(found.available)


def _docker(*arguments: str) -> list[dict[str, Any]]:
    """What ``docker`` prints, one JSON object a line."""
    if shutil.which("docker") is None:
        raise _NoDocker("there is no docker command")
    try:
        done = subprocess.run(
            ["docker", *arguments], capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        raise _NoDocker(f"docker gives no answer in {_TIMEOUT} s") from None
    except OSError as error:
        raise _NoDocker(str(error.strerror or error)) from None
    if done.returncode:
        raise _NoDocker(" ".join(done.stderr.split())[:200] or f"docker ended with status {done.returncode}")
    found = []
    for line in done.stdout.splitlines():
        try:
            one = json.loads(line)
        except ValueError:
            continue
        if isinstance(one, dict):
            found.append(one)
    return found
