"""Children of every kind: each sends what is its own, once, and none what is its parent's."""

from __future__ import annotations

import signal
from collections import Counter

import pytest
from life_scripts import Start, counts, ended, names, until
from stub_backend import StubBackend

RUN = """
def work(name):
    with agent(name):
        pass
    return name
"""
MAIN = "\nif __name__ == '__main__':\n"
#: What starts the children, and the runs that are expected.
CASES = {
    "os.fork, normal end": (
        """
otel_agents.configure()
work("parent")
child = os.fork()
if child == 0:
    work("child")
    sys.exit(0)
os.waitpid(child, 0)
""",
        ["child", "parent"],
    ),
    "os.fork, os._exit": (
        """
otel_agents.configure()
work("parent")
child = os.fork()
if child == 0:
    work("child")
    os._exit(0)
os.waitpid(child, 0)
""",
        ["child", "parent"],
    ),
    "os.fork, SIGTERM": (
        """
otel_agents.configure()
work("parent")
reader, writer = os.pipe()
child = os.fork()
if child == 0:
    work("child")
    os.write(writer, b"x")
    time.sleep(60)
os.read(reader, 1)
os.kill(child, signal.SIGTERM)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM
""",
        ["child", "parent"],
    ),
    "daemon, forked twice": (
        """
otel_agents.configure()
work("parent")
reader, writer = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        work("daemon")
        otel_agents.shutdown()
        os.write(writer, b"x")
        os._exit(0)
    os._exit(0)
os.wait()
os.read(reader, 1)
""",
        ["daemon", "parent"],
    ),
    "grandchildren": (
        """
otel_agents.configure()
for depth in range(3):
    work(f"depth {depth}")
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        os._exit(0)
""",
        ["depth 0", "depth 1", "depth 2"],
    ),
    "multiprocessing, fork": (
        "import multiprocessing as mp"
        + MAIN
        + """
    otel_agents.configure()
    work("parent")
    with mp.get_context("fork").Pool(2) as pool:
        assert sorted(pool.map(work, ["a", "b", "c"], chunksize=1)) == ["a", "b", "c"]
        pool.close()
        pool.join()
""",
        ["a", "b", "c", "parent"],
    ),
    "multiprocessing, pool terminated": (
        "import multiprocessing as mp"
        + MAIN
        + """
    otel_agents.configure()
    with mp.get_context("fork").Pool(2) as pool:
        pool.map(work, ["a", "b", "c"], chunksize=1)
""",
        ["a", "b", "c"],
    ),
    "multiprocessing, one task a child": (
        "import multiprocessing as mp"
        + MAIN
        + """
    otel_agents.configure()
    with mp.get_context("fork").Pool(2, maxtasksperchild=1) as pool:
        pool.map(work, ["a", "b", "c"], chunksize=1)
        pool.close()
        pool.join()
""",
        ["a", "b", "c"],
    ),
    "multiprocessing, forkserver": (
        "import multiprocessing as mp\notel_agents.configure()"
        + MAIN
        + """
    with mp.get_context("forkserver").Pool(2) as pool:
        pool.map(work, ["a", "b", "c"], chunksize=1)
        pool.close()
        pool.join()
""",
        ["a", "b", "c"],
    ),
    "multiprocessing, forkserver with us preloaded": (
        "import multiprocessing as mp\notel_agents.configure()"
        + MAIN
        + """
    context = mp.get_context("forkserver")
    context.set_forkserver_preload(["__main__"])
    with context.Pool(2) as pool:
        pool.map(work, ["a", "b", "c"], chunksize=1)
        pool.close()
        pool.join()
""",
        ["a", "b", "c"],
    ),
    "multiprocessing, spawn": (
        "import multiprocessing as mp\notel_agents.configure()"
        + MAIN
        + """
    with mp.get_context("spawn").Pool(1) as pool:
        pool.map(work, ["a", "b"], chunksize=1)
        pool.close()
        pool.join()
""",
        ["a", "b"],
    ),
    "concurrent.futures": (
        "from concurrent.futures import ProcessPoolExecutor"
        + MAIN
        + """
    otel_agents.configure()
    with ProcessPoolExecutor(2) as pool:
        assert sorted(pool.map(work, ["a", "b", "c"])) == ["a", "b", "c"]
""",
        ["a", "b", "c"],
    ),
    "a worker thread at the interpreter's end": (
        """
otel_agents.configure()
def late():
    time.sleep(0.3)
    work("late")
threading.Thread(target=late).start()
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
""",
        ["late"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_children(start: Start, backend: StubBackend, case: str) -> None:
    script, expected = CASES[case]
    code, output = ended(start(RUN + script))
    assert code == 0, output
    assert names(backend) == [f"invoke_agent {name}" for name in expected], output
    counted = counts(backend, "gen_ai.invoke_agent.duration")
    assert {name: count for name, (count, _) in counted.items()} == Counter(expected), output


def test_a_child_that_is_killed_leaves_its_parent_alone(start: Start, backend: StubBackend) -> None:
    """What the child had on disk is sent by its parent."""
    process = start(
        RUN
        + """
otel_agents.configure()
work("parent")
reader, writer = os.pipe()
child = os.fork()
if child == 0:
    work("child")
    from otel_agents import runtime
    pipeline = runtime.current().pipeline
    pipeline._complete_all()
    assert pipeline.save()
    os.write(writer, b"x")
    time.sleep(60)
os.read(reader, 1)
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
otel_agents.flush()
print("ready", flush=True)
time.sleep(60)
"""
    )
    until(process, "ready")
    process.send_signal(signal.SIGTERM)
    ended(process)
    if names(backend) == ["invoke_agent parent"]:  # had looked just before; the next one finds it
        process = start("otel_agents.configure()\nprint('ready', flush=True)\ntime.sleep(2)")
        ended(process)
    assert names(backend) == ["invoke_agent child", "invoke_agent parent"]


def test_a_child_without_spans_leaves_at_once(start: Start, backend: StubBackend) -> None:
    script = """
otel_agents.configure()
work("parent")
begun = time.monotonic()
for _ in range(10):
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
print((time.monotonic() - begun) / 10)
"""
    code, output = ended(start(RUN + script))
    assert code == 0
    assert float(output) < 0.3
