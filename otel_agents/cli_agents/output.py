"""The output of one run: read line by line, and what it comes to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from otel_agents.cli_agents import documents, processes, sessions
from otel_agents.cli_agents.definitions import Definition
from otel_agents.cli_agents.documents import Documents
from otel_agents.cli_agents.reading import Reading, one_line
from otel_agents.cli_agents.result import AgentResult
from otel_agents.tracing import spans


class Output:
    """The output of one run, read line by line.

    Attributes:
        reading: what was found so far.
        resumed: id of the session that the run continues, "" for the latest; None for a new one.
    """

    __slots__ = ("_definition", "_documents", "_finished", "reading", "resumed")

    def __init__(self, definition: Definition, limit: int) -> None:
        self._definition = definition
        self._documents = Documents(limit)
        self._finished = False
        self.reading = Reading()
        self.resumed: str | None = None

    def line(self, text: str) -> None:
        """Takes a line in."""
        if self._definition.plain:
            self._documents.text.append(text)
            return
        for event in self._documents.feed(text):
            self._read(event)

    def beginning(self, text: str) -> None:
        """Takes in what is complete of an event that is too long: which tool has answered, for example."""
        if not self._definition.plain and (event := documents.complete_part(text)) is not None:
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
                sessions.this_run_only(self._definition.name, self.reading, self.resumed)
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
        if not reading.events:  # text was asked for
            del skipped[documents.NOT_JSON]
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
