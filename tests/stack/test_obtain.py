"""Where the Collector of the local stack comes from."""

from __future__ import annotations

import pytest

from otel_agents.config import resolve
from otel_agents.stack import collector
from otel_agents.stack.obtain import obtain


def test_going_on_without_a_collector_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "find_collector", lambda settings: None)
    monkeypatch.setattr(collector, "docker_works", lambda: False)
    said: list[str] = []
    assert not obtain(resolve({"mode": "disabled"}), False, said.append).found
    [line] = said
    assert line == "no Collector on this machine, apps send to the backend directly: --build makes one"
