"""OTLP in, traces out: the span endpoint, the discarded metrics, deletion."""

from __future__ import annotations

import logging
import time

from starlette.requests import Request
from starlette.responses import Response

from otel_agents.local.api.http import ApiError, invalid_data, read_body, read_json, reply
from otel_agents.local.backend import Backend
from otel_agents.local.findings import finding
from otel_agents.local.mapping.observation import read
from otel_agents.local.otlp import ReceivedSpan, Rejected, decode
from otel_agents.local.rows import Finding

logger = logging.getLogger(__name__)

_MOST_DELETED = 1000


async def export(request: Request, backend: Backend) -> Response:
    """POST /api/public/otel/v1/traces. The whole batch is stored, or refused."""
    body = await read_body(request, backend.options.max_body_bytes)
    headers = {key.lower(): value for key, value in request.headers.items()}
    try:
        spans = await backend.run(decode, body, headers, backend.options.max_body_bytes)
    except Rejected as error:
        raise ApiError(error.status, error.body) from error
    if spans:
        backend.raw.add(spans)
        await backend.write(store_spans, backend, spans)
    return reply({})


def store_spans(backend: Backend, spans: list[ReceivedSpan]) -> None:
    """Reads and stores spans (blocking)."""
    strict = backend.options.strict
    received = time.time_ns()
    rows = []
    findings: list[Finding] = []
    for span in spans:
        try:
            row, found = read(span, received, strict)
        except Exception as error:
            # The others are stored: an exporter would send the same batch again and again.
            logger.exception("cannot read span %s of trace %s", span.span_id, span.trace_id)
            note = finding(
                "span_unreadable", span.trace_id, span.span_id, received, name=span.name, error=repr(error)
            )
            findings.append(note)
            continue
        rows.append(row)
        findings += found
    backend.store.add_observations(rows, findings, record_duplicates=strict)


async def discard_metrics(request: Request, backend: Backend) -> Response:
    """POST /api/public/otel/v1/metrics: taken and thrown away, as the server does."""
    await read_body(request, backend.options.max_body_bytes)
    return reply({"message": "OK"})


async def delete_one(request: Request, backend: Backend) -> Response:
    """DELETE /api/public/traces/{id}."""
    await backend.run(backend.store.delete_traces, [request.path_params["trace_id"]])
    return reply({"message": "Trace deleted successfully"})


async def delete_many(request: Request, backend: Backend) -> Response:
    """DELETE /api/public/traces with ``{"traceIds": [...]}``."""
    body = await read_json(request, backend)
    ids = body.get("traceIds") if isinstance(body, dict) else None
    if (
        not isinstance(ids, list)
        or not 1 <= len(ids) <= _MOST_DELETED
        or not all(isinstance(trace_id, str) for trace_id in ids)
    ):
        raise invalid_data(("traceIds", f"an array of 1 to {_MOST_DELETED} trace ids is required"))
    await backend.run(backend.store.delete_traces, ids)
    return reply({"message": "Traces deleted successfully"})
