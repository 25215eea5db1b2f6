"""The web UI of the local backend: server-rendered pages, a little script, nothing from another host.

Pages: ``/traces``, ``/traces/{id}``, ``/sessions``, ``/sessions/{id}``, ``/findings``,
``/dashboards/{name}``. Everything is a GET and changes nothing. Without script every page still works; the
script adds the keyboard, the live refresh and the details pane without a reload.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from otel_agents.local.options import LocalOptions
from otel_agents.local.store import Store
from otel_agents.local.ui import dashboards, render
from otel_agents.local.ui.guard import Guard
from otel_agents.local.ui.pages import findings, sessions, trace, traces

Page = Callable[[Store, Request], Response]

#: Threads that read for the pages. They stay, because the store keeps a connection for every thread.
_THREADS = 4


def routes(store: Store, options: LocalOptions) -> list[BaseRoute]:
    """Routes for the app to mount at its root; each carries its own guard.

    Args:
        store: what the pages read.
        options: ``host`` decides whether the pages ask for the keys (see `otel_agents.local.ui.guard`).
    """
    guard = [Middleware(Guard, bound_to=options.host, keys=[(options.public_key, options.secret_key)])]

    pool = ThreadPoolExecutor(_THREADS, "otel-agents-ui")

    def off_the_loop(page: Page) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            return await asyncio.get_running_loop().run_in_executor(pool, page, store, request)

        return endpoint

    boards = dashboards.Pages(options.prometheus)

    def route(path: str, page: Page, name: str) -> Route:
        return Route(path, off_the_loop(page), methods=["GET"], name=f"ui:{name}", middleware=guard)

    observation = "/ui/observation/{trace_id}/{observation_id}"
    return [
        route("/", _home, "home"),
        route("/traces", traces.table, "traces"),
        route("/traces/{trace_id}", trace.page, "trace"),
        route("/sessions", sessions.table, "sessions"),
        route("/sessions/{session_id:path}", sessions.one, "session"),
        route("/findings", findings.table, "findings"),
        route("/dashboards", boards.home, "dashboards"),
        route("/dashboards/changes", boards.changes, "dashboards-changes"),
        route("/dashboards/{name}", boards.board, "dashboard"),
        route("/ui/changes", _changes, "changes"),
        route(observation, trace.fragment, "observation"),
        route(observation + "/{side}", trace.side, "side"),
        route(observation + "/{side}/raw", trace.raw, "raw"),
        route("/project/{project_id}", trace.langfuse_link, "langfuse"),
        route("/project/{project_id}/traces", trace.langfuse_link, "langfuse-traces"),
        route("/project/{project_id}/traces/{trace_id}", trace.langfuse_link, "langfuse-trace"),
        route("/project/{project_id}/sessions/{session_id:path}", trace.langfuse_link, "langfuse-session"),
        route("/ui/static/{name}", render.static, "static"),
    ]


def _home(store: Store, request: Request) -> Response:
    return RedirectResponse("/traces")


def _changes(store: Store, request: Request) -> Response:
    """A number that grows with every write: all that the live refresh asks for until it does."""
    return render.data({"change": store.latest_change()})
