"""A backend, the proxy in front of it, and outboxes that send there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fault_proxy import FaultProxy
from outlets import MakeOutlet, Outlet
from stub_backend import StubBackend

from otel_agents.export import waits


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries again after hundredths of a second; what a server asks for is waited as it is."""
    monkeypatch.setattr(waits, "_FIRST", 0.02)
    monkeypatch.setattr(waits, "_LONGEST", 0.1)


@pytest.fixture
def backend() -> Iterator[StubBackend]:
    with StubBackend() as running:
        yield running


@pytest.fixture
def proxy(backend: StubBackend) -> Iterator[FaultProxy]:
    with FaultProxy(backend.url) as running:
        yield running


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def outlet(proxy: FaultProxy, root: Path) -> Iterator[MakeOutlet]:
    """Makes outlets to the proxy."""
    made: list[Outlet] = []

    def make(**rest: Any) -> Outlet:
        made.append(Outlet(rest.pop("url", proxy.url), rest.pop("root", root), **rest))
        return made[-1]

    yield make
    for one in made:
        one.close(0.1)
