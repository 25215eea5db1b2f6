"""Direct mode's last step: a span as Langfuse should get it, or none.

The rules are in :mod:`otel_agents.langfuse.mapping`; this applies them to the SDK's span objects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, StatusCode

from otel_agents.export.copies import changed
from otel_agents.langfuse.mapping import map_span

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue


def to_langfuse(span: ReadableSpan) -> ReadableSpan | None:
    """The span with Langfuse's attributes and its parent there; None when it is not for Langfuse."""
    mapped = map_span(
        span.attributes or {},
        resource=span.resource.attributes,
        start_time_unix_nano=span.start_time or 0,
        status_error=span.status.status_code is StatusCode.ERROR,
        status_description=span.status.description,
    )
    if mapped is None:
        return None
    attributes: dict[str, AttributeValue] = dict(mapped.attributes)
    return changed(
        span,
        parent=_parent(span, mapped.parent_span_id),
        attributes=attributes,
    )


def _parent(span: ReadableSpan, hint: str | None) -> SpanContext | None:
    if hint is None or span.parent is None:
        return span.parent
    return SpanContext(span.parent.trace_id, int(hint, 16), span.parent.is_remote, span.parent.trace_flags)
