"""One account, many processes and threads: not a cent is lost or counted twice."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from parts import wait_for

from otel_agents import BudgetExceeded, inference, set_budget
from otel_agents.budgets import budgets, ledger, spent, store
from otel_agents.testing import AgentSpans

SPENDER = Path(__file__).with_name("spender.py")
NANO = 1_000_000_000


def call(cost: float) -> None:
    with inference("own", "model") as one:
        one.record(cost=cost)


def start(home: Path, **asked: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, "OTEL_AGENTS_DOTENV": "off", "OTEL_SDK_DISABLED": "false"}
    process = subprocess.Popen(
        [sys.executable, SPENDER, home, json.dumps(asked)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def result(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    said: dict[str, Any] = json.loads(process.stdout.readline())
    return said


def written(home: Path) -> int:
    with sqlite3.connect(home / "budgets.db") as connection:
        return int(connection.execute("SELECT coalesce(sum(nano), 0) FROM spent").fetchone()[0])


def rows(home: Path, table: str) -> int:
    with sqlite3.connect(home / "budgets.db") as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


@pytest.mark.parametrize("on_exceeded", ["warn", "block"])
def test_eight_processes_of_twenty_threads(tmp_path: Path, on_exceeded: str) -> None:
    cost = 0.000000007  # seven nano-dollars: fractions that no float sums exactly
    processes = [
        start(tmp_path, amount=1, on_exceeded=on_exceeded, threads=20, calls=25, cost=cost) for _ in range(8)
    ]
    for process in processes:
        go(process)
    results = [result(process) for process in processes]
    assert [process.wait(20) for process in processes] == [0] * 8
    assert results == [{"made": 500, "refused": False}] * 8
    assert written(tmp_path) == 8 * 20 * 25 * 7
    assert rows(tmp_path, "lease") == 0


def test_what_processes_spend_together_stays_within_the_amount(tmp_path: Path) -> None:
    processes = [
        start(tmp_path, amount=1, on_exceeded="block", threads=5, calls=500, cost=0.002, pause=0.002)
        for _ in range(4)
    ]
    for process in processes:
        go(process)
    results = [result(process) for process in processes]
    for process in processes:
        process.wait(20)
    assert all(one["refused"] for one in results)
    made = sum(one["made"] for one in results)
    assert written(tmp_path) == made * 2_000_000
    # Twenty calls may be under way when it is used up. Below: what idle processes hold in leases.
    assert 0.95 * NANO <= written(tmp_path) <= NANO + 20 * 2_000_000
    assert rows(tmp_path, "alert") == 2


def test_survives_a_restart(tmp_path: Path, seen: AgentSpans) -> None:
    process = start(tmp_path, amount=1, calls=3, cost=0.3)
    go(process)
    result(process)
    assert process.wait(20) == 0
    set_budget(1, "monthly", on_exceeded="block", thresholds=(0.5, 1))
    assert spent("monthly") == 0.9
    call(0.3)
    with pytest.raises(BudgetExceeded):
        call(0.3)
    seen.runtime.settle()
    # 50 % was told by the process before.
    assert [one["threshold"] for one in seen.metric_attributes("otel_agents.budget.alerts")] == ["1"]


def test_of_a_killed_process_what_it_spent_counts_and_its_lease_lapses(
    tmp_path: Path, seen: AgentSpans, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = start(tmp_path, amount=1, on_exceeded="block", calls=20, cost=0.01, pause=0.02, hang=True)
    go(process)
    result(process)
    wait_for(lambda: written(tmp_path) == 20 * 10_000_000 or None, "what it spent is written")
    with sqlite3.connect(tmp_path / "budgets.db") as connection:
        # As if it had been killed amid its work: while it holds all the rest.
        connection.execute("DELETE FROM lease")
        (until,) = connection.execute("SELECT max(written) + 10 FROM spent").fetchone()
        (period,) = connection.execute("SELECT period FROM spent").fetchone()
        process.kill()
        process.wait()
        connection.execute(
            "INSERT INTO lease VALUES ('app|monthly|', ?, 'killed', ?, ?)", (period, 800_000_000, until)
        )
    connection.close()
    set_budget(1, "monthly", on_exceeded="block")
    with pytest.raises(BudgetExceeded):
        call(0.01)
    real = store.time.time
    monkeypatch.setattr(store.time, "time", lambda: real() + store.LEASE + 1)
    call(0.01)
    assert spent("monthly") == 0.21


def test_a_forked_child_counts_its_own(tmp_path: Path) -> None:
    process = start(tmp_path, amount=1, on_exceeded="block", threads=4, calls=5, cost=0.001, fork=True)
    go(process)
    assert result(process)["made"] == 20
    assert process.wait(20) == 0
    assert written(tmp_path) == 21_000_000
    assert rows(tmp_path, "lease") == 0


class TestWithoutTheFile:
    def test_unwritable(self, seen: AgentSpans, caplog: pytest.LogCaptureFixture) -> None:
        home = seen.runtime.settings.home
        (home / "budgets.db").mkdir()
        set_budget(1, on_exceeded="block", thresholds=(0.5,))
        call(0.6)
        call(0.6)
        with pytest.raises(BudgetExceeded):
            call(0.1)
        seen.runtime.settle()
        assert caplog.text.count("cannot be used") == 1
        assert "check OTEL_AGENTS_HOME" in caplog.text
        assert [(one.spent, one.shared) for one in budgets()] == [(1.2, False)]
        assert seen.metric_attributes("otel_agents.budget.store_errors") == [{"reason": "unusable"}]
        assert seen.metric("otel_agents.budget.alerts").sum == 1

    def test_locked_and_then_not(self, seen: AgentSpans) -> None:
        set_budget(1, on_exceeded="block")
        call(0.1)
        seen.runtime.settle()
        other = sqlite3.connect(seen.runtime.settings.home / "budgets.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        call(0.2)
        seen.runtime.settle()
        assert budgets()[0].shared is False
        assert spent("monthly") == pytest.approx(0.3)
        assert seen.metric_attributes("otel_agents.budget.store_errors") == [{"reason": "locked"}]
        other.execute("ROLLBACK")
        other.close()
        ledger._ledger._blind_until = 0.0
        seen.runtime.settle()
        assert budgets()[0].shared is True
        assert written(seen.runtime.settings.home) == 300_000_000

    def test_no_file_at_all(self, seen: AgentSpans) -> None:
        (seen.runtime.settings.home / "budgets.db").write_bytes(b"no database" * 1000)
        set_budget(1)
        call(0.5)
        assert spent("monthly") == 0.5
