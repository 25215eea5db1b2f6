"""What is gathered while an agent's output is read, and how values of any shape are taken from it."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from otel_agents import values
from otel_agents.accounting import Usage
from otel_agents.cli_agents.result import ModelTotals, ToolCall

#: Tool calls and files that are kept of one run.
MAX_KEPT: Final = 1000
#: Characters of a tool's arguments and output, and of an error.
MAX_TOOL_TEXT: Final = 10_000
MAX_ERROR: Final = 1000
_MAX_NAMES: Final = 50


@dataclass(slots=True)
class Reading:
    """What was read so far; the fields are those of :class:`~otel_agents.cli_agents.result.AgentResult`.

    Attributes:
        so_far: usage, models and cost are the session's, with its earlier runs.
        own: of these, what this run used by itself; None when the agent does not say.
        finished: the agent said that it is done; what comes after a failure may still repair it.
        started: called with each tool call that begins.
        ended: called with each tool call whose end was seen.
        noted: called with name and body of other progress.
        state: of the format that is read.
    """

    output: str = ""
    usage: Usage | None = None
    cost: float | None = None
    models: dict[str, ModelTotals] = field(default_factory=dict)
    session_id: str | None = None
    turns: int | None = None
    tool_calls: list[ToolCall] = field(default_factory=list)
    files_changed: list[str] = field(default_factory=list)
    error: str | None = None
    error_type: str | None = None
    model: str | None = None
    premium_requests: float | None = None
    lines_added: int | None = None
    lines_removed: int | None = None
    so_far: bool = False
    own: Usage | None = None
    finished: bool = False
    events: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    started: Callable[[ToolCall], None] | None = None
    ended: Callable[[ToolCall], None] | None = None
    noted: Callable[[str, object], None] | None = None
    state: dict[str, Any] = field(default_factory=dict)
    _open: dict[str, ToolCall] = field(default_factory=dict)

    def skip(self, what: str) -> None:
        """Counts what was not understood under a name; there is an end to how many names there are."""
        name = values.to_text(what, 100)
        if name not in self.skipped and len(self.skipped) >= _MAX_NAMES:
            name = "other"
        self.skipped[name] += 1

    def fail(self, message: object, error_type: str) -> None:
        """Something went wrong; the last word counts."""
        self.error = one_line(message) or error_type
        self.error_type = error_type

    def recovered(self) -> None:
        """What went wrong before did not matter in the end."""
        self.error = self.error_type = None

    def tool_started(self, name: object, id: object, arguments: object, parent: object = None) -> ToolCall:
        """A tool call begins; one whose id is open already is that one."""
        key = text_of(id)
        if key and (known := self._open.get(key)) is not None:
            if arguments and not known.arguments:
                known.arguments = bounded(arguments)
            return known
        call = ToolCall(
            values.to_text(name, 200) if name else "tool",
            key,
            bounded(arguments),
            parent=text_of(parent) or None,
        )
        if len(self.tool_calls) < MAX_KEPT:
            self.tool_calls.append(call)
        else:
            self.skip("tool_calls_beyond_1000")
        if len(self._open) < MAX_KEPT:
            self._open[key or f"#{len(self._open)}"] = call
        if self.started is not None:
            self.started(call)
        return call

    def tool_ended(
        self, id: object, output: object = None, error: object = None, duration: float | None = None
    ) -> ToolCall | None:
        """A tool call ends; None when nobody knows its beginning."""
        call = self._open.pop(text_of(id), None)
        if call is None:
            return None
        call.finished = True
        call.duration = duration
        if output is not None:
            call.output = values.to_text(
                output if isinstance(output, str) else bounded_json(output), MAX_TOOL_TEXT
            )
        if error:
            call.error = one_line(error) or "failed"
        if self.ended is not None:
            self.ended(call)
        return call

    def file_changed(self, path: object) -> None:
        """A file was written."""
        name = values.to_text(path, 1000) if isinstance(path, str) else ""
        if name and name not in self.files_changed and len(self.files_changed) < MAX_KEPT:
            self.files_changed.append(name)

    def note(self, name: str, body: object) -> None:
        """Progress that is neither a tool nor a model call."""
        if self.noted is not None:
            self.noted(name, body)

    def total_of_models(self) -> None:
        """Usage, cost and the main model from what each model used."""
        known = [one.usage for one in self.models.values() if one.usage is not None]
        if known:
            self.usage = sum(known[1:], known[0])
        costs = [one.cost for one in self.models.values() if one.cost is not None]
        if self.cost is None and costs:
            self.cost = sum(costs)
        if self.models:
            self.model = max(
                self.models, key=lambda name: u.total if (u := self.models[name].usage) is not None else 0
            )


def mapping(value: object) -> Mapping[str, Any]:
    """``value`` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> Iterable[Any]:
    """``value`` if it is a list, else nothing."""
    return value if isinstance(value, list) else ()


def number(value: object) -> float | None:
    """A finite number from zero up, also when it is written as text; None for anything else."""
    if isinstance(value, str) and len(value) <= 40:
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) and found >= 0 else None


def count(value: object) -> int:
    """A whole number from zero up; 0 for anything else."""
    found = number(value)
    return int(found) if found is not None and found < 2**53 else 0


def has(given: Mapping[str, Any], *names: str) -> bool:
    """Whether one of these says a number."""
    return any(number(given.get(name)) is not None for name in names)


def truth(value: object) -> bool:
    """A truth value, also when it is written as text."""
    return value.strip().lower() in ("true", "1", "yes") if isinstance(value, str) else bool(value)


def text_of(value: object) -> str:
    """A short text, also of a number; empty for anything else."""
    if isinstance(value, str):
        return value[:500]
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else ""


def one_line(value: object) -> str:
    """An error's words on one line."""
    if isinstance(value, dict):
        value = next((value[key] for key in ("message", "error", "type", "code") if value.get(key)), value)
    given = value if isinstance(value, str) else ("" if value is None else bounded_json(value))
    return " ".join(values.to_text(given, 4 * MAX_ERROR).split())[:MAX_ERROR]


def bounded(value: object) -> object:
    """``value`` if it is small, else its beginning as text."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = value if isinstance(value, str) else bounded_json(value)
    return value if len(text) <= MAX_TOOL_TEXT else values.to_text(text, MAX_TOOL_TEXT)


def bounded_json(value: object) -> str:
    """``value`` as JSON, cut if need be."""
    return values.bounded_json(value, MAX_TOOL_TEXT + 1)[0]


def running_total(seen: list[Usage]) -> Usage:
    """What several reports of one conversation come to.

    Agents report what was used *so far*, so each report contains the ones before and the last counts.
    Reports that shrink, or stay the same though work was done, are those of single turns, and add up.
    """
    grows = all(_within(before, after) for before, after in itertools.pairwise(seen))
    return seen[-1] if grows else sum(seen[1:], seen[0])


def _within(before: Usage, after: Usage) -> bool:
    names = ("input", "output", "cache_read", "cache_write", "reasoning")
    pairs = [(getattr(before, name), getattr(after, name)) for name in names]
    return all(old <= new for old, new in pairs) and any(old < new for old, new in pairs)
