"""One run on record, whoever started the program: output in, spans and a result out."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from otel_agents import runtime
from otel_agents.cli_agents import environment, recording
from otel_agents.cli_agents.output import Output
from otel_agents.tracing import spans

if TYPE_CHECKING:
    from otel_agents.cli_agents.definitions import Definition
    from otel_agents.cli_agents.joined import Joined
    from otel_agents.cli_agents.processes import Ended
    from otel_agents.cli_agents.result import AgentResult
    from otel_agents.tracing.runs import Run


class Tracked:
    """A run that goes on.

    Args:
        run: of the agent, started.
        definition: of the agent.
        max_output: characters of output that are kept.
        telemetry: whether the agent's own OpenTelemetry is received; None is as the settings say.
        model: that was asked for.
    """

    __slots__ = ("_definition", "_joined", "_model", "_output", "_recorder", "_run", "_started")

    def __init__(
        self,
        run: Run,
        definition: Definition,
        max_output: int,
        telemetry: bool | None = None,
        model: str | None = None,
    ) -> None:
        self._run = run
        self._definition = definition
        self._model = model
        self._started = time.time_ns()
        self._output = Output(definition, max_output)
        self._joined = self._join(telemetry)
        self._recorder = recording.Recorder(run, live=self._joined is None)
        self._recorder.watch(self._output.reading)

    def _join(self, telemetry: bool | None) -> Joined | None:
        wanted = runtime.current().settings.cli_telemetry if telemetry is None else telemetry
        if not wanted or self._definition.dialect is None or not self._run.span.is_recording():
            return None
        try:
            from otel_agents.cli_agents.joined import Joined

            return Joined.begin(self._definition, self._run)
        except Exception:  # no port, no thread: the totals of the output are what is left
            spans.note("receive an agent's telemetry")
            return None

    def env(self, given: Mapping[str, str] | None) -> dict[str, str]:
        """The variables for the program; ``given`` ones win."""
        made = environment.base(os.environ, self._run.span)
        if self._joined is not None:
            made.update(self._joined.env())
        return {**made, **(given or {})}

    def words(self, program: Sequence[str], arguments: Sequence[str], options: bool = True) -> list[str]:
        """A command line, with what the agent's telemetry needs between the program and its arguments.

        Args:
            options: False where another program starts the agent, which would take them for its own.
        """
        self._output.resumed = self._definition.resumed(arguments)
        more = self._joined.words() if self._joined is not None and options else []
        return [*program, *more, *arguments]

    def line(self, text: str) -> None:
        """Takes a line of the output in. Never raises."""
        try:
            self._output.line(text)
        except Exception:
            spans.note("read an agent's output")

    def beginning(self, text: str) -> None:
        """Takes in what a line that is too long begins with. Never raises."""
        try:
            self._output.beginning(text)
        except Exception:
            spans.note("read an agent's output")

    def settle(self, ended: Ended, timeout: float | None = None) -> AgentResult:
        """What the run came to, once the program has ended; puts the rest on record."""
        result = self._output.result(ended, timeout)
        reading = self._output.reading
        try:
            told: frozenset[str] = frozenset()
            if self._joined is not None:
                arrived = self._joined.finish(reading)
                told, result.telemetry = arrived.tools, arrived.calls > 0
                result.cost = reading.cost if reading.cost is not None else arrived.cost
                result.cost_estimated = reading.cost is None and arrived.cost is not None
                result.tokens = result.tokens or arrived.usage
                result.model = result.model or arrived.model
                result.session_id = result.session_id or arrived.session
            self._recorder.tools(reading, told)
            if not result.telemetry and self._run.context is not None:
                result.cost, result.cost_estimated = recording.record_totals(
                    reading, self._definition.provider, self._model, self._started, self._run.context
                )
            self.told(result)
        except Exception:
            spans.note("record an agent's run")
        return result

    def told(self, result: AgentResult) -> None:
        """Puts what is known of the whole run on its span."""
        self._recorder.finish(result)

    def abandon(self) -> None:
        """The program did not start, or is not waited for any more."""
        if self._joined is not None:
            self._joined.close()
