"""Failures from traces.

A failure is a failed observation with no failed one around it: an agent whose model call failed is one
failure, with the call's error as its cause. When what is around it went on (an orchestrator that took
another agent), the failure is *recovered*.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from otel_agents import semconv
from otel_agents.langfuse import conversation
from otel_agents.langfuse.recorded import Recorded, TraceReader, attribute
from otel_agents.langfuse.rows import Observation, body_of, number

if TYPE_CHECKING:
    from otel_agents.langfuse.reading import LangfuseReader, Progress

_ERRORS: Final = (
    {"type": "stringOptions", "column": "level", "operator": "any of", "value": ["ERROR"]},
    {"type": "stringObject", "column": "metadata", "key": "status", "operator": "=", "value": "error"},
)
_BREAKER: Final = "circuit_breaker"
_ATTEMPT: Final = "attempt"
#: A circuit stays in a state until something changes it; its last change is looked for this far back.
_BREAKER_MEMORY: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try: number from 1 where known, who made it, and how it ended."""

    number: int | None
    agent: str | None
    status: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Circuit:
    """A circuit breaker's last change before a failure ended."""

    state: str
    failures: int | None
    since: datetime


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
    _add_circuits(reader, found)
    for one in found:
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
        attempts=_attempts(recorded, top, inside, first("task_id")),
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


def _attempts(
    recorded: Recorded, top: Observation, inside: Sequence[Observation], task_id: str | None
) -> list[Attempt]:
    """What the app said of attempts at the task; else how often its model calls were sent."""
    told = []
    for one in recorded.observations:
        body = _body(one) if one.type == "EVENT" and one.name == _ATTEMPT else None
        if body is None or one.start > top.end:
            continue
        if task_id is None or body.get("task_id") in (None, task_id):
            count = number(body.get("number"))
            told.append(
                Attempt(
                    None if count is None else int(count),
                    _text(body.get("agent")),
                    _text(body.get("status")),
                    _text(body.get("error")),
                )
            )
    return told or [attempt for one in inside for attempt in _sent(one)]


def _sent(call: Observation) -> Iterator[Attempt]:
    """The sends of a model call that was sent more than once."""
    try:
        held = json.loads(attribute(call, semconv.EVENT_ATTEMPT) or "[]")
    except (TypeError, ValueError):
        return
    for place, sent in enumerate(held if isinstance(held, list) else [], 1):
        if isinstance(sent, dict):
            error = sent.get(semconv.ERROR_TYPE) or sent.get(semconv.HTTP_STATUS_CODE)
            count = number(sent.get("number"))
            yield Attempt(place if count is None else int(count), None, None, _text(error))


def _body(event: Observation) -> Mapping[str, Any]:
    return body_of(event.input) or event.user_metadata()


def _text(value: object) -> str | None:
    return None if value is None or value == "" else str(value)


def _add_circuits(reader: LangfuseReader, found: Sequence[Failure]) -> None:
    """Puts the state of each failure's agent's circuit at that time on it."""
    if not found:
        return
    changes = sorted(
        reader.observations(
            since=min(one.at for one in found) - _BREAKER_MEMORY,
            until=max(one.at for one in found) + timedelta(milliseconds=1),
            filters=[
                {"type": "stringOptions", "column": "type", "operator": "any of", "value": ["EVENT"]},
                {"type": "string", "column": "name", "operator": "=", "value": _BREAKER},
            ],
            fields=("core", "basic", "io", "metadata"),
        ),
        key=lambda one: one.start,
    )
    for failure in found:
        for change in changes:
            body = _body(change)
            if change.start <= failure.at and failure.agent and body.get("agent") == failure.agent:
                failures = number(body.get("failure_count"))
                state = _text(body.get("state")) or "unknown"
                failure.circuit = Circuit(state, None if failures is None else int(failures), change.start)
