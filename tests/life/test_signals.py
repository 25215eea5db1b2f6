"""A process that is asked to end sends what it has, and ends as it would have ended without us."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from life_scripts import Start, ended, names, until
from stub_backend import StubBackend
from venvs import python_with

WAIT = """
print("ready", flush=True)
while True:
    time.sleep(0.05)
"""
RUN = """
with agent("one"):
    pass
"""
PLAIN = "otel_agents.configure()" + RUN + WAIT

#: What an app does, and the status that it ends with by itself.
CASES = {
    "plain": (PLAIN, -signal.SIGTERM),
    "handler before, sys.exit": (
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\notel_agents.configure()" + RUN + WAIT,
        3,
    ),
    "handler after, sys.exit": (
        "otel_agents.configure()\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(4))" + RUN + WAIT,
        4,
    ),
    "handler before, os._exit": (
        "signal.signal(signal.SIGTERM, lambda *_: os._exit(5))\notel_agents.configure()" + RUN + WAIT,
        5,
    ),
    "handler after, os._exit": (
        "otel_agents.configure()\nsignal.signal(signal.SIGTERM, lambda *_: os._exit(6))" + RUN + WAIT,
        6,
    ),
    "puts the default back and raises": (
        """
def stop(number, frame):
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
signal.signal(signal.SIGTERM, stop)
otel_agents.configure()"""
        + RUN
        + WAIT,
        -signal.SIGTERM,
    ),
    "puts the default back and kills itself": (
        """
otel_agents.configure()
def stop(number, frame):
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
signal.signal(signal.SIGTERM, stop)"""
        + RUN
        + WAIT,
        -signal.SIGTERM,
    ),
    "goes on, calling the handler before": (
        """
otel_agents.configure()
before = signal.getsignal(signal.SIGTERM)
over = []
def stop(number, frame):
    if callable(before):
        before(number, frame)
    over.append(number)
signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
while not over:
    time.sleep(0.05)
"""
        + RUN
        + "sys.exit(7)",
        7,
    ),
    "asyncio, default": (
        """
import asyncio
otel_agents.configure()
async def main():
    with agent("one"):
        await asyncio.sleep(0)
    print("ready", flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
""",
        -signal.SIGTERM,
    ),
    "asyncio, add_signal_handler": (
        """
import asyncio
otel_agents.configure()
async def main():
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    print("ready", flush=True)
    await over.wait()
    with agent("one"):
        pass
asyncio.run(main())
sys.exit(8)
""",
        8,
    ),
    "configured inside a running loop": (
        """
import asyncio
async def main():
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    otel_agents.configure()
    print("ready", flush=True)
    await over.wait()
    with agent("one"):
        pass
asyncio.run(main())
""",
        0,
    ),
    "work goes on in threads": (
        """
otel_agents.configure()
def work():
    with agent("one"):
        pass
    while True:
        time.sleep(0.01)
threading.Thread(target=work, daemon=True).start()
print("ready", flush=True)
never = threading.Event()
while True:
    never.wait(0.5)  # Python does not see a signal that comes just before it waits
""",
        -signal.SIGTERM,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_sigterm(start: Start, backend: StubBackend, case: str) -> None:
    script, status = CASES[case]
    process = start(script)
    until(process, "ready")
    process.send_signal(signal.SIGTERM)
    code, output = ended(process)
    assert code == status, output
    assert names(backend) == ["invoke_agent one"], output


@pytest.mark.parametrize(
    ("requirement", "patch"),
    [
        ("gevent==25.9.1", "from gevent import monkey; monkey.patch_all()"),
        ("eventlet==0.41.3", "import eventlet; eventlet.monkey_patch()"),
    ],
    ids=["gevent", "eventlet"],
)
@pytest.mark.parametrize(
    "doing", [WAIT, WAIT.replace("time.sleep(0.05)", "sum(range(10000))")], ids=["waits", "computes"]
)
def test_sigterm_where_threads_are_greenlets(
    start: Start, backend: StubBackend, requirement: str, patch: str, doing: str
) -> None:
    """The handler runs in the loop, which must not wait, or in whichever greenlet has its turn."""
    process = start("otel_agents.configure()" + RUN + doing, first=patch, python=python_with(requirement))
    until(process, "ready")
    process.send_signal(signal.SIGTERM)
    code, output = ended(process)
    assert code == -signal.SIGTERM, output
    assert names(backend) == ["invoke_agent one"], output


@pytest.mark.parametrize(
    ("number", "script"),
    [
        (signal.SIGINT, PLAIN),
        (signal.SIGINT, "signal.signal(signal.SIGINT, signal.SIG_DFL)\n" + PLAIN),
        (signal.SIGHUP, PLAIN),
    ],
    ids=["ctrl-c", "SIGINT by default", "hangup"],
)
def test_others(start: Start, backend: StubBackend, number: signal.Signals, script: str) -> None:
    process = start(script)
    until(process, "ready")
    process.send_signal(number)
    code, output = ended(process)
    assert code == -number, output
    assert names(backend) == ["invoke_agent one"]


def test_ignored_signals_stay_ignored(start: Start, backend: StubBackend) -> None:
    """As under nohup."""
    script = "signal.signal(signal.SIGHUP, signal.SIG_IGN)\notel_agents.configure()" + RUN
    process = start(script + "os.kill(os.getpid(), signal.SIGHUP)\nsys.exit(9)")
    assert ended(process)[0] == 9


def test_a_signal_while_the_process_ends_by_itself(start: Start, backend: StubBackend) -> None:
    """What is under way is finished; then the signal has its way."""
    process = start(
        "otel_agents.configure()"
        + RUN
        + """
from otel_agents.export.pipeline import SpanPipeline
close = SpanPipeline.close
def slowly(self, timeout=5.0):
    print("ready", flush=True)
    time.sleep(1.0)
    return close(self, timeout)
SpanPipeline.close = slowly
"""
    )
    until(process, "ready")
    process.send_signal(signal.SIGTERM)
    code, output = ended(process, timeout=6.0)
    assert code == -signal.SIGTERM, output
    assert names(backend) == ["invoke_agent one"]


def test_switched_off(start: Start, backend: StubBackend) -> None:
    script = "otel_agents.configure()\nassert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL"
    process = start(script + RUN + WAIT, env={"OTEL_AGENTS_HANDLE_SIGNALS": "false"})
    until(process, "ready")
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == -signal.SIGTERM
    assert names(backend) == []


def test_the_first_process_of_a_container(start: Start, backend: StubBackend) -> None:
    """The kernel does not end it by a signal that it does not handle: it lives on, with everything sent."""
    unshare = shutil.which("unshare")
    command = (unshare or "", "--pid", "--fork", "--kill-child", "--map-root-user")
    if not unshare or subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("no namespaces for this user")
    process = start(
        "assert os.getpid() == 1\notel_agents.configure()"
        + RUN
        + """
child = os.fork()
if child == 0:
    os.kill(1, signal.SIGTERM)
    os._exit(0)
os.waitpid(child, 0)
time.sleep(1.0)
with agent("two"):
    pass
print("alive", flush=True)
sys.exit(2)
""",
        before=command,
    )
    code, output = ended(process)
    assert (code, output) == (2, "alive\n")
    assert names(backend) == ["invoke_agent one", "invoke_agent two"]


@pytest.mark.parametrize(
    ("end", "status"),
    [("os._exit(3)", 3), ("signal.raise_signal(signal.SIGTERM)", -signal.SIGTERM), ("sys.exit(4)", 4)],
    ids=["os._exit", "SIGTERM", "sys.exit"],
)
def test_while_the_collector_hangs_everything_is_on_disk(
    start: Start, tmp_path: Path, end: str, status: int
) -> None:
    script = f"""
otel_agents.configure()
with agent("one"):
    otel_agents.score("good", 1.0)
{end}
"""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        process = start(script, env={"OTEL_EXPORTER_OTLP_ENDPOINT": address})
        code, output = ended(process)
    assert code == status, output
    kinds = {path.name.partition("-")[0] for path in (tmp_path / "spool").glob("*/*.db")}
    assert kinds == {"spans", "logs", "metrics"}, output
