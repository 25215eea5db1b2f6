"""Every scenario with real processes and random faults; the verdict is over span ids.

``make test`` runs each once, ``make chaos SEEDS=50`` with many seeds; ``CHAOS_SEED`` is the first one.
"""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from chaos_bridge import bridge
from chaos_rig import Rig
from collector_rig import Backend
from collector_rig import running as running_collector
from fault_proxy import FaultProxy
from parts import require
from scenarios import NEEDS_BRIDGE, NEEDS_COLLECTOR, SCENARIOS
from stub_backend import StubBackend

from otel_agents.export import tally, waits

FIRST = int(os.environ.get("CHAOS_SEED", "1"))
SEEDS = range(FIRST, FIRST + int(os.environ.get("CHAOS_SEEDS", "1")))


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waits, "_FIRST", 0.02)
    monkeypatch.setattr(waits, "_LONGEST", 0.1)
    # What the rig finds of killed processes waits for no metrics, whatever tests before this one have sent.
    monkeypatch.setattr(tally, "_is_told", False)


@pytest.fixture
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    """What the scenario asks for, in front of the backend."""
    name, seed = request.node.callspec.params["name"], request.node.callspec.params["seed"]
    chance = random.Random(f"{name} {seed}")
    with contextlib.ExitStack() as stack:
        collector, path = None, ""
        if name in NEEDS_COLLECTOR:
            collector = stack.enter_context(running_collector(require("collector"), tmp_path))
            url = f"http://127.0.0.1:{collector.ports.otlp_http_port}"
            behind: StubBackend | Backend = collector.backend
        else:
            behind = stub = stack.enter_context(StubBackend())
            url = stub.url
            if name in NEEDS_BRIDGE:
                url, path = stack.enter_context(bridge(tmp_path, url)), "/api/public/otel"
        proxy = stack.enter_context(FaultProxy(url))
        made = Rig(proxy, lambda: [one.span_id.hex() for one in behind.spans()], tmp_path, chance)
        made.path, made.of_collector = path, collector
        stack.callback(made.stop)
        yield made


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", SCENARIOS)
def test_chaos(name: str, seed: int, rig: Rig) -> None:
    SCENARIOS[name](rig)
