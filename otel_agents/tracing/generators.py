"""Generators, step by step inside a context of their own.

A generator's body runs in pieces, between which its caller runs. A span that is simply made current
in the body leaks into the caller at every ``yield``, and is put back in the wrong context when the
generator is closed elsewhere. So the context is captured when the generator is made, each step runs
inside it, and the caller's context is never touched.

What is returned are true generators, with ``send``, ``throw``, ``close`` and return values.
"""

from __future__ import annotations

import contextvars
import functools
import sys
import types
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, Protocol


class Watcher(Protocol):
    """Is told of the stages of one call. None of its methods raise."""

    def start(self) -> None:
        """The body is about to run; what this makes current, the body sees."""

    def yielded(self, item: object) -> None:
        """A generator yields ``item``."""

    def finish(self, result: object) -> None:
        """The body has returned."""

    def fail(self, error: BaseException) -> None:
        """``error`` leaves the body."""

    def suspend(self) -> None:
        """Makes the outer context current again; the call goes on elsewhere."""

    def resume(self) -> None:
        """The call goes on here."""


Open = Callable[[tuple[Any, ...], dict[str, Any]], Watcher]


class GeneratorFunction:
    """A decorated generator function: captures the context at the call, runs nothing until the first step.

    A plain wrapper function would not do: to be a generator function it has to be one, and then
    nothing of it runs at the call. This object reads as the function that it stands for: to
    ``inspect``, as a method, and to ``pickle``.
    """

    __slots__ = ("__dict__", "__weakref__", "_function", "_open")

    _function: Callable[..., Any]
    _open: Open

    def __init__(self, function: Callable[..., Any], open: Open) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._open = open

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        generator = self._function(*args, **kwargs)
        watcher = self._open(args, kwargs)
        return drive(generator, contextvars.copy_context(), watcher)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._function, name)

    def __reduce__(self) -> str:
        return str(self.__qualname__)

    def __repr__(self) -> str:
        return repr(self._function)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return types.FunctionType


def drive(
    generator: Any, context: contextvars.Context, watcher: Watcher, started: Abandoned | None = None
) -> Generator[Any, Any, Any] | AsyncGenerator[Any, Any]:
    """A generator that is stepped inside ``context`` and reported to ``watcher``.

    Args:
        started: the watcher was started already, in the call that made the generator; this ends it
            should the generator never be.
    """
    if isinstance(generator, types.AsyncGeneratorType):
        return _drive_async(generator, context, watcher, started)
    return _drive(generator, context, watcher, started)


def _drive(
    generator: Generator[Any, Any, Any],
    context: contextvars.Context,
    watcher: Watcher,
    started: Abandoned | None,
) -> Generator[Any, Any, Any]:
    if started is None:
        context.run(watcher.start)
    try:
        item = context.run(next, generator)
        while True:
            watcher.yielded(item)
            thrown: BaseException | None = None
            try:
                sent = yield item
            except BaseException as error:  # also GeneratorExit: from close(), or when nobody wants more
                thrown = error
            if thrown is None:
                item = context.run(generator.send, sent)
            else:
                try:
                    item = context.run(generator.throw, thrown)
                finally:
                    thrown = None  # it refers to this frame
    except StopIteration as stop:
        context.run(watcher.finish, stop.value)
        return stop.value
    except BaseException as error:
        context.run(watcher.fail, error)
        raise


async def _drive_async(
    generator: AsyncGenerator[Any, Any],
    context: contextvars.Context,
    watcher: Watcher,
    started: Abandoned | None,
) -> AsyncGenerator[Any, Any]:
    if started is None:
        context.run(watcher.start)
        started = Abandoned(watcher)  # kept by this frame alone
    step: Any = _first_step(generator)
    closing = False
    while True:
        item, error = await _in_context(context, step)
        if error is not None:
            if isinstance(error, StopAsyncIteration):
                context.run(watcher.finish, None)
                return
            context.run(watcher.fail, GeneratorExit() if closing and _is_cancelled(error) else error)
            try:
                raise error
            finally:
                del error
        watcher.yielded(item)
        try:
            sent = yield item
            step = generator.asend(sent)
        except BaseException as thrown:
            # A loop that ends cancels the tasks that close generators: that is a way of closing, too.
            closing = _is_cancelled(thrown)
            step = generator.athrow(thrown)


def _is_cancelled(error: BaseException) -> bool:
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and isinstance(error, asyncio.CancelledError)


@types.coroutine
def _in_context(
    context: contextvars.Context, awaitable: Any
) -> Generator[Any, Any, tuple[Any, BaseException | None]]:
    """Awaits with every resumption inside ``context``; answers the result, or what was raised.

    What was raised is not raised here, to keep this frame out of the user's traceback.
    """
    iterator = awaitable.__await__()
    resume, argument = iterator.send, None
    while True:
        try:
            pending = context.run(resume, argument)
        except StopIteration as stop:
            return stop.value, None
        except BaseException as error:
            inner = error.__traceback__
            return None, error.with_traceback(inner.tb_next if inner is not None else None)
        try:
            argument = yield pending
            resume = iterator.send
        except BaseException as error:  # a cancelled task, for example
            argument, resume = error, iterator.throw


def _first_step(generator: AsyncGenerator[Any, Any]) -> Any:
    """The first step of an inner generator, unknown to the event loop.

    A loop closes generators that are left over. It knows the outer one, and its end closes the inner
    one; both at once end in "asynchronous generator is already running".
    """
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(firstiter=None, finalizer=_left_to_the_outer_one)
    try:
        return generator.__anext__()
    finally:
        sys.set_asyncgen_hooks(*hooks)


def _left_to_the_outer_one(generator: AsyncGenerator[Any, Any]) -> None:
    pass


class Abandoned:
    """Ends a call whose frame disappears without having been closed (its event loop is gone)."""

    __slots__ = ("_watcher",)

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher

    def __del__(self) -> None:
        self._watcher.fail(GeneratorExit())
