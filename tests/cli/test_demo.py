"""The proof, with every real part: Collector, Prometheus, local backend, both provider SDKs."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import httpx
import psutil
import pytest
from parts import require, wait_for

from otel_agents.demo import session
from otel_agents.demo.accounts import Account
from otel_agents.demo.session import Place, Wish
from otel_agents.stack import state
from otel_agents.stack.state import Keys, State

Run = Callable[..., subprocess.CompletedProcess[str]]

COMMAND = Path(sys.executable).with_name("otel-agents")
NUMBERS = ["calls", "input", "output", "cache_read", "cache_write", "reasoning", "cost"]


@pytest.fixture(autouse=True)
def _ports(environment: dict[str, str]) -> None:
    """Any free ones: other tests run beside this one."""
    from otel_agents.config import table

    for name, declared in table().items():
        if name.endswith("_port"):
            environment[declared.sources[0].name] = "0"


@pytest.fixture
def _nothing_left(tmp_path: Path) -> Iterator[None]:
    """After the test no process knows of its home any more."""
    yield
    mine = str(tmp_path)

    def left() -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter(["pid", "cmdline", "environ"]):
            words = [*(process.info["cmdline"] or ()), *(process.info["environ"] or {}).values()]
            if process.pid != os.getpid() and any(mine in word for word in words):
                found.append(process)
        return found

    wait_for(lambda: not left(), "the end of the demo's processes")


def accounts(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, float]]:
    """The three accounts; they have to be there, equal, and not empty."""
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, float]] = json.loads(done.stdout)
    assert list(found) == ["provider", "langfuse", "prometheus"]
    provider = found["provider"]
    assert list(provider) == NUMBERS
    assert all(value > 0 for value in provider.values())
    for other in (found["langfuse"], found["prometheus"]):
        assert {**other, "cost": 0} == {**provider, "cost": 0}
        assert other["cost"] == pytest.approx(provider["cost"], rel=1e-6, abs=1e-9)
    return found


@pytest.mark.collector
@pytest.mark.prometheus
@pytest.mark.usefixtures("_nothing_left")
class TestEndToEnd:
    @pytest.fixture(autouse=True)
    def _parts(self) -> None:
        require("collector")
        require("prometheus")

    def test_all_accounts_agree(self, cli: Run) -> None:
        accounts(cli("demo", "--json", timeout=240))

    def test_through_a_stack_that_is_up(self, cli: Run, environment: dict[str, str]) -> None:
        started = cli("up", "--detach", timeout=120)
        assert started.returncode == 0, started.stderr
        try:
            first = cli("demo", "--json", timeout=240)
            second = cli("demo", "--json", timeout=240)
            assert findings(Path(environment["OTEL_AGENTS_HOME"])) == []
        finally:
            assert cli("down").returncode == 0
        assert "using the stack that is up" in first.stderr
        # One run's numbers, though the stack has those of both.
        assert accounts(first)["provider"]["calls"] < 2 * accounts(second)["provider"]["calls"]

    def test_for_people(self, cli: Run) -> None:
        done = cli("demo", timeout=240)  # no terminal, so it does not stay
        assert done.returncode == 0
        assert "equal" in done.stdout
        assert done.stdout.count("yes") == len(NUMBERS)
        assert "http" not in done.stdout  # nothing answers there any more
        assert "--keep" in done.stderr

    def test_stays_on_a_terminal_until_ctrl_c(self, environment: dict[str, str]) -> None:
        with on_a_terminal([COMMAND, "demo"], environment) as (process, output):
            wait_for(lambda: "Ctrl-C stops it" in output(), "the demo's last line", timeout=240)
            assert process.poll() is None
            for address in ("/sessions/demo-", "/dashboards/overview?range=15m", "/graph?g0.expr="):
                assert address in output()
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0, output()

    def test_interrupted_while_it_runs(self, environment: dict[str, str]) -> None:
        with on_a_terminal([COMMAND, "demo"], environment) as (process, output):
            wait_for(lambda: "run demo-" in output(), "the example's first line", timeout=120)
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130
            assert "Traceback" not in output()


@pytest.mark.prometheus
@pytest.mark.usefixtures("_nothing_left")
class TestDirectMode:
    def test_all_accounts_agree(self, cli: Run) -> None:
        require("prometheus")
        accounts(cli("demo", "--json", "--no-collector", timeout=240))

    def test_without_prometheus(self, cli: Run, environment: dict[str, str], tmp_path: Path) -> None:
        empty = tmp_path / "bin"
        empty.mkdir()
        done = cli("demo", "--json", "--no-collector", env={"PATH": str(empty)}, timeout=240)
        accounts(done)
        assert "no Prometheus on this machine, going on without" in done.stderr


def test_different_accounts_are_shown_and_fail(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    running = State(
        pid=1,
        ui="http://127.0.0.1:3000",
        otlp="http://127.0.0.1:4318",
        prometheus=None,
        bridge=None,
        collector="x",
        logs="/x",
        scrape_interval=1.0,
        metrics_page="http://127.0.0.1:8889/metrics",
    )
    provider, langfuse = Account(calls=2, cost=Decimal("0.5")), Account(calls=3, cost=Decimal("0.5"))
    monkeypatch.setattr(session, "_stack", lambda *_: (Place(running, Keys("a", "b"), True), None))
    monkeypatch.setattr(
        session,
        "_accounts",
        lambda *_: ({"provider": provider, "langfuse": langfuse, "prometheus": provider}, "run-1"),
    )
    assert session.hold(Wish(as_json=True)) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out)["langfuse"]["calls"] == 3
    assert "not equal: calls: provider 2, langfuse 3, prometheus 2" in captured.err
    assert "http://127.0.0.1:3000/sessions/run-1" in captured.err

    assert session.hold(Wish()) == 1
    table = capsys.readouterr().out
    assert next(line for line in table.splitlines() if "calls" in line).count("no") == 1
    assert table.count("yes") == len(NUMBERS) - 1
    assert "http://127.0.0.1:3000/sessions/run-1" in table


def findings(home: Path) -> list[object]:
    """What a real Langfuse would have lost or got wrong, by the local backend's strict reading."""
    running, keys = state.read(home), state.local_keys(home)
    assert running is not None
    answer = httpx.get(f"{running.ui}/api/local/findings", auth=(keys.public, keys.secret))
    found: list[object] = answer.raise_for_status().json()["data"]
    return found


@contextmanager
def on_a_terminal(
    command: list[str | Path], environment: dict[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[], str]]]:
    """A process whose input and output are a terminal; what it has written so far."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    os.set_blocking(ours, False)
    written = bytearray()

    def output() -> str:
        try:
            while chunk := os.read(ours, 65536):
                written.extend(chunk)
        except (BlockingIOError, OSError):
            pass
        return written.decode(errors="replace")

    try:
        yield process, output
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(60)
        os.close(ours)
