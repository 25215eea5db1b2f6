"""Runs the app of these tests in an environment with another instrumentation."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from modelserver import running
from modelserver.server import ModelServer
from stub_backend import StubBackend
from venvs import ROOT, Run


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with running(latency="none") as server:
        yield server


@pytest.fixture
def backend() -> Iterator[StubBackend]:
    with StubBackend() as backend:
        yield backend


@pytest.fixture
def run(backend: StubBackend, tmp_path: Path) -> Run:
    """``run(python, "app.py", ...)`` runs a script of this folder to its end and returns what it printed."""

    def start(python: Path, script: str, *arguments: str, **env: str) -> str:
        foreign = ("OTEL_", "LANGFUSE_", "OPENAI_", "ANTHROPIC_", "LOGFIRE_", "PYTHONPATH")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        done = subprocess.run(
            [python, Path(__file__).with_name(script), *arguments],
            cwd=tmp_path,
            env={
                **inherited,
                "PYTHONPATH": str(ROOT),
                "OTEL_AGENTS_DOTENV": "off",
                "OTEL_EXPORTER_OTLP_ENDPOINT": backend.url,
                **env,
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return start
