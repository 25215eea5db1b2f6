"""In mode ``durable`` a span is on disk when its end returns; no kill takes it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from on_disk import on_disk

APP = """
import os, signal, sys, threading
import otel_agents
from otel_agents import agent

otel_agents.configure(otlp_endpoint="http://127.0.0.1:9", metrics_exporter="none", instrument_libraries=False)

def work():
    for number in range(25):
        with agent(f"one {number}"):
            pass

threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads:
    thread.start()
work()
for thread in threads:
    thread.join()
"""
KILL = "os.kill(os.getpid(), signal.SIGKILL)"


def durable(root: Path, **more: str) -> dict[str, str]:
    """Of a process in mode ``durable``."""
    own = {"OTEL_AGENTS_SPOOL": "durable", "OTEL_AGENTS_SPOOL_DIR": str(root), "OTEL_AGENTS_DOTENV": "off"}
    return {**os.environ, **own, **more}


@pytest.mark.parametrize(("end", "status"), [(KILL, -signal.SIGKILL), ("os._exit(3)", 3)])
def test_what_has_ended_is_on_disk(tmp_path: Path, end: str, status: int) -> None:
    environ = durable(tmp_path, OTEL_BSP_SCHEDULE_DELAY="60000")
    done = subprocess.run([sys.executable, "-c", APP + end], env=environ, timeout=120)
    assert done.returncode == status
    assert on_disk(tmp_path) == 100


DIRECT = {
    "LANGFUSE_PUBLIC_KEY": "pk-lf-a",
    "LANGFUSE_SECRET_KEY": "sk-lf-a",
    "LANGFUSE_BASE_URL": "http://127.0.0.1:9",
}
COLLECTOR = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}


@pytest.mark.parametrize(("way", "kind"), [(DIRECT, "scores"), (COLLECTOR, "logs")])
def test_scores_are_on_disk_when_they_are_given(tmp_path: Path, way: dict[str, str], kind: str) -> None:
    app = """
import os, signal, threading
import otel_agents
otel_agents.configure(metrics_exporter="none", instrument_libraries=False)

def judge(name):
    for number in range(10):
        otel_agents.score(f"{name} {number}", 0.5, trace_id="a" * 32)

threads = [threading.Thread(target=judge, args=(f"thread {number}",)) for number in range(3)]
for thread in threads:
    thread.start()
judge("main")
for thread in threads:
    thread.join()
"""
    done = subprocess.run([sys.executable, "-c", app + KILL], env=durable(tmp_path, **way), timeout=120)
    assert done.returncode == -signal.SIGKILL
    assert on_disk(tmp_path, kind) == 40


def test_sigterm_amid_a_write_ends_the_process_in_order(tmp_path: Path) -> None:
    """The handler runs on the thread that writes: it is put off until the write is done."""
    more = """
while True:
    with agent("another"):
        pass
    os.write(1, b".")
"""
    process = subprocess.Popen(
        [sys.executable, "-c", APP + more],
        env=durable(tmp_path),
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        seen = process.stdout.read(5)
        process.send_signal(signal.SIGTERM)
        seen += process.communicate(timeout=30)[0]
    finally:
        process.kill()
    assert process.returncode == -signal.SIGTERM
    assert on_disk(tmp_path) - (100 + len(seen)) in (0, 1)
