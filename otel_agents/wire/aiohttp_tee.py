"""The tee in a ``StreamReader`` of aiohttp, on the side where the connection puts bytes in.

However the caller takes them out again (``read``, ``readline``, ``iter_any``, ``text()``, not at all),
they come in by ``feed_data``, end by ``feed_eof``, and anything that goes wrong, or the caller's own
``release`` and ``close``, is told by ``set_exception``. So a body counts as read when it has arrived.

The reader has ``__slots__``: its class can be exchanged for one that adds none, and the call is kept
beside it until it is over.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from otel_agents.wire import abandoned
from otel_agents.wire.streams import named

if TYPE_CHECKING:
    from otel_agents.wire.call import Call

_classes: dict[type, type] = {}
#: ``id`` of a reader whose body is still coming → its call. The reader's finalizer clears it.
_open: dict[int, Call] = {}


def tee(reader: Any, call: Call) -> None:
    """Has ``reader`` keep what comes in for ``call``, also what has come already.

    Raises:
        TypeError: the reader's class cannot be exchanged.
    """
    for data in list(getattr(reader, "_buffer", ())):
        _keep(call, data)
    if reader.is_eof():
        call.finish(complete=True)
        return
    if reader.exception() is not None:
        _failed(call, reader.exception())
        return
    original = type(reader)
    teed = _classes.get(original)
    if teed is None:
        teed = original if original in _classes.values() else _tee_class(original)
        _classes[original] = teed
    _open[id(reader)] = call
    try:
        reader.__class__ = teed
    except BaseException:
        del _open[id(reader)]
        raise
    abandoned.prepare()


def _keep(call: Call, data: bytes) -> None:
    if data:
        capture = call.capture
        if capture.room > 0:
            capture.times.append(perf_counter())
            capture.chunks.append(data)
            capture.room -= len(data)
        else:
            capture.overflow(data)


def _failed(call: Call, error: BaseException) -> None:
    """Ends ``call``; the exception that ``release`` and ``close`` of the response leave is no failure."""
    released = type(error).__name__ == "ClientConnectionError" and error.args == ("Connection closed",)
    call.finish(None if released else error)


def _tee_class(original: Any) -> type:
    def feed_data(self: Any, data: bytes, *args: Any, **kwargs: Any) -> Any:
        call = _open.get(id(self))
        if call is not None:
            _keep(call, data)
        return original.feed_data(self, data, *args, **kwargs)

    def feed_eof(self: Any) -> None:
        call = _open.pop(id(self), None)
        try:
            original.feed_eof(self)
        finally:
            if call is not None:
                call.finish(complete=True)

    def set_exception(self: Any, exc: BaseException, *args: Any, **kwargs: Any) -> None:
        call = _open.pop(id(self), None)
        try:
            original.set_exception(self, exc, *args, **kwargs)
        finally:
            if call is not None:
                _failed(call, exc)

    def drop(self: Any) -> None:
        call = _open.pop(id(self), None)
        if call is not None:
            abandoned.drop(call)

    members = {"feed_data": feed_data, "feed_eof": feed_eof, "set_exception": set_exception, "__del__": drop}
    return named(original, {"__slots__": (), **members})
