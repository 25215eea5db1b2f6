"""A process that forks at once, as a server with workers does, has children that can import and count."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

from stub_backend import StubBackend

APP = """
import os, signal, sys, time
import otel_agents
otel_agents.configure(otlp_endpoint=sys.argv[1])
time.sleep(float(sys.argv[2]))  # until an import is under way on a thread of ours
child = os.fork()
if child == 0:
    signal.alarm(15)
    import genai_prices
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""

POOL = """
import multiprocessing, sys
import otel_agents

@otel_agents.agent("worker")
def work(number):
    return number

if __name__ == "__main__":
    otel_agents.configure(otlp_endpoint=sys.argv[1])
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=work, args=(number,)) for number in range(3)]
    [child.start() for child in children]
    [child.join() for child in children]
"""


def test_a_fork_amid_our_imports() -> None:
    with StubBackend() as backend:
        for delay in ("0", "0.05", "0.2"):
            done = subprocess.run(
                [sys.executable, "-c", APP, backend.url, delay], capture_output=True, text=True, timeout=60
            )
            assert done.stdout == "0\n", done.stderr


def test_children_of_multiprocessing_lose_nothing() -> None:
    """They leave by os._exit, right after their work."""
    with StubBackend() as backend:
        done = subprocess.run(
            [sys.executable, "-c", dedent(POOL), backend.url], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert [span.name for span in backend.spans()] == ["invoke_agent worker"] * 3
        assert sorted(count for _, _, count in backend.agent_runs()) == [1, 1, 1]
