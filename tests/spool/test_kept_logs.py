"""Evaluation results on their way to a Collector wait on disk as spans do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

from fault_proxy import PASS, Fault, FaultProxy
from parts import wait_for
from stub_backend import StubBackend

from otel_agents.export.delivery import deliver
from otel_agents.export.entries import Entry
from otel_agents.export.kept_logs import _Records
from otel_agents.export.sender import Answer

APP = """
import os, sys, time
import otel_agents
from otel_agents.export import waits
waits._FIRST, waits._LONGEST = 0.05, 0.2
otel_agents.configure(otlp_endpoint=sys.argv[1], metrics_exporter="none", instrument_libraries=False)
def score(name):
    otel_agents.score(name, 0.5, trace_id="a" * 32)
"""


def start(app: str, url: str, root: Path, **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", "-c", APP + dedent(app), url],
        env={**os.environ, "OTEL_AGENTS_SPOOL_DIR": str(root), "OTEL_AGENTS_DOTENV": "off", **environ},
        stdout=subprocess.PIPE,
        text=True,
    )


def names(backend: StubBackend) -> list[str]:
    found = []
    for record in backend.log_records():
        named: dict[str, Any] = {one.key: one.value.string_value for one in record.attributes}
        found.append(named["gen_ai.evaluation.name"])
    return sorted(found)


def test_through_an_outage(backend: StubBackend, proxy: FaultProxy, root: Path) -> None:
    proxy.refuse()
    app = """
    score("a")
    otel_agents.flush(5)
    score("b")
    otel_agents.flush(5)
    print("flushed")
    time.sleep(60)
    """
    process = start(app, proxy.url, root)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "flushed\n"
        assert len(list(root.glob("*/logs-*.db"))) == 1
        proxy.accept()
        wait_for(lambda: names(backend) == ["a", "b"], "both, without another one to set it off")
    finally:
        process.kill()
        process.communicate()


def test_durable_ones_are_delivered_by_a_flush(backend: StubBackend, proxy: FaultProxy, root: Path) -> None:
    app = """
    score("a")
    score("b")
    otel_agents.flush(20)
    os._exit(0)
    """
    process = start(app, proxy.url, root, OTEL_AGENTS_SPOOL="durable", OTEL_AGENTS_SPOOL_CHECKPOINT="3600000")
    assert process.wait(60) == 0
    assert names(backend) == ["a", "b"]


def test_the_next_process_sends_what_one_left(backend: StubBackend, proxy: FaultProxy, root: Path) -> None:
    proxy.refuse()
    assert start("for name in 'abc': score(name)", proxy.url, root).wait(60) == 0
    assert len(list(root.glob("*/logs-*.db"))) == 1
    proxy.accept()
    process = start("time.sleep(60)", proxy.url, root)
    try:
        wait_for(lambda: names(backend) == ["a", "b", "c"], "what was left")
        wait_for(lambda: not list(root.glob("*/logs-*")), "the file to go")
    finally:
        process.kill()
        process.communicate()


def test_a_forked_child_sends_its_own_and_not_its_parents(
    backend: StubBackend, proxy: FaultProxy, root: Path
) -> None:
    app = """
    score("parent")
    child = os.fork()
    if child == 0:
        score("child")
        otel_agents.shutdown()
        os._exit(0)
    os.waitpid(child, 0)
    """
    assert start(app, proxy.url, root).wait(60) == 0
    assert names(backend) == ["child", "parent"]


def test_the_end_does_not_wait_for_a_collector_that_hangs(
    backend: StubBackend, proxy: FaultProxy, root: Path
) -> None:
    proxy.fault = Fault("hang")
    assert start("score('a')", proxy.url, root).wait(60) == 0
    proxy.fault = PASS
    process = start("time.sleep(60)", proxy.url, root)
    try:
        wait_for(lambda: names(backend) == ["a"], "what was left")
    finally:
        process.kill()
        process.communicate()


def test_a_record_that_is_too_large_is_refused_and_its_neighbours_are_not() -> None:
    """Trimming is for spans; bytes of a record are none."""
    seen: list[int] = []

    class Small:
        def send(self, entries: Sequence[Entry], timeout: float | None = None) -> Answer:
            seen.append(len(entries))
            large = any(len(one.body) > 20_000 for one in entries)
            return Answer("too_large", "status_413") if large else Answer("taken")

        def close(self) -> None:
            pass

    large, small = Entry(b"", b"x" * 50_000), Entry(b"", b"x")
    report = deliver(_Records(Small()), [small, large, small])
    assert [one.body for one, _ in report.refused] == [b"x" * 50_000]
    assert report.delivered == [small, small]
    assert seen


def test_in_memory_mode_nothing_is_on_disk(proxy: FaultProxy, root: Path) -> None:
    proxy.refuse()
    assert start("score('a')", proxy.url, root, OTEL_AGENTS_SPOOL="memory").wait(60) == 0
    assert not list(root.glob("*/*.db"))
