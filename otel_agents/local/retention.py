"""Deletes what is too old or too much, whole traces at a time, the ones that arrived first.

Age is counted from arrival, so that an import of old spans is not thrown away at once.
"""

from __future__ import annotations

import logging
import time

from otel_agents.local.store import Store

logger = logging.getLogger(__name__)

_CHUNK = 500
_DAY_NS = 86_400 * 10**9


def apply(store: Store, days: float, max_bytes: int) -> int:
    """Deletes traces, scores and findings beyond the bounds; answers how many traces went.

    Args:
        days: age in days from arrival, 0 for no bound.
        max_bytes: bytes of data in the file, 0 for no bound.
    """
    deleted = 0
    if days > 0:
        before = time.time_ns() - int(days * _DAY_NS)
        while found := _oldest(store, before, _CHUNK):
            deleted += store.delete_traces(found)
        store.delete_loose(before)
    if max_bytes > 0:
        # Down to nine tenths, so that not every span that follows starts another round.
        target = max_bytes * 9 // 10 if store.size() > max_bytes else max_bytes
        while (size := store.size()) > target:
            # About half of what is left too much at a time: traces differ in size.
            share = (size - target) / size * store.count_traces(at_most=10**9) / 2
            found = _oldest(store, None, max(1, min(_CHUNK, int(share))))
            if not found:
                break
            deleted += store.delete_traces(found)
    if deleted:
        store.shrink()
        logger.info("retention deleted %d traces", deleted)
    return deleted


def _oldest(store: Store, before: int | None, limit: int) -> list[str]:
    where = "" if before is None else "WHERE received_ns < ?"
    given = [] if before is None else [before]
    rows = store.reader().execute(
        f"SELECT trace_id FROM traces {where} ORDER BY received_ns LIMIT {limit}", given
    )
    return [row[0] for row in rows]
