"""The summary row of a trace, kept while its spans arrive.

Sums are added to; what comes from one span (name, agent, session ...) is picked by rank, so that the
order of arrival does not matter: a field of the root wins, then that of the earliest span.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from otel_agents.local import codec
from otel_agents.local.rows import Observation

#: How much of the root's input the summary keeps for the list and for the text filter.
PREVIEW_CHARS = 300

_GENERATIONS = frozenset({"GENERATION", "EMBEDDING"})
_COLUMNS = tuple(name for name in codec.TRACE if name not in ("trace_id", "quality", "duration_ns"))
_UPSERT = (
    codec.insert_sql("traces", ("trace_id", *_COLUMNS, "quality_meta", "quality", "duration_ns"))
    + " ON CONFLICT (trace_id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in (*_COLUMNS, "quality_meta", "quality", "duration_ns"))
    + " RETURNING key"
)
_SEARCHED = ("name", "trace_id", "root_id", "session_id", "user_id", "agent", "task_type", "preview")

#: [rank, start_ns, span id, value]: the smallest wins.
Pick = list[Any]


class Summary:
    """Accumulates the observations of one trace."""

    __slots__ = ("_sums", "_tags", "end_ns", "new", "picks", "received_ns", "start_ns", "trace_id")

    def __init__(self, trace_id: str) -> None:
        self.trace_id = trace_id
        self.new = True
        self.start_ns = 2**63 - 1
        self.end_ns = 0
        self.received_ns = 0
        self.picks: dict[str, Pick] = {}
        self._tags: list[str] = []
        self._sums: dict[str, Any] = {
            "total_cost": 0.0,
            "input_tokens": 0,
            "output_tokens": 0,
            "total_tokens": 0,
            "n_observations": 0,
            "n_generations": 0,
            "n_errors": 0,
        }

    def load(self, values: Sequence[Any]) -> None:
        """Goes on from a stored row: start, end, received, tags, picks, then the sums."""
        self.new = False
        self.start_ns, self.end_ns, self.received_ns = values[:3]
        self._tags = codec.load(values[3])
        self.picks = codec.load(values[4])
        self._sums = dict(zip(self._sums, values[5:], strict=True))

    def add(self, row: Observation) -> None:
        """Takes one observation in."""
        sums = self._sums
        sums["n_observations"] += 1
        sums["n_generations"] += row.type in _GENERATIONS
        sums["n_errors"] += row.level == "ERROR"
        sums["input_tokens"] += row.input_tokens
        sums["output_tokens"] += row.output_tokens
        sums["total_tokens"] += row.total_tokens or 0
        sums["total_cost"] += row.total_cost or 0.0
        self.start_ns = min(self.start_ns, row.start_ns)
        self.end_ns = max(self.end_ns, row.end_ns)
        self.received_ns = max(self.received_ns, row.received_ns)
        for tag in row.tags:
            if tag not in self._tags:
                self._tags.append(tag)
        # A true root beats an app root, which beats any other span.
        rank = 0 if not row.parent_id else (1 if row.is_root else 2)
        if rank < 2:
            self._pick("root", rank, row, [row.id, row.name, row.level, (row.input or "")[:PREVIEW_CHARS]])
        for field in ("trace_name", "session_id", "user_id", "version", "release", "environment"):
            value = getattr(row, field)
            if value and not (field == "environment" and value == "default"):
                self._pick(field, rank, row, value)
        self._pick("first_name", 0, row, row.name)
        self._pick_metadata(rank, row)

    def _pick_metadata(self, rank: int, row: Observation) -> None:
        meta = row.meta
        if row.type == "AGENT":
            self._pick("agent_span", rank, row, row.name)
        if not meta:
            return
        for field, key in (("agent", "agent"), ("task_type", "task_type"), ("project", "project_id")):
            value = meta.get(key)
            if value not in (None, ""):
                self._pick(field, rank, row, value if isinstance(value, str) else codec.dump(value))
        if (switched := _truth(meta.get("agent_switched"))) is not None:
            # One span that says a switch happened is enough.
            self._pick("agent_switched", 0 if switched else 1, row, switched)
        if (quality := _number(meta.get("quality_score"))) is not None:
            self._pick("quality", rank, row, quality)

    def _pick(self, field: str, rank: int, row: Observation, value: object) -> None:
        found = self.picks.get(field)
        if found is None or (rank, row.start_ns, row.id) < (found[0], found[1], found[2]):
            self.picks[field] = [rank, row.start_ns, row.id, value]

    def _value(self, field: str) -> Any:
        found = self.picks.get(field)
        return None if found is None else found[3]

    @property
    def session_id(self) -> str | None:
        """Session of the trace."""
        session: str | None = self._value("session_id")
        return session

    @property
    def tags(self) -> list[str]:
        """All tags seen, in the order of arrival."""
        return self._tags

    def values(self, score_mean: float | None) -> tuple[Any, ...]:
        """Parameters of the upsert. ``score_mean`` is the mean of the scores named quality."""
        root = self._value("root")
        errors = self._sums["n_errors"]
        failed = (root[2] == "ERROR") if root else errors > 0
        quality = self._value("quality")
        row = {
            "name": self._value("trace_name") or (root[1] if root else self._value("first_name")) or "",
            "root_id": root[0] if root else None,
            "start_ns": codec.fitting(self.start_ns),
            "end_ns": codec.fitting(self.end_ns),
            "status": "error" if failed else ("ok" if root else "open"),
            "agent": self._value("agent") or self._value("agent_span"),
            "task_type": self._value("task_type"),
            "project": self._value("project"),
            "agent_switched": self._value("agent_switched"),
            "session_id": self.session_id,
            "user_id": self._value("user_id"),
            "environment": self._value("environment") or "default",
            "version": self._value("version"),
            "release": self._value("release"),
            "tags": codec.dump(self._tags),
            "received_ns": self.received_ns,
            "preview": (root[3] or None) if root else None,
            **{
                name: codec.fitting(value) if isinstance(value, int) else value
                for name, value in self._sums.items()
            },
        }
        return (
            self.trace_id,
            *(row[name] for name in _COLUMNS),
            quality,
            quality if quality is not None else score_mean,
            codec.fitting(max(self.end_ns - self.start_ns, 0)),
        )

    def search_text(self, values: Sequence[Any]) -> str:
        """What the text filter finds, from the upsert's parameters."""
        row = dict(zip(("trace_id", *_COLUMNS), values, strict=False))
        return "\n".join(str(row[name]) for name in _SEARCHED if row[name]).casefold()


def update(connection: sqlite3.Connection, rows: Iterable[Observation], rebuild: set[str]) -> None:
    """Brings the summaries of the traces of ``rows`` up to date, inside the caller's transaction.

    The rows are stored already. Traces in ``rebuild`` (a span of theirs was replaced) are summed up
    again from all their rows.
    """
    summaries: dict[str, Summary] = {}
    for row in rows:
        summary = summaries.get(row.trace_id)
        if summary is None:
            summary = summaries[row.trace_id] = Summary(row.trace_id)
            if row.trace_id in rebuild:
                for stored in _stored(connection, row.trace_id):
                    summary.add(stored)
            else:
                _load(connection, summary)
        if row.trace_id not in rebuild:
            summary.add(row)
    write(connection, summaries.values())


def write(connection: sqlite3.Connection, summaries: Iterable[Summary]) -> None:
    """Stores the summaries and what hangs on them: tags and sessions."""
    sessions: set[str] = set()
    for summary in summaries:
        before = connection.execute(
            "SELECT session_id FROM traces WHERE trace_id = ?", (summary.trace_id,)
        ).fetchone()
        if before is not None and before[0] is not None:
            sessions.add(before[0])
        values = summary.values(score_mean(connection, summary.trace_id))
        key = connection.execute(_UPSERT, values).fetchone()[0]
        connection.execute(
            "INSERT OR REPLACE INTO trace_picks VALUES (?, ?)", (key, codec.dump(summary.picks))
        )
        connection.execute(
            "INSERT OR REPLACE INTO trace_search VALUES (?, ?)", (key, summary.search_text(values))
        )
        if summary.session_id is not None:
            sessions.add(summary.session_id)
        connection.executemany(
            "INSERT OR IGNORE INTO trace_tags (tag, trace_id) VALUES (?, ?)",
            [(tag, summary.trace_id) for tag in summary.tags],
        )
    update_sessions(connection, sessions)


def score_mean(connection: sqlite3.Connection, trace_id: str) -> float | None:
    """Mean of the numeric scores named ``quality`` of a trace and its observations."""
    row = connection.execute(
        "SELECT avg(value) FROM scores WHERE trace_id = ? AND name = 'quality' AND data_type = 'NUMERIC'",
        (trace_id,),
    ).fetchone()
    mean: float | None = row[0]
    return mean


def rescore(connection: sqlite3.Connection, trace_ids: Iterable[str]) -> None:
    """Takes changed scores into the traces' quality."""
    for trace_id in set(trace_ids):
        connection.execute(
            "UPDATE traces SET quality = coalesce(quality_meta, ?) WHERE trace_id = ?",
            (score_mean(connection, trace_id), trace_id),
        )


def update_sessions(connection: sqlite3.Connection, session_ids: Iterable[str]) -> None:
    """Sums these sessions up again from their traces; one without traces goes."""
    for session_id in session_ids:
        connection.execute("DELETE FROM sessions WHERE session_id = ?", (session_id,))
        connection.execute(
            "INSERT INTO sessions SELECT session_id, min(start_ns), max(end_ns), count(*),"
            " sum(status = 'error'), sum(total_cost), sum(total_tokens), max(user_id), max(environment)"
            " FROM traces WHERE session_id = ? GROUP BY session_id",
            (session_id,),
        )


def _load(connection: sqlite3.Connection, summary: Summary) -> None:
    found = connection.execute(
        "SELECT start_ns, end_ns, received_ns, tags, picks, total_cost, input_tokens, output_tokens,"
        " total_tokens, n_observations, n_generations, n_errors FROM traces JOIN trace_picks USING (key)"
        " WHERE trace_id = ?",
        (summary.trace_id,),
    ).fetchone()
    if found is not None:
        summary.load(found)


def _stored(connection: sqlite3.Connection, trace_id: str) -> Iterable[Observation]:
    names = codec.columns(codec.OBSERVATION, "o.")
    for row in connection.execute(
        f"SELECT {names}, substr(p.input, 1, {PREVIEW_CHARS}) FROM observations o"
        " JOIN payloads p USING (key) WHERE o.trace_id = ?",
        (trace_id,),
    ):
        found = codec.observation(row[:-1])
        found.input = row[-1]
        yield found


def _truth(value: object) -> int | None:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return int(value.lower() == "true")
    return None


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float | str):
        try:
            number = float(value)
        except ValueError:
            return None
        return number if number - number == 0 else None
    return None
