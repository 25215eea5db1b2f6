"""Endpoints that Langfuse does not have: findings, raw spans, faults, counts, reset."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from otel_agents.local import queries, times
from otel_agents.local.api.http import invalid_request, read_json, reply
from otel_agents.local.backend import Backend
from otel_agents.local.faults import fault_of
from otel_agents.local.otlp import ReceivedSpan
from otel_agents.local.rows import Finding, FindingCount, Page
from otel_agents.local.values import plain


async def findings(request: Request, backend: Backend) -> Response:
    """GET /api/local/findings?kind=&severity=&traceId=&limit=&cursor=: newest first, with counts."""
    given = request.query_params
    limit = _limit(given.get("limit"), 100, 1000)
    try:
        page, counts = await backend.run(
            _findings,
            backend,
            given.get("kind") or None,
            given.get("severity") or None,
            given.get("traceId") or None,
            limit,
            given.get("cursor") or None,
        )
    except queries.BadCursor as error:
        raise invalid_request(str(error)) from error
    return reply(
        {
            "data": [_finding(found) for found in page.items],
            "counts": [
                {"kind": found.kind, "severity": found.severity, "count": found.count} for found in counts
            ],
            "meta": {} if page.cursor is None else {"cursor": page.cursor},
        }
    )


def _findings(backend: Backend, *given: Any) -> tuple[Page[Finding], list[FindingCount]]:
    return backend.store.list_findings(*given), backend.store.count_findings()


def _finding(found: Finding) -> dict[str, Any]:
    return {
        "kind": found.kind,
        "severity": found.severity,
        "traceId": found.trace_id or None,
        "observationId": found.observation_id or None,
        "message": found.message,
        "detail": found.detail,
        "receivedAt": times.iso(found.received_ns),
    }


async def raw(request: Request, backend: Backend) -> Response:
    """GET /api/local/raw?limit=&traceId=: the newest received spans as they came, oldest first."""
    given = request.query_params
    spans = backend.raw.newest(_limit(given.get("limit"), 100, backend.options.raw_spans))
    if given.get("traceId"):
        spans = [entry for entry in spans if entry[1].trace_id == given["traceId"]]
    return reply({"data": [_raw(received, span) for received, span in spans]})


def _raw(received_ns: int, span: ReceivedSpan) -> dict[str, Any]:
    return {
        "receivedAt": times.iso(received_ns),
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "parentSpanId": span.parent_id,
        "name": span.name,
        "kind": span.kind,
        "startTimeUnixNano": span.start_ns,
        "endTimeUnixNano": span.end_ns,
        "status": {"code": span.status_code, "message": span.status_message},
        "attributes": {key: plain(value) for key, value in span.attributes.items()},
        "events": [
            {
                "name": event.name,
                "timeUnixNano": event.time_ns,
                "attributes": {key: plain(value) for key, value in event.attributes.items()},
            }
            for event in span.events
        ],
        "resource": {key: plain(value) for key, value in span.scope.resource.items()},
        "scope": {"name": span.scope.name, "version": span.scope.version},
    }


async def reset(request: Request, backend: Backend) -> Response:
    """POST /api/local/reset: deletes all data, received spans and waiting faults."""
    await backend.run(backend.store.reset)
    backend.raw.clear()
    backend.faults.clear()
    return reply({"message": "OK"})


async def stats(request: Request, backend: Backend) -> Response:
    """GET /api/local/stats: how much is stored."""
    return reply(await backend.run(_stats, backend))


def _stats(backend: Backend) -> dict[str, Any]:
    reader = backend.store.reader()
    counts: dict[str, Any] = {
        table: reader.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        for table in ("observations", "traces", "sessions", "scores", "prompts")
    }
    return {
        **counts,
        "findings": sum(found.count for found in backend.store.count_findings()),
        "bytes": backend.store.size(),
        "change": backend.store.latest_change(),
    }


async def add_fault(request: Request, backend: Backend) -> Response:
    """POST /api/local/faults: ``{path, status, times, retry_after, delay_ms, after}``."""
    body = await read_json(request, backend)
    try:
        fault = fault_of(body)
    except ValueError as error:
        raise invalid_request(str(error)) from error
    backend.faults.add(fault)
    return reply({"faults": backend.faults.waiting()}, 201)


async def list_faults(request: Request, backend: Backend) -> Response:
    """GET /api/local/faults: those that wait."""
    return reply({"faults": backend.faults.waiting()})


async def clear_faults(request: Request, backend: Backend) -> Response:
    """DELETE /api/local/faults."""
    backend.faults.clear()
    return reply({"faults": []})


def _limit(text: str | None, default: int, most: int) -> int:
    if not text:
        return default
    if not text.isdigit():
        raise invalid_request("limit has to be a number")
    return min(int(text), most)
