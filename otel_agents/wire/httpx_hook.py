"""The hook in httpx and httpx2: one class method that sees every single send of every client.

``_send_single_request`` lies below redirects, authentication and event hooks and above the
transport, so custom transports, proxies and mounts are covered, and so are clients that were made
before. Where a version does not have it, ``send`` is hooked instead.
"""

from __future__ import annotations

import logging
from typing import Any, Final

import wrapt

from otel_agents.budgets import Refused
from otel_agents.wire import call as calls
from otel_agents.wire import streams
from otel_agents.wire.call import Call
from otel_agents.wire.capture import Body
from otel_agents.wire.providers import openai_multipart as multipart
from otel_agents.wire.recognise import format_of

logger = logging.getLogger(__name__)

_PORTS: Final = {"https": 443, "http": 80}

#: What was wrapped: (class, method name, wrapper).
_wrapped: list[tuple[type, str, Any]] = []


def install(module: Any) -> None:
    """Hooks the clients of ``module`` (httpx or httpx2)."""
    for name, hook in (("Client", _send), ("AsyncClient", _send_async)):
        owner = getattr(module, name, None)
        if owner is None:
            continue
        method = "_send_single_request" if "_send_single_request" in vars(owner) else "send"
        if any(done is owner and at == method for done, at, _ in _wrapped):
            continue
        wrapper: Any = wrapt.FunctionWrapper(vars(owner)[method], hook)
        setattr(owner, method, wrapper)
        _wrapped.append((owner, method, wrapper))


def uninstall() -> None:
    """Puts the original methods back; where somebody wrapped ours, it stays and only passes on."""
    for owner, method, wrapper in _wrapped:
        original = wrapper.__wrapped__
        if vars(owner).get(method) is wrapper:
            setattr(owner, method, original)
    _wrapped.clear()


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
    _watch(response, call, streams.tee)
    return response


async def _send_async(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    call = _begin(instance, args, kwargs)
    if call is None:
        return await wrapped(*args, **kwargs)
    call.attach()
    try:
        response = await wrapped(*args, **kwargs)
    except BaseException as error:
        call.detach()
        call.finish(error)
        raise
    call.detach()
    _watch(response, call, streams.tee_async)
    return response


def _begin(client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    if not _wrapped:
        return None
    try:
        request = args[0] if args else kwargs["request"]
        url = request.url
        if request.method != "POST":
            return _fetch(url) if request.method == "GET" else None
        wire_format = format_of(url.raw_path.partition(b"?")[0].decode("ascii", "replace"))
        if wire_format is None:
            return None
        port = url.port or _PORTS.get(url.scheme, 0)
        return calls.begin(
            wire_format, url.host, port, _content(request), request.headers, client=client, url=url
        )
    except Refused:
        raise
    except Exception:
        logger.debug("otel-agents: a request could not be looked at", exc_info=True)
        return None


def _fetch(url: Any) -> Any:
    path, _, query = url.raw_path.decode("ascii", "replace").partition("?")
    if "/responses/" not in path:
        return None
    from otel_agents.wire.providers import openai_background

    return openai_background.begin(url.host, url.port or _PORTS.get(url.scheme, 0), path, query)


def _content(request: Any) -> bytes | None:
    """The request's body when it is in memory; a body that is streamed is not touched."""
    try:
        content = request.content
    except Exception:  # RequestNotRead
        whole = getattr(request.stream, "_stream", None)  # of a ByteStream, which a redirect hands on
        return whole if isinstance(whole, bytes) else multipart.head(request.stream)
    return content if isinstance(content, bytes) else None


def _watch(response: Any, call: Call, tee: Any) -> None:
    """Follows the body while the caller reads it."""
    try:
        call.responded(response.status_code, response.headers)
        if response.is_closed and response.is_stream_consumed:
            # A body that was in memory from the start (a mock), or that `send` has read already.
            call.body = Body(response.content)
            call.finish(complete=True)
            return
        tee(response.stream, call)
    except Exception:
        logger.debug("otel-agents: a response could not be followed", exc_info=True)
        call.finish()
