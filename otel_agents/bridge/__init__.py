"""The bridge: what a Collector cannot do between an application and Langfuse.

It takes OTLP logs at ``/v1/logs`` and makes Langfuse scores of the evaluation results among them, and it
passes traces on so that errors which pass by themselves are tried again instead of losing spans. The other
way round it tells what only Langfuse knows: ``/langfuse/summary``, and metrics for Prometheus.
"""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING, Any

from otel_agents.bridge.errors import BridgeError

if TYPE_CHECKING:
    from fastapi import APIRouter
    from starlette.applications import Starlette

    from otel_agents.config import Settings

__all__ = ["BridgeError", "fastapi_router", "serve", "summary_app"]

logger = logging.getLogger(__name__)

_STOP_SECONDS = 5


def serve(settings: Settings, host: str = "127.0.0.1", port: int = 4319) -> None:
    """Serves the bridge until SIGINT or SIGTERM.

    Args:
        settings: keys and address of Langfuse, and the home folder for the queue.
        host: address to listen on.
        port: TCP port; 0 takes a free one.

    Raises:
        BridgeError: no keys, a port that is taken, a folder that cannot be written or is used by another
            bridge; one line that says what to do.
    """
    try:
        import uvicorn

        from otel_agents.bridge.app import create_app
    except ModuleNotFoundError as error:
        raise BridgeError(f"{error.name} is not installed; `pip install 'otel-agents[server]'`") from None

    if not logging.getLogger().handlers:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # One line for each batch would be most of the log.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with _listening(host, port) as listener:
        config = uvicorn.Config(
            create_app(settings),
            lifespan="on",
            log_config=None,  # the process decides about logging
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=_STOP_SECONDS,
            server_header=False,
        )
        name, taken = listener.getsockname()[:2]
        where = f"[{name}]:{taken}" if ":" in name else f"{name}:{taken}"
        logger.info("bridge on http://%s, scores to %s", where, settings.langfuse_base_url)
        uvicorn.Server(config).run(sockets=[listener])


def summary_app(settings: Settings | None = None) -> Starlette:
    """An ASGI application with ``/langfuse/summary``, ``/metrics`` and ``/healthz``, to run or to mount.

    Args:
        settings: keys and address of Langfuse; those of ``configure()`` or the environment by default.
            Without keys the application says so in its answers (503) instead of failing here.

    Raises:
        BridgeError: starlette is not installed.
    """
    try:
        from otel_agents.bridge.summary_routes import make_summary_app
    except ModuleNotFoundError as error:
        raise BridgeError(f"{error.name} is not installed; `pip install 'otel-agents[server]'`") from None
    return make_summary_app(settings)


def fastapi_router(settings: Settings | None = None, **arguments: Any) -> APIRouter:
    """A FastAPI router with ``GET /langfuse/summary?hours=1``.

    Args:
        settings: as for :func:`summary_app`.
        arguments: for FastAPI's ``APIRouter``, such as ``prefix`` and ``dependencies``.

    Raises:
        BridgeError: fastapi is not installed.
    """
    try:
        from otel_agents.bridge.summary_routes import make_fastapi_router
    except ModuleNotFoundError as error:
        raise BridgeError(f"{error.name} is not installed; `pip install fastapi`") from None
    return make_fastapi_router(settings, **arguments)


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise BridgeError(
            f"cannot listen on {host}:{port} ({reason}); stop what uses it or choose another --port"
        ) from None
    return listener
