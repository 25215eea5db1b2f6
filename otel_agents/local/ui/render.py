"""Templates and static files: found once, escaped always."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from otel_agents.local.ui import clean, figures
from otel_agents.local.ui.highlight import json_markup
from otel_agents.version import __version__

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def _finalize(value: Any) -> Any:
    """Runs on every ``{{ }}``: nothing recorded reaches a page without it."""
    if type(value) is str:
        return clean.visible(value)
    if value is None:
        return ""
    return value


def path_segment(text: str) -> str:
    """``text`` as one segment of a URL path; ids come from outside and may hold anything."""
    return quote(text.encode("utf-8", "replace"), safe="")


@cache
def static_files() -> dict[str, tuple[bytes, str, str]]:
    """Name to (content, media type, short hash)."""
    found: dict[str, tuple[bytes, str, str]] = {}
    for item in resources.files("otel_agents.local.ui").joinpath("static").iterdir():
        kind = _TYPES.get("." + item.name.rpartition(".")[2])
        if kind:
            body = item.read_bytes()
            found[item.name] = (body, kind, hashlib.sha256(body).hexdigest()[:10])
    return found


def asset(name: str) -> str:
    """URL of a static file; changes with its content, so that it can be cached for ever."""
    return f"/ui/static/{name}?v={static_files()[name][2]}"


@cache
def environment() -> Environment:
    """The one template environment: everything is escaped, a missing variable is an error."""
    env = Environment(
        loader=PackageLoader("otel_agents.local.ui", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    env.filters.update(
        count=figures.count,
        compact=figures.compact,
        usd=figures.usd,
        usd_short=figures.usd_short,
        usd_exact=figures.usd_exact,
        seconds=figures.seconds,
        ns=figures.ns_seconds,
        ratio=figures.ratio,
        percent=figures.percent,
        textsize=figures.size,
        iso=figures.iso,
        clock=figures.clock,
        full_time=figures.full_time,
        one_line=clean.one_line,
        json=json_markup,
        seg=path_segment,
    )
    env.globals.update(asset=asset, version=__version__, NOTHING=figures.NOTHING, zone=figures.zone)
    return env


def page(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    """A rendered page."""
    body = environment().get_template(template).render(path=request.url.path, **values)
    return HTMLResponse(body.encode("utf-8", "replace"), status_code=status)


def data(value: Any) -> JSONResponse:
    """A small JSON answer for the page's script."""
    return JSONResponse(value)


def raw_text(text: str, filename: str) -> Response:
    """Recorded text as it is: never as a document that a browser would run."""
    return PlainTextResponse(
        text.encode("utf-8", "replace"),
        headers={
            "content-disposition": f'inline; filename="{filename}"',
            "content-security-policy": "default-src 'none'; sandbox",
        },
    )


def static(store: object, request: Request) -> Response:
    """Serves ``/ui/static/{name}``."""
    found = static_files().get(request.path_params["name"])
    if found is None:
        return PlainTextResponse("no such file\n", status_code=404)
    body, kind, digest = found
    versioned = request.query_params.get("v") == digest
    headers = {
        "etag": f'"{digest}"',
        "cache-control": "public, max-age=31536000, immutable" if versioned else "no-cache",
    }
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=kind, headers=headers)
