"""The tee in a response of urllib3, whose bytes reach the caller on many ways.

``stream``, ``read``, ``read1``, ``readinto``, ``read_chunked``, iteration and ``data`` all end in two
methods: ``_fp_read`` and, for chunks that urllib3 takes apart itself, ``_handle_chunk``. What they
return is kept: the body as it came over the wire, so still compressed. The public methods above
them tell when it is over and with which of urllib3's exceptions.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from otel_agents.wire import abandoned
from otel_agents.wire.streams import CALL, exchange, named

if TYPE_CHECKING:
    from otel_agents.wire.call import Call

#: Set while one of urllib3's methods reads: it closes the response before it says what went wrong.
_READING: Final = "_otel_agents_reading"

_classes: dict[type, type] = {}


def tee(raw: Any, call: Call) -> None:
    """Has ``raw`` (urllib3's response, or another object with ``read``) keep its bytes for ``call``.

    Raises:
        TypeError: the object's class cannot be exchanged.
    """
    exchange(raw, call, _classes, _tee_class)


def _keep(call: Call, data: Any) -> None:
    if data and not call.finished:
        capture = call.capture
        if capture.room > 0:
            capture.times.append(perf_counter())
            capture.chunks.append(data)
            capture.room -= len(data)
        else:
            capture.overflow(data)


def _is_over(raw: Any, data: Any, amount: Any) -> bool:
    """Whether nothing can follow ``data``, which was read when ``amount`` bytes were asked for."""
    if amount is None or (not data and amount != 0):
        return True
    isclosed = getattr(raw, "isclosed", None)
    return isclosed is not None and bool(isclosed())


def _tee_class(original: Any) -> type:
    members: dict[str, Any] = {"close": _closing(original), "__del__": _dropping(original)}
    inner = [name for name in ("_fp_read", "_handle_chunk") if hasattr(original, name)]
    for name in inner:
        members[name] = _keeping(getattr(original, name))
    members["read"] = _reading(original.read, keep=not inner, to_the_end=True)
    if hasattr(original, "read1"):
        members["read1"] = _reading(original.read1, keep=not inner, to_the_end=False)
    if hasattr(original, "read_chunked"):
        members["read_chunked"] = _reading_chunks(original.read_chunked)
    return named(original, members)


def _keeping(method: Any) -> Any:
    def keep(self: Any, *args: Any, **kwargs: Any) -> Any:
        data = method(self, *args, **kwargs)
        _keep(self.__dict__[CALL], data)
        return data

    return keep


def _reading(method: Any, keep: bool, to_the_end: bool) -> Any:
    """``to_the_end``: without an amount, the method returns all that is left."""

    def read(self: Any, *args: Any, **kwargs: Any) -> Any:
        own = self.__dict__
        call = own[CALL]
        own[_READING] = True
        try:
            data = method(self, *args, **kwargs)
        except BaseException as error:
            call.finish(error)
            raise
        finally:
            own[_READING] = False
        if keep:
            _keep(call, data)
        if not call.finished:
            amount = args[0] if args else kwargs.get("amt")
            if amount is not None and amount < 0:
                amount = None
            if _is_over(self, data, -1 if amount is None and not to_the_end else amount):
                call.finish(complete=True)
        return data

    return read


def _reading_chunks(method: Any) -> Any:
    def read_chunked(self: Any, *args: Any, **kwargs: Any) -> Iterator[bytes]:
        own = self.__dict__
        call = own[CALL]
        chunks = method(self, *args, **kwargs)
        try:
            while True:
                own[_READING] = True
                try:
                    chunk = next(chunks, None)
                finally:
                    own[_READING] = False
                if chunk is None:
                    break
                yield chunk
        except GeneratorExit:
            chunks.close()
            call.finish()
            raise
        except BaseException as error:
            call.finish(error)
            raise
        call.finish(complete=True)

    return read_chunked


def _closing(original: Any) -> Any:
    def close(self: Any) -> Any:
        try:
            return original.close(self)
        finally:
            own = self.__dict__
            call = own.get(CALL)
            if call is not None and not own.get(_READING):
                call.finish()

    return close


def _dropping(original: Any) -> Any:
    finalize = getattr(original, "__del__", None)

    def drop(self: Any) -> None:
        # Taken out first: the finalizer of files calls `close`, and no call may end in a finalizer.
        call = self.__dict__.pop(CALL, None)
        if call is not None and not call.finished:
            abandoned.drop(call)
        if finalize is not None:
            finalize(self)

    return drop
