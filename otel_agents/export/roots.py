"""Which span is the nearest ancestor that reaches Langfuse.

Langfuse shows model calls, agents and tools; the HTTP, database and framework spans between them
are filtered out on the way. A span whose real parent is filtered would be an orphan there, so it
carries a hint: the id of its nearest ancestor that does arrive, or that it is the topmost one.
The hint is decided when the span starts, because only then is the parent's object at hand. What is
above the process is told by the one that called it, in ``tracestate`` (see ``upstream``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace

from otel_agents import semconv
from otel_agents.normalize import kinds
from otel_agents.wire import others

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import Span
    from opentelemetry.util.types import AttributeValue

#: Our entry in ``tracestate``, with the nearest span of the process before that reaches Langfuse.
STATE_KEY: Final = "otelagents"
_STATE_VALUE: Final = re.compile(r"p:([0-9a-f]{16})")

#: On a span's object: the id of itself or its nearest ancestor that reaches Langfuse, 0 for none.
_NEAREST: Final = "_otel_agents_nearest"


def reaches_langfuse(attributes: Mapping[str, object] | None) -> bool:
    """Whether a span with these attributes is one that Langfuse should see."""
    return attributes is not None and (
        semconv.OPERATION_NAME in attributes or semconv.EVENT_NAME in attributes
    )


def mark(span: Span, parent_context: Context | None) -> None:
    """Gives a starting span its hint (``otel_agents.parent`` or ``otel_agents.app_root``) if it needs one."""
    own: Any = vars(span)
    parent = span.parent
    above = 0
    if parent is not None:
        current = others.original(trace.get_current_span(parent_context))
        above = getattr(current, _NEAREST, None) or _from_afar(parent)
        if above != parent.span_id and reaches_langfuse(getattr(current, "attributes", None)):
            promote(current)  # it has said so since it started
            above = parent.span_id
    if not reaches_langfuse(span.attributes):
        own[_NEAREST] = above
        return
    own[_NEAREST] = span.context.span_id
    if parent is not None and above != parent.span_id:
        span.set_attributes(_hint(parent, above))


def known_upstream(context: Context) -> bool:
    """Whether the process that asked for this has said that something above it reaches Langfuse."""
    parent = trace.get_current_span(context).get_span_context()
    return parent.is_remote and bool(_from_afar(parent))


def promote(span: trace.Span) -> None:
    """Gives a span its hint that turned out to be one for Langfuse only after it had started."""
    above = getattr(span, _NEAREST, None)
    own = span.get_span_context().span_id
    if above is None or above == own:
        return
    setattr(span, _NEAREST, own)
    parent = getattr(span, "parent", None)
    if parent is not None:
        span.set_attributes(_hint(parent, above))


def at_end(span: Span, attributes: Mapping[str, AttributeValue]) -> dict[str, AttributeValue]:
    """What the exported copy of somebody else's span lacks that said only late what it is."""
    found = kinds.at_end(attributes)
    above, own = getattr(span, _NEAREST, None), span.context.span_id
    if above is None or above == own:
        return found
    if semconv.OPERATION_NAME in found or reaches_langfuse(attributes):
        setattr(span, _NEAREST, own)  # for what starts below it after its end
        if span.parent is not None:
            found.update(_hint(span.parent, above))
    elif span.parent is not None and (told := _told_late(span.parent.span_id)):
        setattr(span, _NEAREST, told)  # the same; nobody can go up through it any more
    return found


def nearest(span: trace.Span) -> int:
    """Id of the span itself or its nearest ancestor that reaches Langfuse, 0 for none."""
    span = others.original(span)
    context = span.get_span_context()
    above: int | None = getattr(span, _NEAREST, None)
    if above == context.span_id:
        return above
    return _told_late(context.span_id) or above or _from_afar(context)


def stand_in(span_context: trace.SpanContext) -> trace.Span:
    """A parent in place of a span that reached Langfuse and need not be kept for those that come late."""
    made = trace.NonRecordingSpan(span_context)
    setattr(made, _NEAREST, span_context.span_id)
    return made


def _hint(parent: trace.SpanContext, above: int) -> dict[str, AttributeValue]:
    if above != parent.span_id:
        above = _told_late(parent.span_id) or above
    if above == parent.span_id:
        return {}
    return {semconv.PARENT_HINT: format(above, "016x")} if above else {semconv.APP_ROOT: True}


def _told_late(identity: int) -> int:
    """The nearest span from ``identity`` upwards that reaches Langfuse, by what they say now."""
    for span in others.upwards(identity):
        own: int = span.context.span_id
        if getattr(span, _NEAREST, 0) == own:
            return own
        if reaches_langfuse(span.attributes):
            promote(span)
            return own
    return 0


def _from_afar(parent: trace.SpanContext) -> int:
    """What the process says that made the span ``parent``."""
    if not parent.is_remote or (said := parent.trace_state.get(STATE_KEY)) is None:
        return 0
    found = _STATE_VALUE.fullmatch(said)
    return int(found[1], 16) if found is not None else 0
