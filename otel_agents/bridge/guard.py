"""Passes traces on to Langfuse, and has errors that pass by themselves tried again.

A Collector drops a batch for good at 401, 403 and 500. Langfuse answers these when its storage is away
for a moment, a key cannot be looked up, or a project is suspended. So they become 503, after which the
Collector keeps the batch and comes again. What Langfuse truly cannot take (400, 413) stays as it is.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from otel_agents.bridge.bodies import MAX_BODY, read_body
from otel_agents.export.exporters import langfuse_headers, langfuse_traces_url

if TYPE_CHECKING:
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
    """

    def __init__(self, settings: Settings, meters: Meters) -> None:
        self._url = langfuse_traces_url(settings.langfuse_base_url)
        self._own = {
            name.lower(): value
            for name, value in langfuse_headers(
                settings.langfuse_public_key or "", settings.langfuse_secret_key or ""
            ).items()
        }
        self._client = httpx.AsyncClient(timeout=httpx.Timeout(30.0, connect=5.0), follow_redirects=True)
        self._meters = meters
        self._logged = 0.0

    async def forward(self, request: Request) -> Response:
        """POST /api/public/otel/v1/traces: Langfuse's answer, or 503 when it is worth another try."""
        body = await read_body(request, MAX_BODY)
        headers = dict(self._own)
        for name, value in request.headers.items():
            if name in _PASSED_ON or name.startswith("x-langfuse-"):
                headers[name] = value
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

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    def _later(self, problem: str, status: int, wait: str) -> Response:
        self._meters.traces.labels("retry").inc()
        if time.monotonic() - self._logged > _LOG_INTERVAL or not self._logged:
            self._logged = time.monotonic()
            logger.warning("spans wait for Langfuse: %s", problem)
        return JSONResponse(
            {"message": f"Langfuse takes no spans now; {problem}"}, status, headers={"retry-after": wait}
        )
