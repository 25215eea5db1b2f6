"""Everything recorded in memory, with a home of its own; no budget or guard outlives its test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_agents.budgets import gate, ledger, loops
from otel_agents.testing import AgentSpans, recording


@pytest.fixture
def seen(tmp_path: Path) -> Iterator[AgentSpans]:
    with recording(home=tmp_path, service_name="app", mode="collector") as recorded:
        yield recorded
        recorded.runtime.settle()
        forget()


def forget() -> None:
    for one in ledger._ledger.budgets:
        ledger.remove_budget(one.name)
    ledger._ledger._accounts.clear()
    loops.declare({})
    ledger._ledger._blind_until = 0.0
    ledger._ledger._told_blind = False
    gate.armed = False
