"""Takes the context along into threads."""

from __future__ import annotations

import contextvars
import functools
import inspect
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar, cast

from opentelemetry import context as otel_context

from otel_agents.tracing.scopes import detach

P = ParamSpec("P")
R = TypeVar("R")


def bind(function: Callable[P, R]) -> Callable[P, R]:
    """``function`` that runs in the context of here and now, wherever it is called.

    For ``loop.run_in_executor``, plain threads and callbacks. It takes all context variables along; a
    coroutine function only takes OpenTelemetry's, because its steps belong to the task that awaits it.
    """
    if inspect.iscoroutinefunction(function):
        here = otel_context.get_current()

        @functools.wraps(function)
        async def bound_async(*args: P.args, **kwargs: P.kwargs) -> Any:
            token = otel_context.attach(here)
            try:
                return await function(*args, **kwargs)
            finally:
                detach(token)

        return cast("Callable[P, R]", bound_async)
    captured = contextvars.copy_context()

    @functools.wraps(function)
    def bound(*args: P.args, **kwargs: P.kwargs) -> R:
        # A copy a call: one context cannot be entered by two threads at once.
        return captured.copy().run(function, *args, **kwargs)

    return bound


class _TracedPool(ThreadPoolExecutor):
    """A thread pool whose work runs in the context that submitted it."""

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        return super().submit(bind(fn), *args, **kwargs)


class _TracedExecutor(Executor):
    """Another executor, with work that runs in the context that submitted it."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        return self._executor.submit(bind(fn), *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._executor.shutdown(wait=wait, cancel_futures=cancel_futures)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._executor, name)


def traced_executor(executor: Executor | None = None, **arguments: Any) -> Executor:
    """A thread pool whose work keeps the parent span and the context variables of its submitter.

    Needed only where neither ``configure()`` nor ``instrument()`` runs, which do the same for the
    parent span in every ``ThreadPoolExecutor``.

    Args:
        executor: wraps this one (of threads: what is bound to a context cannot be pickled). None makes
            a ``ThreadPoolExecutor``.
        arguments: for the new ``ThreadPoolExecutor``.
    """
    return _TracedPool(**arguments) if executor is None else _TracedExecutor(executor)
