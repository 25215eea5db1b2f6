"""Handlers whose process is frozen (here: stopped, then killed) once they have answered."""

from __future__ import annotations

import signal

import pytest
from life_scripts import Start, ended, names, until
from stub_backend import StubBackend

BEGIN = """
import asyncio
from otel_agents import flush_before_freeze
otel_agents.configure()
"""
FREEZE = """
print("ready", flush=True)
os.kill(os.getpid(), signal.SIGSTOP)
"""
FORMS = {
    "decorator": """
@flush_before_freeze
@agent("one")
def handle(event, context):
    return event
assert handle(3, None) == 3
""",
    "with timeout": """
@flush_before_freeze(timeout=2.0)
@agent("one")
def handle(event):
    return event
assert handle(event=3) == 3
""",
    "exception": """
@flush_before_freeze
@agent("one")
def handle():
    raise KeyError("x")
try:
    handle()
    raise SystemExit("no exception")
except KeyError:
    pass
""",
    "async": """
@flush_before_freeze
@agent("one")
async def handle():
    return 3
assert asyncio.run(handle()) == 3
""",
    "stream": """
@flush_before_freeze
@agent("one")
def handle():
    yield 1
    yield 2
assert list(handle()) == [1, 2]
""",
    "async stream": """
@flush_before_freeze
@agent("one")
async def handle():
    yield 1
async def main():
    return [item async for item in handle()]
assert asyncio.run(main()) == [1]
""",
    "block": """
with flush_before_freeze():
    with agent("one"):
        pass
""",
    "async block": """
async def main():
    async with flush_before_freeze():
        with agent("one"):
            pass
asyncio.run(main())
""",
}


@pytest.mark.parametrize("form", FORMS)
def test_forms(start: Start, backend: StubBackend, form: str) -> None:
    process = start(BEGIN + FORMS[form] + FREEZE)
    until(process, "ready")
    process.send_signal(signal.SIGKILL)
    ended(process)
    assert names(backend) == ["invoke_agent one"]


def test_it_takes_no_longer_than_there_is_time(start: Start) -> None:
    script = """
import socket
server = socket.create_server(("127.0.0.1", 0))  # takes connections, answers nothing
from otel_agents import flush_before_freeze
otel_agents.configure(otlp_endpoint=f"http://127.0.0.1:{server.getsockname()[1]}")
class Context:
    def get_remaining_time_in_millis(self):
        return 1200
@flush_before_freeze
@agent("one")
def handle(event, context):
    return event
begun = time.monotonic()
handle({}, Context())
print(time.monotonic() - begun, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    code, output = ended(start(script))
    assert code == -signal.SIGKILL
    assert 0.9 < float(output) < 5.0, "a request may take ten seconds"


def test_without_configure(start: Start) -> None:
    script = "from otel_agents import flush_before_freeze\n" + FORMS["decorator"]
    assert ended(start(script, env={"OTEL_EXPORTER_OTLP_ENDPOINT": ""}))[0] == 0
