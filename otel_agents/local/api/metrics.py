"""GET /api/public/v2/metrics."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from otel_agents.local import metrics, metrics_run
from otel_agents.local.api.http import invalid_request, reply
from otel_agents.local.backend import Backend
from otel_agents.local.otlp import load_json


async def query_v2(request: Request, backend: Backend) -> Response:
    """Runs the JSON query in the parameter ``query``."""
    try:
        body = load_json(request.query_params.get("query", "").encode())
    except ValueError as error:
        raise invalid_request("Invalid JSON in query parameter") from error
    try:
        query = metrics.parse(body)
        rows = await backend.run(_run, backend, query)
    except metrics.BadQuery as error:
        raise invalid_request(str(error)) from error
    return reply({"data": rows})


def _run(backend: Backend, query: metrics.Query) -> list[dict[str, Any]]:
    return metrics_run.run(backend.store.reader(), query)
