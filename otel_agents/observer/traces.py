"""``observer.langfuse.get_traces``: tasks as the traces that clients of old gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

from otel_agents.values.objects import is_a

if TYPE_CHECKING:
    from otel_agents.config import Settings
    from otel_agents.langfuse.reading import Task


#: Seconds for one request, and for waiting between tries of one.
_TIMEOUT: Final = 10.0
_PATIENCE: Final = 10.0


@dataclass(frozen=True, slots=True)
class TraceRow:
    """One task.

    Attributes:
        id: of its trace.
        task_id: the app's id of the task; the trace's where it has none.
        name: of its topmost observation.
        timestamp: when it started.
        latency: seconds in which it was worked on.
        cost: USD; 0 when nothing in it has a price.
        tokens: input and output.
        status: ``success`` or ``error``.
        metadata: the user's, with ``agent``, ``status``, ``task_id``, and ``quality`` where it was assessed.
        input: what was asked.
        output: what was answered.
        tags: of its trace.
        user_id: of the user that the work was for.
        session_id: of the conversation.
        environment: such as ``production``.
    """

    id: str
    task_id: str
    name: str
    timestamp: datetime
    latency: float
    cost: float
    tokens: int
    status: str
    metadata: Mapping[str, Any]
    input: str | None
    output: str | None
    tags: tuple[str, ...]
    user_id: str | None
    session_id: str | None
    environment: str

    @property
    def total_cost(self) -> float:
        """The same as ``cost``."""
        return self.cost


def moment(given: object, argument: str) -> datetime | None:
    """A time as users give it, in UTC when it names no zone; a date is its first instant.

    Raises:
        TypeError: it is none; names the argument.
    """
    if given is None:
        return None
    found: object = given
    if isinstance(given, str):
        try:
            found = datetime.fromisoformat(given)
        except ValueError:
            found = None
    if isinstance(found, date) and not isinstance(found, datetime):
        found = datetime.combine(found, time())
    if not isinstance(found, datetime):
        raise TypeError(
            f"{argument} must be a time, such as datetime.now(UTC) - timedelta(hours=1), not {given!r}"
        )
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def read(
    settings: Settings,
    since: datetime | None,
    until: datetime | None,
    limit: int | None,
    name: str | None,
    tags: str | Sequence[str] | None,
    wanted: Mapping[str, str | None],
) -> list[TraceRow]:
    """Tasks of a time that meet every condition, the newest first.

    Raises:
        LangfuseUnavailable: they cannot be read.
    """
    from otel_agents.langfuse.reading import LangfuseReader

    filters: list[dict[str, Any]] = [
        {"type": "string", "column": column, "operator": "=", "value": value}
        if column != "environment"
        else {"type": "stringOptions", "column": column, "operator": "any of", "value": [value]}
        for column, value in wanted.items()
        if value
    ]
    if tags:
        many = [tags] if is_a(tags, str) else list(tags)
        filters.append({"type": "arrayOptions", "column": "tags", "operator": "all of", "value": many})
    start = since if since is not None else datetime.now(UTC) - timedelta(days=1)
    with LangfuseReader.from_settings(settings, timeout=_TIMEOUT, patience=_PATIENCE) as reader:
        tasks = reader.tasks(since=start, until=until, filters=filters, content=True)
    rows = [_row(task) for task in reversed(tasks)]
    if name:
        rows = [row for row in rows if name in (row.name, row.metadata.get("trace_name"))]
    return rows[:limit] if limit is not None and limit >= 0 else rows


def _row(task: Task) -> TraceRow:
    metadata = {**task.metadata, "status": task.status, "task_id": task.id}
    if task.agent is not None:
        metadata["agent"] = task.agent
    if task.quality is not None:
        metadata["quality"] = task.quality
    return TraceRow(
        id=task.trace_id,
        task_id=task.id,
        name=f"invoke_agent {task.agent}" if task.agent else task.id,
        timestamp=task.start,
        latency=task.latency,
        cost=task.cost,
        tokens=task.tokens,
        status=task.status,
        metadata=metadata,
        input=task.input,
        output=task.output,
        tags=task.tags,
        user_id=task.user,
        session_id=task.session,
        environment=task.environment,
    )
