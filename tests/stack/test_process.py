"""Children are started, waited for and stopped; nothing survives its starter."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from parts import free_port, wait_for
from stack_processes import is_running

from otel_agents.stack.errors import StackError
from otel_agents.stack.process import Children, answers

SLEEPER = "import time; time.sleep(600)"
#: Ignores SIGTERM, has a child of its own that does too, and says when it is ready.
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("ready", grandchild.pid, flush=True)
time.sleep(600)
"""


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_stop_all_leaves_nothing(tmp_path: Path) -> None:
    with Children(tmp_path, grace=0.5) as children:
        first = children.start("first", python(SLEEPER))
        stubborn = children.start("stubborn", python(STUBBORN))
        children.wait_ready(stubborn, lambda: "ready" in stubborn.log.read_text())
        grandchild = int(stubborn.log.read_text().split()[1])
        watchdog = children._watchdog
        assert watchdog is not None
        pids = [first.process.pid, stubborn.process.pid, grandchild, watchdog.pid]
        assert all(is_running(pid) for pid in pids)
    assert not any(is_running(pid) for pid in pids)


def test_nothing_is_left_when_the_starter_is_killed(tmp_path: Path) -> None:
    code = f"""
    import sys, time
    from pathlib import Path
    from otel_agents.stack.process import Children
    children = Children(Path({str(tmp_path)!r}), grace=0.5)
    first = children.start("first", [sys.executable, "-c", {SLEEPER!r}])
    stubborn = children.start("stubborn", [sys.executable, "-c", {STUBBORN!r}])
    children.wait_ready(stubborn, lambda: "ready" in stubborn.log.read_text())
    grandchild = stubborn.log.read_text().split()[1]
    print(first.process.pid, stubborn.process.pid, children._watchdog.pid, grandchild, flush=True)
    time.sleep(600)
    """
    with subprocess.Popen(python(textwrap.dedent(code)), stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        pids = [int(word) for word in starter.stdout.readline().split()]
        assert len(pids) == 4
        starter.send_signal(signal.SIGKILL)
    wait_for(lambda: not any(is_running(pid) for pid in pids), "the children's end", timeout=15)


def test_ctrl_c_in_the_terminal_does_not_reach_the_children(tmp_path: Path) -> None:
    with Children(tmp_path) as children:
        child = children.start("child", python(SLEEPER))
        assert os.getpgid(child.process.pid) == child.process.pid != os.getpgid(0)


def test_a_child_that_ends_too_soon_is_told_with_its_last_words(tmp_path: Path) -> None:
    with Children(tmp_path) as children:
        child = children.start("worker", python("print('cannot bind'); raise SystemExit(3)"))
        with pytest.raises(
            StackError, match=r"worker ended with status 3 \(cannot bind\); log: .*worker.log"
        ):
            children.wait_ready(child, lambda: False)
        assert "worker ended with status 3" in (children.ended() or "")


def test_a_child_that_is_never_ready(tmp_path: Path) -> None:
    with Children(tmp_path) as children:
        child = children.start("worker", python(SLEEPER))
        with pytest.raises(StackError, match=r"worker was not ready after 0.1 s"):
            children.wait_ready(child, lambda: False, timeout=0.1)


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with Children(tmp_path) as children, pytest.raises(StackError, match="worker cannot be started: No such"):
        children.start("worker", [tmp_path / "none"])


def test_readiness_by_http(tmp_path: Path) -> None:
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "http.server",
        str(port),
        "--bind",
        "127.0.0.1",
        "--directory",
        str(tmp_path),
    ]
    assert not answers(f"http://127.0.0.1:{port}/")
    with Children(tmp_path) as children:
        child = children.start("web", command)
        children.wait_ready(child, lambda: answers(f"http://127.0.0.1:{port}/"))
        assert not answers(f"http://127.0.0.1:{port}/missing")


def test_a_signal_while_a_child_is_started_waits_until_the_child_is_known(tmp_path: Path) -> None:
    """Ctrl-C at the worst moment: the program that is started is what sends the signal."""
    code = f"""
    import os, signal, sys
    from pathlib import Path
    from otel_agents.stack import process
    real = process.subprocess.Popen
    def interrupted(*arguments, **options):
        child = real(*arguments, **options)
        os.kill(os.getpid(), signal.SIGINT)
        return child
    process.subprocess.Popen = interrupted
    with process.Children(Path({str(tmp_path)!r})) as children:
        try:
            children.start("child", [sys.executable, "-c", {SLEEPER!r}])
        except KeyboardInterrupt:
            print([child.name for child in children.running], children.running[0].process.pid)
    """
    done = subprocess.run(
        python(textwrap.dedent(code)), capture_output=True, text=True, timeout=60, check=True
    )
    known, _, pid = done.stdout.rpartition(" ")
    assert known == "['child']"
    assert not is_running(int(pid))
