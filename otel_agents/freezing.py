"""For handlers whose process is frozen once they have answered, such as AWS Lambda's."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, TypeVar, cast, overload

F = TypeVar("F", bound=Callable[..., Any])

logger = logging.getLogger(__name__)

#: Seconds for a flush; seconds of an invocation that are left alone for the answer.
_TIMEOUT: Final = 5.0
_RESERVE: Final = 0.2


class _Freezing:
    """Flushes when the block or the call is over."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout

    def __call__(self, function: F) -> F:
        return cast("F", _wrapped(function, self._timeout))

    def __enter__(self) -> _Freezing:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _flush(self._timeout)

    async def __aenter__(self) -> _Freezing:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await _flush_async(self._timeout)


@overload
def flush_before_freeze(function: F, /) -> F: ...
@overload
def flush_before_freeze(*, timeout: float = _TIMEOUT) -> _Freezing: ...
def flush_before_freeze(function: Any = None, /, *, timeout: float = _TIMEOUT) -> Any:
    """Sends everything before a handler returns: as a decorator, or ``with flush_before_freeze():``.

    Above other decorators, so that their spans have ended. Sync and async functions and generators; what
    they return or raise stays. The flush takes no longer than the invocation has left, as far as
    an argument tells it (``get_remaining_time_in_millis``, as Lambda's context does).

    Args:
        function: the handler.
        timeout: seconds; what has not been sent by then is on disk, and sent after the next thaw.
    """
    return _Freezing(timeout) if function is None else _wrapped(function, timeout)


def _wrapped(function: Any, timeout: float) -> Any:
    if inspect.isasyncgenfunction(function):

        @functools.wraps(function)
        async def handle_async_stream(*args: Any, **kwargs: Any) -> Any:
            try:
                async for item in function(*args, **kwargs):
                    yield item
            finally:
                await _flush_async(_left(args, kwargs, timeout))

        return handle_async_stream
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def handle_stream(*args: Any, **kwargs: Any) -> Any:
            try:
                return (yield from function(*args, **kwargs))
            finally:
                _flush(_left(args, kwargs, timeout))

        return handle_stream
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def handle_async(*args: Any, **kwargs: Any) -> Any:
            try:
                return await function(*args, **kwargs)
            finally:
                await _flush_async(_left(args, kwargs, timeout))

        return handle_async

    @functools.wraps(function)
    def handle(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        finally:
            _flush(_left(args, kwargs, timeout))

    return handle


def _left(args: tuple[Any, ...], kwargs: dict[str, Any], timeout: float) -> float:
    """Seconds for a flush: those that are asked for, or fewer when the invocation has not got as many."""
    for one in (*args, *kwargs.values()):
        try:
            remaining = getattr(one, "get_remaining_time_in_millis", None)
            if remaining is not None:
                return max(min(timeout, float(remaining()) / 1000 - _RESERVE), 0.05)
        except Exception:
            logger.debug("otel-agents: could not ask for the time that is left", exc_info=True)
    return timeout


def _flush(timeout: float) -> None:
    try:
        from otel_agents import runtime, setup

        setup.flush(timeout)
        if (pipeline := runtime.current().pipeline) is not None:
            pipeline.save()
    except Exception:
        logger.debug("otel-agents: could not flush before a freeze", exc_info=True)


async def _flush_async(seconds: float) -> None:
    import asyncio

    await asyncio.to_thread(_flush, seconds)
