"""What the web UI reads: lists, groups, single traces, sessions, findings, totals.

Plain functions on a reader connection; `otel_agents.local.store.Store` is their front. Lists page by key
(value of the order column, id), so that a page costs the same at any depth.
"""

from __future__ import annotations

import base64
import binascii
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from otel_agents.local import codec
from otel_agents.local.rows import (
    Facet,
    FacetColumn,
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

_EXACT: Final = ("agent", "task_type", "status", "environment", "project", "session_id", "user_id")
_ORDER: Final[dict[str, str]] = {
    "start": "start_ns",
    "cost": "total_cost",
    "quality": "quality",
    "duration": "duration_ns",
    "tokens": "total_tokens",
}
_GROUPS: Final = ("task_type", "agent", "status", "environment", "user_id", "session_id", "project", "name")


class BadCursor(ValueError):
    """A page cursor that this store did not make."""


def encode_cursor(values: Sequence[object] | Mapping[str, object]) -> str:
    """An opaque cursor that holds ``values``."""
    return base64.urlsafe_b64encode(msgspec.json.encode(values)).decode().rstrip("=")


def decode_cursor(cursor: str, length: int) -> list[Any]:
    """The values of a cursor made from a list.

    Raises:
        BadCursor: it is not one of `encode_cursor` with ``length`` values.
    """
    values = _decode(cursor)
    if not isinstance(values, list) or len(values) != length:
        raise BadCursor("the page cursor is not valid")
    if not all(isinstance(value, int | float | str) and _storable(value) for value in values):
        raise BadCursor("the page cursor is not valid")
    return values


def _storable(value: object) -> bool:
    return not isinstance(value, int) or abs(value) < 2**63


def decode_cursor_object(cursor: str) -> dict[str, Any]:
    """The values of a cursor made from a mapping.

    Raises:
        BadCursor: it is not one of `encode_cursor`.
    """
    values = _decode(cursor)
    if not isinstance(values, dict):
        raise BadCursor("the page cursor is not valid")
    return values


def _decode(cursor: str) -> Any:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, msgspec.DecodeError, ValueError) as error:
        raise BadCursor("the page cursor is not valid") from error


def trace_conditions(filters: TraceFilter) -> tuple[list[str], list[Any]]:
    """SQL conditions on ``traces`` and their parameters."""
    where: list[str] = []
    given: list[Any] = []

    def add(condition: str, *values: object) -> None:
        where.append(condition)
        given.extend(values)

    for column in _EXACT:
        if (value := getattr(filters, column)) is not None:
            add(f"{column} = ?", value)
    if filters.status is not None and filters.status != "ok":
        where.append("status <> 'ok'")  # lets the partial index be used
    if filters.agent_switched is not None:
        add("agent_switched = 1" if filters.agent_switched else "agent_switched IS NOT 1")
    bounds: tuple[tuple[str, str, Any], ...] = (
        ("start_ns", ">=", filters.from_ns),
        ("start_ns", "<", filters.to_ns),
        ("total_cost", ">=", filters.min_cost),
        ("total_cost", "<=", filters.max_cost),
        ("quality", ">=", filters.min_quality),
        ("quality", "<=", filters.max_quality),
        ("duration_ns", ">=", filters.min_duration_ns),
    )
    for column, operator, bound in bounds:
        if bound is not None:
            add(f"{column} {operator} ?", bound)
    for tag in filters.tags:
        add("EXISTS (SELECT 1 FROM trace_tags t WHERE t.tag = ? AND t.trace_id = traces.trace_id)", tag)
    if filters.text:
        # One pass over the narrow table, then membership while an index is walked in order (the plus
        # keeps SQLite from starting with the keys and sorting afterwards).
        add(
            "+traces.key IN (SELECT key FROM trace_search WHERE instr(text, ?) > 0)",
            filters.text.casefold(),
        )
    return where, given


def _where(conditions: Sequence[str]) -> str:
    return " WHERE " + " AND ".join(conditions) if conditions else ""


def list_traces_sql(
    filters: TraceFilter, limit: int, cursor: str | None, order: TraceOrder
) -> tuple[str, list[Any]]:
    """The statement behind `list_traces` (apart, so that tests can look at its plan)."""
    column = _ORDER[order]
    where, given = trace_conditions(filters)
    if order == "quality":
        where.append("quality IS NOT NULL")
    if cursor is not None:
        value, trace_id = decode_cursor(cursor, 2)
        where.append(f"({column}, trace_id) < (?, ?)")
        given += [value, trace_id]
    sql = (
        f"SELECT {codec.columns(codec.TRACE)} FROM traces{_where(where)}"
        f" ORDER BY {column} DESC, trace_id DESC LIMIT ?"
    )
    return sql, [*given, limit + 1]


def list_traces(
    connection: sqlite3.Connection,
    filters: TraceFilter,
    limit: int,
    cursor: str | None,
    order: TraceOrder,
) -> Page[TraceRow]:
    """Traces from the largest value of ``order`` down."""
    sql, given = list_traces_sql(filters, limit, cursor, order)
    found = [codec.trace_row(row) for row in connection.execute(sql, given)]
    if len(found) <= limit:
        return Page(found)
    last = found[limit - 1]
    return Page(found[:limit], encode_cursor([getattr(last, _ORDER[order]), last.trace_id]))


def count_traces(connection: sqlite3.Connection, filters: TraceFilter, at_most: int) -> int:
    """How many traces match, counted up to ``at_most``."""
    where, given = trace_conditions(filters)
    sql = f"SELECT count(*) FROM (SELECT 1 FROM traces{_where(where)} LIMIT ?)"
    count: int = connection.execute(sql, [*given, at_most]).fetchone()[0]
    return count


def group_traces_sql(filters: TraceFilter, by: GroupColumn, limit: int) -> tuple[str, list[Any]]:
    """The statement behind `group_traces`."""
    if by not in _GROUPS:
        raise ValueError(f"traces cannot be grouped by {by!r}; choose from {', '.join(_GROUPS)}")
    where, given = trace_conditions(filters)
    sql = (
        f"SELECT {by}, count(*), sum(total_cost), sum(total_tokens), avg(quality), sum(status = 'error'),"
        f" avg(duration_ns), max(start_ns) FROM traces{_where(where)}"
        f" GROUP BY {by} ORDER BY count(*) DESC, {by} LIMIT ?"
    )
    return sql, [*given, limit]


def group_traces(
    connection: sqlite3.Connection, filters: TraceFilter, by: GroupColumn, limit: int
) -> list[Group]:
    """One row for each value of ``by``, the most frequent first."""
    sql, given = group_traces_sql(filters, by, limit)
    return [Group(*row) for row in connection.execute(sql, given)]


def get_trace(connection: sqlite3.Connection, trace_id: str, limit: int, payload: bool) -> Trace | None:
    """A trace with its observations by start time, or None when there is none with this id."""
    found = connection.execute(
        f"SELECT {codec.columns(codec.TRACE)} FROM traces WHERE trace_id = ?", (trace_id,)
    ).fetchone()
    if found is None:
        return None
    rows = get_observations(
        connection, "trace_id = ? ORDER BY start_ns, o.key LIMIT ?", (trace_id, limit + 1), payload
    )
    scores = get_scores(connection, "trace_id = ? ORDER BY timestamp_ns, id", (trace_id,))
    return Trace(codec.trace_row(found), rows[:limit], scores, truncated=len(rows) > limit)


def get_observations(
    connection: sqlite3.Connection, condition: str, given: Sequence[Any], payload: bool
) -> list[Observation]:
    """Observations for a condition on ``observations o`` (with its ORDER BY and LIMIT)."""
    names = codec.columns(codec.OBSERVATION, "o.")
    if not payload:
        return [
            codec.observation(row)
            for row in connection.execute(f"SELECT {names} FROM observations o WHERE {condition}", given)
        ]
    width = len(codec.OBSERVATION)
    sql = (
        f"SELECT {names}, {codec.columns(codec.PAYLOAD, 'p.')} FROM observations o"
        f" LEFT JOIN payloads p ON p.key = o.key WHERE {condition}"
    )
    return [codec.observation(row[:width], row[width:]) for row in connection.execute(sql, given)]


def get_scores(connection: sqlite3.Connection, condition: str, given: Sequence[Any]) -> list[Score]:
    """Scores for a condition on ``scores`` (with its ORDER BY and LIMIT)."""
    sql = f"SELECT {codec.columns(codec.SCORE)} FROM scores WHERE {condition}"
    return [codec.score(row) for row in connection.execute(sql, given)]


def list_sessions(
    connection: sqlite3.Connection, text: str | None, limit: int, cursor: str | None
) -> Page[SessionRow]:
    """Sessions, the one with the latest activity first."""
    where: list[str] = []
    given: list[Any] = []
    if text:
        where.append("(instr(lower(session_id), lower(?)) OR instr(lower(coalesce(user_id, '')), lower(?)))")
        given += [text, text]
    if cursor is not None:
        where.append("(end_ns, session_id) < (?, ?)")
        given += decode_cursor(cursor, 2)
    sql = (
        f"SELECT {codec.columns(codec.SESSION)} FROM sessions{_where(where)}"
        " ORDER BY end_ns DESC, session_id DESC LIMIT ?"
    )
    found = [SessionRow(*row) for row in connection.execute(sql, [*given, limit + 1])]
    if len(found) <= limit:
        return Page(found)
    last = found[limit - 1]
    return Page(found[:limit], encode_cursor([last.end_ns, last.session_id]))


def get_session(connection: sqlite3.Connection, session_id: str, limit: int) -> Session | None:
    """A session with up to ``limit`` traces, or None when no span named it."""
    found = connection.execute(
        f"SELECT {codec.columns(codec.SESSION)} FROM sessions WHERE session_id = ?", (session_id,)
    ).fetchone()
    if found is None:
        return None
    page = list_traces(connection, TraceFilter(session_id=session_id), limit, None, "start")
    scores = get_scores(connection, "session_id = ? ORDER BY timestamp_ns, id", (session_id,))
    return Session(SessionRow(*found), page.items, scores, truncated=page.cursor is not None)


def totals(connection: sqlite3.Connection, from_ns: int | None, to_ns: int | None) -> Totals:
    """Sums over the traces that started in [from_ns, to_ns)."""
    where, given = trace_conditions(TraceFilter(from_ns=from_ns, to_ns=to_ns))
    row = connection.execute(
        "SELECT count(*), coalesce(sum(status = 'error'), 0), coalesce(sum(n_observations), 0),"
        " coalesce(sum(total_cost), 0.0), coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0),"
        f" coalesce(sum(total_tokens), 0), avg(quality) FROM traces{_where(where)}",
        given,
    ).fetchone()
    return Totals(*row)


def facets(connection: sqlite3.Connection, column: FacetColumn, limit: int) -> list[Facet]:
    """Values of a column with their number of traces, the most frequent first."""
    if column == "tags":
        sql = "SELECT tag, count(*) FROM trace_tags GROUP BY tag ORDER BY 2 DESC, 1 LIMIT ?"
    elif column in _GROUPS:
        sql = (
            f"SELECT {column}, count(*) FROM traces WHERE {column} IS NOT NULL AND {column} <> ''"
            f" GROUP BY {column} ORDER BY 2 DESC, 1 LIMIT ?"
        )
    else:
        raise ValueError(f"no facet {column!r}")
    return [Facet(*row) for row in connection.execute(sql, (limit,))]
