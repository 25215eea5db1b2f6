"""Prompts v2. Names may hold slashes (folders), which clients send as %2F."""

from __future__ import annotations

import math
from typing import Any
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response

from otel_agents.local import prompts, times
from otel_agents.local.api.http import ApiError, invalid_data, invalid_request, not_found, read_json, reply
from otel_agents.local.backend import Backend
from otel_agents.local.prompts import Prompt, PromptError, PromptInput, PromptSummary

_MOST_LISTED = 100


async def create(request: Request, backend: Backend) -> Response:
    """POST /api/public/v2/prompts: the next version of a prompt."""
    body = await read_json(request, backend)
    if found := prompts.check(body):
        raise invalid_data(*found)
    given = PromptInput(
        body["name"],
        body.get("type") or "text",
        body["prompt"],
        body.get("labels") or [],
        body.get("tags"),
        {} if body.get("config") is None else body["config"],
        body.get("commitMessage"),
    )
    try:
        prompt = await backend.run(_create, backend, given)
    except PromptError as error:
        raise invalid_request(str(error)) from error
    return reply(_row(prompt, backend), 201)


def _create(backend: Backend, given: PromptInput) -> Prompt:
    with backend.store.database.writing() as connection:
        return prompts.create(connection, given)


async def list_all(request: Request, backend: Backend) -> Response:
    """GET /api/public/v2/prompts."""
    given = request.query_params
    page = _positive(given.get("page"), "page", 1, None)
    limit = _positive(given.get("limit"), "limit", 50, _MOST_LISTED)
    bounds = [_time(given.get(name), name) for name in ("fromUpdatedAt", "toUpdatedAt")]
    found = await backend.run(
        _summaries, backend, given.get("name"), given.get("label"), given.get("tag"), *bounds
    )
    meta = {
        "page": page,
        "limit": limit,
        "totalItems": len(found),
        "totalPages": math.ceil(len(found) / limit),
    }
    shown = found[(page - 1) * limit : page * limit]
    return reply({"data": [_meta(summary) for summary in shown], "meta": meta, "pagination": meta})


def _summaries(backend: Backend, *given: Any) -> list[PromptSummary]:
    return prompts.summaries(backend.store.reader(), *given)


async def get(request: Request, backend: Backend) -> Response:
    """GET /api/public/v2/prompts/{name}: by version or label, else the one labelled production."""
    name = _only_name(request)
    version, label = _selection(request)
    if version is not None and label is not None:
        raise invalid_request("Cannot specify both version and label")
    wanted = label or prompts.PRODUCTION
    prompt = await backend.run(_get, backend, name, version, wanted)
    if prompt is None:
        how = f"with label '{wanted}'" if version is None else f"with version {version}"
        raise not_found(f"Prompt not found: '{name}' {how}")
    return reply(_row(prompt, backend))


def _get(backend: Backend, name: str, version: int | None, label: str) -> Prompt | None:
    return prompts.get(backend.store.reader(), name, version, label)


async def delete(request: Request, backend: Backend) -> Response:
    """DELETE /api/public/v2/prompts/{name}: one version, those with a label, or all."""
    name = _only_name(request)
    version, label = _selection(request)
    if not await backend.run(_delete, backend, name, version, label):
        raise not_found(f"Prompt not found: '{name}'")
    return Response(status_code=204)


def _delete(backend: Backend, name: str, version: int | None, label: str | None) -> int:
    with backend.store.database.writing() as connection:
        return prompts.delete(connection, name, version, label)


async def label(request: Request, backend: Backend) -> Response:
    """PATCH /api/public/v2/prompts/{name}/versions/{version}: adds labels."""
    name, version = _name_and_version(request)
    if version is None:
        raise ApiError(405, {"message": "Method not allowed", "error": "MethodNotAllowedError"})
    body = await read_json(request, backend)
    labels = body.get("newLabels") if isinstance(body, dict) else None
    issues = prompts.label_issues(labels) if labels is not None else ["Required"]
    if not issues and labels and prompts.LATEST in labels:
        issues = ["Label 'latest' is always assigned to the latest prompt version"]
    if issues:
        raise invalid_data(*[("newLabels", issue) for issue in issues])
    prompt = await backend.run(_label, backend, name, version, labels)
    if prompt is None:
        raise not_found(f"Prompt not found: '{name}' with version {version}")
    return reply(_row(prompt, backend))


def _label(backend: Backend, name: str, version: int, labels: list[str]) -> Prompt | None:
    with backend.store.database.writing() as connection:
        return prompts.add_labels(connection, name, version, labels)


def _name_and_version(request: Request) -> tuple[str, int | None]:
    """Name, and version for ``…/versions/N``, from the path as it was sent (%2F is part of the name)."""
    raw: bytes = request.scope.get("raw_path") or request.url.path.encode()
    segments = raw.split(b"?")[0].decode("ascii", "replace").split("/v2/prompts/", 1)[-1].split("/")
    names = [unquote(segment) for segment in segments]
    if len(names) >= 3 and names[-2] == "versions" and names[-1].isdigit():
        return "/".join(names[:-2]), int(names[-1])
    return "/".join(names), None


def _only_name(request: Request) -> str:
    name, version = _name_and_version(request)
    if version is not None:
        raise ApiError(405, {"message": "Method not allowed", "error": "MethodNotAllowedError"})
    return name


def _selection(request: Request) -> tuple[int | None, str | None]:
    given = request.query_params
    version = _positive(given["version"], "version", 1, None) if given.get("version") else None
    return version, given.get("label") or None


def _positive(text: str | None, name: str, default: int, most: int | None) -> int:
    if not text:
        return default
    if not text.isdigit() or int(text) < 1 or (most is not None and int(text) > most):
        raise invalid_data((name, "Expected a number from 1" + (f" to {most}" if most else "")))
    return int(text)


def _time(text: str | None, name: str) -> int | None:
    if not text:
        return None
    moment = times.parse(text)
    if moment is None:
        raise invalid_data((name, "Invalid datetime"))
    return moment


def _row(prompt: Prompt, backend: Backend) -> dict[str, Any]:
    return {
        "id": prompt.id,
        "createdAt": times.iso(prompt.created_ns),
        "updatedAt": times.iso(prompt.updated_ns),
        "projectId": backend.options.project_id,
        "createdBy": "API",
        "name": prompt.name,
        "version": prompt.version,
        "type": prompt.type,
        "prompt": prompt.prompt,
        "config": prompt.config,
        "labels": prompt.labels,
        "tags": prompt.tags,
        "commitMessage": prompt.commit_message,
        "isActive": None,
        "resolutionGraph": None,
    }


def _meta(summary: PromptSummary) -> dict[str, Any]:
    return {
        "name": summary.name,
        "type": summary.type,
        "versions": summary.versions,
        "labels": summary.labels,
        "tags": summary.tags,
        "lastUpdatedAt": times.iso(summary.updated_ns),
        "lastConfig": summary.config,
    }
