"""Redaction of spans that others made: every text of theirs that leaves through our exporter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Status

from otel_agents.export.copies import changed

if TYPE_CHECKING:
    from otel_agents.privacy import Redactor


def redacted_copy(span: ReadableSpan, redactor: Redactor) -> ReadableSpan:
    """The span with its name, attributes, events and status description redacted."""
    status = span.status
    if status.description:
        status = Status(status.status_code, redactor.text(status.description))
    return changed(
        span,
        name=redactor.text(span.name),
        attributes=redactor.attributes(span.attributes or {}),
        events=[
            Event(redactor.text(one.name), redactor.attributes(one.attributes or {}), one.timestamp)
            for one in span.events
        ],
        status=status,
    )
