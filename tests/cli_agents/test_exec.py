"""``otel-agents exec``: the command line is what it was, and the run is on record."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import telemetry
from parts import wait_for
from stand_in import captured, printing, program
from stub_backend import StubBackend

COMMAND = Path(sys.executable).with_name("otel-agents")


@pytest.fixture
def backend() -> Iterator[StubBackend]:
    with StubBackend() as stub:
        yield stub


@pytest.fixture
def environment(programs: Path, backend: StubBackend, tmp_path: Path) -> dict[str, str]:
    foreign = ("OTEL_", "LANGFUSE_")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(foreign)},
        "OTEL_AGENTS_DOTENV": "off",
        "OTEL_AGENTS_HOME": str(tmp_path / "home"),
        "OTEL_AGENTS_SPOOL_DIR": str(tmp_path / "spool"),
        "OTEL_EXPORTER_OTLP_ENDPOINT": backend.url,
        "OTEL_AGENTS_CLI_TELEMETRY": "false",
    }


def execute(
    environment: dict[str, str], *words: str, stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [COMMAND, "exec", *words], env=environment, input=stdin, capture_output=True, timeout=60, check=False
    )


def test_recorded_and_passed_on(environment: dict[str, str], programs: Path, backend: StubBackend) -> None:
    printing(programs, "claude", captured("claude-code"), stderr="a warning\n")
    done = execute(
        environment, "--agent", "claude", "--", "claude", "-p", "say hello", "--output-format", "json"
    )
    assert done.returncode == 0
    assert done.stdout.decode() == captured("claude-code")
    assert done.stderr == b"a warning\n"
    found = {one.name: one for one in telemetry.spans(backend)}
    assert set(found) == {"invoke_agent claude", "chat claude-sonnet-4-5"}
    run, call = found["invoke_agent claude"], found["chat claude-sonnet-4-5"]
    assert call.parent == run.id
    assert call.attributes["gen_ai.usage.input_tokens"] == 620
    assert call.attributes["gen_ai.usage.cost"] == pytest.approx(0.00153)
    assert "say hello" in run.attributes["gen_ai.input.messages"]
    assert telemetry.counted(backend, "gen_ai.client.inference.usage.input_tokens") == 620


@pytest.mark.parametrize("status", [1, 42])
def test_exit_status(status: int, environment: dict[str, str], programs: Path, backend: StubBackend) -> None:
    printing(programs, "gemini", "", status=status, stderr="no\n")
    done = execute(environment, "gemini", "-p", "x")
    assert (done.returncode, done.stdout, done.stderr) == (status, b"", b"no\n")
    (run,) = telemetry.spans(backend)
    assert run.attributes["error.type"] == ("input" if status == 42 else "exit_status")


def test_every_byte_passes(environment: dict[str, str], programs: Path) -> None:
    program(
        programs,
        "codex",
        r"""
        import sys
        data = sys.stdin.buffer.read()
        for _ in range(40):
            sys.stdout.buffer.write(data)
        """,
    )
    data = bytes(range(256)) * 200
    done = execute(environment, "codex", "exec", stdin=data)
    assert done.stdout == data * 40


def test_a_thread_that_goes_on(
    environment: dict[str, str], programs: Path, backend: StubBackend, tmp_path: Path
) -> None:
    """Each command is a process of its own, and Codex says what the thread has used so far."""
    for sent, produced, words in ((500, 50, ("exec", "x")), (620, 60, ("exec", "resume", "t", "y"))):
        said = '{"type":"thread.started","thread_id":"t"}\n'
        said += f'{{"type":"turn.completed","usage":{{"input_tokens":{sent},"output_tokens":{produced}}}}}\n'
        printing(programs, "codex", said)
        assert execute(environment, "--", "codex", *words).returncode == 0
    calls = [one for one in telemetry.spans(backend) if one.is_model_call]
    assert [one.attributes["gen_ai.usage.input_tokens"] for one in calls] == [500, 120]
    assert [one.attributes["gen_ai.usage.output_tokens"] for one in calls] == [50, 10]


def test_any_program(environment: dict[str, str], backend: StubBackend) -> None:
    done = execute(environment, "--agent", "mine", "--", sys.executable, "-c", "print('an answer')")
    assert done.stdout == b"an answer\n"
    (run,) = telemetry.spans(backend)
    assert run.name == "invoke_agent mine"
    assert "an answer" in run.attributes["gen_ai.output.messages"]
    assert "otel_agents.cli_agents.skipped" not in run.attributes


def test_no_such_program(environment: dict[str, str]) -> None:
    done = execute(environment, "no-such-agent", "-p", "x")
    assert done.returncode == 127
    assert done.stderr == b"error: there is no command 'no-such-agent'; install it, or give its path\n"


def test_a_signal_is_passed_on(
    environment: dict[str, str], programs: Path, tmp_path: Path, backend: StubBackend
) -> None:
    program(
        programs,
        "claude",
        """
        import signal, sys, time
        def end(*_):
            print("bye", flush=True)
            sys.exit(7)
        signal.signal(signal.SIGTERM, end)
        open(sys.argv[1], "w").close()
        time.sleep(60)
        """,
    )
    ready = tmp_path / "ready"
    process = subprocess.Popen(
        [COMMAND, "exec", "claude", str(ready)], env=environment, stdout=subprocess.PIPE
    )
    wait_for(ready.exists, "the program")
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    assert (process.returncode, output) == (7, b"bye\n")
    assert [one.name for one in telemetry.spans(backend)] == ["invoke_agent claude"]


def test_killed_by_a_signal(environment: dict[str, str], programs: Path) -> None:
    program(programs, "claude", "import os; os.kill(os.getpid(), 9)")
    assert execute(environment, "claude").returncode == 137


def test_a_reader_that_goes_away(environment: dict[str, str], programs: Path) -> None:
    """``otel-agents exec ... | head -1`` ends the program as ``... | head -1`` does."""
    program(
        programs,
        "claude",
        """
        import signal, time
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        while True:
            print("x" * 1000, flush=True)
        """,
    )
    process = subprocess.Popen([COMMAND, "exec", "claude"], env=environment, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.wait(30) == 128 + signal.SIGPIPE


def test_a_slow_reader_gets_everything(environment: dict[str, str], programs: Path) -> None:
    program(programs, "claude", "import sys; sys.stdout.write('x' * 500_000)")
    process = subprocess.Popen([COMMAND, "exec", "claude"], env=environment, stdout=subprocess.PIPE)
    assert process.stdout is not None
    got = process.stdout.read(1)
    time.sleep(3)  # longer than anybody waits for output of a program that has ended
    got += process.stdout.read()
    assert len(got) == 500_000
    assert process.wait(30) == 0
