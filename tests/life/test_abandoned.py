"""Runs whose process ends without ending them: told once, with what was known, and no others."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from life_scripts import Start, ended, names, until
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from parts import wait_for
from stub_backend import StubBackend

#: A run that goes on; ``noted`` says that it is on disk.
LONG = """
otel_agents.configure(heartbeat=0.4)

def noted():
    from pathlib import Path
    import sqlite3
    for path in Path(os.environ["OTEL_AGENTS_SPOOL_DIR"]).rglob("spans-open*.db"):
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
            try:
                return database.execute("SELECT count(*) FROM items").fetchone()[0]
            except sqlite3.OperationalError:  # it is just being made
                return 0
    return 0

def wait_until_noted():
    while not noted():
        time.sleep(0.02)
"""
RUN = """
with otel_agents.context(session="s-1", tags="nightly"), otel_agents.workflow("nightly"):
    with agent("slow") as run:
        run.update(input="a long task", metadata={"ticket": 7})
        while noted() < 2:
            time.sleep(0.02)
        print("ready", flush=True)
        time.sleep(60)
"""
NEXT = """
otel_agents.configure()
with agent("next"):
    pass
otel_agents.flush()
"""


def attributes(span: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


def settled(start: Start, backend: StubBackend, count: int) -> list[str]:
    """Runs the next process until ``count`` spans have come; names of all that came by its end."""
    process = start(NEXT + "\nprint('ready', flush=True)\ntime.sleep(60)")
    until(process, "ready")
    try:
        wait_for(lambda: len(backend.spans()) >= count, f"{count} spans")
    finally:
        process.send_signal(signal.SIGTERM)
        ended(process)
    return names(backend)


def test_after_a_kill(start: Start, backend: StubBackend) -> None:
    process = start(LONG + RUN)
    until(process, "ready")
    process.kill()
    ended(process)
    assert names(backend) == []
    told = ["invoke_agent slow", "invoke_workflow nightly"]
    assert settled(start, backend, 3) == ["invoke_agent next", *told]
    assert settled(start, backend, 4) == ["invoke_agent next", "invoke_agent next", *told]
    [slow] = [span for span in backend.spans() if span.name == "invoke_agent slow"]
    [outer] = [span for span in backend.spans() if span.name == "invoke_workflow nightly"]
    assert slow.status.code == Status.STATUS_CODE_ERROR
    assert slow.status.message == "abandoned"
    known = attributes(slow)
    assert known["otel_agents.abandoned"] is True
    assert known["error.type"] == "abandoned"
    assert known["session.id"] == "s-1"
    assert known["otel_agents.metadata.ticket"] == 7
    assert "a long task" in known["gen_ai.input.messages"]
    assert (slow.trace_id, slow.parent_span_id) == (outer.trace_id, outer.span_id)
    assert 0.4e9 <= slow.end_time_unix_nano - slow.start_time_unix_nano < 60e9


def test_runs_that_have_ended_are_not_told(start: Start, backend: StubBackend) -> None:
    process = start(
        LONG
        + """
with agent("over"):
    wait_until_noted()
assert noted() == 0
otel_agents.flush()
print("ready", flush=True)
time.sleep(60)
"""
    )
    until(process, "ready")
    process.kill()
    ended(process)
    assert settled(start, backend, 2) == ["invoke_agent next", "invoke_agent over"]


def test_runs_of_a_living_process_are_not_told(start: Start, backend: StubBackend) -> None:
    process = start(
        LONG
        + """
with agent("alive"):
    wait_until_noted()
    print("ready", flush=True)
    sys.stdin.read()
""",
        stdin=True,
    )
    until(process, "ready")
    assert settled(start, backend, 1) == ["invoke_agent next"]
    process.communicate(input="")
    [alive] = [span for span in backend.spans() if span.name == "invoke_agent alive"]
    assert alive.status.code == Status.STATUS_CODE_UNSET


@pytest.mark.parametrize("wait", ["wait_until_noted()", "pass"], ids=["noted", "young"])
def test_sigterm_tells_at_once(start: Start, backend: StubBackend, wait: str) -> None:
    process = start(
        LONG
        + f"""
with agent("stopped"):
    {wait}
    print("ready", flush=True)
    time.sleep(60)
"""
    )
    until(process, "ready")
    process.send_signal(signal.SIGTERM)
    code, output = ended(process)
    assert code == -signal.SIGTERM
    assert names(backend) == ["invoke_agent stopped"], output
    assert attributes(backend.spans()[0])["otel_agents.abandoned"] is True
    assert settled(start, backend, 2) == ["invoke_agent next", "invoke_agent stopped"]


def test_a_forked_child_tells_nothing_of_its_parents_runs(start: Start, backend: StubBackend) -> None:
    process = start(
        LONG
        + """
with agent("parent"):
    wait_until_noted()
    child = os.fork()
    if child == 0:
        run = agent("child")
        run.__enter__()
        time.sleep(1.2)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
"""
    )
    code, output = ended(process)
    assert code == 0, output
    settled(start, backend, 3)
    told = {span.name: attributes(span).get("otel_agents.abandoned", False) for span in backend.spans()}
    assert told == {"invoke_agent parent": False, "invoke_agent child": True, "invoke_agent next": False}
    assert len(backend.spans()) == 3


def test_a_folder_that_cannot_be_used(start: Start, backend: StubBackend, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    process = start(
        "otel_agents.configure(heartbeat=0.1)\nwith agent('one'):\n    time.sleep(0.6)",
        env={"OTEL_AGENTS_SPOOL_DIR": str(tmp_path / "file")},
    )
    code, output = ended(process)
    assert code == 0
    assert output.count("runs under way are not noted") == 1, output
    assert names(backend) == ["invoke_agent one"]
