"""Health, readiness, the project behind the keys, and media (which are not kept)."""

from __future__ import annotations

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from otel_agents.local.api.http import ApiError, invalid_data, read_json, reply
from otel_agents.local.backend import Backend

_RECENT_NS = 3 * 60 * 10**9


async def health(request: Request, backend: Backend) -> Response:
    """GET /api/public/health, without keys."""
    version = backend.options.server_version
    given = request.query_params
    if given.get("failIfDatabaseUnavailable") == "true" or given.get("failIfNoRecentEvents") == "true":
        try:
            latest = await backend.run(_latest, backend)
        except Exception:
            return reply({"status": "Database not available", "version": version}, 503)
        old = latest is None or latest < time.time_ns() - _RECENT_NS
        if given.get("failIfNoRecentEvents") == "true" and old:
            return reply({"status": "No recent events", "version": version}, 503)
    return reply({"status": "OK", "version": version})


def _latest(backend: Backend) -> int | None:
    found: int | None = (
        backend.store.reader()
        .execute("SELECT received_ns FROM traces ORDER BY received_ns DESC LIMIT 1")
        .fetchone()
        or (None,)
    )[0]
    return found


async def ready(request: Request, backend: Backend) -> Response:
    """GET /api/public/ready: fails while the server is stopping."""
    if backend.closing:
        return reply({"status": "SIGTERM received", "version": backend.options.server_version}, 500)
    return reply({"status": "OK", "version": backend.options.server_version})


async def projects(request: Request, backend: Backend) -> Response:
    """GET /api/public/projects: the one project."""
    options = backend.options
    project: dict[str, Any] = {
        "id": options.project_id,
        "name": options.project_name,
        "organization": {"id": "local", "name": "local"},
        "metadata": {},
    }
    if options.retention_days:
        project["retentionDays"] = int(options.retention_days)
    return reply({"data": [project]})


async def media(request: Request, backend: Backend) -> Response:
    """POST /api/public/media: says that the file is there already, so that nobody uploads it."""
    body = await read_json(request, backend)
    digest = body.get("sha256Hash") if isinstance(body, dict) else None
    if not isinstance(digest, str) or not digest:
        raise invalid_data(("sha256Hash", "Required"))
    return reply({"mediaId": media_id(digest), "uploadUrl": None})


def media_id(digest: str) -> str:
    """The id that clients derive from the base64 SHA-256 of the content."""
    return digest.replace("+", "-").replace("/", "_")[:22]


async def media_patch(request: Request, backend: Backend) -> Response:
    """PATCH /api/public/media/{id}: upload reports of clients."""
    await read_json(request, backend)
    return reply({})


async def media_get(request: Request, backend: Backend) -> Response:
    """GET /api/public/media/{id}: there are none."""
    raise ApiError(404, {"message": "Media asset not found", "error": "LangfuseNotFoundError"})
