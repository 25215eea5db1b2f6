"""Applies the tables to spans: in the SDK's export, and in ``otel-agents convert``.

The third runner is the Collector, with statements generated from the same tables
(``collector/normalize.py``).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal

from otel_agents.normalize.dialect import is_done
from otel_agents.normalize.dialects import DIALECTS
from otel_agents.normalize.record import Record

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

logger = logging.getLogger(__name__)

#: ``on`` removes the originals of what stands in the conventions' words, ``keep`` leaves them beside it.
Mode = Literal["on", "keep", "off"]


def normalize(record: Record, mode: Mode = "on") -> bool:
    """Rewrites ``record`` in the conventions' words; True when anything of it has changed.

    Never raises: a rule that fails is left out, and what no table knows stays as it is.
    """
    if mode == "off":
        return False
    before = dict(record.attributes)
    done = is_done(record)
    for dialect in DIALECTS:
        if (done and not dialect.everywhere) or not dialect.speaks(record):
            continue
        try:
            dialect.apply(record)
        except Exception:
            logger.debug("otel-agents: a span of %s is left as it is", dialect.name, exc_info=True)
            record.attributes.clear()
            record.attributes.update(before)
        else:
            done = done or not dialect.everywhere
    if mode == "on":
        for key in record.spent:
            record.attributes.pop(key, None)
    return record.attributes != before


def rename(record: Record, mode: Mode = "on") -> bool:
    """Applies the tables of plain renames only, for log records and data points; True when it changed."""
    if mode == "off":
        return False
    before = dict(record.attributes)
    for dialect in DIALECTS:
        if dialect.everywhere and dialect.speaks(record):
            dialect.apply(record)
    return record.attributes != before


def normalized(span: ReadableSpan, mode: Mode) -> ReadableSpan:
    """An ended span in the conventions' words: a changed copy, or the span itself."""
    scope = span.instrumentation_scope
    record = Record(
        scope="" if scope is None else scope.name,
        name=span.name,
        attributes=dict(span.attributes or {}),
        events=[(one.name, one.attributes or {}) for one in span.events],
        ids=(_id(span.context), _id(span.parent)),
    )
    if not normalize(record, mode):
        return span
    from otel_agents.export.copies import changed

    return changed(span, attributes=record.attributes)


def _id(context: object) -> str:
    found = getattr(context, "span_id", 0)
    return format(found, "016x") if found else ""
