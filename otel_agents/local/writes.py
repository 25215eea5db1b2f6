"""The statements behind the store's writes. All run inside the caller's transaction."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Sequence

from otel_agents.local import codec, summary
from otel_agents.local.findings import finding
from otel_agents.local.rows import Finding, Observation

#: Findings of one kind that are kept one by one; beyond that they are only counted.
FINDINGS_PER_KIND = 1000

_INSERT_FINDING = codec.insert_sql("findings", codec.FINDING, "INSERT OR IGNORE")


def changed(connection: sqlite3.Connection) -> None:
    """Counts one more change."""
    connection.execute("UPDATE state SET value = value + 1 WHERE name = 'change'")


def knows_score(connection: sqlite3.Connection, score_id: str) -> bool:
    """True when some score has this id."""
    return connection.execute("SELECT 1 FROM scores WHERE id = ?", (score_id,)).fetchone() is not None


def delete_known(connection: sqlite3.Connection, spans: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Deletes the rows of spans that are stored already; answers which those were."""
    known: list[tuple[int]] = []
    replaced: set[tuple[str, str]] = set()
    for trace_id, span_id in spans:
        row = connection.execute(
            "SELECT key FROM observations WHERE trace_id = ? AND id = ?", (trace_id, span_id)
        ).fetchone()
        if row is not None:
            known.append(row)
            replaced.add((trace_id, span_id))
    if known:
        connection.executemany("DELETE FROM observations WHERE key = ?", known)
        connection.executemany("DELETE FROM payloads WHERE key = ?", known)
    return replaced


def insert(connection: sqlite3.Connection, rows: Sequence[Observation]) -> None:
    """Stores rows and their payloads under new keys."""
    # Above the deleted ones too: whoever looks for new rows by key must not miss any.
    last = connection.execute(
        "SELECT max(coalesce((SELECT max(key) FROM observations), 0), value) FROM state"
        " WHERE name = 'orphans_to'"
    ).fetchone()[0]
    keys = range(last + 1, last + 1 + len(rows))
    connection.executemany(
        codec.INSERT_OBSERVATION,
        [codec.observation_values(key, row) for key, row in zip(keys, rows, strict=True)],
    )
    connection.executemany(
        codec.INSERT_PAYLOAD,
        [codec.payload_values(key, row) for key, row in zip(keys, rows, strict=True)],
    )


def duplicates(rows: Sequence[Observation], replaced: set[tuple[str, str]]) -> list[Finding]:
    """Findings for spans that came more than once, in one batch or before."""
    seen: set[tuple[str, str]] = set(replaced)
    found: list[Finding] = []
    for row in rows:
        span = (row.trace_id, row.id)
        if span in seen:
            found.append(finding("duplicate_span", row.trace_id, row.id, row.received_ns, name=row.name))
        seen.add(span)
    return found


def add_findings(connection: sqlite3.Connection, findings: Iterable[Finding]) -> None:
    """Stores findings up to a bound for each kind, and counts all of them."""
    kept: dict[str, int] = {}
    now = time.time_ns()
    for note in findings:
        if note.kind not in kept:
            row = connection.execute("SELECT count(*) FROM findings WHERE kind = ?", (note.kind,)).fetchone()
            kept[note.kind] = row[0]
        if not note.received_ns:
            note.received_ns = now
        if kept[note.kind] < FINDINGS_PER_KIND:
            kept[note.kind] += connection.execute(_INSERT_FINDING, codec.finding_values(note)).rowcount
        connection.execute(
            "INSERT INTO finding_counts VALUES (?, ?, 1) ON CONFLICT (kind) DO UPDATE SET count = count + 1",
            (note.kind, note.severity),
        )


def delete_traces(connection: sqlite3.Connection, trace_ids: Sequence[str]) -> int:
    """Deletes traces with all that belongs to them; answers how many there were."""
    sessions: set[str] = set()
    count = 0
    for trace_id in trace_ids:
        row = connection.execute("SELECT session_id FROM traces WHERE trace_id = ?", (trace_id,)).fetchone()
        if row is None:
            continue
        count += 1
        if row[0] is not None:
            sessions.add(row[0])
        for table, owner in (
            ("payloads", "observations"),
            ("trace_picks", "traces"),
            ("trace_search", "traces"),
        ):
            connection.execute(
                f"DELETE FROM {table} WHERE key IN (SELECT key FROM {owner} WHERE trace_id = ?)", (trace_id,)
            )
        connection.execute(
            "UPDATE finding_counts SET count = count - (SELECT count(*) FROM findings f"
            " WHERE f.kind = finding_counts.kind AND f.trace_id = ?)",
            (trace_id,),
        )
        for table in ("observations", "traces", "trace_tags", "scores", "findings"):
            connection.execute(f"DELETE FROM {table} WHERE trace_id = ?", (trace_id,))
    connection.execute("DELETE FROM finding_counts WHERE count <= 0")
    summary.update_sessions(connection, sessions)
    return count
