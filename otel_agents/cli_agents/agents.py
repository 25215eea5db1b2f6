"""Agents that can be run: ``await claude.run("fix the test", cwd=repo)``."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import os
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from otel_agents.cli_agents import processes
from otel_agents.cli_agents.definitions import Definition, Request
from otel_agents.cli_agents.reading import one_line
from otel_agents.cli_agents.result import AgentResult
from otel_agents.cli_agents.tracked import Tracked

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
        return f"CliAgent({self.name!r}, {self._command!r})"

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
        clock = time.perf_counter()
        definition = self._definition
        tracked = Tracked(run, definition, max_output, telemetry, request.model)
        command = processes.Command(
            tracked.words(self._command, definition.arguments(request)),
            tracked.env(env),
            cwd,
            definition.given(request),
            limit,
            max_output,
        )
        try:
            ended = await processes.run(command, tracked.line, tracked.beginning)
        except (OSError, ValueError) as error:
            tracked.abandon()
            result = AgentResult(error=_not_started(self._command[0], error, cwd), error_type="not_found")
            tracked.told(result)
        except BaseException:
            tracked.abandon()
            raise
        else:
            # It may wait a moment for the agent's telemetry.
            result = await asyncio.to_thread(tracked.settle, ended, limit)
        result.duration = time.perf_counter() - clock
        return result


def _not_started(program: str, error: Exception, cwd: str | os.PathLike[str] | None) -> str:
    if isinstance(error, FileNotFoundError) and cwd is not None and not os.path.isdir(cwd):
        return f"there is no folder {os.fspath(cwd)!r}; give another cwd"
    if isinstance(error, FileNotFoundError):
        return f"there is no command {program!r}; install it, or put it on PATH"
    return f"cannot run {program!r}: {one_line(str(error))}"
