"""The tee in a response of urllib3, whose bytes reach the caller on many ways.

``stream``, ``read``, ``read1``, ``readinto``, ``read_chunked``, iteration and ``data`` all end in two
methods: ``_raw_read`` and, for chunks that urllib3 takes apart itself, ``_handle_chunk``. What they
return is kept: the body as it came over the wire, so still compressed. Version 1 has ``_fp_read`` in
place of the first, which knows nothing of urllib3's exceptions; there and in objects that are no
response of urllib3 at all, ``read`` tells how it ended.
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


def _tee_class(original: Any) -> type:
    members: dict[str, Any] = {"close": _closing(original), "__del__": _dropping(original)}
    if hasattr(original, "_raw_read"):
        members["_raw_read"] = _reading_raw(original._raw_read)
    else:
        inner = hasattr(original, "_fp_read")
        if inner:
            members["_fp_read"] = _keeping(original._fp_read)
        members["read"] = _reading(original.read if inner else _keeping(original.read), original)
    if hasattr(original, "_handle_chunk"):
        members["_handle_chunk"] = _keeping(original._handle_chunk)
    if hasattr(original, "read_chunked"):
        members["read_chunked"] = _reading_chunks(original.read_chunked)
    return named(original, members)


def _keeping(method: Any) -> Any:
    def keep(self: Any, *args: Any, **kwargs: Any) -> Any:
        data = method(self, *args, **kwargs)
        if data:
            capture = self.__dict__[CALL].capture
            if capture.room > 0:
                capture.times.append(perf_counter())
                capture.chunks.append(data)
                capture.room -= len(data)
            else:
                capture.overflow(data)
        return data

    return keep


def _reading_raw(method: Any) -> Any:
    def read(self: Any, amt: int | None = None, **kwargs: Any) -> Any:
        own = self.__dict__
        call = own[CALL]
        try:
            data = method(self, amt, **kwargs)
        except BaseException as error:
            call.finish(error)
            raise
        if data:
            capture = call.capture
            if capture.room > 0:
                capture.times.append(perf_counter())
                capture.chunks.append(data)
                capture.room -= len(data)
            else:
                capture.overflow(data)
            if own.get("length_remaining") == 0 or (amt is None and not kwargs):
                call.finish(complete=True)
        elif amt != 0:
            call.finish(complete=True)
        return data

    return read


def _reading(method: Any, original: Any) -> Any:
    isclosed = getattr(original, "isclosed", None)

    def read(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = self.__dict__[CALL]
        try:
            data = method(self, *args, **kwargs)
        except BaseException as error:
            call.finish(error)
            raise
        amount = args[0] if args else kwargs.get("amt")
        # An empty piece may be the beginning of a compressed body, if there is a way to ask.
        if amount is None or amount < 0 or (not data if isclosed is None else isclosed(self)):
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
