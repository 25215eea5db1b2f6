"""Scripts that run as processes of their own, and the backend that they send to."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from life_scripts import Start
from stub_backend import StubBackend
from venvs import ROOT

#: What every script starts with: nothing is sent by itself before the end.
HEAD = """
import os, signal, sys, threading, time
import otel_agents
from otel_agents import agent
"""


@pytest.fixture
def backend() -> Iterator[StubBackend]:
    with StubBackend() as backend:
        yield backend


@pytest.fixture
def environment(tmp_path: Path, backend: StubBackend) -> dict[str, str]:
    """Of a process that sends to the stub, and only at its end."""
    foreign = ("OTEL_", "LANGFUSE_", "OPENAI_", "PYTHONPATH")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {
        **inherited,
        "PYTHONPATH": f"{ROOT}:{tmp_path}",
        "OTEL_EXPORTER_OTLP_ENDPOINT": backend.url,
        "OTEL_AGENTS_SPOOL_DIR": str(tmp_path / "spool"),
        "OTEL_AGENTS_DOTENV": "off",
        "PYTHONWARNINGS": "ignore::DeprecationWarning",  # of a fork beside threads, from 3.12 on
        "OTEL_BSP_SCHEDULE_DELAY": "60000",
        "OTEL_METRIC_EXPORT_INTERVAL": "60000",
    }


@pytest.fixture
def start(tmp_path: Path, environment: dict[str, str]) -> Iterator[Start]:
    """Starts a script; ``before`` and ``first`` go in front of its command and its lines, ``env`` on top."""
    running: list[subprocess.Popen[str]] = []

    def run(
        script: str,
        *arguments: str,
        before: tuple[str, ...] = (),
        env: dict[str, str] | None = None,
        stdin: bool = False,
        first: str = "",
        python: Path = Path(sys.executable),
    ) -> subprocess.Popen[str]:
        path = tmp_path / f"script_{len(running)}.py"
        path.write_text(first + HEAD + dedent(script))
        process = subprocess.Popen(
            [*before, str(python), str(path), *arguments],
            cwd=tmp_path,
            env={**environment, **(env or {})},
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        running.append(process)
        return process

    yield run
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()
