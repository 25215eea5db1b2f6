"""Failures from traces.

A failure is a failed observation with no failed one around it: an agent whose model call failed is one
failure, with the call's error as its cause. When what is around it went on (an orchestrator that took
another agent), the failure is *recovered*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from otel_agents.failures.around import (
    Attempt,
    Circuit,
    attempts,
    circuit_at,
    circuit_changes,
    circuit_said,
)
from otel_agents.langfuse import conversation
from otel_agents.langfuse.recorded import Recorded, TraceReader
from otel_agents.langfuse.rows import Observation

if TYPE_CHECKING:
    from otel_agents.langfuse.reading import LangfuseReader, Progress

_ERRORS: Final = (
    {"type": "stringOptions", "column": "level", "operator": "any of", "value": ["ERROR"]},
    {"type": "stringObject", "column": "metadata", "key": "status", "operator": "=", "value": "error"},
)


@dataclass(slots=True)
class Failure:
    """One failure. What was not recorded is None.

    Attributes:
        at: when it ended.
        latency: seconds until then.
        name: of the observation, such as ``invoke_agent claude``.
        message: the status message.
        cause: the innermost failed observation's name and message, when these say more.
        stacktrace: Python's, where the app recorded it.
        prompt: the task that was given.
        answer: what there was of one.
        recovered: whether what was around it went on and did not fail.
        url: of the trace.
    """

    at: datetime
    latency: float
    trace_id: str
    observation_id: str
    name: str
    agent: str | None
    model: str | None
    task_id: str | None
    task_type: str | None
    error_type: str | None
    message: str | None
    cause: str | None
    stacktrace: str | None
    prompt: str | None
    answer: str | None
    recovered: bool
    attempts: list[Attempt] = field(default_factory=list)
    circuit: Circuit | None = None
    url: str = ""

    @property
    def error(self) -> str:
        """Type and message, without a message that only repeats the type; empty when there is neither."""
        said = self.message if self.message != self.error_type else None
        return ": ".join(filter(None, [self.error_type, said]))


def find(
    reader: LangfuseReader,
    traces: TraceReader,
    *,
    since: datetime,
    until: datetime | None = None,
    agent: str | None = None,
    task_type: str | None = None,
    limit: int = 20,
    progress: Progress | None = None,
) -> list[Failure]:
    """The latest failures, newest first.

    Args:
        since: of failures' starts, inclusive.
        until: exclusive; by default now.
        agent: only this agent's.
        task_type: only those of this kind of task.
        limit: how many at most; each is one more request.
        progress: told the number of rows so far.

    Raises:
        LangfuseUnavailable: it cannot be read; see its text.
    """
    found: list[Failure] = []
    for trace_id in _failed_traces(reader, since, until, agent, progress):
        recorded = traces.read(trace_id)
        if recorded is not None:
            found += [
                one
                for one in in_trace(recorded)
                if agent in (None, one.agent) and task_type in (None, one.task_type)
            ]
        if len(found) >= limit:
            break
    found.sort(key=lambda one: one.at, reverse=True)
    del found[limit:]
    if not found:
        return []
    ends = [one.at for one in found]
    changes = circuit_changes(reader, min(ends), max(ends))
    for one in found:
        one.circuit = circuit_at(changes, one.agent, one.at, one.circuit)
        one.url = traces.url(one.trace_id)
    return found


def in_trace(recorded: Recorded) -> list[Failure]:
    """The failures of one trace, by start."""
    failed = {one.id for one in recorded.observations if _failed(one)}
    return [
        _failure(recorded, one, failed)
        for one in recorded.observations
        if one.id in failed and not any(outer.id in failed for outer in recorded.above(one))
    ]


def _failed_traces(
    reader: LangfuseReader,
    since: datetime,
    until: datetime | None,
    agent: str | None,
    progress: Progress | None,
) -> list[str]:
    """Traces with a failed observation, those with the latest one first."""
    latest: dict[str, datetime] = {}
    named: set[str] = set()
    for condition in _ERRORS:
        for one in reader.observations(since=since, until=until, filters=[condition], progress=progress):
            latest[one.trace_id] = max(one.end, latest.get(one.trace_id, one.end))
            if agent is None or _agent(one) == agent:
                named.add(one.trace_id)
    return sorted(named, key=lambda trace_id: latest[trace_id], reverse=True)


def _failed(one: Observation) -> bool:
    return one.type != "EVENT" and (one.level == "ERROR" or one.own("status") == "error")


def _failure(recorded: Recorded, top: Observation, failed: set[str]) -> Failure:
    around = [top, *recorded.above(top)]
    inside = recorded.inside(top)
    innermost = max((one for one in inside if one.id in failed), key=lambda one: (one.start, one.id))
    given = next((one for one in around if one.input and one.type != "EVENT"), None)
    prompt = conversation.parse((given or innermost).input)
    answer = conversation.parse(top.output, "assistant")

    def first(key: str) -> str | None:
        found = next((value for one in around if (value := one.own(key)) is not None), None)
        return None if found is None else str(found)

    return Failure(
        at=top.end,
        latency=max((top.end - top.start).total_seconds(), 0.0),
        trace_id=recorded.trace_id,
        observation_id=top.id,
        name=top.name,
        agent=_agent(top),
        model=next((one.model for one in (top, innermost, *inside) if one.model), None),
        task_id=first("task_id"),
        task_type=first("task_type"),
        error_type=_said(top, "error_type") or _said(innermost, "error_type"),
        message=top.status_message or innermost.status_message,
        cause=_cause(top, innermost),
        stacktrace=next((text for one in (top, innermost, *inside) if (text := _stacktrace(one))), None),
        prompt=prompt.prompt if prompt is not None else None,
        answer=answer.readable() if answer is not None else None,
        recovered=len(around) > 1,
        attempts=attempts(recorded, top, inside, first("task_id")),
        circuit=circuit_said(top),
    )


def _agent(one: Observation) -> str | None:
    named = _said(one, "agent") or _said(one, "agent_name")
    if named is None and one.type == "AGENT":
        named = one.name.removeprefix("invoke_agent ") or None
    return named


def _said(one: Observation, key: str) -> str | None:
    found = one.own(key)
    return None if found is None else str(found)


def _cause(top: Observation, innermost: Observation) -> str | None:
    if innermost is top or not innermost.status_message or innermost.status_message == top.status_message:
        return None
    return f"{innermost.name}: {innermost.status_message}"


def _stacktrace(one: Observation) -> str | None:
    """Whatever key it is under: ours, or an app's own."""
    held = one.metadata.get("attributes")
    places: Sequence[Mapping[str, Any]] = [one.metadata, held if isinstance(held, dict) else {}]
    for place in places:
        for key, value in place.items():
            if isinstance(value, str) and value and "stack" in key.lower():
                return value
    return None
