"""Virtual environments with other people's packages beside our dependencies, made once and kept.

They live in the user's cache folder, under a hash of what is in them; delete that folder to have them
made anew. Our own package is not installed there but put on the path, so they outlive its changes.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

#: What the fixture ``run`` is.
Run = Callable[..., str]

ROOT = Path(__file__).parents[1]


def python_with(*requirements: str) -> Path:
    """The interpreter of an environment with ``requirements``; skips the test when it cannot be made.

    With ``OTEL_AGENTS_REQUIRE_ALL=1`` it fails instead.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *requirements]
    key = hashlib.sha256("\n".join([sys.version, *sorted(wanted)]).encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "otel-agents" / "coexist"
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / key
    with (cache / f"{key}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # other workers may want the same one
        if not (folder / "complete").exists():
            problem = _make(folder, wanted)
            if problem is not None:
                shutil.rmtree(folder, ignore_errors=True)
                reason = f"no environment with {', '.join(requirements)}: {problem}"
                if os.environ.get("OTEL_AGENTS_REQUIRE_ALL") == "1":
                    pytest.fail(reason)
                pytest.skip(reason)
            (folder / "complete").write_text("\n".join(requirements))
    return folder / "bin" / "python"


def _make(folder: Path, requirements: list[str]) -> str | None:
    """Makes the environment; what went wrong, or None."""
    shutil.rmtree(folder, ignore_errors=True)
    python = str(folder / "bin" / "python")
    uv = shutil.which("uv")
    if uv is not None:
        commands = [
            [uv, "venv", "-q", "--python", sys.executable, str(folder)],
            [uv, "pip", "install", "-q", "--python", python, *requirements],
        ]
    else:
        commands = [
            [sys.executable, "-m", "venv", str(folder)],
            [python, "-m", "pip", "install", "-q", *requirements],
        ]
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        if done.returncode:
            return " ".join(done.stderr.split())[-600:]
    return None
