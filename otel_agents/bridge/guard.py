"""Passes traces on to Langfuse: repeated spans are dropped, and errors that pass by themselves tried again.

A Collector drops a batch for good at 401, 403 and 500. Langfuse answers these when its storage is away
for a moment, a key cannot be looked up, or a project is suspended. So they become 503, after which the
Collector keeps the batch and comes again. What Langfuse truly cannot take (400, 413) stays as it is.

A request in which nothing is to be changed goes on as the very bytes that came.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import AsyncIterator, Collection
from typing import TYPE_CHECKING, Final

import httpx
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from otel_agents.bridge.batches import JSON, PROTOBUF, Batch, read_batch
from otel_agents.bridge.bodies import MAX_BODY, read_body
from otel_agents.bridge.merging import Merger, key_of
from otel_agents.bridge.models import Models
from otel_agents.bridge.seen import SeenSpans, span_key
from otel_agents.export.exporters import langfuse_headers, langfuse_traces_url

if TYPE_CHECKING:
    from otel_agents.bridge.contents import Contents
    from otel_agents.bridge.meters import Meters
    from otel_agents.config import Settings

logger = logging.getLogger(__name__)

_TRANSIENT: Final = frozenset({401, 403, 408, 425, 429})
_PASSED_ON: Final = ("content-type", "content-encoding", "authorization", "user-agent")
_RETRY_AFTER: Final = "2"
#: Seconds between two log lines about one outage.
_LOG_INTERVAL: Final = 60.0


class TraceGuard:
    """The way of traces to the settings' Langfuse.

    Args:
        settings: address and keys, which are used when the sender gives none.
        meters: counts the answers.
        seen: spans that were delivered; closed by :meth:`close`.
        contents: content of events, for their spans; closed by :meth:`close`.
    """

    def __init__(self, settings: Settings, meters: Meters, seen: SeenSpans, contents: Contents) -> None:
        self._url = langfuse_traces_url(settings.langfuse_base_url)
        self._own = {
            name.lower(): value
            for name, value in langfuse_headers(
                settings.langfuse_public_key or "", settings.langfuse_secret_key or ""
            ).items()
        }
        self._client = httpx.AsyncClient(timeout=httpx.Timeout(30.0, connect=5.0), follow_redirects=True)
        self._meters = meters
        self._seen = seen
        self._contents = contents
        self.merger = Merger(contents, meters, settings.event_wait)
        self._models = Models()
        self._on_the_way: dict[bytes, asyncio.Event] = {}
        self._logged = 0.0

    async def forward(self, request: Request) -> Response:
        """POST /api/public/otel/v1/traces: Langfuse's answer, or 503 when it is worth another try."""
        body = await read_body(request, MAX_BODY)
        headers = dict(self._own)
        for name, value in request.headers.items():
            if name in _PASSED_ON or name.startswith("x-langfuse-"):
                headers[name] = value
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        batch = await run_in_threadpool(read_batch, body, kind, headers.get("content-encoding", ""))
        if batch is None:
            return await self._send(body, headers)
        project = hashlib.blake2b(headers["authorization"].encode()).digest()
        keys = [_key(project, span) for _, span in batch.spans()]
        named = {key for key in keys if key is not None}
        async with self._alone(named):
            known = await run_in_threadpool(self._seen.known, named)
            if repeated := _repeated(keys, known):
                batch.drop(repeated)
                self._meters.repeated.inc(len(repeated))
                if len(repeated) == len(keys):
                    self._meters.traces.labels("repeated").inc()
                    return _taken(kind)
            await self.merger.merge(batch)
            self._models.name(batch)
            if batch.changed:
                body = await run_in_threadpool(batch.packed)
                headers |= {"content-type": PROTOBUF, "content-encoding": "gzip"}
            answer = await self._send(body, headers)
            if answer.status_code < 300:
                await run_in_threadpool(self._delivered, named - known, batch)
        return answer

    async def close(self) -> None:
        """Closes the connections and the files."""
        await self._client.aclose()
        self._seen.close()
        self._contents.close()

    @contextlib.asynccontextmanager
    async def _alone(self, keys: Collection[bytes]) -> AsyncIterator[None]:
        """Waits until no other request has one of these spans on its way; only then it is known whether
        they were delivered."""
        while others := {id(event): event for key in keys if (event := self._on_the_way.get(key))}:
            for event in others.values():
                await event.wait()
        done = asyncio.Event()
        self._on_the_way.update(dict.fromkeys(keys, done))
        try:
            yield
        finally:
            for key in keys:
                del self._on_the_way[key]
            done.set()

    async def _send(self, body: bytes, headers: dict[str, str]) -> Response:
        try:
            answer = await self._client.post(self._url, content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return self._later(f"{type(error).__name__}: {error}", 503, _RETRY_AFTER)
        if answer.is_success:
            self._meters.traces.labels("delivered").inc()
        elif answer.status_code in _TRANSIENT or not 400 <= answer.status_code < 500:
            problem = f"status {answer.status_code}: {answer.text[:200]}"
            wait = answer.headers.get("retry-after", _RETRY_AFTER)
            return self._later(problem, 429 if answer.status_code == 429 else 503, wait)
        else:
            self._meters.traces.labels("refused").inc()
            logger.error("Langfuse refused spans: status %d: %s", answer.status_code, answer.text[:500])
        return Response(
            answer.content,
            answer.status_code,
            media_type=answer.headers.get("content-type", "application/json"),
        )

    def _delivered(self, keys: Collection[bytes], batch: Batch) -> None:
        self._seen.add(keys)
        self._contents.forget({key_of(span) for _, span in batch.spans()})

    def _later(self, problem: str, status: int, wait: str) -> Response:
        self._meters.traces.labels("retry").inc()
        if time.monotonic() - self._logged > _LOG_INTERVAL or not self._logged:
            self._logged = time.monotonic()
            logger.warning("spans wait for Langfuse: %s", problem)
        return JSONResponse(
            {"message": f"Langfuse takes no spans now; {problem}"}, status, headers={"retry-after": wait}
        )


def _key(project: bytes, span: object) -> bytes | None:
    """What the span is known by; None without ids, for then it cannot be told from others."""
    trace_id, span_id = bytes(getattr(span, "trace_id", b"")), bytes(getattr(span, "span_id", b""))
    if len(trace_id) != 16 or len(span_id) != 8 or not any(trace_id) or not any(span_id):
        return None
    return span_key(project, trace_id, span_id)


def _repeated(keys: list[bytes | None], known: Collection[bytes]) -> set[int]:
    """Places of the spans that were delivered before, or come twice in one request."""
    here: set[bytes] = set()
    places = set()
    for place, key in enumerate(keys):
        if key is None:
            continue
        if key in known or key in here:
            places.add(place)
        here.add(key)
    return places


def _taken(kind: str) -> Response:
    """OTLP's answer to a request of which everything was taken."""
    return Response("{}", media_type=JSON) if kind == JSON else Response(b"", media_type=PROTOBUF)
