"""Traces of which a time range holds only a part: what to read beside, so that tasks of hours are whole.

A task belongs to the period in which it began, with all that it cost. Without its beginning, what a long
task did within a period would look like another task of that period; without its end, it would seem cheaper
than it was.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from otel_agents.langfuse.rows import Observation

#: Traces that one filter names: their ids travel in the request's address, which may be some 8 kB.
_TOGETHER: Final = 100


def begun_before(rows: Iterable[Observation]) -> list[str]:
    """Traces with a part whose parent was not read, though Langfuse has one for it."""
    by_trace: dict[str, list[Observation]] = defaultdict(list)
    for row in rows:
        by_trace[row.trace_id].append(row)
    found = []
    for trace_id, parts in by_trace.items():
        ids = {row.id for row in parts}
        if any(not row.is_root and row.type != "EVENT" and row.parent_id not in ids for row in parts):
            found.append(trace_id)
    return found


def going_on(rows: Iterable[Observation], end: datetime, last: datetime) -> tuple[list[str], datetime]:
    """Traces with a part that began before ``end`` and was not over at ``last``, and when all of them are."""
    found: dict[str, None] = {}
    until = last
    for row in rows:
        if row.start < end and row.end > last:
            found[row.trace_id] = None
            until = max(until, row.end)
    return list(found), until


def filters_for(trace_ids: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Filters that together hold for these traces."""
    for at in range(0, len(trace_ids), _TOGETHER):
        yield {
            "type": "stringOptions",
            "column": "traceId",
            "operator": "any of",
            "value": list(trace_ids[at : at + _TOGETHER]),
        }
