"""The bridge's HTTP application."""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from otel_agents import semconv
from otel_agents.bridge.batches import JSON, PROTOBUF
from otel_agents.bridge.bodies import BadRequest, read_body, unpack
from otel_agents.bridge.contents import Contents
from otel_agents.bridge.errors import BridgeError
from otel_agents.bridge.event_content import said_of
from otel_agents.bridge.guard import TraceGuard
from otel_agents.bridge.lanes import Lanes
from otel_agents.bridge.langfuse_meters import LangfuseMeters
from otel_agents.bridge.meters import Meters
from otel_agents.bridge.otlp_logs import Event, Malformed, events_of_json, events_of_protobuf
from otel_agents.bridge.queue import MAX_BYTES, MAX_SCORES, QueueFull
from otel_agents.bridge.seen import SeenSpans
from otel_agents.bridge.summary_routes import metrics_page, summaries_of, summary_route
from otel_agents.langfuse.score_events import NotAScore, Score, score_of

if TYPE_CHECKING:
    from otel_agents.config import Settings

logger = logging.getLogger(__name__)

#: Seconds that a sender is asked to wait while the queue is full.
_RETRY_AFTER: Final = "10"


class Bridge:
    """The parts behind the routes."""

    def __init__(self, settings: Settings, max_scores: int, max_bytes: int) -> None:
        if not (settings.langfuse_public_key and settings.langfuse_secret_key):
            raise BridgeError(
                "the bridge needs Langfuse's keys; set LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY"
            )
        self.settings = settings
        self.lanes = Lanes(settings, max_scores, max_bytes)
        self.meters = Meters(self.lanes)
        folder = settings.home / "bridge"
        self.contents = Contents(folder / "contents.db", self.meters)
        self.guard = TraceGuard(settings, self.meters, SeenSpans(folder / "seen.db"), self.contents)
        self.summaries = summaries_of(settings)
        self.langfuse = LangfuseMeters(
            self.meters.registry, self.summaries, settings.summary_interval, settings.label_limit
        )

    async def logs(self, request: Request) -> Response:
        """POST /v1/logs: 200 when every evaluation result and all content for spans in it is on disk."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in (PROTOBUF, JSON):
            raise BadRequest(415, f"content-type {kind[:60]!r} is not supported; use {PROTOBUF} or {JSON}")
        packed = await read_body(request)
        rejected, services = await run_in_threadpool(
            self._store, packed, kind, request.headers.get("content-encoding", "")
        )
        if services:
            self.guard.merger.heard(services)
        return _accepted(kind, rejected)

    async def healthz(self, _: Request) -> Response:
        """GET /healthz: 200 while it serves; says how many scores wait."""
        waiting, _size = self.lanes.size()
        return JSONResponse({"status": "ok", "waiting": waiting})

    async def metrics(self, request: Request) -> Response:
        """GET /metrics, in the format that the scraper asks for."""
        return await metrics_page(request, self.meters.registry)

    def _store(self, packed: bytes, kind: str, encoding: str) -> tuple[Counter[str], set[str]]:
        """Puts what is of use in a request on disk.

        Returns:
            Why some evaluation results are no scores; the services that sent content for their spans.
        """
        body = unpack(packed, encoding)
        try:
            events, records = events_of_protobuf(body) if kind == PROTOBUF else events_of_json(body)
        except Malformed as error:
            raise BadRequest(400, str(error)) from None
        evaluations = [one for one in events if one.name == semconv.EVENT_EVALUATION_RESULT]
        contents = [one for one in events if one.name != semconv.EVENT_EVALUATION_RESULT]
        self.meters.records.labels("evaluation").inc(len(evaluations))
        self.meters.records.labels("content").inc(len(contents))
        self.meters.records.labels("other").inc(records - len(events))
        services = self._store_content(contents) if contents else set()
        return self._store_scores(evaluations), services

    def _store_content(self, events: Sequence[Event]) -> set[str]:
        said, services = [], set()
        for event in events:
            if (one := said_of(event)) is not None:
                said.append(one)
                services.add(event.service)
        self.meters.content.labels("unusable").inc(len(events) - len(said))
        self.contents.add(said)
        return services

    def _store_scores(self, events: Sequence[Event]) -> Counter[str]:
        scores: defaultdict[str, list[Score]] = defaultdict(list)
        rejected: Counter[str] = Counter()
        for event in events:
            try:
                scores[self.lanes.lane_of(event.attributes)].append(
                    score_of(
                        event.attributes,
                        event.trace_id,
                        event.span_id,
                        event.timestamp_ns or time.time_ns(),
                        event.environment or self.settings.environment,
                    )
                )
            except (NotAScore, ValueError, OverflowError, OSError) as error:
                rejected[str(error)] += 1
        if scores:
            self.lanes.add(scores)
            self.meters.stored.inc(sum(len(some) for some in scores.values()))
        for reason, count in rejected.items():
            self.meters.dropped.labels("not_a_score").inc(count)
            logger.warning("%d evaluation result(s) are no score: %s", count, reason)
        return rejected


def create_app(settings: Settings, max_scores: int = MAX_SCORES, max_bytes: int = MAX_BYTES) -> Starlette:
    """The bridge as an ASGI application, which holds ``settings.home / "bridge"`` from now to its shutdown.

    Args:
        settings: keys and address of Langfuse, those of further projects, home folder, environment.
        max_scores: most scores kept on disk for one project.
        max_bytes: the same in bytes.

    Raises:
        BridgeError: no keys, or the folder cannot be used.
    """
    bridge = Bridge(settings, max_scores, max_bytes)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        bridge.lanes.start(bridge.meters)
        bridge.langfuse.start()
        try:
            yield
        finally:
            bridge.langfuse.stop()
            await run_in_threadpool(bridge.lanes.stop)
            await bridge.guard.close()
            bridge.lanes.close()

    app = Starlette(
        routes=[
            Route("/v1/logs", bridge.logs, methods=["POST"]),
            Route("/api/public/otel/v1/traces", bridge.guard.forward, methods=["POST"]),
            Route("/healthz", bridge.healthz),
            Route("/health", bridge.healthz),
            Route("/metrics", bridge.metrics),
            summary_route(bridge.summaries),
        ],
        exception_handlers={
            BadRequest: _bad_request,
            QueueFull: _queue_full,
            ClientDisconnect: _gone,
        },
        lifespan=lifespan,
    )
    app.state.bridge = bridge
    return app


def _accepted(kind: str, rejected: Counter[str]) -> Response:
    """OTLP's answer to a request; it names what cannot become a score, so that the sender can say so."""
    message = "; ".join(
        f"{count} evaluation result(s) are no score: {why}" for why, count in rejected.items()
    )
    if kind == JSON:
        partial = {"rejectedLogRecords": str(rejected.total()), "errorMessage": message}
        return Response(json.dumps({"partialSuccess": partial} if rejected else {}), media_type=JSON)
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
        ExportLogsPartialSuccess,
        ExportLogsServiceResponse,
    )

    answer = ExportLogsServiceResponse()
    if rejected:
        answer.partial_success.CopyFrom(
            ExportLogsPartialSuccess(rejected_log_records=rejected.total(), error_message=message)
        )
    return Response(answer.SerializeToString(), media_type=PROTOBUF)


async def _bad_request(_: Request, error: Exception) -> Response:
    assert isinstance(error, BadRequest)
    logger.warning("refused a request: %s", error)
    return JSONResponse({"message": str(error)}, error.status)


async def _queue_full(request: Request, error: Exception) -> Response:
    request.app.state.bridge.meters.full.inc()
    logger.error("asked a sender to come again: %s", error)
    return JSONResponse({"message": str(error)}, 503, headers={"retry-after": _RETRY_AFTER})


async def _gone(_: Request, __: Exception) -> Response:
    return Response(status_code=400)  # nobody is there to read it
