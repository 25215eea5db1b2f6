"""Runs the apps of these tests in environments with other instrumentations, and reads what arrived."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from modelserver import running
from modelserver.server import ModelServer
from parts import require
from stub_backend import StubBackend
from venvs import ROOT, Run
from whole_way import WholeWay, whole_way


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with running(latency="none") as server:
        yield server


@pytest.fixture
def backend() -> Iterator[StubBackend]:
    with StubBackend() as backend:
        yield backend


@pytest.fixture(scope="session")
def way(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeWay]:
    """One for all tests: each app says by its user and its job which one it is."""
    with whole_way(require("collector"), tmp_path_factory.mktemp("way")) as made:
        yield made


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """``run(python, "app.py", ..., NAME=value)`` runs a script of this folder and returns what it printed."""

    def start(python: Path, script: str, *arguments: str, **env: str) -> str:
        foreign = ("OTEL_", "LANGFUSE_", "OPENAI_", "ANTHROPIC_", "LOGFIRE_", "MISTRAL_", "PYTHONPATH")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        done = subprocess.run(
            [python, Path(__file__).with_name(script), *arguments],
            cwd=tmp_path,
            env={**inherited, "PYTHONPATH": str(ROOT), "OTEL_AGENTS_DOTENV": "off", **env},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return done.stdout

    return start
