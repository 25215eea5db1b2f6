"""``event(...)`` and ``score(...)``: something happened, and how good it was."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from opentelemetry import context as otel_context

from otel_agents import runtime, semconv, values
from otel_agents.tracing import scoring, spans
from otel_agents.tracing.contexts import MAX_NAME, scope, short_name
from otel_agents.tracing.runs import UNSET
from otel_agents.values.attributes import attributes_of

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue

logger = logging.getLogger(__name__)

#: Attributes of an event whose names have no dot live under this prefix.
_EVENT_PREFIX: Final = "otel_agents.event."


def event(name: str, body: object = UNSET, **attributes: object) -> None:
    """Notes that something happened, as a span without duration under the current one. Never raises.

    A span and no span event, because Langfuse drops span events.

    Args:
        name: what happened, from a small set of names.
        body: more about it; anything. Exported as JSON unless capture is ``none``.
        attributes: of the event's span; names with a dot as they are (``**{"http.route": "/x"}``), others
            under ``otel_agents.event.``.
    """
    try:
        happened(name, body, attributes)
    except Exception:
        spans.note("make an event")


def happened(
    name: object,
    body: object = UNSET,
    attributes: Mapping[str, object] | None = None,
    context: Context | None = None,
) -> Span:
    """What :func:`event` does, for this package: may raise, and answers the ended span.

    Args:
        context: where the parent is; None is the current context.
    """
    redactor = runtime.current().redactor
    called = short_name(name) or "event"
    made: dict[str, AttributeValue] = {semconv.EVENT_NAME: called}
    for key, value in attributes_of(attributes, spans.content_limit()).items():
        made[key if "." in key else _EVENT_PREFIX + key] = value
    now = time.time_ns()
    span = spans.start_span(
        redactor.text(called), attributes=redactor.attributes(made), context=context, start_time=now
    )
    if body is not UNSET and spans.captures_explicit():
        spans.set_content(span, semconv.EVENT_BODY, *values.bounded_json(body, spans.content_limit()))
    spans.end_span(span, now)
    return span


def score(
    name: str,
    value: float | bool | str,
    *,
    comment: str | None = None,
    trace_id: str | int | None = None,
    observation_id: str | int | None = None,
    session: str | None = None,
    data_type: str | None = None,
    agent: str | None = None,
    score_id: str | None = None,
    metadata: Mapping[str, object] | None = None,
) -> bool:
    """Scores a piece of work: in Langfuse, and as a metric by agent when it is a number from zero up.

    Never raises. Without ids, the current span and its trace are scored. A trace that sampling left out
    is counted in the metric only.

    Args:
        name: of the score, from a small set, such as ``quality``.
        value: a number (numeric), True or False (boolean), or a word (categorical).
        comment: why.
        trace_id: of the trace to score, 32 hex digits.
        observation_id: of one span in it, 16 hex digits; needs ``trace_id`` unless that is current.
        session: scores a session instead of a trace.
        data_type: ``NUMERIC``, ``BOOLEAN`` or ``CATEGORICAL``, when it does not follow from the value.
        agent: whose work it is; by default the agent that runs now.
        score_id: a score sent again under the same id replaces the earlier one. By default made from
            target, name, and how often this process has scored them.
        metadata: more about the score.

    Returns:
        False when the score makes no sense (no name, no finite number, no target, an unknown data type);
        it is then left out, with a warning.
    """
    try:
        context = otel_context.get_current()
        return given(
            name,
            value,
            lambda: scoring.target(context, trace_id, observation_id, session),
            context,
            comment=comment,
            data_type=data_type,
            agent=agent,
            score_id=score_id,
            metadata=metadata,
        )
    except Exception:
        spans.note("score")
        return False


def given(
    name: object,
    value: object,
    about: Callable[[], scoring.Target],
    context: Context,
    *,
    comment: object = None,
    data_type: object = None,
    agent: object = None,
    score_id: object = None,
    metadata: Mapping[str, object] | None = None,
) -> bool:
    """What :func:`score` does, for this package: may raise.

    Args:
        about: answers what is scored, or raises ``scoring.Nonsense``.
        context: where the labels of the metric, and the agent if none is given, come from.
    """
    current = runtime.current()
    redact = current.redactor.text
    around = scope(context)
    try:
        called = redact(scoring.score_name(name))
        grade = scoring.grade(value, data_type)
        target = about()
    except scoring.Nonsense as nonsense:
        scoring.reject(nonsense)
        return False
    whose = redact(short_name(agent)) or (around.run.name if around.run is not None else None)
    if grade.number is not None and grade.number >= 0:  # histograms take no negative numbers
        current.instruments.record_score(called, grade.number, whose, around.labels, context)
    if target.unsampled:
        return True
    attributes: dict[str, AttributeValue] = {
        semconv.EVALUATION_NAME: called,
        semconv.SCORE_DATA_TYPE: grade.data_type,
        semconv.SCORE_ID: values.to_text(score_id, MAX_NAME)
        if score_id
        else scoring.score_id(target, called),
        **target.attributes(),
    }
    if grade.number is not None:
        attributes[semconv.EVALUATION_SCORE_VALUE] = grade.number
    if grade.label is not None:
        attributes[semconv.EVALUATION_SCORE_LABEL] = grade.label
    if comment is not None and spans.captures_explicit():
        attributes[semconv.EVALUATION_EXPLANATION] = values.to_text(comment, spans.content_limit())
    if whose:
        attributes[semconv.AGENT_NAME] = whose
    if environment := around.attributes.get(semconv.DEPLOYMENT_ENVIRONMENT):
        attributes[semconv.DEPLOYMENT_ENVIRONMENT] = environment
    if project := around.attributes.get(semconv.PROJECT):
        attributes[semconv.PROJECT] = project
    attributes.update(spans.metadata(metadata))
    current.emit_event(
        semconv.EVENT_EVALUATION_RESULT, current.redactor.attributes(attributes), target.context
    )
    return True
