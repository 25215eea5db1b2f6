"""The tee: a response's stream that also keeps what passes, and is otherwise what it was.

The stream object stays the same one; only its class is exchanged for a subclass of its own class,
so that ``isinstance``, the class's name, its attributes and whatever else other code relies on
(``response.elapsed`` of httpx2 reads ``response.stream.elapsed``) are as without us.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from otel_agents.wire import abandoned

if TYPE_CHECKING:
    from otel_agents.wire.call import Call

CALL: Final = "_otel_agents_call"

_sync_classes: dict[type, type] = {}
_async_classes: dict[type, type] = {}


def tee(stream: Any, call: Call) -> None:
    """Has a synchronous ``stream`` (``__iter__``, ``close``) keep its chunks for ``call`` and end it.

    Raises:
        TypeError: the stream's class cannot be exchanged (it has ``__slots__``, or is built in).
    """
    exchange(stream, call, _sync_classes, _tee_class)


def tee_async(stream: Any, call: Call) -> None:
    """The same for an asynchronous one (``__aiter__``, ``aclose``)."""
    exchange(stream, call, _async_classes, _tee_class_async)


def exchange(stream: Any, call: Call, known: dict[type, type], make: Callable[[type], type]) -> None:
    """Gives ``stream`` the class that ``make`` derives from its own, and ``call`` to keep chunks for.

    ``known`` holds the classes made so far. The call is in the stream's ``__dict__`` as :data:`CALL`.

    Raises:
        TypeError: see :func:`tee`.
    """
    original = type(stream)
    teed = known.get(original)
    if teed is None:
        # A stream that is handed out twice (a mock) is teed already; it only gets the new call.
        teed = original if original in known.values() else make(original)
        known[original] = teed
    stream.__dict__[CALL] = call
    stream.__class__ = teed
    abandoned.prepare()


def named(original: type, members: dict[str, Any]) -> type:
    """A subclass that looks like ``original`` to everybody who prints or pickles it by name."""
    members |= {
        "__module__": original.__module__,
        "__qualname__": original.__qualname__,
        "__doc__": original.__doc__,
    }
    return type(original.__name__, (original,), members)


def _drop(self: Any) -> None:
    call = self.__dict__.get(CALL)
    if call is not None and not call.finished:
        abandoned.drop(call)


def _tee_class(original: Any) -> type:
    def iterate(self: Any) -> Iterator[bytes]:
        return _pass_on(original.__iter__(self), self.__dict__[CALL])

    def close(self: Any) -> None:
        try:
            original.close(self)
        finally:
            self.__dict__[CALL].finish()

    return named(original, {"__iter__": iterate, "close": close, "__del__": _drop})


def _tee_class_async(original: Any) -> type:
    def iterate(self: Any) -> AsyncIterator[bytes]:
        return _pass_on_async(original.__aiter__(self), self.__dict__[CALL])

    async def aclose(self: Any) -> None:
        try:
            await original.aclose(self)
        finally:
            self.__dict__[CALL].finish()

    return named(original, {"__aiter__": iterate, "aclose": aclose, "__del__": _drop})


def _pass_on(chunks: Iterator[bytes], call: Call) -> Iterator[bytes]:
    capture = call.capture
    keep, note = capture.chunks.append, capture.times.append
    room = capture.room
    try:
        for chunk in chunks:
            if room > 0:
                note(perf_counter())
                keep(chunk)
                room -= len(chunk)
            else:
                capture.overflow(chunk)
            yield chunk
    except GeneratorExit:
        call.finish()
        raise
    except BaseException as error:
        call.finish(error)
        raise
    call.finish(complete=True)


async def _pass_on_async(chunks: AsyncIterator[bytes], call: Call) -> AsyncIterator[bytes]:
    capture = call.capture
    keep, note = capture.chunks.append, capture.times.append
    room = capture.room
    try:
        async for chunk in chunks:
            if room > 0:
                note(perf_counter())
                keep(chunk)
                room -= len(chunk)
            else:
                capture.overflow(chunk)
            yield chunk
    except GeneratorExit:
        call.finish()
        raise
    except BaseException as error:
        call.finish(error)
        raise
    finally:
        # In the task that read it; otherwise the event loop closes it later, in a task of its own.
        close = getattr(chunks, "aclose", None)
        if close is not None:
            await close()
    call.finish(complete=True)
