"""GET /api/public/v2/metrics."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from otel_agents.local import metrics
from otel_agents.local.api.http import invalid_request, reply
from otel_agents.local.backend import Backend


async def query_v2(request: Request, backend: Backend) -> Response:
    """Runs the JSON query in the parameter ``query``."""
    try:
        body = msgspec.json.decode(request.query_params.get("query", ""))
    except msgspec.DecodeError as error:
        raise invalid_request("Invalid JSON in query parameter") from error
    try:
        query = metrics.parse(body)
        rows = await backend.run(_run, backend, query)
    except metrics.BadQuery as error:
        raise invalid_request(str(error)) from error
    return reply({"data": rows})


def _run(backend: Backend, query: metrics.Query) -> list[dict[str, Any]]:
    return metrics.run(backend.store.reader(), query)
