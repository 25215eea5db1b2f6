"""Runs the apps of these tests, which know nothing of us, by ``otel-agents run``: once for each file."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from modelserver import running
from modelserver.server import ModelServer
from stub_backend import StubBackend
from venvs import ROOT, Run

APPS = Path(__file__).with_name("apps")


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with running(latency="none") as server:
        yield server


@pytest.fixture(scope="module")
def backend() -> Iterator[StubBackend]:
    with StubBackend() as backend:
        yield backend


@pytest.fixture(scope="module")
def env(backend: StubBackend, server: ModelServer) -> Mapping[str, str]:
    foreign = ("OTEL_", "LANGFUSE_", "OPENAI_", "ANTHROPIC_", "PYTHONPATH", "LANGSMITH_", "LANGCHAIN_")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(foreign)},
        "PYTHONPATH": str(ROOT),
        "OTEL_AGENTS_DOTENV": "off",
        "OTEL_EXPORTER_OTLP_ENDPOINT": backend.url,
        "OPENAI_BASE_URL": f"{server.url}/v1",
        "ANTHROPIC_BASE_URL": server.url,
        "ANTHROPIC_API_KEY": "sk-any",
    }


@pytest.fixture(scope="module")
def run(env: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """``run(python, "app.py", ...)`` runs an app to its end and returns what it printed to stderr."""

    def start(python: Path, script: str, *arguments: str) -> str:
        done = subprocess.run(
            [python, "-m", "otel_agents.cli", "run", APPS / script, *arguments],
            cwd=tmp_path_factory.mktemp("app"),
            env=env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        assert "otel-agents:" not in done.stderr, done.stderr
        return done.stderr

    return start


@pytest.fixture(scope="module")
def serve(
    env: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., AbstractContextManager[None]]:
    """``with serve(python, "server.py", port):`` until it listens there, and to its end on SIGTERM."""

    @contextlib.contextmanager
    def start(python: Path, script: str, port: int) -> Iterator[None]:
        command = [str(python), "-m", "otel_agents.cli", "run", str(APPS / script), str(port)]
        folder = tmp_path_factory.mktemp("server")
        log = folder / "server.log"
        with log.open("w") as output:
            process = subprocess.Popen(command, cwd=folder, env=env, stdout=output, stderr=output)
        try:
            while not _listens(port):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.05)
                    pytest.fail(log.read_text())
            yield
            process.send_signal(signal.SIGTERM)
            process.wait(30)
        finally:
            process.kill()
            process.wait()

    return start


@pytest.fixture(scope="module")
def port() -> int:
    """One that is free."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
