"""The hook in aiohttp: ``ClientSession._request``, which all verbs, ``ws_connect`` aside, go through.

Redirects, middlewares and the retry on a connection that had gone stale happen below it, so they
are part of one call. The body is followed in ``response.content`` (see ``aiohttp_tee``).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from otel_agents.budgets import Refused
from otel_agents.wire import aiohttp_tee
from otel_agents.wire import call as calls
from otel_agents.wire.call import Call
from otel_agents.wire.recognise import format_of
from otel_agents.wire.requests_hook import in_memory
from otel_agents.wire.wrapping import Hooks

logger = logging.getLogger(__name__)

_hooks: Final = Hooks()


def install(module: Any) -> None:
    """Hooks the sessions of ``module`` (aiohttp)."""
    _hooks.wrap(module.ClientSession, "_request", _request)


def uninstall() -> None:
    """Puts the original method back."""
    _hooks.undo()


async def _request(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    begun = _begin(instance, args, kwargs)
    if begun is None:
        return await wrapped(*args, **kwargs)
    call, added = begun
    if added:
        kwargs = {**kwargs, "headers": [*_pairs(kwargs.get("headers")), *added.items()]}
    call.attach()
    try:
        response = await wrapped(*args, **kwargs)
    except BaseException as error:
        call.detach()
        _refused(call, error)
        call.finish(error)
        raise
    call.detach()
    _watch(response, call, _is_decompressed(instance, kwargs))
    return response


def _begin(session: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Call, dict[str, str]] | None:
    """The call and the headers that it adds to the request."""
    if not _hooks:
        return None
    try:
        method = args[0] if args else kwargs["method"]
        if method.upper() != "POST":
            return None
        url = session._build_url(args[1] if len(args) > 1 else kwargs["str_or_url"])
        wire_format = format_of(url.raw_path)
        if wire_format is None:
            return None
        headers = {
            str(name).lower(): str(value)
            for given in (session.headers, kwargs.get("headers"))
            for name, value in _pairs(given)
        }
        known = set(headers)
        host, port, body = url.host or "", url.port or 0, _body(session, kwargs)
        call = calls.begin(wire_format, host, port, body, headers, client=session, url=url)
        if call is None:
            return None
        return call, {name: headers[name] for name in headers.keys() - known}
    except Refused:
        raise
    except Exception:
        logger.debug("otel-agents: a request could not be looked at", exc_info=True)
        return None


def _pairs(headers: Any) -> list[tuple[Any, Any]]:
    if headers is None:
        return []
    return list(headers.items() if isinstance(headers, Mapping) else headers)


def _body(session: Any, kwargs: dict[str, Any]) -> bytes | None:
    """The body as it will be sent, or the same JSON in another spelling.

    What is given as ``json`` is turned into bytes by aiohttp itself, later and with the session's
    own function. Ours is several times faster, so that the price of a second time is small.
    """
    value = kwargs.get("json")
    if value is not None:
        import msgspec

        try:
            return msgspec.json.encode(value)
        except Exception:
            serialize = getattr(session, "json_serialize", None) or session._json_serialize
            return in_memory(serialize(value))
    data = kwargs.get("data")
    found = in_memory(data)
    # aiohttp's own payloads of bytes: what other code made of a body before it passed it on.
    return in_memory(getattr(data, "_value", None)) if found is None else found


def _is_decompressed(session: Any, kwargs: dict[str, Any]) -> bool:
    """Whether aiohttp decompresses the body before it is in ``content``."""
    asked = kwargs.get("auto_decompress")
    return bool(getattr(session, "auto_decompress", True) if asked is None else asked)


def _refused(call: Call, error: BaseException) -> None:
    """Notes the status of a response that ``raise_for_status`` turned into an exception."""
    try:
        status = getattr(error, "status", None)
        if isinstance(status, int) and status >= 400:
            call.responded(status, {})
    except Exception:
        logger.debug("otel-agents: a status could not be read", exc_info=True)


def _watch(response: Any, call: Call, decompressed: bool) -> None:
    try:
        headers = response.headers  # looked up in any case
        if decompressed:
            headers = {name.lower(): value for name, value in headers.items()}
            headers.pop("content-encoding", None)
        call.responded(response.status, headers)
        aiohttp_tee.tee(response.content, call)
    except Exception:
        logger.debug("otel-agents: a response could not be followed", exc_info=True)
        call.finish()
