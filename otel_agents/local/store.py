"""The store of the local backend: what the API writes and what the API and the web UI read.

All methods block; call them from a worker thread (``anyio.to_thread.run_sync``). Every write is one
transaction; readers see it at once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from otel_agents.local import codec, orphans, queries, summary, writes
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

#: Observations of one trace that are read at once unless the caller asks for more.
TRACE_LIMIT = 10_000

_UPSERT_SCORE = codec.insert_sql("scores", (*codec.SCORE, "day"), "INSERT OR REPLACE")
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
                replaced = writes.delete_known(connection, latest)
                rebuild = {trace_id for trace_id, _ in replaced}
                if record_duplicates:
                    found += writes.duplicates(rows, replaced)
                kept = list(latest.values())
                writes.insert(connection, kept)
                summary.update(connection, kept, rebuild)
            writes.add_findings(connection, found)
            writes.changed(connection)

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
                elif record_reuse and writes.knows_score(connection, row.id):
                    found.append(
                        finding("score_id_reused", row.trace_id or "", "", row.updated_ns, id=row.id)
                    )
                connection.execute(_UPSERT_SCORE, (*codec.score_values(row), day))
            summary.rescore(connection, [row.trace_id for row in scores if row.trace_id])
            writes.add_findings(connection, found)
            writes.changed(connection)

    def add_findings(self, findings: Sequence[Finding]) -> None:
        """Stores findings; one that is known is only counted."""
        if not findings:
            return
        with self.database.writing() as connection:
            writes.add_findings(connection, findings)
            writes.changed(connection)

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
            writes.changed(connection)
            return count

    def delete_traces(self, trace_ids: Sequence[str]) -> int:
        """Deletes traces with their observations, scores and findings; answers how many there were."""
        with self.database.writing() as connection:
            count = writes.delete_traces(connection, trace_ids)
            writes.changed(connection)
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
            writes.changed(connection)

    def delete_loose(self, before_ns: int) -> None:
        """Deletes scores and findings from before ``before_ns`` that belong to no stored trace."""
        with self.database.writing() as connection:
            for table, column in (("scores", "updated_ns"), ("findings", "received_ns")):
                connection.execute(
                    f"DELETE FROM {table} WHERE {column} < ? AND NOT EXISTS"
                    f" (SELECT 1 FROM traces t WHERE t.trace_id = {table}.trace_id)",
                    (before_ns,),
                )
            writes.changed(connection)

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
                writes.add_findings(connection, found)
                writes.changed(connection)
        return orphans.waiting(self.reader(), grace)
