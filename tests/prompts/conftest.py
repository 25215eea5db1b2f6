"""A local backend, the official SDK's client of it, and the command with its keys."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from langfuse.api import LangfuseAPI

from otel_agents.local.options import LocalOptions
from otel_agents.local.server import Running, running

Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def shared_backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    path = tmp_path_factory.mktemp("prompts") / "local.db"
    with running(LocalOptions(db=path, port=0)) as found:
        yield found


@pytest.fixture
def backend(shared_backend: Running) -> Running:
    """A backend without data, prompts included."""
    shared_backend.store.reset()
    shared_backend.backend.faults.clear()
    with shared_backend.store.database.writing() as connection:
        connection.execute("DELETE FROM prompts")
    return shared_backend


@pytest.fixture
def api(backend: Running) -> LangfuseAPI:
    return LangfuseAPI(base_url=backend.url, username=backend.public_key, password=backend.secret_key)


def keys(backend: Running) -> dict[str, str]:
    return {
        "LANGFUSE_BASE_URL": backend.url,
        "LANGFUSE_PUBLIC_KEY": backend.public_key,
        "LANGFUSE_SECRET_KEY": backend.secret_key,
    }


@pytest.fixture
def cli(backend: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """``cli("prompts", "list")`` in this process, with the backend's keys and in a folder of its own."""
    from otel_agents import cli as command

    for name in list(os.environ):
        if name.startswith(("OTEL_", "LANGFUSE_")):
            monkeypatch.delenv(name)
    for name, value in {
        **keys(backend),
        "OTEL_AGENTS_DOTENV": "off",
        "OTEL_AGENTS_HOME": str(tmp_path),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: command.main([str(one) for one in arguments])


def as_process(*arguments: str, env: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command as a user runs it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "LANGFUSE_"))}
    return subprocess.run(
        [Path(sys.executable).with_name("otel-agents"), *arguments],
        cwd=cwd,
        env={**clean, "OTEL_AGENTS_DOTENV": "off", "OTEL_AGENTS_HOME": str(cwd), **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
