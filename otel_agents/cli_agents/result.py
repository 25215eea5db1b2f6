"""What a run of a command-line agent came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otel_agents.accounting import Usage


@dataclass(slots=True)
class ToolCall:
    """One tool that an agent used.

    Attributes:
        name: as the agent calls it, such as ``Bash``.
        id: the agent's own id of the call.
        arguments: what the tool was given; bounded.
        output: what it answered; bounded.
        error: why it failed; None when it did not, or nobody said.
        finished: False when its end was not seen.
        duration: seconds; None when nobody said.
        parent: id of the call under which a sub-agent made this one.
    """

    name: str
    id: str = ""
    arguments: object = None
    output: str | None = None
    error: str | None = None
    finished: bool = False
    duration: float | None = None
    parent: str | None = None


@dataclass(slots=True)
class ModelTotals:
    """What one model used in a run. ``cost`` is US dollars, ``calls`` is None when nobody said."""

    usage: Usage | None = None
    cost: float | None = None
    calls: int | None = None


@dataclass(slots=True)
class AgentResult:
    """What a run came to. Nothing of it is ever guessed: what the agent did not say is None or empty.

    Attributes:
        output: the answer; empty when there is none.
        tokens: by the GenAI conventions (input includes the cache, output includes reasoning), all
            models and sub-agents together.
        cost: US dollars: what the agent said, else by the price table; None when neither knows.
        duration: seconds from the start of the process to its end.
        session_id: continues the conversation (``run(..., session=...)``).
        turns: of the conversation, as the agent counts them.
        tool_calls: in the order of their starts; at most 1000.
        files_changed: paths, each once; at most 1000.
        raw: what the agent printed on standard output; the middle is left out when it is too long.
        error: what went wrong, in one line; None when nothing did.
        error_type: from a small set: ``timeout``, ``not_found``, ``exit_status``, ``api_error``,
            ``max_turns``, ``no_answer``, ``agent_error`` and such.
        model: the one that did most of the work.
        models: what each model used, by name.
        exit_code: of the process; negative is the number of the signal that ended it.
        stderr: the last of what was printed there.
        cost_estimated: the cost is by the price table.
        premium_requests: what GitHub Copilot bills.
        lines_added: of code.
        lines_removed: of code.
        skipped: what of the output could not be understood, and how often.
        telemetry: whether the agent's own model calls arrived by OpenTelemetry, so that these and not
            the totals were counted.
    """

    output: str = ""
    tokens: Usage | None = None
    cost: float | None = None
    duration: float = 0.0
    session_id: str | None = None
    turns: int | None = None
    tool_calls: list[ToolCall] = field(default_factory=list)
    files_changed: list[str] = field(default_factory=list)
    raw: str = ""
    error: str | None = None
    error_type: str | None = None
    model: str | None = None
    models: Mapping[str, ModelTotals] = field(default_factory=dict)
    exit_code: int | None = None
    stderr: str = ""
    cost_estimated: bool = False
    premium_requests: float | None = None
    lines_added: int | None = None
    lines_removed: int | None = None
    skipped: Mapping[str, int] = field(default_factory=dict)
    telemetry: bool = False

    @property
    def ok(self) -> bool:
        """Whether nothing went wrong."""
        return self.error is None
