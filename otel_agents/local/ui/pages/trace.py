"""``/traces/{trace_id}``: one trace as a tree in time, and its observations one by one."""

from __future__ import annotations

from collections import Counter
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from otel_agents.local.rows import Observation, Trace
from otel_agents.local.store import TRACE_LIMIT, Store
from otel_agents.local.ui import content, details, jsontext, reads, render, timeline

#: Rows drawn before "show all" is asked for: a browser lays out this many without a pause.
ROWS = 2_000

_SIDES = ("input", "output", "metadata")


def page(store: Store, request: Request) -> Response:
    """The page. ``?observation=`` chooses what the pane shows; with script the fragment does."""
    change = store.latest_change()
    trace_id = request.path_params["trace_id"]
    limit = TRACE_LIMIT if request.query_params.get("rows") == "all" else ROWS
    found = store.get_trace(trace_id, limit, payload=False)
    if found is None:
        return missing(store, request, "trace", trace_id)
    events = reads.span_events(store, trace_id)
    for row in found.observations:
        row.events = events.get(row.id, [])
    line = timeline.build(found.observations)
    chosen = _chosen(found, request.query_params.get("observation"), line)
    findings = reads.findings_of(store, trace_id)
    pane = None
    if chosen is not None:
        full = store.get_observation(trace_id, chosen)
        pane = details.describe(full, found.scores, findings) if full else None
    return render.page(
        request,
        "trace.html",
        change=change,
        findings=reads.finding_count(store),
        trace=found,
        row=found.row,
        line=line,
        chosen=chosen,
        pane=pane,
        counts=Counter(row.type.lower() for row in found.observations),
        usage=_usage(found.observations),
        trace_findings=findings,
        limit=limit,
    )


def fragment(store: Store, request: Request) -> Response:
    """The details pane of one observation, without a page around it."""
    trace_id, observation_id = request.path_params["trace_id"], request.path_params["observation_id"]
    row = store.get_observation(trace_id, observation_id)
    found = store.get_trace(trace_id, 0, payload=False) if row else None
    if row is None or found is None:
        return missing(store, request, "observation", observation_id)
    pane = details.describe(row, found.scores, reads.findings_of(store, trace_id))
    return render.page(request, "details.html", pane=pane, start_ns=found.row.start_ns)


def side(store: Store, request: Request) -> Response:
    """One side of an observation, read with the wider bounds."""
    row = store.get_observation(request.path_params["trace_id"], request.path_params["observation_id"])
    name = request.path_params["side"]
    if row is None or name not in ("input", "output"):
        return missing(store, request, "content", name)
    recorded = row.input if name == "input" else row.output
    return render.page(request, "side.html", side=content.read(recorded, content.FULL))


def raw(store: Store, request: Request) -> Response:
    """One side as it was recorded, as plain text."""
    row = store.get_observation(request.path_params["trace_id"], request.path_params["observation_id"])
    name = request.path_params["side"]
    if row is None or name not in _SIDES:
        return missing(store, request, "content", name)
    text = {"input": row.input, "output": row.output}.get(name)
    if name == "metadata":
        text = jsontext.pretty(row.metadata)
    return render.raw_text(text or "", f"{name}.txt")


def langfuse_link(store: Store, request: Request) -> Response:
    """Where links made by the Langfuse SDK (``get_trace_url``) lead."""
    parts = {key: render.path_segment(value) for key, value in request.path_params.items()}
    if "trace_id" in parts:
        chosen = request.query_params.get("observation")
        tail = f"?observation={quote(chosen, safe='')}" if chosen else ""
        return RedirectResponse(f"/traces/{parts['trace_id']}{tail}")
    if "session_id" in parts:
        return RedirectResponse(f"/sessions/{parts['session_id']}")
    return RedirectResponse("/traces")


def missing(store: Store, request: Request, what: str, name: str) -> Response:
    """A page that says what is not there."""
    return render.page(
        request,
        "missing.html",
        status=404,
        change=store.latest_change(),
        findings=reads.finding_count(store),
        what=what,
        name=name[:200],
    )


def _chosen(found: Trace, asked: str | None, line: timeline.Timeline) -> str | None:
    """What to show first: what was asked for, else the first error, else the root."""
    known = {row.id for row in found.observations}
    if asked in known:
        return asked
    real = [row for row in line.rows if row.observation is not None]
    failed = [row for row in real if row.level == "error"]
    if failed:
        return max(failed, key=lambda row: row.depth).id
    return real[0].id if real else None


def _usage(rows: list[Observation]) -> dict[str, int]:
    """Sums of the buckets that are not plain input and output."""
    return {
        key: sum(row.usage.get(key, 0) for row in rows)
        for key in ("input_cached_tokens", "output_reasoning_tokens")
    }
