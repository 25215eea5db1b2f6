"""What only these pages ask the database: numbers of the filtered traces, previews, activity over time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from otel_agents.local import codec, orphans
from otel_agents.local.queries import trace_conditions
from otel_agents.local.rows import Finding, GroupColumn, SpanEvent, TraceFilter, TraceRow
from otel_agents.local.store import Store

#: Characters of a root's input and output that are read to find the words for a table cell.
PREVIEW_READ = 12_000
#: Bars of the activity chart.
BUCKETS = 60


@dataclass(slots=True)
class Overview:
    """Numbers of the traces that match a filter."""

    traces: int
    errors: int
    cost: float
    input_tokens: float
    output_tokens: float
    tokens: float
    quality: float | None
    scored: int
    mean_duration_ns: float | None
    first_ns: int | None
    last_ns: int | None


@dataclass(slots=True)
class Bucket:
    """One bar of the activity chart: traces that started in [from_ns, to_ns)."""

    from_ns: int
    to_ns: int
    ok: int
    errors: int


@dataclass(slots=True)
class RootText:
    """Beginning of a root's input, output and status message."""

    input: str | None = None
    output: str | None = None
    status_message: str | None = None


def _where(filters: TraceFilter, extra: str = "") -> tuple[str, list[object]]:
    conditions, given = trace_conditions(filters)
    if extra:
        conditions.append(extra)
    return (" WHERE " + " AND ".join(conditions) if conditions else ""), given


def overview(store: Store, filters: TraceFilter) -> Overview:
    """Sums over everything that matches, not only the page that is shown."""
    where, given = _where(filters)
    row = (
        store.reader()
        .execute(
            "SELECT count(*), coalesce(sum(status = 'error'), 0), total(total_cost),"
            " total(input_tokens), total(output_tokens), total(total_tokens),"
            " avg(quality), count(quality), avg(duration_ns), min(start_ns), max(start_ns)"
            f" FROM traces{where}",
            given,
        )
        .fetchone()
    )
    return Overview(*row)


def activity(store: Store, filters: TraceFilter, found: Overview) -> list[Bucket]:
    """Matching traces over the window (or from the first to the last of them), in equal steps."""
    if not found.traces or found.first_ns is None or found.last_ns is None:
        return []
    start = filters.from_ns if filters.from_ns is not None else found.first_ns
    end = filters.to_ns if filters.to_ns is not None else found.last_ns + 1
    if filters.from_ns is not None and filters.to_ns is None:
        end = max(end, time.time_ns())
    width = max(-(-(end - start) // BUCKETS), 1)
    where, given = _where(filters)
    buckets = [Bucket(start + i * width, start + (i + 1) * width, 0, 0) for i in range(BUCKETS)]
    for at, count, errors in store.reader().execute(
        f"SELECT min((start_ns - ?) / ?, {BUCKETS - 1}), count(*), sum(status = 'error') FROM traces{where}"
        " GROUP BY 1",
        [start, width, *given],
    ):
        buckets[at].ok, buckets[at].errors = count - errors, errors
    return buckets


def root_texts(store: Store, rows: Sequence[TraceRow], characters: int = PREVIEW_READ) -> dict[str, RootText]:
    """What the roots of ``rows`` say, by trace id."""
    wanted = [(row.trace_id, row.root_id) for row in rows if row.root_id]
    if not wanted:
        return {}
    # CROSS JOIN keeps the order of the tables: each pair is looked up, nothing is scanned.
    sql = (
        f"WITH wanted (trace_id, id) AS (VALUES {', '.join(['(?, ?)'] * len(wanted))})"
        f" SELECT o.trace_id, substr(p.input, 1, {characters:d}), substr(p.output, 1, {characters:d}),"
        " substr(o.status_message, 1, 2000)"
        " FROM wanted w CROSS JOIN observations o ON o.trace_id = w.trace_id AND o.id = w.id"
        " CROSS JOIN payloads p ON p.key = o.key"
    )
    given = [value for pair in wanted for value in pair]
    return {row[0]: RootText(*row[1:]) for row in store.reader().execute(sql, given)}


def traces_of_group(
    store: Store, filters: TraceFilter, by: GroupColumn, value: str | None, limit: int
) -> list[TraceRow]:
    """The newest traces of one group; ``value`` None is the group of those without one."""
    where, given = _where(filters, f"{by} IS ?")
    columns = codec.columns(codec.TRACE)
    sql = f"SELECT {columns} FROM traces{where} ORDER BY start_ns DESC, trace_id DESC LIMIT ?"
    return [codec.trace_row(row) for row in store.reader().execute(sql, [*given, value, limit])]


def finding_count(store: Store) -> int:
    """Findings known so far, without looking for new ones: cheap enough for every page's header."""
    row = store.reader().execute("SELECT coalesce(sum(count), 0) FROM finding_counts").fetchone()
    return int(row[0])


def span_events(store: Store, trace_id: str) -> dict[str, list[SpanEvent]]:
    """The span events of a trace's observations, by observation id."""
    rows = store.reader().execute(
        "SELECT o.id, p.events FROM observations o JOIN payloads p ON p.key = o.key"
        " WHERE o.trace_id = ? AND p.events IS NOT NULL",
        (trace_id,),
    )
    return {row[0]: msgspec.json.decode(row[1], type=list[SpanEvent]) for row in rows}


def findings_of(store: Store, trace_id: str) -> list[Finding]:
    """Findings about one trace that are known so far."""
    return orphans.list_findings(store.reader(), None, None, trace_id, 200, None).items
