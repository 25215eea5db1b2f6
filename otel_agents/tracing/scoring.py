"""What a score is worth, what it is about, and its id."""

from __future__ import annotations

import hashlib
import logging
import math
import threading
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from otel_agents import semconv, values
from otel_agents.tracing.contexts import MAX_NAME, short_name
from otel_agents.values.objects import is_a

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.util.types import AttributeValue

logger = logging.getLogger(__name__)

NUMERIC: Final = "NUMERIC"
BOOLEAN: Final = "BOOLEAN"
CATEGORICAL: Final = "CATEGORICAL"

_REMEMBERED: Final = 10_000

#: Scores that were left out, by reason.
rejected: Counter[str] = Counter()

_given: Counter[str] = Counter()
_given_lock = threading.Lock()


class Nonsense(Exception):
    """A score that cannot be meant; the text says why."""


@dataclass(frozen=True, slots=True)
class Grade:
    """A score's worth: a number, or a label, or (for booleans) both."""

    data_type: str
    number: float | None
    label: str | None


@dataclass(frozen=True, slots=True)
class Target:
    """What a score is about: a trace, a span in it, or a session (Langfuse takes exactly one subject).

    ``context`` carries the span that the event is a child of; None is no span at all.
    """

    trace_id: int = 0
    span_id: int = 0
    session: str = ""
    unsampled: bool = False
    context: Context | None = None

    def attributes(self) -> dict[str, AttributeValue]:
        """The target as attributes of the event."""
        if self.session:
            return {semconv.SCORE_SESSION_ID: self.session}
        found: dict[str, AttributeValue] = {semconv.SCORE_TRACE_ID: format(self.trace_id, "032x")}
        if self.span_id:
            found[semconv.SCORE_OBSERVATION_ID] = format(self.span_id, "016x")
        return found


def score_name(name: object) -> str:
    """The name as text.

    Raises:
        Nonsense: it is empty.
    """
    called = short_name(name)
    if not called:
        raise Nonsense("it has no name")
    return called


def grade(value: object, data_type: object = None) -> Grade:
    """What ``value`` says, read as ``data_type`` if one is given.

    Raises:
        Nonsense: a number that is not finite, an unknown data type, a value that does not fit it.
    """
    wanted = _data_type(value, data_type)
    if wanted == CATEGORICAL:
        label = values.to_text(value, MAX_NAME)
        if value is None or not label.strip():
            raise Nonsense("its label is empty")
        return Grade(CATEGORICAL, None, label)
    number = _number(value)
    if wanted == BOOLEAN:
        if number not in (0.0, 1.0):
            raise Nonsense("a boolean score is true, false, 1 or 0")
        return Grade(BOOLEAN, number, "true" if number else "false")
    return Grade(NUMERIC, number, None)


def _data_type(value: object, data_type: object) -> str:
    if data_type is None:
        if is_a(value, str):
            return CATEGORICAL
        # numpy's booleans are no bool.
        return BOOLEAN if is_a(value, bool) or type(value).__name__ in ("bool_", "bool") else NUMERIC
    wanted = values.to_text(data_type, MAX_NAME).upper()
    if wanted not in (NUMERIC, BOOLEAN, CATEGORICAL):
        raise Nonsense("its data type is none of NUMERIC, BOOLEAN and CATEGORICAL")
    return wanted


def _number(value: object) -> float:
    if is_a(value, str) and value.lower() in ("true", "false"):
        return 1.0 if value.lower() == "true" else 0.0
    try:
        number = float(value)  # type: ignore[arg-type]
    except Exception:
        raise Nonsense("its value is no number") from None
    if not math.isfinite(number):
        raise Nonsense("its value is not finite")
    return number


def target(context: Context, trace_id: object, observation_id: object, session: object) -> Target:
    """What the score is about; the span that is current in ``context`` where nothing else is said.

    Raises:
        Nonsense: an id that is none, or no target at all.
    """
    now = trace.get_current_span(context).get_span_context()
    if trace_id is not None:
        wanted = _id(trace_id, 32, "trace id")
        span_id = _id(observation_id, 16, "observation id") if observation_id is not None else 0
        return Target(wanted, span_id, context=_context_of(wanted, span_id))
    if session is not None:
        named = short_name(session)
        if not named:
            raise Nonsense("its session is empty")
        return Target(session=named, context=context)
    if not now.is_valid:
        raise Nonsense("there is no current span, and neither a trace id nor a session is given")
    span_id = _id(observation_id, 16, "observation id") if observation_id is not None else now.span_id
    return Target(
        now.trace_id,
        span_id,
        unsampled=not now.trace_flags.sampled,
        context=context if span_id == now.span_id else _context_of(now.trace_id, span_id),
    )


def target_of(scored: SpanContext, *, whole_trace: bool = False) -> Target:
    """A span, or the whole of its trace, as what the score is about."""
    return Target(
        scored.trace_id,
        0 if whole_trace else scored.span_id,
        unsampled=not scored.trace_flags.sampled,
        context=trace.set_span_in_context(NonRecordingSpan(scored)),
    )


def _id(given: object, digits: int, what: str) -> int:
    """An id as a number; takes hex text (also with dashes, as UUIDs have) and numbers.

    Raises:
        Nonsense: it is none.
    """
    try:
        if is_a(given, int) and not is_a(given, bool):
            number = given
        else:
            text = values.to_text(given, MAX_NAME).replace("-", "").removeprefix("0x")
            number = int(text, 16) if len(text) == digits else 0
    except ValueError:
        number = 0
    if not 0 < number < 1 << (4 * digits):
        raise Nonsense(f"its {what} is not {digits} hex digits")
    return number


def _context_of(trace_id: int, span_id: int) -> Context:
    # Without a span of its own the event still belongs to the trace, as far as logs can say that.
    parent = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return trace.set_span_in_context(NonRecordingSpan(parent))


def score_id(scored: Target, name: str) -> str:
    """An id that is the same when the same program scores the same things again, so that a retry replaces.

    Scores of one name on one target are told apart by their order.
    """
    subject = scored.session or f"{scored.trace_id:032x}:{scored.span_id:016x}"
    key = f"{subject}:{name}"
    with _given_lock:
        if key not in _given and len(_given) >= _REMEMBERED:
            del _given[next(iter(_given))]  # the oldest
        order = _given[key]
        _given[key] += 1
    return hashlib.sha256(f"{key}:{order}".encode()).hexdigest()[:32]


def reject(nonsense: Nonsense) -> None:
    """Counts a score that is left out, and warns of the first for each reason."""
    reason = str(nonsense)
    rejected[reason] += 1
    if rejected[reason] == 1:
        logger.warning("otel-agents: a score was left out: %s", reason)
