"""Agents that can be run: ``await claude.run("fix the test", cwd=repo)``."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from otel_agents.cli_agents import documents, environment, processes, recording
from otel_agents.cli_agents.definitions import Definition, Request
from otel_agents.cli_agents.documents import Documents
from otel_agents.cli_agents.reading import Reading, one_line
from otel_agents.cli_agents.result import AgentResult
from otel_agents.tracing import spans

if TYPE_CHECKING:
    from otel_agents.tracing.runs import Run

#: Seconds that a run may take by default. Some agents wait for a network for ever.
TIMEOUT: Final = 1800.0
#: Characters of output that are kept by default.
MAX_OUTPUT: Final = 16 << 20


class CliAgent:
    """An agent that is a program.

    Args:
        definition: how it is started and read.
        command: the program's path or words, when it is not on PATH under its usual name.

    Attributes:
        name: in spans and metrics.
    """

    __slots__ = ("_command", "_definition", "name")

    def __init__(self, definition: Definition, command: str | Sequence[str] | None = None) -> None:
        self._definition = definition
        given = definition.program if command is None else command
        self._command = [given] if isinstance(given, str) else list(given)
        self.name = definition.name

    def __repr__(self) -> str:
        return f"CliAgent({self.name!r})"

    @property
    def definition(self) -> Definition:
        """How it is started and read."""
        return self._definition

    def using(self, command: str | Sequence[str]) -> CliAgent:
        """The same agent, started by another program."""
        return CliAgent(self._definition, command)

    def installed(self) -> bool:
        """Whether its program is on PATH."""
        import shutil

        return shutil.which(self._command[0]) is not None

    async def run(
        self,
        prompt: str,
        *,
        cwd: str | os.PathLike[str] | None = None,
        session: str | None = None,
        timeout: float | None = TIMEOUT,  # noqa: ASYNC109 - the process group has to end, too
        model: str | None = None,
        extra_args: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        max_output: int = MAX_OUTPUT,
        telemetry: bool | None = None,
    ) -> AgentResult:
        """Runs the agent once, as a span ``invoke_agent {name}`` with its model and tool calls below.

        What goes wrong with the agent is in the result: no such program, a timeout, an exit status,
        what it says itself. What it started ends with it on timeout and when the caller is cancelled.

        Args:
            prompt: the task.
            cwd: where it works.
            session: id of an earlier run (``AgentResult.session_id``) that it is to continue.
            timeout: seconds; None waits for ever.
            model: by the agent's own name for it.
            extra_args: for its command line, such as ``["--allowedTools", "Bash"]``.
            env: variables over those of this process; they win over everything.
            max_output: characters of its output that are kept, and bytes of one line that are read.
            telemetry: whether its own OpenTelemetry is received and joined to the trace; by default
                as ``OTEL_AGENTS_CLI_TELEMETRY`` says.

        Raises:
            otel_agents.BudgetExceeded: a budget that blocks is spent.
        """
        from otel_agents.tracing.decorators import agent

        request = Request(str(prompt), session, model, tuple(map(str, extra_args)))
        async with agent(self.name) as run:
            run.update(input=request.prompt)
            return await self._run(run, request, cwd, timeout, env, max_output, telemetry)

    def run_sync(self, prompt: str, **options: object) -> AgentResult:
        """:meth:`run` for code that is not asynchronous; takes the same options."""

        def work() -> AgentResult:
            return asyncio.run(self.run(prompt, **options))  # type: ignore[arg-type]

        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return work()
        context = contextvars.copy_context()  # a loop runs here: the run gets one of its own
        with concurrent.futures.ThreadPoolExecutor(1) as threads:
            return threads.submit(context.run, work).result()

    async def _run(
        self,
        run: Run,
        request: Request,
        cwd: str | os.PathLike[str] | None,
        limit: float | None,
        env: Mapping[str, str] | None,
        max_output: int,
        telemetry: bool | None,
    ) -> AgentResult:
        definition = self._definition
        started, clock = time.time_ns(), time.perf_counter()
        output = Output(definition, max_output)
        recorder = recording.Recorder(run, live=True)
        recorder.watch(output.reading)
        variables = {**environment.base(os.environ, run.span), **(env or {})}
        command = processes.Command(
            [*self._command, *definition.arguments(request)],
            variables,
            cwd,
            request.prompt.encode(errors="replace") if request.by_stdin and definition.stdin else None,
            limit,
            max_output,
        )
        try:
            ended = await processes.run(command, output.line)
        except (OSError, ValueError) as error:
            result = AgentResult(error=_not_started(self._command[0], error, cwd), error_type="not_found")
        else:
            result = output.result(ended, limit)
        result.duration = time.perf_counter() - clock
        try:
            recorder.tools(output.reading, frozenset())
            if run.context is not None:
                result.cost, result.cost_estimated = recording.record_totals(
                    output.reading, definition.provider, request.model, started, run.context
                )
            recorder.finish(result)
        except Exception:
            spans.note("record an agent's run")
        return result


class Output:
    """The output of one run, read line by line.

    Attributes:
        reading: what was found so far.
    """

    __slots__ = ("_definition", "_documents", "_finished", "reading")

    def __init__(self, definition: Definition, limit: int) -> None:
        self._definition = definition
        self._documents = Documents(limit)
        self._finished = False
        self.reading = Reading()

    def line(self, text: str) -> None:
        """Takes a line in."""
        if self._definition.plain:
            self._documents.text.append(text)
            return
        for event in self._documents.feed(text):
            self._read(event)

    def _read(self, event: Mapping[str, object]) -> None:
        self.reading.events += 1
        try:
            self._definition.read(event, self.reading)
        except Exception:  # a shape that nobody thought of
            self.reading.skip(f"unreadable:{event.get('type', 'object')}")
            spans.note("read an agent's output")

    def finish(self) -> Reading:
        """Everything has been read."""
        if not self._finished:
            self._finished = True
            for event in self._documents.finish():
                self._read(event)
            try:
                self._definition.finish(self.reading)
            except Exception:
                self.reading.skip("unreadable:totals")
                spans.note("sum up an agent's output")
        return self.reading

    def result(self, ended: processes.Ended, timeout: float | None) -> AgentResult:
        """What the run came to."""
        reading = self.finish()
        if not reading.events and not self._definition.plain:
            self._from_stderr(ended.stderr)
        skipped = Counter(reading.skipped)
        skipped.update(self._documents.skipped)
        if ended.odd:
            skipped[documents.NOT_UTF8] += ended.odd
        if ended.too_long:
            skipped[documents.TOO_LONG] += ended.too_long
        said = reading.output
        if not said and not reading.events:
            said = "\n".join(self._documents.text).strip() if not self._definition.plain else ""
        if self._definition.plain:
            said = "".join(self._documents.text).strip()
        result = AgentResult(
            output=said,
            tokens=reading.usage,
            cost=reading.cost,
            session_id=reading.session_id,
            turns=reading.turns,
            tool_calls=list(reading.tool_calls),
            files_changed=list(reading.files_changed),
            raw=ended.raw,
            model=reading.model,
            models=dict(reading.models),
            exit_code=ended.code,
            stderr=ended.stderr,
            premium_requests=reading.premium_requests,
            lines_added=reading.lines_added,
            lines_removed=reading.lines_removed,
            skipped=dict(skipped),
        )
        result.error, result.error_type = self._error(ended, timeout, said)
        return result

    def _from_stderr(self, stderr: str) -> None:
        """Some failures are said there, in the same form."""
        found = Documents()
        for text in stderr.splitlines():
            for event in found.feed(text):
                if "error" in event:
                    self._definition.read(event, self.reading)
        for event in found.finish():
            if "error" in event:
                self._definition.read(event, self.reading)

    def _error(
        self, ended: processes.Ended, timeout: float | None, said: str
    ) -> tuple[str | None, str | None]:
        reading, name = self.reading, self._definition.name
        if ended.timed_out:
            return f"{name} did not end within {timeout:g} s", "timeout"
        if reading.error is not None:
            return reading.error, reading.error_type
        if ended.code:
            told = one_line(ended.stderr[-1000:]) or one_line(said)
            how = f"signal {-ended.code}" if ended.code < 0 else f"status {ended.code}"
            kind = self._definition.exit_errors.get(ended.code, "exit_status")
            return f"{name} ended with {how}: {told or 'no word'}", kind
        if not said and not reading.finished:
            return f"{name} gave no answer", "no_answer"
        return None, None


def _not_started(program: str, error: Exception, cwd: str | os.PathLike[str] | None) -> str:
    if isinstance(error, FileNotFoundError) and cwd is not None and not os.path.isdir(cwd):
        return f"there is no folder {os.fspath(cwd)!r}; give another cwd"
    if isinstance(error, FileNotFoundError):
        return f"there is no command {program!r}; install it, or put it on PATH"
    return f"cannot run {program!r}: {one_line(str(error))}"
