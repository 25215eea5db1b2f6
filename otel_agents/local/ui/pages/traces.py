"""``/traces``: the table of traces, or its groups."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from otel_agents.local.queries import BadCursor
from otel_agents.local.rows import FacetColumn, Group, TraceRow
from otel_agents.local.store import Store
from otel_agents.local.ui import figures, filters, reads, render
from otel_agents.local.ui.clean import one_line
from otel_agents.local.ui.content import preview

#: Traces of an opened group.
GROUP_ROWS = 10
#: Characters of a preview; the cell cuts it to what fits.
PREVIEW = 240
#: Drop-downs: name in the URL, column, label.
_FACETS: tuple[tuple[str, FacetColumn, str], ...] = (
    ("agent", "agent", "Agent"),
    ("task_type", "task_type", "Task type"),
    ("env", "environment", "Environment"),
    ("tag", "tags", "Tag"),
)


@dataclass(slots=True)
class Line:
    """One row of the table."""

    row: TraceRow
    input: str
    output: str
    #: Why it failed, shown when there is no output.
    failure: str


@dataclass(slots=True)
class GroupLine:
    """One group with its traces when it is open."""

    group: Group
    #: Value in the URL: "" for the group without one.
    key: str
    open: bool
    lines: list[Line] = field(default_factory=list)

    @property
    def error_share(self) -> float:
        """Failed traces of all."""
        return self.group.n_errors / self.group.n_traces if self.group.n_traces else 0.0


def lines(store: Store, rows: list[TraceRow]) -> list[Line]:
    """Table rows with the words of the root's input and output."""
    texts = reads.root_texts(store, rows)
    found: list[Line] = []
    for row in rows:
        text = texts.get(row.trace_id) or reads.RootText(row.preview)
        failure = text.status_message if row.status == "error" else None
        found.append(
            Line(
                row,
                one_line(preview(text.input), PREVIEW),
                one_line(preview(text.output), PREVIEW),
                one_line(failure or "", PREVIEW),
            )
        )
    return found


def table(store: Store, request: Request) -> Response:
    """The page; every parameter of the URL is in `otel_agents.local.ui.filters`."""
    change = store.latest_change()  # before the reads: a write in between is then seen as new
    query = filters.read(request.query_params)
    overview = reads.overview(store, query.filters)
    values: dict[str, Any] = {"groups": None, "lines": [], "next": None}
    if query.group is not None:
        values["groups"] = _groups(store, query)
    elif overview.traces:
        try:
            page = store.list_traces(query.filters, query.limit, query.cursor, query.sort)
        except BadCursor:
            query.problems.append("the link to this page of the list is not valid: this is the first page")
            query.cursor = None
            page = store.list_traces(query.filters, query.limit, None, query.sort)
        values["lines"] = lines(store, page.items)
        values["next"] = query.with_cursor(page.cursor) if page.cursor else None
    return render.page(
        request,
        "traces.html",
        change=change,
        findings=reads.finding_count(store),
        query=query,
        overview=overview,
        activity=_activity(reads.activity(store, query.filters, overview), query),
        facets=[(name, label, _choices(store, name, column, query)) for name, column, label in _FACETS],
        anything=overview.traces > 0 or store.count_traces(at_most=1) > 0,
        ranges=filters.RANGES,
        statuses=filters.STATUSES,
        group_names=filters.GROUPS,
        times=[(side, _input_time(query, side)) for side in ("from", "to")],
        **values,
    )


def _choices(store: Store, name: str, column: FacetColumn, query: filters.Query) -> list[str]:
    """Choices of a drop-down, with the chosen one even when no trace has it."""
    found = [facet.value for facet in store.facets(column)]
    chosen = query.value(name)
    if chosen and chosen not in found:
        found.append(chosen)
    return sorted(found, key=str.casefold)


def _groups(store: Store, query: filters.Query) -> list[GroupLine]:
    assert query.group is not None
    found: list[GroupLine] = []
    for group in store.group_traces(query.filters, query.group):
        key = group.value or ""
        line = GroupLine(group, key, key in query.opened)
        if line.open:
            rows = reads.traces_of_group(store, query.filters, query.group, group.value, GROUP_ROWS)
            line.lines = lines(store, rows)
        found.append(line)
    return found


def _input_time(query: filters.Query, side: str) -> str:
    ns = query.filters.from_ns if side == "from" else query.filters.to_ns
    return filters.local_input(ns) if ns is not None and query.value(side) else ""


def _activity(buckets: list[reads.Bucket], query: filters.Query) -> list[dict[str, object]]:
    """Bars for the chart: heights in percent, a link that zooms in."""
    highest = max((bucket.ok + bucket.errors for bucket in buckets), default=0)
    bars: list[dict[str, object]] = []
    for at, bucket in enumerate(buckets):
        total = bucket.ok + bucket.errors
        if not total:
            continue
        span = {"from": figures.iso(bucket.from_ns), "to": figures.iso(bucket.to_ns + 999_999)}
        bars.append(
            {
                "at": round(at * 100 / len(buckets), 3),
                "errors": round(bucket.errors * 100 / highest, 2),
                "ok": round(bucket.ok * 100 / highest, 2),
                "url": query.time_url(**span),
                "title": f"{figures.clock(bucket.from_ns)}: {total} traces, {bucket.errors} failed",
            }
        )
    return bars
