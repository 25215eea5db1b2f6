"""``GET /langfuse/summary`` for the bridge, for an ASGI application to mount, and for FastAPI."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from otel_agents.bridge.errors import BridgeError
from otel_agents.bridge.langfuse_meters import LangfuseMeters
from otel_agents.bridge.summaries import NoSummary, Summaries, reader
from otel_agents.bridge.summary import LONGEST_HOURS, BadWindow, hours_of

if TYPE_CHECKING:
    from fastapi import APIRouter
    from prometheus_client import CollectorRegistry

    from otel_agents.config import Settings

PATH = "/langfuse/summary"


def summaries_of(settings: Settings) -> Summaries:
    """Summaries of the settings' Langfuse."""
    return Summaries(reader(settings), settings.summary_ttl)


def summary_route(summaries: Summaries) -> Route:
    """The route. It answers 422 to a bad ``hours``, 503 when there is nothing to answer with."""

    async def summary(request: Request) -> Response:
        try:
            hours = hours_of(request.query_params.get("hours"))
        except BadWindow as error:
            return JSONResponse({"detail": str(error)}, 422)
        return await _answer(summaries, hours)

    return Route(PATH, summary)


async def metrics_page(request: Request, registry: CollectorRegistry) -> Response:
    """A page of metrics, in the format that the scraper asks for."""
    from prometheus_client.exposition import choose_encoder
    from starlette.concurrency import run_in_threadpool

    encode, kind = choose_encoder(request.headers.get("accept", ""))
    page = await run_in_threadpool(encode, registry)
    return Response(page, headers={"content-type": kind})


def make_summary_app(settings: Settings | None = None) -> Starlette:
    """See :func:`otel_agents.bridge.summary_app`."""
    from prometheus_client import CollectorRegistry

    settings = settings or _settings()
    summaries = summaries_of(settings)
    registry = CollectorRegistry()
    meters = LangfuseMeters(registry, summaries, settings.summary_interval, settings.label_limit)

    async def metrics(request: Request) -> Response:
        meters.start()  # a mounted application is not told when the server starts
        return await metrics_page(request, registry)

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        meters.start()
        try:
            yield
        finally:
            meters.stop()

    return Starlette(
        routes=[summary_route(summaries), Route("/metrics", metrics), Route("/healthz", healthz)],
        lifespan=lifespan,
    )


def make_fastapi_router(settings: Settings | None = None, **arguments: Any) -> APIRouter:
    """See :func:`otel_agents.bridge.fastapi_router`."""
    try:
        from fastapi import APIRouter, Query
    except ModuleNotFoundError:
        raise BridgeError(
            "fastapi is not installed; `pip install fastapi`, or mount otel_agents.bridge.summary_app()"
        ) from None

    router = APIRouter(**{"tags": ["langfuse"], **arguments})
    summaries = summaries_of(settings or _settings())
    window = Query(1.0, gt=0, le=LONGEST_HOURS, description="Length of the window in hours.")

    async def summary(hours: float = window) -> Response:
        """Tasks, cost, quality and success of the last hours, from Langfuse."""
        return await _answer(summaries, hours)

    # Annotations are text in this module, and FastAPI would look for their names in it.
    summary.__annotations__ = {"hours": float, "return": Response}
    router.add_api_route(
        PATH,
        summary,
        methods=["GET"],
        name="langfuse_summary",
        response_class=JSONResponse,
        responses={503: {"description": "Langfuse cannot be read, and no earlier answer is left."}},
    )
    return router


async def _answer(summaries: Summaries, hours: float) -> Response:
    try:
        answer = await summaries.get(hours)
    except NoSummary as error:
        return JSONResponse({"detail": str(error)}, 503)
    body = {**answer.summary.body(), "stale": answer.stale}
    if answer.stale:
        body["problem"] = answer.problem
    return JSONResponse(body)


def _settings() -> Settings:
    """The settings of ``configure()`` when it was called, else of the environment."""
    from otel_agents import runtime

    return runtime.current().settings
