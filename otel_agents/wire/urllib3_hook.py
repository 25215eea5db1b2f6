"""The hook in urllib3 for those who use it directly: ``HTTPConnectionPool.urlopen``.

requests and botocore come by here too; their calls are known by then (see ``claims.SENDING``), and
so are the retries and redirects for which the method calls itself.
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
#: The method's arguments that are looked at, in the order in which they may be given by position.
_NAMES: Final = ("method", "url", "body", "headers")

_hooks: Final = Hooks()


def install(module: Any) -> None:
    """Hooks the connection pools of ``module`` (urllib3)."""
    _hooks.wrap(module.HTTPConnectionPool, "urlopen", _urlopen)


def uninstall() -> None:
    """Puts the original method back."""
    _hooks.undo()


def _urlopen(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    begun = _begin(instance, args, kwargs)
    if begun is None:
        return wrapped(*args, **kwargs)
    call, headers = begun
    if headers is not None:
        args, kwargs = _with_headers(args, kwargs, headers)
    call.attach()
    try:
        response = wrapped(*args, **kwargs)
    except BaseException as error:
        call.detach()
        call.finish(error)
        raise
    call.detach()
    _watch(response, call, kwargs.get("preload_content", True))
    return response


def _begin(
    pool: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Call, dict[str, str] | None] | None:
    """The call, and the request's headers when it adds to them."""
    if not _hooks:
        return None
    try:
        given = dict(zip(_NAMES, args, strict=False)) | kwargs
        if given["method"] != "POST":
            return None
        url = urlsplit(given["url"])  # only the path, but for proxies that forward
        wire_format = format_of(url.path)
        if wire_format is None:
            return None
        host = url.hostname or pool.host
        port = (url.port if url.hostname else pool.port) or _PORTS.get(url.scheme or pool.scheme, 0)
        sent = given.get("headers")
        headers = {
            str(name): _text(value) for name, value in (pool.headers if sent is None else sent).items()
        }
        lowered = {name.lower(): value for name, value in headers.items()}
        known = set(lowered)
        call = calls.begin(
            wire_format, host, port, in_memory(given.get("body")), lowered, client=pool, url=given["url"]
        )
        if call is None:
            return None
        added = {name: lowered[name] for name in lowered.keys() - known}
        return call, headers | added if added else None
    except Refused:
        raise
    except Exception:
        logger.debug("otel-agents: a request could not be looked at", exc_info=True)
        return None


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _with_headers(
    args: tuple[Any, ...], kwargs: dict[str, Any], headers: dict[str, str]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    place = _NAMES.index("headers")
    if len(args) > place:
        return (*args[:place], headers, *args[place + 1 :]), kwargs
    return args, {**kwargs, "headers": headers}


def _watch(response: Any, call: Call, preloaded: bool) -> None:
    try:
        headers = {name.lower(): value for name, value in response.headers.items()}
        call.responded(response.status, headers)
        if preloaded:
            call.body = Body(response.data or b"")
            call.finish(complete=True)
            return
        urllib3_tee.tee(response, call)
    except Exception:
        logger.debug("otel-agents: a response could not be followed", exc_info=True)
        call.finish()
