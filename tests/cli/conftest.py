"""Running the command the way a user does: as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).with_name("otel-agents")

Cli = Callable[..., subprocess.CompletedProcess[str]]


def clean_environment(home: Path) -> dict[str, str]:
    """The environment without anything that configures telemetry, and a home of its own."""
    foreign = ("OTEL_", "LANGFUSE_", "OPENAI_", "ANTHROPIC_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    # The real cache: the Collector that was built is found there.
    return {**inherited, "OTEL_AGENTS_HOME": str(home), "OTEL_AGENTS_DOTENV": "off"}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """For child processes of one test."""
    return clean_environment(tmp_path / "home")


@pytest.fixture
def cli(tmp_path: Path, environment: dict[str, str]) -> Cli:
    """``cli("run", "app.py", env={...})`` runs ``otel-agents run app.py`` in a fresh folder, to its end."""

    def run(
        *arguments: str | Path, env: dict[str, str] | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, *arguments],
            cwd=tmp_path,
            env={**environment, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run
