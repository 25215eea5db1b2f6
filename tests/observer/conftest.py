"""An observer as an app gets it, in front of a real local backend that it is read back from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from observer_rig import Langfuse

from otel_agents.local.options import LocalOptions
from otel_agents.local.server import running
from otel_agents.observer import LangfuseObserver, complaints, facade, get_langfuse_observer, registry, state
from otel_agents.observer import prompts as linked_prompts

Start = Callable[..., LangfuseObserver]


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test sees another's tasks, breakers, complaints or observer."""
    monkeypatch.setattr(facade, "_observer", None)
    monkeypatch.setattr(facade, "_failed", "")
    monkeypatch.setattr(complaints, "_said", set())
    state._breakers.clear()
    linked_prompts._missing.clear()
    registry.forget()
    yield
    registry.forget()


@pytest.fixture
def langfuse(tmp_path: Path, clean_globals: None) -> Iterator[Langfuse]:
    """The local backend; parents count as missing at once."""
    with running(LocalOptions(db=tmp_path / "local.db", port=0, orphan_grace_s=0.0)) as backend:
        yield Langfuse(backend)


@pytest.fixture
def variables(langfuse: Langfuse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment that the guide's .env makes; nothing serves /metrics."""
    made = {
        "LANGFUSE_PUBLIC_KEY": langfuse.backend.public_key,
        "LANGFUSE_SECRET_KEY": langfuse.backend.secret_key,
        "LANGFUSE_HOST": langfuse.backend.url,
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_AGENTS_HOME": str(tmp_path / "home"),
    }
    for name, value in made.items():
        monkeypatch.setenv(name, value)
    return made


@pytest.fixture
def observer(langfuse: Langfuse, variables: dict[str, str]) -> Iterator[LangfuseObserver]:
    """The process's observer, configured from the environment and nothing else."""
    made = get_langfuse_observer()
    yield made
    made.shutdown()
