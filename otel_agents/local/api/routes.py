"""All endpoints by path. Order matters: the first path that fits is taken."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from otel_agents.local.api import local, metrics, observations, project, prompts, scores, traces
from otel_agents.local.api.http import Handler, resource

_GET: Final = frozenset({"GET"})
_POST: Final = frozenset({"POST"})

#: Reads that exist only where the older tables are still written.
_LEGACY_READS: Final = (
    "observations",
    "observations/{id:path}",
    "metrics",
    "metrics/daily",
    "sessions",
    "sessions/{id:path}",
    "v2/scores",
    "v2/scores/{id:path}",
    "datasets/{name}/runs",
    "datasets/{name}/runs/{run}",
    "dataset-run-items",
)
_LEGACY_WRITES: Final = ("spans", "generations", "events")


def api_routes() -> list[BaseRoute]:
    """Routes of ``/api``."""

    def public(path: str, open_to_all: bool = False, scores_level: bool = False, **methods: Handler) -> Route:
        return resource(f"/api/public/{path}", methods, open_to_all=open_to_all, scores_level=scores_level)

    return [
        public("otel/v1/traces", POST=traces.export),
        public("otel/v1/metrics", POST=traces.discard_metrics),
        resource("/api/public/traces", {"DELETE": traces.delete_many}, gated=_GET | _POST),
        resource("/api/public/traces/{trace_id:path}", {"DELETE": traces.delete_one}, gated=_GET),
        resource("/api/public/scores", {"POST": scores.create}, scores_level=True, gated=_GET),
        resource("/api/public/scores/{score_id:path}", {"DELETE": scores.delete}, gated=_GET),
        public("v3/scores", GET=scores.list_v3),
        public("ingestion", scores_level=True, POST=scores.ingest),
        public("v2/observations", GET=observations.list_v2),
        public("v2/metrics", GET=metrics.query_v2),
        public("v2/prompts", GET=prompts.list_all, POST=prompts.create),
        public("v2/prompts/{name:path}", GET=prompts.get, DELETE=prompts.delete, PATCH=prompts.label),
        public("projects", GET=project.projects),
        public("health", open_to_all=True, GET=project.health),
        public("ready", open_to_all=True, GET=project.ready),
        public("media", POST=project.media),
        public("media/{id}", GET=project.media_get, PATCH=project.media_patch),
        *[resource(f"/api/public/{path}", {}, gated=_GET | _POST) for path in _LEGACY_READS],
        *[resource(f"/api/public/{path}", {}, gated=_POST) for path in _LEGACY_WRITES],
        resource("/api/local/findings", {"GET": local.findings}),
        resource("/api/local/raw", {"GET": local.raw}),
        resource("/api/local/stats", {"GET": local.stats}),
        resource("/api/local/reset", {"POST": local.reset}),
        resource(
            "/api/local/faults",
            {"GET": local.list_faults, "POST": local.add_fault, "DELETE": local.clear_faults},
        ),
        Route("/api/{rest:path}", _missing, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
    ]


async def _missing(request: Request) -> Response:
    """Everything else under /api (OTLP logs too) is the web application's 404 page."""
    return HTMLResponse("<!DOCTYPE html><title>404</title><h1>404: This page could not be found.</h1>", 404)
