"""The store of the local backend: what the API writes and what the API and the web UI read.

All methods block; call them from a worker thread (``anyio.to_thread.run_sync``). Every write is one
transaction; readers see it at once.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from otel_agents.local import codec, orphans, queries, summary
from otel_agents.local.database import Database
from otel_agents.local.findings import finding
from otel_agents.local.rows import (
    Facet,
    FacetColumn,
    Finding,
    FindingCount,
    Group,
    GroupColumn,
    Observation,
    Page,
    Score,
    Session,
    SessionRow,
    Totals,
    Trace,
    TraceFilter,
    TraceOrder,
    TraceRow,
)

#: Findings of one kind that are kept one by one; beyond that they are only counted.
FINDINGS_PER_KIND = 1000

#: Observations of one trace that are read at once unless the caller asks for more.
TRACE_LIMIT = 10_000

_UPSERT_SCORE = codec.insert_sql("scores", (*codec.SCORE, "day"), "INSERT OR REPLACE")
_INSERT_FINDING = codec.insert_sql("findings", codec.FINDING, "INSERT OR IGNORE")
_DAY_NS = 86_400 * 10**9


class Store:
    """The data of the local backend in one SQLite file.

    Args:
        path: the file; made when missing.
        orphan_grace_s: seconds before a missing parent becomes a finding; None never looks for them.

    Raises:
        LocalError: the file cannot be used.
    """

    __slots__ = ("database", "orphan_grace_s")

    def __init__(self, path: Path, orphan_grace_s: float | None = 10.0) -> None:
        self.database = Database(path)
        self.orphan_grace_s = orphan_grace_s

    def close(self) -> None:
        """Closes the file."""
        self.database.close()

    def reader(self) -> sqlite3.Connection:
        """This thread's read-only connection."""
        return self.database.reader()

    # --- writing ---------------------------------------------------------------------------------

    def add_observations(
        self, rows: Sequence[Observation], findings: Sequence[Finding] = (), record_duplicates: bool = True
    ) -> None:
        """Stores received spans; a span id that is known in its trace replaces the row.

        Args:
            rows: the spans, in the order they were received.
            findings: what was found while they were read.
            record_duplicates: add a ``duplicate_span`` finding for every replaced row (a real Langfuse
                keeps both rows for a while, so that counts and cost are too high).
        """
        if not rows and not findings:
            return
        with self.database.writing() as connection:
            found = list(findings)
            if rows:
                latest = {(row.trace_id, row.id): row for row in rows}
                replaced = _delete_known(connection, latest)
                rebuild = {trace_id for trace_id, _ in replaced}
                if record_duplicates:
                    found += _duplicates(rows, replaced)
                kept = list(latest.values())
                _insert(connection, kept)
                summary.update(connection, kept, rebuild)
            _add_findings(connection, found)
            _changed(connection)

    def add_scores(
        self, scores: Sequence[Score], findings: Sequence[Finding] = (), record_reuse: bool = True
    ) -> None:
        """Stores scores; one with the same id, name and day replaces the older one.

        ``record_reuse`` adds a ``score_id_reused`` finding when an id comes with another name or day.
        """
        if not scores and not findings:
            return
        with self.database.writing() as connection:
            found = list(findings)
            for row in scores:
                day = row.timestamp_ns // _DAY_NS
                known = connection.execute(
                    "SELECT created_ns FROM scores WHERE id = ? AND name = ? AND day = ?",
                    (row.id, row.name, day),
                ).fetchone()
                if known is not None:
                    row.created_ns = known[0]
                elif record_reuse and _other_score(connection, row.id):
                    found.append(
                        finding("score_id_reused", row.trace_id or "", "", row.updated_ns, id=row.id)
                    )
                connection.execute(_UPSERT_SCORE, (*codec.score_values(row), day))
            summary.rescore(connection, [row.trace_id for row in scores if row.trace_id])
            _add_findings(connection, found)
            _changed(connection)

    def add_findings(self, findings: Sequence[Finding]) -> None:
        """Stores findings; one that is known is only counted."""
        if not findings:
            return
        with self.database.writing() as connection:
            _add_findings(connection, findings)
            _changed(connection)

    def delete_score(self, score_id: str) -> int:
        """Deletes every score with this id; answers how many there were."""
        with self.database.writing() as connection:
            traces = [
                row[0]
                for row in connection.execute("SELECT trace_id FROM scores WHERE id = ?", (score_id,))
                if row[0]
            ]
            count = connection.execute("DELETE FROM scores WHERE id = ?", (score_id,)).rowcount
            summary.rescore(connection, traces)
            _changed(connection)
            return count

    def delete_traces(self, trace_ids: Sequence[str]) -> int:
        """Deletes traces with their observations, scores and findings; answers how many there were."""
        with self.database.writing() as connection:
            count = _delete_traces(connection, trace_ids)
            _changed(connection)
            return count

    def reset(self) -> None:
        """Deletes everything."""
        with self.database.writing() as connection:
            for table in (
                "observations",
                "payloads",
                "traces",
                "trace_picks",
                "trace_search",
                "trace_tags",
                "sessions",
                "scores",
                "prompts",
                "findings",
                "finding_counts",
            ):
                connection.execute(f"DELETE FROM {table}")
            _changed(connection)

    def delete_loose(self, before_ns: int) -> None:
        """Deletes scores and findings from before ``before_ns`` that belong to no stored trace."""
        with self.database.writing() as connection:
            for table, column in (("scores", "updated_ns"), ("findings", "received_ns")):
                connection.execute(
                    f"DELETE FROM {table} WHERE {column} < ? AND NOT EXISTS"
                    f" (SELECT 1 FROM traces t WHERE t.trace_id = {table}.trace_id)",
                    (before_ns,),
                )
            _changed(connection)

    def settle(self) -> None:
        """Looks for orphans among all spans that are old enough; the lists of findings then find them."""
        while self._find_orphans():
            pass

    def shrink(self) -> None:
        """Gives free pages back to the file system."""
        with self.database.exclusive() as connection:
            connection.executescript("PRAGMA incremental_vacuum")  # execute() would stop after one page
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def size(self) -> int:
        """Bytes of the pages that hold data."""
        reader = self.reader()
        pages, free, page_size = (
            reader.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        used: int = (pages - free) * page_size
        return used

    # --- reading ---------------------------------------------------------------------------------

    def list_traces(
        self,
        filters: TraceFilter | None = None,
        limit: int = 50,
        cursor: str | None = None,
        order: TraceOrder = "start",
    ) -> Page[TraceRow]:
        """Traces that match, newest first (or largest first by another order).

        Raises:
            queries.BadCursor: the cursor is not one of an earlier page.
        """
        return queries.list_traces(self.reader(), filters or TraceFilter(), limit, cursor, order)

    def count_traces(self, filters: TraceFilter | None = None, at_most: int = 100_000) -> int:
        """How many traces match, counted up to ``at_most``."""
        return queries.count_traces(self.reader(), filters or TraceFilter(), at_most)

    def group_traces(
        self, filters: TraceFilter | None = None, by: GroupColumn = "task_type", limit: int = 200
    ) -> list[Group]:
        """Number, cost, tokens, mean quality, errors and mean duration for each value of ``by``."""
        return queries.group_traces(self.reader(), filters or TraceFilter(), by, limit)

    def get_trace(self, trace_id: str, limit: int = TRACE_LIMIT, payload: bool = True) -> Trace | None:
        """A trace with its observations by start time; None when unknown.

        ``payload=False`` leaves input, output, metadata and events out (for a live refresh of the tree).
        """
        return queries.get_trace(self.reader(), trace_id, limit, payload)

    def get_observation(self, trace_id: str, observation_id: str) -> Observation | None:
        """One observation with its payload; None when unknown."""
        found = queries.get_observations(
            self.reader(), "o.trace_id = ? AND o.id = ?", (trace_id, observation_id), payload=True
        )
        return found[0] if found else None

    def list_sessions(
        self, text: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[SessionRow]:
        """Sessions, latest activity first; ``text`` is looked for in the ids of session and user.

        Raises:
            queries.BadCursor: the cursor is not one of an earlier page.
        """
        return queries.list_sessions(self.reader(), text, limit, cursor)

    def get_session(self, session_id: str, limit: int = 500) -> Session | None:
        """A session with its newest traces; None when unknown."""
        return queries.get_session(self.reader(), session_id, limit)

    def list_findings(
        self,
        kind: str | None = None,
        severity: str | None = None,
        trace_id: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[Finding]:
        """Findings, newest first. Orphans are looked for now, because a parent may come late.

        Raises:
            queries.BadCursor: the cursor is not one of an earlier page.
        """
        self.settle()
        return orphans.list_findings(self.reader(), kind, severity, trace_id, limit, cursor)

    def count_findings(self) -> list[FindingCount]:
        """Number of findings of each kind, errors first."""
        self.settle()
        return [
            FindingCount(*row)
            for row in self.reader().execute(
                "SELECT kind, severity, count FROM finding_counts ORDER BY severity, kind"
            )
        ]

    def totals(self, from_ns: int | None = None, to_ns: int | None = None) -> Totals:
        """Sums over the traces that started in [from_ns, to_ns)."""
        return queries.totals(self.reader(), from_ns, to_ns)

    def facets(self, column: FacetColumn, limit: int = 200) -> list[Facet]:
        """Values of a column for a filter's drop-down, the most frequent first."""
        return queries.facets(self.reader(), column, limit)

    def latest_change(self) -> int:
        """A number that grows with every write."""
        change: int = self.reader().execute("SELECT value FROM state WHERE name = 'change'").fetchone()[0]
        return change

    def _find_orphans(self) -> bool:
        """Looks at some spans; true when there are more."""
        grace = self.orphan_grace_s
        if grace is None or not orphans.pending(self.reader(), grace):
            return False
        with self.database.writing() as connection:
            found = orphans.settle(connection, grace)
            if found is not None:
                _add_findings(connection, found)
                _changed(connection)
        return orphans.waiting(self.reader(), grace)


def _changed(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE state SET value = value + 1 WHERE name = 'change'")


def _other_score(connection: sqlite3.Connection, score_id: str) -> bool:
    return connection.execute("SELECT 1 FROM scores WHERE id = ?", (score_id,)).fetchone() is not None


def _delete_known(connection: sqlite3.Connection, spans: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
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


def _insert(connection: sqlite3.Connection, rows: Sequence[Observation]) -> None:
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


def _duplicates(rows: Sequence[Observation], replaced: set[tuple[str, str]]) -> list[Finding]:
    seen: set[tuple[str, str]] = set(replaced)
    found: list[Finding] = []
    for row in rows:
        span = (row.trace_id, row.id)
        if span in seen:
            found.append(finding("duplicate_span", row.trace_id, row.id, row.received_ns, name=row.name))
        seen.add(span)
    return found


def _add_findings(connection: sqlite3.Connection, findings: Iterable[Finding]) -> None:
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


def _delete_traces(connection: sqlite3.Connection, trace_ids: Sequence[str]) -> int:
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
