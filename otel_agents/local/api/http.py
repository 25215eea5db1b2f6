"""How every endpoint answers: JSON, Basic keys, Langfuse's order of checks and its error bodies."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import ipaddress
import logging
import math
import sqlite3
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from otel_agents.local.backend import Backend
from otel_agents.local.faults import Fault
from otel_agents.local.findings import finding
from otel_agents.local.options import LocalError
from otel_agents.local.otlp import Rejected, decompress, load_json

logger = logging.getLogger(__name__)

Handler = Callable[[Request, Backend], Awaitable[Response]]

EVENTS_ONLY: Final = {
    "message": "This endpoint is not available on deployments running in Langfuse v4 events_only mode."
    " Learn more about Langfuse v4 at: https://langfuse.com/docs/v4"
}
_HOST_HINT: Final = "Confirm that you've configured the correct host."
_NO_ACCESS: Final = {"message": "Access denied - insufficient permissions for this endpoint"}
#: Next.js' own limit on a JSON body; the span endpoint has none.
JSON_LIMIT: Final = 1024 * 1024
_encoder = msgspec.json.Encoder(enc_hook=str)


class ApiError(Exception):
    """Answers the request with a status and a JSON body."""

    def __init__(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(str(body))
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


def invalid_request(message: str) -> ApiError:
    """400 as the server's InvalidRequestError."""
    return ApiError(400, {"message": message, "error": "InvalidRequestError"})


def invalid_data(*issues: tuple[str, str]) -> ApiError:
    """400 as a failed schema check; each issue is (path, message)."""
    listed = [{"code": "custom", "path": path.split("."), "message": message} for path, message in issues]
    return ApiError(400, {"message": "Invalid request data", "error": listed})


def not_found(message: str) -> ApiError:
    """404 as the server's LangfuseNotFoundError."""
    return ApiError(404, {"message": message, "error": "LangfuseNotFoundError"})


def reply(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(_encoder.encode(body), status, dict(headers or {}), "application/json")


async def read_json(request: Request, backend: Backend, limit: int = JSON_LIMIT) -> Any:
    """The request's JSON body; gzip is undone.

    Raises:
        ApiError: it is too large or not JSON.
    """
    body = await read_body(request, backend.options.max_body_bytes)
    if "gzip" in request.headers.get("content-encoding", "").lower():
        try:
            body = decompress(body, backend.options.max_body_bytes)
        except Rejected as error:
            raise ApiError(error.status, error.body) from error
    if len(body) > limit:
        raise ApiError(413, {"message": f"Body exceeded {limit / 1024**2:g}mb limit"})
    try:
        return load_json(body)
    except ValueError as error:
        raise invalid_data(("", "the body is not JSON")) from error


async def read_body(request: Request, limit: int) -> bytes:
    """The body as it was sent.

    Raises:
        ApiError: it is larger than ``limit`` bytes.
    """
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise ApiError(413, {"message": f"Body exceeded {limit / 1024**2:g}mb limit"})
        parts.append(part)
    return b"".join(parts)


def resource(
    path: str,
    methods: Mapping[str, Handler],
    *,
    open_to_all: bool = False,
    scores_level: bool = False,
    gated: frozenset[str] = frozenset(),
) -> Route:
    """One path with a handler a method.

    Args:
        open_to_all: no keys are asked for.
        scores_level: a public key alone (Bearer) is enough.
        gated: methods that answer 404 with the events_only message, before the keys are looked at.
    """

    async def endpoint(request: Request) -> Response:
        backend: Backend = request.app.state.backend
        method = "GET" if request.method == "HEAD" and "GET" in methods else request.method
        try:
            _check_host(request, backend)
            if method in gated:
                raise ApiError(404, EVENTS_ONLY)
            if method not in methods:
                raise ApiError(405, {"message": "Method not allowed", "error": "MethodNotAllowedError"})
            answer = await _faulty(request, backend, methods[method], open_to_all, scores_level)
        except ApiError as error:
            answer = reply(error.body, error.status, error.headers)
        except ClientDisconnect:
            answer = reply({"error": "Failed to read request body"}, 400)
        except (LocalError, sqlite3.DatabaseError) as error:
            # One line, and an answer that clients try again after: the disk may be full only for a while.
            logger.error("the database %s cannot be used: %s", backend.options.db, error)
            answer = reply({"message": "Service Unavailable"}, 503)
        except Exception as error:
            logger.exception("%s %s failed", request.method, request.url.path)
            answer = reply({"message": "Internal Server Error", "error": type(error).__name__}, 500)
        return answer

    verbs = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    return Route(path, endpoint, methods=verbs)


async def _faulty(
    request: Request, backend: Backend, handler: Handler, open_to_all: bool, scores_level: bool
) -> Response:
    path = request.url.path
    fault = None if path.startswith("/api/local/") else backend.faults.take(path)
    if fault is not None:
        await asyncio.sleep(fault.delay_ms / 1000)
        if fault.status is not None and not fault.after:
            raise _error_of(fault, fault.status)
    if not open_to_all:
        await _authorise(request, backend, scores_level)
    answer = await handler(request, backend)
    if fault is not None and fault.status is not None:
        raise _error_of(fault, fault.status)
    return answer


def _error_of(fault: Fault, status: int) -> ApiError:
    wait = fault.retry_after
    headers = {} if wait is None else {"Retry-After": f"{wait:g}"}
    if status == 429:
        details = {"retryAfterSeconds": math.ceil(wait or 0), "limit": 1000, "remaining": 0, "resetAt": ""}
        body: Any = {"message": "Rate limit exceeded", "code": "rate_limited", "details": details}
        headers |= {"X-RateLimit-Limit": "1000", "X-RateLimit-Remaining": "0"}
    elif status == 503:
        body = {"message": "Service Unavailable"}
    else:
        body = {"message": "Internal Server Error", "error": "InjectedFault"}
    return ApiError(status, body, headers)


async def _authorise(request: Request, backend: Backend, scores_level: bool) -> None:
    header = request.headers.get("authorization")
    if header is None:
        raise ApiError(401, {"message": "No authorization header"})
    scheme, _, value = header.partition(" ")
    options = backend.options
    if scheme == "Bearer":
        if not _same(value.strip(), options.public_key):
            raise ApiError(401, {"message": f"Invalid public key. {_HOST_HINT}"})
        if not scores_level:
            raise ApiError(403, _NO_ACCESS)
        return
    if scheme != "Basic":
        raise ApiError(401, {"message": "Invalid authorization header"})
    try:
        public, found, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ApiError(401, {"message": "Invalid authorization header"}) from error
    # The secret key alone decides, as on the server.
    if not found or not _same(secret, options.secret_key):
        raise ApiError(401, {"message": f"Invalid credentials. {_HOST_HINT}"})
    if options.strict and not _same(public, options.public_key):
        note = finding("public_key_mismatch", "", "", time.time_ns(), public_key=public[:100])
        await backend.run(backend.store.add_findings, [note])


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


def _check_host(request: Request, backend: Backend) -> None:
    """Refuses foreign host names while only the loopback interface is served.

    The default keys are public. Without this, any web page could point a name of its own at 127.0.0.1 and
    read everything with them (DNS rebinding). For the same reason there are no CORS headers.
    """
    if not is_loopback(backend.options.host):
        return
    host = request.headers.get("host", "")
    name = host.partition("]")[0].strip("[") if host.startswith("[") else host.partition(":")[0]
    if not is_loopback(name):
        raise ApiError(421, {"message": "This server answers on the loopback interface only"})


def is_loopback(host: str) -> bool:
    """True for ``localhost``, names under it, and addresses of the loopback interface."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
