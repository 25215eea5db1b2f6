"""Whole processes and long outages: what one leaves behind, another sends, once, to the same place."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from fault_proxy import PASS, Fault, FaultProxy
from outlets import MakeOutlet
from parts import free_port, wait_for
from stub_backend import StubBackend

from otel_agents.export import leftovers
from otel_agents.export.locks import is_held

APP = """
import sys, time
import otel_agents
otel_agents.configure(
    otlp_endpoint=sys.argv[1], schedule_delay=0.05, metrics_exporter="none", logs_exporter="none"
)
"""


def run(app: str, url: str, root: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", APP + dedent(app), url],
        env={**os.environ, "OTEL_AGENTS_SPOOL_DIR": str(root), "OTEL_AGENTS_DOTENV": "off", **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )


def start(app: str, url: str, root: Path, **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", "-c", APP + dedent(app), url],
        env={**os.environ, "OTEL_AGENTS_SPOOL_DIR": str(root), "OTEL_AGENTS_DOTENV": "off", **environ},
        stdout=subprocess.PIPE,
        text=True,
    )


def names(backend: StubBackend) -> list[str]:
    return sorted(span.name.removeprefix("invoke_agent ") for span in backend.spans())


def databases(root: Path) -> list[Path]:
    return sorted(root.glob("*/*.db"))


SOME = """
for number in range(5):
    with otel_agents.agent(f"a{number}"): pass
"""
SEND = """
with otel_agents.agent("next"): pass
deadline = time.monotonic() + 20
while time.monotonic() < deadline and list(__import__("pathlib").Path(sys.argv[2]).glob("*/*.db")):
    time.sleep(0.05)
"""


def test_what_a_process_could_not_send_the_next_one_sends(
    backend: StubBackend, proxy: FaultProxy, root: Path
) -> None:
    proxy.refuse()
    done = run(SOME + "print(otel_agents.shutdown())", proxy.url, root)
    assert "spooled=5, dropped=0" in done.stdout, done.stderr
    [left] = databases(root)
    assert not is_held(left)
    assert oct(left.parent.stat().st_mode)[-3:] == "700", "messages are in there"
    proxy.accept()
    done = run(SEND.replace("sys.argv[2]", repr(str(root))), proxy.url, root)
    assert names(backend) == ["a0", "a1", "a2", "a3", "a4", "next"], done.stderr
    assert databases(root) == []
    assert list(root.glob("*/*.lock")) == []


def test_a_process_without_spans_of_its_own_sends_what_is_left_too(
    backend: StubBackend, proxy: FaultProxy, root: Path
) -> None:
    proxy.refuse()
    run(SOME, proxy.url, root)
    proxy.accept()
    idle = start("time.sleep(60)", proxy.url, root)
    try:
        wait_for(lambda: len(backend.spans()) == 5, "the idle process to send them")
    finally:
        idle.kill()
        idle.communicate()
    assert names(backend) == ["a0", "a1", "a2", "a3", "a4"]


def test_another_destination_is_left_alone(
    backend: StubBackend, proxy: FaultProxy, root: Path, outlet: MakeOutlet
) -> None:
    """Never project A's spans with project B's keys."""
    proxy.refuse()
    first = outlet(project="a")
    first.put("of a")
    assert first.close() == (0, 1)
    proxy.accept()
    other = outlet(project="b")
    other.put("of b")
    other.flush()
    other.outbox._disk._looked = -1e9  # type: ignore[union-attr]
    other.put("of b again")
    other.flush()
    time.sleep(0.2)
    assert names(backend) == ["of b", "of b again"]
    same = outlet(project="a")
    same.put("more of a")
    same.flush()
    wait_for(lambda: len(backend.spans()) == 4, "what a left")
    assert same.counts == {"delivered": 2, "of others": 1}


@pytest.mark.parametrize("mode", ["spill", "durable"])
def test_a_killed_process_loses_no_more_than_the_checkpoint_says(
    backend: StubBackend, proxy: FaultProxy, root: Path, mode: str
) -> None:
    proxy.fault = Fault("hang")
    app = SOME + "time.sleep(1.5 if sys.argv[2] == 'spill' else 0.5)\nprint('ready')\ntime.sleep(60)"
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", APP + dedent(app), proxy.url, mode],
        env={
            **os.environ,
            "OTEL_AGENTS_SPOOL_DIR": str(root),
            "OTEL_AGENTS_SPOOL": mode,
            "OTEL_AGENTS_SPOOL_CHECKPOINT": "0.5",
            "OTEL_AGENTS_DOTENV": "off",
        },
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    [path] = databases(root)
    assert is_held(path)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    proxy.fault = PASS
    run(SEND.replace("sys.argv[2]", repr(str(root))), proxy.url, root)
    assert names(backend) == ["a0", "a1", "a2", "a3", "a4", "next"]


def test_a_living_process_keeps_its_file_to_itself(
    backend: StubBackend, proxy: FaultProxy, root: Path, outlet: MakeOutlet
) -> None:
    proxy.refuse()
    first, second = outlet(), outlet()
    first.put("first")
    assert first.flush() == (0, 1)
    second.put("second")
    assert second.flush() == (0, 1)
    assert len(databases(root)) == 2
    assert first.outbox._disk is not None
    held = leftovers.files(first.outbox._disk.folder, "spans")
    assert [leftovers.adopt(path) for path in held] == [None, None]
    proxy.accept()
    wait_for(lambda: len(backend.spans()) == 2, "both")
    assert names(backend) == ["first", "second"]


def test_a_forked_child_leaves_its_parents_file_alone_and_does_not_keep_it_locked(
    backend: StubBackend, proxy: FaultProxy, root: Path
) -> None:
    proxy.refuse()
    app = """
    import os
    with otel_agents.agent("parent"): pass
    print(otel_agents.flush().spooled, flush=True)
    child = os.fork()
    if child == 0:
        with otel_agents.agent("child"): pass
        print("child", os.getpid(), otel_agents.flush().spooled, flush=True)
        time.sleep(60)
    time.sleep(60)
    """
    parent = start(app, proxy.url, root)
    assert parent.stdout is not None
    child = 0
    try:
        assert parent.stdout.readline() == "1\n"
        _, number, spooled = parent.stdout.readline().split()
        child = int(number)
        assert spooled == "1"
        assert len(databases(root)) == 2
        parent.kill()
        parent.wait()
        proxy.accept()
        # Were the lock still held, by a descriptor that the child inherited, nobody could take the file.
        wait_for(lambda: len(backend.spans()) == 2, "the child to send its own, and what its parent left", 60)
        assert names(backend) == ["child", "parent"]
    finally:
        parent.kill()
        if child:
            os.kill(child, signal.SIGKILL)
        parent.communicate()


def test_many_processes_adopt_each_file_once(backend: StubBackend, root: Path) -> None:
    with FaultProxy(backend.url, free_port()) as proxy:
        proxy.refuse()
        for number in range(4):
            run(f"with otel_agents.agent('left {number}'): pass", proxy.url, root)
        assert len(databases(root)) == 4
        proxy.accept()
        app = SEND.replace("sys.argv[2]", repr(str(root))).replace('"next"', "'next'")
        racing = [start(app, proxy.url, root) for _ in range(3)]
        for one in racing:
            one.communicate(timeout=60)
    assert names(backend) == [*(f"left {number}" for number in range(4)), "next", "next", "next"]


def test_direct_mode_waits_for_langfuse_too(root: Path, tmp_path: Path) -> None:
    from otel_agents.local.options import LocalOptions
    from otel_agents.local.server import running

    port = free_port()
    app = """
    otel_agents.shutdown()
    made = otel_agents.configure(langfuse_base_url=sys.argv[1], langfuse_public_key="pk-lf-local",
        langfuse_secret_key="sk-lf-local", mode="direct", metrics_exporter="none")
    with otel_agents.agent("late"): pass
    print(otel_agents.flush(20))
    """
    done = run(app, f"http://127.0.0.1:{port}", root)
    assert "spooled=1, dropped=0" in done.stdout, done.stderr
    with running(LocalOptions(db=tmp_path / "local.db", port=port)) as langfuse:
        app += """
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and otel_agents.flush().spooled == 0 and list(
        __import__("pathlib").Path(ROOT).glob("*/spans-*.db")):
        time.sleep(0.05)
    """.replace("ROOT", repr(str(root)))
        done = run(app, langfuse.url, root)
        assert "delivered=1" in done.stdout, done.stderr
        from langfuse.api import LangfuseAPI

        api = LangfuseAPI(base_url=langfuse.url, username=langfuse.public_key, password=langfuse.secret_key)

        def found() -> list[Any]:
            rows = api.observations.get_many(limit=10).data
            return rows if len(rows) == 2 else []

        assert [row.name for row in wait_for(found, "both observations")] == ["invoke_agent late"] * 2


def test_the_last_counts_of_a_process_survive_a_dead_collector(
    backend: StubBackend, proxy: FaultProxy, root: Path
) -> None:
    """Under its own identity: nobody else's counts grow by them."""
    app = """
    otel_agents.shutdown()
    otel_agents.configure(otlp_endpoint=sys.argv[1], logs_exporter="none", metric_interval=60.0)
    for _ in range(RUNS):
        with otel_agents.agent("worker"): pass
    started = time.monotonic()
    otel_agents.shutdown(timeout=5.0)
    print(time.monotonic() - started < 9)
    """
    proxy.refuse()
    done = run(app.replace("RUNS", "3"), proxy.url, root)
    assert done.stdout == "True\n", done.stderr
    assert len(list(root.glob("*/metrics-*.db"))) == 1
    proxy.accept()
    done = run(app.replace("RUNS", "2"), proxy.url, root)
    assert done.stdout == "True\n", done.stderr
    assert sorted(count for _, _, count in backend.agent_runs()) == [2, 3]
    assert list(root.glob("*/metrics-*")) == []
