"""The hook in requests: ``Session.send``, which every request of every session goes through.

It lies above adapters, authentication and redirects, so custom adapters are covered, and a call that
is redirected or asked to authenticate is one call. A body that ``send`` has read is taken from the
response; one that is streamed is teed while the caller reads it, in whatever way.
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
from otel_agents.wire.wrapping import Hooks

logger = logging.getLogger(__name__)

_PORTS: Final = {"https": 443, "http": 80}

_hooks: Final = Hooks()


def install(module: Any) -> None:
    """Hooks the sessions of ``module`` (requests)."""
    _hooks.wrap(module.Session, "send", _send)


def uninstall() -> None:
    """Puts the original method back."""
    _hooks.undo()


def _send(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    call = _begin(instance, args, kwargs)
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
    _watch(response, call)
    return response


def _begin(session: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    if not _hooks:
        return None
    try:
        request = args[0] if args else kwargs["request"]
        if request.method != "POST":
            return None
        url = urlsplit(request.url)
        wire_format = format_of(url.path)
        if wire_format is None:
            return None
        port = url.port or _PORTS.get(url.scheme, 0)
        host, body = url.hostname or "", in_memory(request.body)
        return calls.begin(wire_format, host, port, body, request.headers, client=session, url=request.url)
    except Refused:
        raise
    except Exception:
        logger.debug("otel-agents: a request could not be looked at", exc_info=True)
        return None


def in_memory(body: Any) -> bytes | None:
    """A request's body as bytes when it is there already; files and generators are not touched."""
    if isinstance(body, str):
        return body.encode("utf-8", "replace")
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body)
    return None


def _watch(response: Any, call: Call) -> None:
    try:
        call.responded(response.status_code, response.headers)
        if response._content_consumed or response.raw is None:
            call.body = Body(response.content or b"")
            call.finish(complete=True)
            return
        urllib3_tee.tee(response.raw, call)
    except Exception:
        logger.debug("otel-agents: a response could not be followed", exc_info=True)
        call.finish()
