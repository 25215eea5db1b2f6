"""Which span is the nearest ancestor that reaches Langfuse.

Langfuse shows model calls, agents and tools; the HTTP, database and framework spans between them
are filtered out on the way. A span whose real parent is filtered would be an orphan there, so it
carries a hint: the id of its nearest ancestor that does arrive, or that it is the topmost one.
The hint is decided when the span starts, because only then is the parent's object at hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace

from otel_agents import semconv
from otel_agents.wire import others

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import Span

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
        above = getattr(others.original(trace.get_current_span(parent_context)), _NEAREST, 0)
    if not reaches_langfuse(span.attributes):
        own[_NEAREST] = above
        return
    own[_NEAREST] = span.context.span_id
    if parent is not None:
        _hint(span, parent.span_id, above)


def promote(span: trace.Span) -> None:
    """Gives a span its hint that turned out to be one for Langfuse only after it had started."""
    above = getattr(span, _NEAREST, None)
    own = span.get_span_context().span_id
    if above is None or above == own:
        return
    setattr(span, _NEAREST, own)
    parent = getattr(span, "parent", None)
    if parent is not None:
        _hint(span, parent.span_id, above)


def stand_in(span_context: trace.SpanContext) -> trace.Span:
    """A parent in place of a span that reached Langfuse and need not be kept for those that come late."""
    made = trace.NonRecordingSpan(span_context)
    setattr(made, _NEAREST, span_context.span_id)
    return made


def _hint(span: trace.Span, parent_id: int, above: int) -> None:
    if above == parent_id:
        return
    if above:
        span.set_attribute(semconv.PARENT_HINT, format(above, "016x"))
    else:
        span.set_attribute(semconv.APP_ROOT, True)
