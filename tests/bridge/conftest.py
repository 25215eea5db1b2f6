"""The bridge in this process, in front of a Langfuse of the test's choice."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from parts import free_port
from score_server import ScoreServer
from starlette.testclient import TestClient

from otel_agents.bridge.app import create_app
from otel_agents.config import Settings, resolve
from otel_agents.export import waits


@dataclass(slots=True)
class Rig:
    """A bridge that serves.

    Attributes:
        client: asks it.
        bridge: its parts.
    """

    client: TestClient
    bridge: Any

    def waiting(self) -> int:
        """How many scores are in its queue."""
        count, _ = self.bridge.lanes.size()
        return int(count)

    def metric(self, name: str, **labels: str) -> float:
        """A sample of its own metrics."""
        value = self.bridge.meters.registry.get_sample_value(f"otel_agents_bridge_{name}", labels)
        assert value is not None, name
        return float(value)


StartBridge = Callable[..., contextlib.AbstractContextManager[Rig]]


def settings_for(home: Path, url: str, **rest: object) -> Settings:
    environ = {
        "LANGFUSE_BASE_URL": url,
        "LANGFUSE_PUBLIC_KEY": "pk-lf-local",
        "LANGFUSE_SECRET_KEY": "sk-lf-local",
        "OTEL_AGENTS_HOME": str(home),
    }
    return resolve({"mode": "disabled", **rest}, environ=environ, dotenv=False)


@pytest.fixture
def server() -> Iterator[ScoreServer]:
    with ScoreServer() as running:
        yield running


@pytest.fixture
def nobody() -> str:
    """An address where nobody listens."""
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture
def start_bridge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StartBridge:
    """Starts a bridge with the test's home; it tries again after hundredths of a second."""
    monkeypatch.setattr(waits, "_FIRST", 0.02)
    monkeypatch.setattr(waits, "_LONGEST", 0.05)

    @contextlib.contextmanager
    def start(url: str, projects: object = None, **rest: Any) -> Iterator[Rig]:
        given = {} if projects is None else {"projects": projects}
        app = create_app(settings_for(tmp_path, url, **given), **rest)
        with TestClient(app, raise_server_exceptions=False) as client:
            yield Rig(client, app.state.bridge)

    return start


@pytest.fixture
def make_settings(tmp_path: Path) -> Callable[..., Settings]:
    """Settings with the test's home, for a Langfuse at an address."""
    return lambda url, **rest: settings_for(tmp_path, url, **rest)
