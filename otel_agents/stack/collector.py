"""Find the OpenTelemetry Collector, and start it with the project's ``otel-collector.yaml``.

Three ways lead to a Collector: a binary on this machine (ours, or the stock contrib distribution),
one that :func:`build_collector` compiles, or the stock container image. All three read the same
configuration file; everything that differs between them travels in environment variables.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otel_agents.config import Settings

#: The release that ``collector/builder.yaml`` names and that the configuration is tested with.
COLLECTOR_VERSION = "0.158.0"
#: Name of our own build, in the cache and on PATH.
BINARY_NAME = "otelcol-agents.exe" if os.name == "nt" else "otelcol-agents"
#: Names looked for on PATH, best first. Plain ``otelcol`` lacks transform, file_storage and basicauth.
_NAMES_ON_PATH = ("otelcol-agents", "otelcol-contrib")

_PACKAGE = Path(__file__).resolve().parent


class CollectorNotFound(RuntimeError):
    """There is no Collector; the message says what to do about it, in one line."""


def config_path(name: str = "otel-collector.yaml") -> Path:
    """Where ``otel-collector.yaml``, ``builder.yaml`` or ``builder-full.yaml`` is on this machine.

    A checkout has them in the project's root and in ``collector/``; a wheel carries copies inside the
    package, because a user of ``pip install`` has no checkout.

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    root = _PACKAGE.parent.parent
    for candidate in (root / name, root / "collector" / name, _PACKAGE / "data" / name):
        if candidate.is_file() and candidate.stat().st_size:
            return candidate
    raise FileNotFoundError(f"{name} is missing from this installation of otel-agents; install it again")


def user_cache_dir() -> Path:
    """The user's cache folder for this project, by the platform's custom."""
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    elif os.name == "nt":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "otel-agents"


def cache_key(manifest: Path | None = None) -> str:
    """Names one build: version, platform, and a hash of what the manifest says (comments apart)."""
    text = (manifest or config_path("builder.yaml")).read_text(encoding="utf-8")
    meaning = "\n".join(
        line.split(" #")[0].rstrip() for line in text.splitlines() if line.strip() and line.strip()[0] != "#"
    )
    digest = hashlib.sha256(meaning.encode()).hexdigest()[:12]
    machine = platform.machine().lower() or "unknown"
    return f"{COLLECTOR_VERSION}-{sys.platform}-{machine}-{digest}"


def cached_binary(settings: Settings | None = None) -> Path:
    """Where our own build of the current manifest lives, whether it exists or not."""
    cache = settings.cache_dir if settings is not None else user_cache_dir()
    return cache / "collector" / cache_key() / BINARY_NAME


def find_collector(settings: Settings | None = None) -> Path | None:
    """The Collector to run: ``$OTELCOL_BIN``, then PATH, then our own build in the cache.

    Raises:
        CollectorNotFound: ``OTELCOL_BIN`` names something that cannot be run. A wish that cannot be
            fulfilled is an error, not a reason to take another Collector silently.
    """
    if wanted := os.environ.get("OTELCOL_BIN"):
        found = shutil.which(wanted)
        if found is None:
            raise CollectorNotFound(f"OTELCOL_BIN={wanted} is not an executable file; correct it or unset it")
        return Path(found)
    for name in _NAMES_ON_PATH:
        if found := shutil.which(name):
            return Path(found)
    cached = cached_binary(settings)
    return cached if os.access(cached, os.X_OK) else None
