"""Copies of ended spans: their attributes are frozen, so whatever changes them makes a new one."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.trace import ReadableSpan


def changed(span: ReadableSpan, **changes: Any) -> ReadableSpan:
    """A copy of ``span`` with other values for some of ``ReadableSpan``'s arguments."""
    same = {
        "name": span.name,
        "context": span.context,
        "parent": span.parent,
        "resource": span.resource,
        "attributes": span.attributes,
        "events": span.events,
        "links": span.links,
        "kind": span.kind,
        "status": span.status,
        "start_time": span.start_time,
        "end_time": span.end_time,
        "instrumentation_scope": span.instrumentation_scope,
    }
    return ReadableSpan(**{**same, **changes})
