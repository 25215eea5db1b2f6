"""In mode ``durable`` a span is on disk when its end returns; no kill takes it."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

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


def on_disk(folder: Path) -> int:
    found = 0
    for path in folder.glob("*/spans-*.db"):
        with closing(sqlite3.connect(path)) as database:
            found += database.execute("SELECT count(*) FROM items").fetchone()[0]
    return found


@pytest.mark.parametrize(("end", "status"), [(KILL, -signal.SIGKILL), ("os._exit(3)", 3)])
def test_what_has_ended_is_on_disk(tmp_path: Path, end: str, status: int) -> None:
    environ = {
        **os.environ,
        "OTEL_AGENTS_SPOOL": "durable",
        "OTEL_AGENTS_SPOOL_DIR": str(tmp_path),
        "OTEL_AGENTS_DOTENV": "off",
        "OTEL_BSP_SCHEDULE_DELAY": "60000",
    }
    done = subprocess.run([sys.executable, "-c", APP + end], env=environ, timeout=120)
    assert done.returncode == status
    assert on_disk(tmp_path) == 100


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
        env={
            **os.environ,
            "OTEL_AGENTS_SPOOL": "durable",
            "OTEL_AGENTS_SPOOL_DIR": str(tmp_path),
            "OTEL_AGENTS_DOTENV": "off",
        },
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
