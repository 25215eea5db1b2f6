"""``otel-agents exec``: a command line of a coding agent, recorded without a line of code."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from otel_agents.cli.errors import CommandError

if TYPE_CHECKING:
    from otel_agents.cli_agents.definitions import Definition
    from otel_agents.cli_agents.tracked import Tracked

_CHUNK = 65_536
_MAX_OUTPUT = 16 << 20


def add(app: typer.Typer) -> None:
    """Registers the command."""
    app.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})(
        execute
    )


def execute(
    command: Annotated[list[str], typer.Argument(help="The agent's command line.", show_default=False)],
    agent: Annotated[
        str | None, typer.Option("--agent", help="Whose it is; by default by the program's name.")
    ] = None,
    session: Annotated[str | None, typer.Option("--session", help="Session for the trace.")] = None,
    task_type: Annotated[
        str | None, typer.Option("--task-type", help="Kind of task, a metric label.")
    ] = None,
    telemetry: Annotated[
        bool | None, typer.Option("--telemetry/--no-telemetry", help="Receive its own OpenTelemetry.")
    ] = None,
) -> None:
    """Run a coding agent's command line as it is, and record the run."""
    import otel_agents
    from otel_agents.config import resolve

    definition = _definition(agent, command[0])
    overrides: dict[str, Any] = {}
    settings = resolve(overrides)
    if settings.origins.get("service_name", "default") == "default":
        overrides["service_name"] = "otel-agents-exec"
    if settings.mode == "direct":
        overrides["metrics_exporter"] = "none"  # nobody scrapes a command
    otel_agents.configure(**overrides)
    try:
        with otel_agents.context(session=session, task_type=task_type):
            status = _recorded(definition, command, telemetry)
    finally:
        sent = otel_agents.flush(10.0)
        otel_agents.shutdown()
    if not sent.ok:
        lost = sent.dropped + sent.pending
        print(f"warning: {lost} spans of this run were not delivered", file=sys.stderr)
    raise typer.Exit(status)


def _definition(agent: str | None, program: str) -> Definition:
    from otel_agents import cli_agents
    from otel_agents.cli_agents import definitions

    if agent is None:
        found = definitions.by_program(program)
        return found if found is not None else definitions.unknown(os.path.basename(program))
    try:
        known = cli_agents.get(agent)
    except cli_agents.DeclarationError as error:
        raise CommandError(str(error), 2) from None
    return known.definition if known is not None else definitions.unknown(agent)


def _recorded(definition: Definition, command: Sequence[str], telemetry: bool | None) -> int:
    from otel_agents.cli_agents import processes
    from otel_agents.cli_agents.tracked import Tracked
    from otel_agents.tracing.decorators import agent

    with agent(definition.name) as run:
        run.update(input=shlex.join(command))
        tracked = Tracked(run, definition, _MAX_OUTPUT, telemetry)
        kept = processes.Kept(_MAX_OUTPUT)

        def line(text: str) -> None:
            kept.add(text)
            tracked.line(text)

        lines = processes.Lines(_MAX_OUTPUT, line, tracked.beginning)
        try:
            code = _through(tracked, definition, command, lines.feed)
        except BaseException:
            tracked.abandon()
            raise
        lines.finish()
        ended = processes.Ended(code, raw=str(kept), odd=lines.odd, too_long=lines.too_long)
        tracked.settle(ended)
    return code if code >= 0 else 128 - code


def _through(
    tracked: Tracked, definition: Definition, command: Sequence[str], take: Callable[[bytes], None]
) -> int:
    """Runs the command with our own standard input and error; its output passes by unchanged."""
    direct = definition.program == os.path.basename(command[0])  # and not `npx ...`
    words = tracked.words(command[:1], command[1:], options=direct)
    try:
        process = subprocess.Popen(words, env=tracked.env(None), stdout=subprocess.PIPE, bufsize=0)
    except FileNotFoundError:
        raise CommandError(f"there is no command {command[0]!r}; install it, or give its path", 127) from None
    except (OSError, ValueError) as error:
        raise CommandError(f"cannot run {command[0]!r}: {error}", 126) from None
    assert process.stdout is not None
    with _signals_passed_on(process):
        copy = _Copy(process.stdout.fileno(), take)
        copy.start()
        code = process.wait()
        copy.finish()
    return code


class _Copy(threading.Thread):
    """Hands the program's output on, byte for byte."""

    def __init__(self, source: int, take: Callable[[bytes], None]) -> None:
        super().__init__(daemon=True)
        self._source = source
        self._take = take
        self._pieces = 0
        self._waits = False

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._read():
                self._pieces += 1
                self._take(data)
                try:
                    sent = 0
                    while sent < len(data):
                        sent += os.write(1, data[sent:])
                except BrokenPipeError:  # `| head`: the program is to notice, as it would without us
                    os.close(self._source)
                    return

    def finish(self) -> None:
        """Waits for the rest; not for what the program left running, which may hold the pipe open."""
        before = -1
        while self.is_alive() and not (self._waits and before == self._pieces):
            before = self._pieces
            self.join(1.0)

    def _read(self) -> bytes:
        self._waits = True
        try:
            return os.read(self._source, _CHUNK)
        finally:
            self._waits = False


@contextlib.contextmanager
def _signals_passed_on(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Ctrl-C reaches the program by the terminal, so we wait for what it does; the rest is passed on."""

    def pass_on(number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)

    before: dict[int, Any] = {}
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        before[number] = signal.signal(number, pass_on)
    before[signal.SIGINT] = signal.signal(signal.SIGINT, _ignored if sys.stdin.isatty() else pass_on)
    try:
        yield
    finally:
        for passed, handler in before.items():
            signal.signal(passed, handler)


def _ignored(number: int, frame: FrameType | None) -> None:
    """A handler and not SIG_IGN, which the program would inherit."""
