"""Findings that can only be made when reading: a parent that never arrived, a trace without a root."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

from otel_agents.local import codec
from otel_agents.local.findings import finding
from otel_agents.local.queries import decode_cursor, encode_cursor
from otel_agents.local.rows import Finding, Page

#: Observations looked at in one transaction: more would keep writers and readers waiting.
_AT_ONCE = 20_000

_ORPHANS = """
SELECT o.trace_id, o.id, o.name, o.parent_id, o.received_ns FROM observations o
WHERE o.key > ? AND o.key <= ? AND o.parent_id <> '' AND o.is_app_root = 0
  AND NOT EXISTS (SELECT 1 FROM observations p WHERE p.trace_id = o.trace_id AND p.id = o.parent_id)
ORDER BY o.key
"""

_RESOLVED = """
DELETE FROM findings WHERE kind = 'orphan' AND EXISTS (
  SELECT 1 FROM observations o JOIN observations p ON p.trace_id = o.trace_id AND p.id = o.parent_id
  WHERE o.trace_id = findings.trace_id AND o.id = findings.observation_id)
"""


def waiting(connection: sqlite3.Connection, grace_s: float) -> bool:
    """True when there are spans that are old enough and were not looked at."""
    row = connection.execute(
        "SELECT received_ns FROM observations"
        " WHERE key > (SELECT value FROM state WHERE name = 'orphans_to') ORDER BY key LIMIT 1"
    ).fetchone()
    return row is not None and row[0] <= time.time_ns() - int(grace_s * 1e9)


def pending(connection: sqlite3.Connection, grace_s: float) -> bool:
    """True when `settle` may have something to do."""
    if waiting(connection, grace_s):
        return True
    found = connection.execute("SELECT EXISTS (SELECT 1 FROM findings WHERE kind = 'orphan')").fetchone()
    return bool(found[0])


def settle(connection: sqlite3.Connection, grace_s: float) -> list[Finding] | None:
    """Looks for spans whose parent has not arrived ``grace_s`` seconds after them.

    Every span is looked at once. A finding goes when its parent arrives after all. Runs inside a write
    transaction; answers new findings, or None when nothing changed.
    """
    start = connection.execute("SELECT value FROM state WHERE name = 'orphans_to'").fetchone()[0]
    before = time.time_ns() - int(grace_s * 1e9)
    # Keys grow with the time of arrival, so the first span that is too young ends the range.
    young = connection.execute(
        "SELECT min(key) FROM (SELECT key, received_ns FROM observations WHERE key > ? ORDER BY key LIMIT ?)"
        " WHERE received_ns > ?",
        (start, _AT_ONCE, before),
    ).fetchone()[0]
    if young is not None:
        end = young - 1
    else:
        end = connection.execute(
            "SELECT max(key) FROM (SELECT key FROM observations WHERE key > ? ORDER BY key LIMIT ?)",
            (start, _AT_ONCE),
        ).fetchone()[0]
    found = [
        finding("orphan", trace_id, span_id, received, name=name, parent=parent)
        for trace_id, span_id, name, parent, received in connection.execute(_ORPHANS, (start, end or start))
    ]
    resolved = connection.execute(_RESOLVED).rowcount
    if resolved:
        connection.execute("UPDATE finding_counts SET count = count - ? WHERE kind = 'orphan'", (resolved,))
        connection.execute("DELETE FROM finding_counts WHERE count <= 0")
    if end is not None and end > start:
        connection.execute("UPDATE state SET value = ? WHERE name = 'orphans_to'", (end,))
    return found if found or resolved else None


def list_findings(
    connection: sqlite3.Connection,
    kind: str | None,
    severity: str | None,
    trace_id: str | None,
    limit: int,
    cursor: str | None,
) -> Page[Finding]:
    """Findings, newest first."""
    where: list[str] = []
    given: list[Any] = []
    for column, value in (("kind", kind), ("severity", severity), ("trace_id", trace_id)):
        if value is not None:
            where.append(f"{column} = ?")
            given.append(value)
    if cursor is not None:
        where.append("key < ?")
        given += decode_cursor(cursor, 1)
    sql = (
        f"SELECT key, {codec.columns(codec.FINDING)} FROM findings"
        + (" WHERE " + " AND ".join(where) if where else "")
        + " ORDER BY key DESC LIMIT ?"
    )
    found = connection.execute(sql, [*given, limit + 1]).fetchall()
    items = [codec.finding(row[1:]) for row in found[:limit]]
    return Page(items, encode_cursor([found[limit - 1][0]]) if len(found) > limit else None)
