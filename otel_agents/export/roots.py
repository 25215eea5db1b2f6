"""Which span is the nearest ancestor that reaches Langfuse.

Langfuse shows model calls, agents and tools; the HTTP, database and framework spans between them
are filtered out on the way. A span whose real parent is filtered would be an orphan there, so it
carries a hint: the id of its nearest ancestor that does arrive, or that it is the topmost one.
The hint is decided when the span starts, because only then is the parent's object at hand.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING

from opentelemetry import trace

from otel_agents import semconv
from otel_agents.wire import others

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import Span

#: Live span → id of itself or its nearest ancestor that reaches Langfuse, 0 for none.
_nearest: weakref.WeakKeyDictionary[trace.Span, int] = weakref.WeakKeyDictionary()


def reaches_langfuse(attributes: Mapping[str, object] | None) -> bool:
    """Whether a span with these attributes is one that Langfuse should see."""
    return attributes is not None and (
        semconv.OPERATION_NAME in attributes or semconv.EVENT_NAME in attributes
    )


def mark(span: Span, parent_context: Context | None) -> None:
    """Gives a starting span its hint (``otel_agents.parent`` or ``otel_agents.app_root``) if it needs one."""
    parent = others.original(trace.get_current_span(parent_context))
    parent_id = parent.get_span_context().span_id
    above = 0
    if parent_id:
        above = _nearest.get(parent, 0)
    if not reaches_langfuse(span.attributes):
        _nearest[span] = above
        return
    _nearest[span] = span.get_span_context().span_id
    _hint(span, parent_id, above)


def promote(span: trace.Span) -> None:
    """Gives a span its hint that turned out to be one for Langfuse only after it had started."""
    above = _nearest.get(span)
    own = span.get_span_context().span_id
    if above is None or above == own:
        return
    _nearest[span] = own
    parent = getattr(span, "parent", None)
    _hint(span, parent.span_id if parent is not None else 0, above)


def _hint(span: trace.Span, parent_id: int, above: int) -> None:
    if not parent_id or above == parent_id:
        return
    if above:
        span.set_attribute(semconv.PARENT_HINT, format(above, "016x"))
    else:
        span.set_attribute(semconv.APP_ROOT, True)
