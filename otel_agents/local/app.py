"""The ASGI application: API, web UI, and the background work of one local backend."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable

from starlette.applications import Starlette
from starlette.routing import BaseRoute

from otel_agents.local import retention
from otel_agents.local.api.http import is_loopback
from otel_agents.local.api.routes import api_routes
from otel_agents.local.backend import Backend
from otel_agents.local.options import DEFAULT_SECRET_KEY, LocalOptions

logger = logging.getLogger(__name__)

#: Between two looks for orphans in what has arrived.
_SETTLE_SECONDS = 5.0


def create_app(options: LocalOptions) -> Starlette:
    """The application; its state holds the `Backend` as ``app.state.backend``.

    The database is opened here, so that a file that cannot be used is reported before anything is
    served. It is closed when the application's lifespan ends.

    Raises:
        LocalError: the database cannot be used.
    """
    if not is_loopback(options.host) and options.secret_key == DEFAULT_SECRET_KEY:
        logger.warning(
            "the local backend listens on %s with its default keys: set keys of your own", options.host
        )
    backend = Backend(options)
    app = Starlette(routes=[*api_routes(), *_ui_routes(backend)], lifespan=_lifespan)
    app.state.backend = backend
    return app


def _ui_routes(backend: Backend) -> list[BaseRoute]:
    # The API works without the pages (and their template library).
    if importlib.util.find_spec("jinja2") is None:
        logger.warning("the web UI is off: jinja2 is not installed (install otel-agents[server])")
        return []
    from otel_agents.local import ui

    return list(ui.routes(backend.store, backend.options))


@contextlib.asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    backend: Backend = app.state.backend
    options = backend.options
    work = [
        asyncio.create_task(
            _repeat(
                backend,
                options.retention_interval,
                lambda: retention.apply(backend.store, options.retention_days, options.max_bytes),
            )
        ),
        asyncio.create_task(_repeat(backend, _SETTLE_SECONDS, backend.store.settle)),
    ]
    try:
        yield
    finally:
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        await backend.close()


async def _repeat(backend: Backend, seconds: float, work: Callable[[], object]) -> None:
    while True:
        try:
            await backend.run(work)
        except sqlite3.DatabaseError as error:
            logger.error("the database %s cannot be used: %s", backend.options.db, error)
        except Exception:
            logger.exception("background work of the local backend failed")
        await asyncio.sleep(seconds)
