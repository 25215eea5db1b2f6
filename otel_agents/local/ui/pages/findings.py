"""``/findings``: what a real Langfuse would lose, reject or count wrongly."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from otel_agents.local.queries import BadCursor
from otel_agents.local.store import Store
from otel_agents.local.ui import details, render

_SEVERITIES = ("error", "warning")


def table(store: Store, request: Request) -> Response:
    """Findings by kind and one by one, newest first."""
    change = store.latest_change()
    params = request.query_params
    kind = params.get("kind") or None
    trace_id = params.get("trace") or None
    severity = params.get("severity") if params.get("severity") in _SEVERITIES else None
    cursor = params.get("cursor") or None
    try:
        page = store.list_findings(kind, severity, trace_id, 100, cursor)
    except BadCursor:
        cursor = None
        page = store.list_findings(kind, severity, trace_id, 100, None)
    counts = store.count_findings()
    kept = {
        name: value for name, value in (("kind", kind), ("severity", severity), ("trace", trace_id)) if value
    }

    def url(**changes: str | None) -> str:
        pairs = {name: value for name, value in {**kept, **changes}.items() if value}
        return "/findings" + ("?" + urlencode(pairs) if pairs else "")

    return render.page(
        request,
        "findings.html",
        change=change,
        findings=sum(count.count for count in counts),
        counts=counts,
        rows=[(finding, details.pairs(finding.detail)) for finding in page.items],
        kind=kind,
        severity=severity,
        trace_id=trace_id,
        url=url,
        first=url(),
        cursor=cursor,
        next=url(cursor=page.cursor) if page.cursor else None,
    )
