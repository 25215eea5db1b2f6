"""Wraps a function of any kind so that a watcher is told of each call, and changes nothing else of it."""

from __future__ import annotations

import functools
import inspect
import logging
import types
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from otel_agents.tracing.generators import Abandoned, GeneratorFunction, Open, Watcher, drive

if TYPE_CHECKING:
    from otel_agents.tracing.contexts import context

F = TypeVar("F", bound=Callable[..., Any])

logger = logging.getLogger(__name__)

_GENERATORS: Final = (types.GeneratorType, types.AsyncGeneratorType)


def wrap(function: F, open: Open) -> F:
    """``function``, each call of which is reported to a watcher of its own.

    Sync and async functions and generators, methods, class and static methods (above or below their
    decorators), partials and callable objects stay what they are to ``inspect`` and ``pickle``.

    Args:
        open: makes the watcher of one call from its positional and keyword arguments.
    """
    target: Any = function
    if isinstance(target, (classmethod, staticmethod)):
        return cast("F", type(target)(wrap(target.__func__, open)))
    if not callable(target) or isinstance(target, type):
        logger.warning("otel-agents: %r is no function; it is left as it is", target)
        return function
    if _is(inspect.isgeneratorfunction, target) or _is(inspect.isasyncgenfunction, target):
        return cast("F", GeneratorFunction(target, open))
    if _is(inspect.iscoroutinefunction, target):
        return cast("F", _wrap_async(target, open))
    return cast("F", _wrap_sync(target, open))


def _is(test: Callable[[Any], bool], target: Any) -> bool:
    if test(target):
        return True
    if isinstance(target, (types.FunctionType, types.MethodType, functools.partial)):
        return False
    return test(type(target).__call__)  # an object that is called


def _wrap_sync(function: Callable[..., Any], open: Open) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        watcher = open(args, kwargs)
        watcher.start()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            watcher.fail(error)
            raise
        if type(result) in _CONTINUED or hasattr(type(result), "add_done_callback"):
            return _continue(result, watcher)
        watcher.finish(result)
        return result

    return call


def _wrap_async(function: Callable[..., Any], open: Open) -> Callable[..., Any]:
    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        watcher = open(args, kwargs)
        watcher.start()
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:
            watcher.fail(error)
            raise
        watcher.finish(result)
        return result

    return call


_CONTINUED: Final = frozenset({types.CoroutineType, *_GENERATORS})


def _continue(result: Any, watcher: Watcher) -> Any:
    """What a plain function returned is still to run: the call is over when that is."""
    if isinstance(result, types.CoroutineType):
        watcher.suspend()
        return _continue_coroutine(result, watcher, Abandoned(watcher))
    if isinstance(result, _GENERATORS):
        if inspect.isawaitable(result):  # an old-style coroutine; its type matters to whoever awaits it
            watcher.finish(None)
            return result
        import contextvars

        captured = contextvars.copy_context()
        watcher.suspend()
        return drive(result, captured, watcher, Abandoned(watcher))
    watcher.suspend()
    try:
        result.add_done_callback(functools.partial(_future_done, watcher))
    except Exception:  # something else with a method of that name
        watcher.finish(result)
    return result


async def _continue_coroutine(
    coroutine: Coroutine[Any, Any, Any], watcher: Watcher, abandoned: Abandoned
) -> Any:
    watcher.resume()
    try:
        result = await coroutine
    except BaseException as error:
        watcher.fail(error)
        raise
    watcher.finish(result)
    return result


def _future_done(watcher: Watcher, future: Any) -> None:
    # exception() would mark the exception as seen, and asyncio would no longer report it.
    error = getattr(future, "_exception", None)
    if error is None and future.cancelled():
        import asyncio

        error = asyncio.CancelledError()
    if isinstance(error, BaseException):
        watcher.fail(error)
    else:
        watcher.finish(getattr(future, "_result", None))


class InContext:
    """Watches a call only to give it a :class:`otel_agents.tracing.contexts.context`."""

    __slots__ = ("_context",)

    def __init__(self, block: context) -> None:
        self._context = block

    def start(self) -> None:
        self._context.__enter__()

    def yielded(self, item: object) -> None:
        pass

    def finish(self, result: object = None) -> None:
        self._context.__exit__()

    def fail(self, error: BaseException) -> None:
        self._context.__exit__()

    def suspend(self) -> None:
        self._context.__exit__()

    def resume(self) -> None:
        self._context.__enter__()
