"""Tasks, from the observations, events and scores of a time range.

**What one task is.** The observations that share a ``task_id``: everything at and below the topmost
observation that names one, in whichever traces it ran. Where no ``task_id`` is named, a trace is a task.
Its topmost observations are its *runs*: one for each attempt.

- A trace of nothing but events (a selection that came late, say) is no task; with a ``task_id`` they join
  that task.
- Model calls beside several tasks of one trace (a router above them) are *outside*: in no task, but in
  the sums. Beside a single one they are its own.
- A task has the status, the agent and the error of its last run. Its latency is the time in which a run
  was going, pauses between attempts left out.
- Quality is the latest numeric score named ``quality`` on the task's observations, else on its trace;
  without one the metadata ``quality_score``, then the ``quality_assessment`` event.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from otel_agents.langfuse import given_costs
from otel_agents.langfuse.rows import Observation, ScoreRow, body_of, number

QUALITY: Final = "quality"

EVENT: Final = "EVENT"
_AGENTS: Final = frozenset({"AGENT", "CHAIN"})
_CALLS: Final = frozenset({"GENERATION", "EMBEDDING"})
_INVOKE: Final = "invoke_agent "


@dataclass(slots=True)
class Call:
    """One model call: cost in USD, None where it has none; latency in seconds."""

    model: str
    start: datetime
    latency: float
    cost: float | None
    input_tokens: int
    output_tokens: int
    tokens: int
    failed: bool
    prompt_name: str | None = None
    prompt_version: int | None = None


@dataclass(slots=True)
class Event:
    """Something that happened in a task: a selection, a switch, an attempt ...

    ``run`` is the observation id of the run that it happened in.
    """

    name: str
    at: datetime
    body: Mapping[str, Any]
    run: str = ""


@dataclass(slots=True)
class Run:
    """One attempt at a task by one agent."""

    observation_id: str
    trace_id: str
    agent: str | None
    status: str  # success, error
    start: datetime
    end: datetime
    error: str | None = None
    quality: float | None = None
    calls: list[Call] = field(default_factory=list)
    cost: float = 0.0
    tokens: int = 0


@dataclass(slots=True)
class Task:
    """One task. Money is USD, latency seconds; what nobody said is None.

    ``unpriced`` counts model calls that used tokens and have no cost: with them ``cost`` is too low.
    ``input`` and ``output`` are there when the reader was asked for content.
    """

    id: str
    trace_id: str
    agent: str | None
    task_type: str | None
    project_id: str | None
    models: tuple[str, ...]
    user: str | None
    session: str | None
    tags: tuple[str, ...]
    environment: str
    prompt_name: str | None
    prompt_version: str | None
    experiment: str | None
    variant: str | None
    status: str  # success, error
    start: datetime
    end: datetime
    latency: float
    cost: float
    unpriced: int
    tokens: int
    input_tokens: int
    output_tokens: int
    quality: float | None
    attempts: int
    switches: int
    input: str | None
    output: str | None
    error: str | None
    metadata: Mapping[str, Any]
    runs: list[Run]
    events: list[Event]

    @property
    def calls(self) -> list[Call]:
        """The model calls of all runs."""
        return [call for run in self.runs for call in run.calls]

    def events_named(self, name: str) -> list[Event]:
        """The events of one name, by time."""
        return [event for event in self.events if event.name == name]


@dataclass(slots=True)
class Rollup:
    """What a time range holds: tasks by start, and the model calls that belong to none."""

    tasks: list[Task]
    outside: list[Call]


def roll_up(observations: Iterable[Observation], scores: Iterable[ScoreRow] = ()) -> Rollup:
    """Groups observations into tasks; see the module for the rules."""
    traces: dict[str, dict[str, Observation]] = defaultdict(dict)
    for one in observations:
        traces[one.trace_id][one.id] = one
    groups: dict[tuple[str, str], list[Observation]] = defaultdict(list)
    rest: list[Call] = []
    for trace_id, rows in traces.items():
        keys = {key: _task_id(row, rows) for key, row in rows.items()}
        named = {task for key, task in keys.items() if task and rows[key].type != EVENT}
        only = next(iter(named)) if len(named) == 1 else None
        for key, row in rows.items():
            task = keys[key] or only
            if task:
                groups["task", task].append(row)
            elif not named:
                groups["trace", trace_id].append(row)
            elif row.type in _CALLS:
                rest.append(_call(row))
    by_observation, by_trace = _quality_scores(scores)
    for trace_id in _traces_of_several(groups):
        by_trace.pop(trace_id, None)
    tasks = []
    for (kind, name), members in groups.items():
        members.sort(key=lambda row: (row.start, row.id))
        if any(row.type != EVENT for row in members):
            tasks.append(_task(kind, name, members, by_observation, by_trace))
    tasks.sort(key=lambda task: (task.start, task.id))
    return Rollup(tasks, rest)


def _task_id(row: Observation, rows: Mapping[str, Observation]) -> str | None:
    """The ``task_id`` of the topmost observation from ``row`` up that names one."""
    found = _named_task(row)
    seen = {row.id}
    above = rows.get(row.parent_id or "")
    while above is not None and above.id not in seen:
        seen.add(above.id)
        found = _named_task(above) or found
        above = rows.get(above.parent_id or "")
    return found


def _named_task(row: Observation) -> str | None:
    task = row.own("task_id")
    if task is None and row.type == EVENT:
        task = body_of(row.input).get("task_id")
    return None if task is None or task == "" else str(task)


def _traces_of_several(groups: Mapping[tuple[str, str], Sequence[Observation]]) -> set[str]:
    """Traces that more than one task ran in: a score of the whole trace is none of a single task's."""
    count: dict[str, int] = defaultdict(int)
    for rows in groups.values():
        for trace_id in {row.trace_id for row in rows if row.type != EVENT}:
            count[trace_id] += 1
    return {trace_id for trace_id, found in count.items() if found > 1}


def _quality_scores(scores: Iterable[ScoreRow]) -> tuple[dict[str, ScoreRow], dict[str, ScoreRow]]:
    """The latest quality of each observation, and of each trace as a whole."""
    by_observation: dict[str, ScoreRow] = {}
    by_trace: dict[str, ScoreRow] = {}
    for one in scores:
        if one.name != QUALITY or one.data_type != "NUMERIC" or one.number is None:
            continue
        target, where = (
            (one.observation_id, by_observation) if one.observation_id else (one.trace_id, by_trace)
        )
        if target and (target not in where or where[target].timestamp < one.timestamp):
            where[target] = one
    return by_observation, by_trace


def _task(
    kind: str,
    name: str,
    rows: list[Observation],
    by_observation: Mapping[str, ScoreRow],
    by_trace: Mapping[str, ScoreRow],
) -> Task:
    tops = _tops(rows)
    owner = _owners(rows, tops)
    below: dict[str, list[Observation]] = {top.id: [] for top in tops}
    for row in rows:
        below[owner[row.id].id].append(row)
    runs = [_run(top, below[top.id], by_observation) for top in tops]
    last = max(runs, key=lambda run: (run.end, run.start))
    last_top = next(top for top in tops if top.id == last.observation_id)
    events = [
        Event(row.name, row.start, body_of(row.input) or row.user_metadata(), owner[row.id].id)
        for row in rows
        if row.type == EVENT
    ]
    metadata: dict[str, Any] = {}
    for top in tops:
        metadata.update(top.user_metadata())
    calls = [call for run in runs for call in run.calls]
    prompt = next((call for call in calls if call.prompt_name), None)
    ids = {row.id for row in rows}
    scores = [by_observation[key] for key in ids if key in by_observation] or [
        by_trace[key] for key in {row.trace_id for row in rows} if key in by_trace
    ]
    numbered = [n for event in events if event.name == "attempt" and (n := number(event.body.get("number")))]
    started = sum(top.type in _AGENTS for top in tops) if kind == "task" else 1
    switches = sum(event.name == "agent_switch" for event in events)
    quality = max(scores, key=lambda one: one.timestamp).number if scores else _said_quality(metadata, events)
    if len(runs) == 1 and runs[0].quality is None:
        runs[0].quality = quality

    def first(key: str) -> str | None:
        found = metadata.get(key)
        if found is None:
            found = next((value for row in rows if (value := row.own(key)) is not None), None)
        return None if found is None else str(found)

    return Task(
        id=name,
        trace_id=last.trace_id,
        agent=last.agent,
        task_type=first("task_type"),
        project_id=first("project_id"),
        models=tuple(dict.fromkeys(call.model for call in calls)),
        user=next((row.user_id for row in rows if row.user_id), None),
        session=next((row.session_id for row in rows if row.session_id), None),
        tags=tuple(dict.fromkeys(tag for row in rows for tag in row.tags)),
        environment=last_top.environment,
        prompt_name=prompt.prompt_name if prompt else first("prompt_name"),
        prompt_version=str(prompt.prompt_version) if prompt else first("prompt_version"),
        experiment=first("experiment"),
        variant=first("variant"),
        status=last.status,
        start=min(run.start for run in runs),
        end=max(run.end for run in runs),
        latency=_time_covered(runs),
        cost=sum(run.cost for run in runs),
        unpriced=sum(call.cost is None and call.tokens > 0 for call in calls),
        tokens=sum(run.tokens for run in runs),
        input_tokens=sum(call.input_tokens for call in calls),
        output_tokens=sum(call.output_tokens for call in calls),
        quality=quality,
        attempts=max(1, started, int(max(numbered, default=1))),
        switches=switches or int(number(metadata.get("agent_switches")) or 0),
        input=tops[0].input,
        output=last_top.output,
        error=last.error,
        metadata=metadata,
        runs=runs,
        events=events,
    )


def _tops(rows: Sequence[Observation]) -> list[Observation]:
    """The runs: agents and chains with nothing of the task above them; without any, what is on top."""
    ids = {row.id for row in rows if row.type != EVENT}
    tops = [row for row in rows if row.type != EVENT and (row.parent_id or "") not in ids]
    if not tops:  # their parents go in a circle
        tops = [row for row in rows if row.type != EVENT][:1]
    return [row for row in tops if row.type in _AGENTS] or tops


def _owners(rows: Sequence[Observation], tops: Sequence[Observation]) -> dict[str, Observation]:
    """The run of each observation: the one above it, else the last that had started by then."""
    by_id = {row.id: row for row in rows}
    is_top = {top.id: top for top in tops}
    owner: dict[str, Observation] = {}
    for row in rows:
        at: Observation | None = row
        seen: set[str] = set()
        while at is not None and at.id not in is_top and at.id not in seen:
            seen.add(at.id)
            at = by_id.get(at.parent_id or "")
        found = is_top.get(at.id) if at is not None else None
        if found is None:
            found = next((top for top in reversed(tops) if top.start <= row.start), tops[0])
        owner[row.id] = found
    return owner


def _run(top: Observation, rows: Sequence[Observation], by_observation: Mapping[str, ScoreRow]) -> Run:
    status = top.own("status")
    failed = top.level == "ERROR" or status == "error"
    scored = [by_observation[row.id] for row in rows if row.id in by_observation]
    given = number(top.own("quality_score"))
    agent = next((name for row in (top, *rows) if (name := _agent(row))), None)
    return Run(
        observation_id=top.id,
        trace_id=top.trace_id,
        agent=agent,
        status="error" if failed else "success",
        start=top.start,
        end=max(top.end, top.start),
        error=(top.status_message or _error_type(top) or "error") if failed else None,
        quality=max(scored, key=lambda one: one.timestamp).number if scored else given,
        calls=given_costs.settle([_call(row) for row in rows if row.type in _CALLS]),
        cost=sum(row.cost or 0.0 for row in rows),
        tokens=sum(row.tokens for row in rows),
    )


def _agent(row: Observation) -> str | None:
    if row.type == EVENT:
        return None
    named = row.own("agent")
    if named is not None:
        return str(named)
    if row.type != "AGENT" or row.name == _INVOKE.strip():  # the bare operation names nobody
        return None
    return row.name.removeprefix(_INVOKE) or None


def _error_type(row: Observation) -> str | None:
    kind = row.own("error_type")
    return None if kind is None else str(kind)


def _call(row: Observation) -> Call:
    return Call(
        model=row.model or given_costs.UNKNOWN,
        start=row.start,
        latency=max((row.end - row.start).total_seconds(), 0.0),
        cost=row.cost,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        tokens=row.tokens,
        failed=row.level == "ERROR",
        prompt_name=row.prompt_name,
        prompt_version=row.prompt_version,
    )


def _said_quality(metadata: Mapping[str, Any], events: Sequence[Event]) -> float | None:
    given = number(metadata.get("quality_score"))
    if given is None:
        given = number(metadata.get("quality"))
    if given is None:
        said = [number(event.body.get("score")) for event in events if event.name == "quality_assessment"]
        given = next((score for score in reversed(said) if score is not None), None)
    return given


def _time_covered(runs: Sequence[Run]) -> float:
    """Seconds in which at least one run was going."""
    total, until = 0.0, None
    for run in sorted(runs, key=lambda run: run.start):
        start = run.start if until is None or run.start > until else until
        if run.end > start:
            total += (run.end - start).total_seconds()
        until = run.end if until is None or run.end > until else until
    return total
