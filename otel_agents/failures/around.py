"""What was around a failure: the attempts at its task, and its agent's circuit breaker."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from otel_agents import semconv
from otel_agents.langfuse.recorded import Recorded, attribute
from otel_agents.langfuse.rows import Observation, body_of, number

if TYPE_CHECKING:
    from otel_agents.langfuse.reading import LangfuseReader

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
    since: datetime | None


def attempts(
    recorded: Recorded, top: Observation, inside: Sequence[Observation], task_id: str | None
) -> list[Attempt]:
    """What the app said of attempts at the task; else how often its model calls were sent."""
    told = []
    for one in recorded.observations:
        body = _body(one) if one.type == "EVENT" and one.name == _ATTEMPT else None
        if body is None or one.start > top.end:
            continue
        if task_id is None or body.get("task_id") in (None, task_id):
            told.append((one.start, _attempt(body)))
    # Langfuse keeps milliseconds, in which an app can tell of several.
    told.sort(key=lambda found: (found[0], found[1].number or 0))
    if told:
        return [attempt for _, attempt in told]
    known = _json(top.own("previous_attempts"))
    if isinstance(known, list):
        return [_attempt(body) for body in known if isinstance(body, dict)]
    return [attempt for one in inside for attempt in _sent(one)]


def _attempt(body: Mapping[str, Any]) -> Attempt:
    count = number(body.get("number"))
    return Attempt(
        None if count is None else int(count),
        _text(body.get("agent")),
        _text(body.get("status")),
        _text(body.get("error")),
    )


def _sent(call: Observation) -> Iterator[Attempt]:
    """The sends of a model call that was sent more than once."""
    held = _json(attribute(call, semconv.EVENT_ATTEMPT))
    for place, sent in enumerate(held if isinstance(held, list) else [], 1):
        if isinstance(sent, dict):
            error = sent.get(semconv.ERROR_TYPE) or sent.get(semconv.HTTP_STATUS_CODE)
            count = number(sent.get("number"))
            yield Attempt(place if count is None else int(count), None, None, _text(error))


def circuit_said(top: Observation) -> Circuit | None:
    """The state that the failed task itself says it was in."""
    state = _text(top.own("circuit_breaker"))
    return None if state is None else Circuit(state, None, None)


def circuit_changes(reader: LangfuseReader, first: datetime, last: datetime) -> list[Observation]:
    """The breakers' changes that matter between two times, by time.

    Raises:
        LangfuseUnavailable: it cannot be read; see its text.
    """
    found = reader.observations(
        since=first - _BREAKER_MEMORY,
        until=last + timedelta(milliseconds=1),
        filters=[
            {"type": "stringOptions", "column": "type", "operator": "any of", "value": ["EVENT"]},
            {"type": "string", "column": "name", "operator": "=", "value": _BREAKER},
        ],
        fields=("core", "basic", "io", "metadata"),
    )
    return sorted(found, key=lambda one: one.start)


def circuit_at(
    changes: Sequence[Observation], agent: str | None, at: datetime, said: Circuit | None
) -> Circuit | None:
    """The state of an agent's circuit at a time: that after its last change.

    Args:
        said: what the task itself says. Times are in milliseconds, in which a failure and the change that
            it led to are one; so its word stands, and only the time and the count are looked up.
    """
    found = said
    for change in changes:
        body = _body(change)
        state = _text(body.get("state")) or "unknown"
        if change.start > at or agent is None or body.get("agent") != agent:
            continue
        if said is None or said.state == state:
            failures = number(body.get("failure_count"))
            found = Circuit(state, None if failures is None else int(failures), change.start)
    return found


def _body(event: Observation) -> Mapping[str, Any]:
    return body_of(event.input) or event.user_metadata()


def _json(value: object) -> Any:
    """Langfuse keeps lists in metadata as JSON text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return None


def _text(value: object) -> str | None:
    return None if value is None or value == "" else str(value)
