"""The dashboards on a server of their own, for whoever has a Prometheus but not our local backend."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from otel_agents.dashboards.boards import BoardError
from otel_agents.local.ui import render
from otel_agents.local.ui.dashboards import Pages
from otel_agents.local.ui.guard import Guard

_HOST = "127.0.0.1"
Page = Callable[[object, Request], Response]


def app(prometheus: str, langfuse: str) -> Starlette:
    """The application; it answers on the loopback interface only.

    Raises:
        BoardError: the address of Prometheus is none.
    """
    pages = Pages(prometheus, langfuse, alone=True)
    guard = [Middleware(Guard, bound_to=_HOST, keys=[])]

    def route(path: str, page: Page) -> Route:
        async def endpoint(request: Request) -> Response:
            return await run_in_threadpool(page, None, request)

        return Route(path, endpoint, methods=["GET"], middleware=guard)

    return Starlette(
        routes=[
            route("/", pages.home),
            route("/dashboards", pages.home),
            route("/dashboards/changes", pages.changes),
            route("/dashboards/{name}", pages.board),
            route("/ui/static/{name}", render.static),
        ]
    )


def serve(prometheus: str, langfuse: str, port: int, ready: Callable[[str], None]) -> None:
    """Serves until SIGINT or SIGTERM.

    Args:
        port: 0 takes a free one.
        ready: called with the address once connections are taken.

    Raises:
        BoardError: the port is taken, or the address of Prometheus is none.
    """
    made = app(prometheus, langfuse)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((_HOST, port))
            listener.listen(128)
        except (OSError, OverflowError):
            raise BoardError(f"port {port} is in use; choose another with --port, 0 for a free one") from None
        ready(f"http://{_HOST}:{listener.getsockname()[1]}/dashboards")
        config = uvicorn.Config(made, log_config=None, log_level="warning", access_log=False)
        try:
            uvicorn.Server(config).run(sockets=[listener])
        except KeyboardInterrupt:
            pass
