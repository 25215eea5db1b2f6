"""A local backend, spans of the past in it, and the command with its keys."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from recorded_spans import Recorder

from otel_agents.local.options import LocalOptions
from otel_agents.local.server import Running, running


@pytest.fixture(scope="module")
def shared_backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    path = tmp_path_factory.mktemp("failures") / "local.db"
    with running(LocalOptions(db=path, port=0, orphan_grace_s=0.0)) as found:
        yield found


@pytest.fixture
def backend(shared_backend: Running) -> Running:
    """A backend without data."""
    shared_backend.store.reset()
    shared_backend.backend.faults.clear()
    return shared_backend


@pytest.fixture
def record(backend: Running) -> Recorder:
    return Recorder(backend)


@pytest.fixture
def keys(backend: Running) -> dict[str, str]:
    return {
        "LANGFUSE_BASE_URL": backend.url,
        "LANGFUSE_PUBLIC_KEY": backend.public_key,
        "LANGFUSE_SECRET_KEY": backend.secret_key,
    }


@pytest.fixture
def cli(keys: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """``cli("failures")`` in this process, with the backend's keys and in a folder of its own."""
    from otel_agents import cli as command

    for name in list(os.environ):
        if name.startswith(("OTEL_", "LANGFUSE_", "OPENAI_", "ANTHROPIC_")):
            monkeypatch.delenv(name)
    for name, value in {**keys, "OTEL_AGENTS_DOTENV": "off", "OTEL_AGENTS_HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: command.main([str(one) for one in arguments])
