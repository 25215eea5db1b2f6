"""The hook in botocore: ``URLLib3Session.send``, below the SDK's parsers and retries, above its pool.

It sees the signed request and the raw response of every attempt, for boto3 and everything else that
is built on botocore's clients. aiobotocore sends through aiohttp, which has a hook of its own.
"""

from __future__ import annotations

import logging
from typing import Any, Final
from urllib.parse import urlsplit

from otel_agents.budgets import Refused
from otel_agents.wire import call as calls
from otel_agents.wire import urllib3_tee
from otel_agents.wire.call import Call
from otel_agents.wire.capture import Body
from otel_agents.wire.recognise import format_of
from otel_agents.wire.requests_hook import in_memory
from otel_agents.wire.wrapping import Hooks

logger = logging.getLogger(__name__)

_PORTS: Final = {"https": 443, "http": 80}

_hooks: Final = Hooks()


def install(module: Any) -> None:
    """Hooks the HTTP sessions of ``module`` (botocore.httpsession)."""
    _hooks.wrap(module.URLLib3Session, "send", _send)


def uninstall() -> None:
    """Puts the original method back."""
    _hooks.undo()


def _send(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    request = args[0] if args else kwargs.get("request")
    call = _begin(instance, request)
    if call is None:
        return wrapped(*args, **kwargs)
    call.attach()
    try:
        response = wrapped(*args, **kwargs)
    except BaseException as error:
        call.detach()
        call.finish(error)
        raise
    call.detach()
    _watch(request, response, call)
    return response


def _begin(session: Any, request: Any) -> Call | None:
    if not _hooks:
        return None
    try:
        if request.method != "POST":
            return None
        url = urlsplit(request.url)
        wire_format = format_of(url.path)
        if wire_format is None:
            return None
        port = url.port or _PORTS.get(url.scheme, 0)
        headers = {name.lower(): _text(value) for name, value in request.headers.items()}
        known = set(headers)
        host, body = url.hostname or "", in_memory(request.body)
        call = calls.begin(wire_format, host, port, body, headers, client=session, url=request.url)
        for name in headers.keys() - known:
            request.headers[name] = headers[name]  # after the signature, which does not cover it
        return call
    except Refused:
        raise
    except Exception:
        logger.debug("otel-agents: a request could not be looked at", exc_info=True)
        return None


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _watch(request: Any, response: Any, call: Call) -> None:
    try:
        headers = {name.lower(): value for name, value in response.headers.items()}
        call.responded(response.status_code, headers)
        if not request.stream_output:
            # Read by `send`, and not decompressed: botocore never does that.
            encoding = headers.get("content-encoding")
            if encoding:
                call.capture.chunks.append(response.content)
            else:
                call.body = Body(response.content)
            call.finish(complete=True)
            return
        urllib3_tee.tee(response.raw, call)
    except Exception:
        logger.debug("otel-agents: a response could not be followed", exc_info=True)
        call.finish()
