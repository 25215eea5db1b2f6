"""What ``observer.track_*`` does: an event in the right trace, its metrics, and a mark on the task."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, ParamSpec

from opentelemetry import context as otel_context
from opentelemetry import trace

from otel_agents import metrics, runtime, semconv, values
from otel_agents.observer import registry
from otel_agents.observer.complaints import complain
from otel_agents.observer.state import breaker_changed, enabled
from otel_agents.tracing import contexts, events, scoring, spans
from otel_agents.tracing.contexts import short_name
from otel_agents.values.objects import is_a

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    from otel_agents.metrics import Definition

P = ParamSpec("P")

#: Name of the Langfuse score that a quality assessment gives.
QUALITY: Final = "quality"

BREAKER_STATES: Final[Mapping[str, int]] = {"closed": 0, "half_open": 1, "open": 2}
_SUCCESS: Final = frozenset({"success", "succeeded", "ok", "done", "true", "completed", "passed"})
_ERROR: Final = frozenset({"error", "failed", "failure", "fail", "false", "exception", ""})


def _guarded(tell: Callable[P, None]) -> Callable[P, None]:
    """Nothing while nothing is recorded, and no exception ever."""

    @functools.wraps(tell)
    def safe(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            if enabled():
                tell(*args, **kwargs)
        except Exception:
            spans.note(f"track {tell.__name__}")

    return safe


@_guarded
def agent_selection(
    task_id: object, selected: object, reason: object, rewards: object, details: Mapping[str, object]
) -> None:
    """An event ``agent_selection``, and a count by agent."""
    task, agent = _name(task_id), _name(selected)
    body = {"task_id": task, "selected_agent": agent, "reason": reason, "all_rewards": rewards, **details}
    told = _tell("agent_selection", task, agent, body)
    _count(metrics.SELECTIONS, 1, {semconv.AGENT_NAME: agent, "task_type": _task_type(told)}, told)


@_guarded
def quality_assessment(
    task_id: object, agent: object, score: object, comment: object, details: Mapping[str, object]
) -> None:
    """An event ``quality_assessment``, a score of the task, and ``quality_score`` among its metadata."""
    task, whose = _name(task_id), _name(agent)
    quality = _share(score)
    if quality is None:
        complain(f"a quality of {values.to_text(score, 40)!r} is not from 0 to 1 and gives no score")
    given = {"score": quality} if quality is not None else {"rejected_score": score}
    body: dict[str, object] = {"task_id": task, "agent": whose, **given}
    if comment is not None:
        body["comment"] = comment
    told = _tell("quality_assessment", task, whose, {**body, **details}, {"quality_score": quality})
    if quality is None:
        return
    execution = registry.concerned(task)
    if execution is not None:
        execution.note({"quality_score": quality})
    scored = registry.scored(task, told)
    if scored is not None:
        at, whole = scored
        events.given(
            QUALITY,
            quality,
            lambda: scoring.target_of(at, whole_trace=whole),
            _inside(told),
            comment=comment,
            agent=whose,
        )


@_guarded
def agent_switch(
    task_id: object,
    from_agent: object,
    to_agent: object,
    reason: object,
    before: object,
    after: object,
    details: Mapping[str, object],
) -> None:
    """An event ``agent_switch``, a count, quality before and after, and ``agent_switched`` on the task."""
    task, source, target = _name(task_id), _name(from_agent), _name(to_agent)
    first, second = _number(before), _number(after)
    gained = second - first if first is not None and second is not None else None
    body = {
        "task_id": task,
        "from_agent": source,
        "to_agent": target,
        "reason": reason,
        "quality_before": first,
        "quality_after": second,
        "quality_gained": gained,
        **details,
    }
    told = _tell("agent_switch", task, target, body, {"agent_switched": "true"})
    execution = registry.concerned(task)
    if execution is not None:
        execution.switched(target)
    labels = {"from_agent": source, "to_agent": target, "task_type": _task_type(told)}
    _count(metrics.SWITCHES, 1, labels, told)
    if first is not None and second is not None:  # only in pairs: their means are compared
        _count(metrics.QUALITY_BEFORE, first, labels, told)
        _count(metrics.QUALITY_AFTER, second, labels, told)


@_guarded
def circuit_breaker(
    agent: object, state: object, failures: object, task_id: object, details: Mapping[str, object]
) -> None:
    """An event ``circuit_breaker``, a gauge of the state, and a count of changes."""
    whose, task = _name(agent), _name(task_id)
    now = (_name(state) or "").lower().replace("-", "_").replace(" ", "_").replace("halfopen", "half_open")
    body = {"agent": whose, "state": now, "failure_count": failures, **details}
    told = _tell("circuit_breaker", task, whose, body, {"circuit_breaker": now})
    if now not in BREAKER_STATES:
        complain(
            f"a circuit breaker is closed, half_open or open, not {now[:40]!r}; its metric stays as it was"
        )
        return
    if whose:
        breaker_changed(whose, now)
    _count(metrics.BREAKER_STATE, BREAKER_STATES[now], {semconv.AGENT_NAME: whose}, told)
    _count(metrics.BREAKER_CHANGES, 1, {semconv.AGENT_NAME: whose, "state": now}, told)


@_guarded
def attempt(
    task_id: object,
    agent: object,
    number: object,
    status: object,
    error: object,
    details: Mapping[str, object],
) -> None:
    """An event ``attempt``, a count by status; the task remembers it."""
    task, whose = _name(task_id), _name(agent)
    execution = registry.concerned(task)
    if execution is not None:
        task, whose = task or execution.task_id, whose or execution.agent
    known = registry.known(task)
    how = _status(status)
    if known is not None:
        told_before = known.told
    else:
        told_before = registry.early_attempts(task) if execution is None else len(execution.attempts)
    if known is not None and known.unexplained and execution is None:
        told_before -= 1
    made: dict[str, Any] = {
        "number": number if number is not None else told_before + 1,
        "agent": whose,
        "status": how,
    }
    if error is not None:
        made["error"] = _described(error)
    new = known.add_attempt(made) if known is not None else True
    if execution is not None:
        execution.attempts.append(made)
    elif known is None and task:
        registry.add_early_attempt(task, made)
    told = _tell("attempt", task, whose, {"task_id": task, **made, **details})
    if new:
        labels = {**contexts.labels(_inside(told)), semconv.AGENT_NAME: whose, "status": how}
        _count(metrics.TASK_ATTEMPTS, 1, labels, told)


@_guarded
def token_reduction(
    original: object, actual: object, task_id: object, agent: object, details: Mapping[str, object]
) -> None:
    """An event ``token_reduction``, and the metrics of what was saved."""
    task, before, after = _name(task_id), _number(original), _number(actual)
    if before is None or after is None or before <= 0 or after < 0:
        complain("track_token_reduction needs tokens: original above 0, actual from 0 up")
        return
    execution = registry.concerned(task)
    whose = _name(agent) or (execution.agent if execution is not None else None)
    reduction = 1 - after / before
    ratio = before / after if after else None
    body = {"original": _whole(before), "actual": _whole(after), "ratio": ratio, "reduction": reduction}
    told = _tell("token_reduction", task, whose, {**body, **details})
    if execution is not None:
        execution.note({"compression_ratio": ratio, "token_reduction": reduction})
    labels = {**contexts.labels(_inside(told)), semconv.AGENT_NAME: whose}
    if ratio is not None:
        _count(metrics.TOKEN_REDUCTION, ratio, labels, told)
    _count(metrics.ORIGINAL_TOKENS, before, labels, told)
    _count(metrics.ACTUAL_TOKENS, after, labels, told)


def _tell(
    name: str,
    task_id: str | None,
    agent: str | None,
    body: Mapping[str, object],
    metadata: Mapping[str, object] | None = None,
) -> Span:
    """The event's span, where something about the task belongs. ``metadata`` can be filtered by."""
    attributes: dict[str, object] = {semconv.AGENT_NAME: agent, semconv.METADATA_PREFIX + "task_id": task_id}
    for key, value in (metadata or {}).items():
        attributes[semconv.METADATA_PREFIX + key] = value
    said = {key: value for key, value in body.items() if value is not None}
    with registry.placed(task_id) as context:
        return events.happened(name, said, attributes, context)


def _count(definition: Definition, value: float, labels: Mapping[str, str | None], told: Span) -> None:
    redact = runtime.current().redactor.text
    bounded = {name: redact(label) if label else None for name, label in labels.items()}
    runtime.current().instruments.count(definition, value, bounded, _inside(told))


def _inside(told: Span) -> Context:
    """The current context with the event as its span: exemplars point at it."""
    return trace.set_span_in_context(told, otel_context.get_current())


def _task_type(told: Span) -> str | None:
    return contexts.labels(_inside(told)).get("task_type")


def _name(value: object) -> str | None:
    return short_name(value) or None


def _number(value: object) -> float | None:
    if value is None or is_a(value, bool):
        return None
    try:
        number = float(value)  # type: ignore[arg-type]
    except Exception:  # no number, or one that raises
        return None
    return number if math.isfinite(number) else None


def _share(value: object) -> float | None:
    number = _number(value)
    return number if number is not None and 0 <= number <= 1 else None


def _whole(number: float) -> int | float:
    return int(number) if number == int(number) else number


def _status(value: object) -> str:
    said = (_name(value) or "").lower()
    if said in _SUCCESS:
        return "success"
    return "error" if said in _ERROR else said


def _described(error: object) -> str:
    redact = runtime.current().redactor.text
    if isinstance(error, BaseException):
        message, _ = spans.told_of(error)
        kind = spans.error_type(error)
        return redact(f"{kind}: {message}" if message else kind)
    return redact(values.to_text(error, 4096))
