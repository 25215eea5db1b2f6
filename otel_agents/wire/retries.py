"""Attempts of one logical call share one span and one record.

Nothing on the wire says whether a failed attempt will be followed by another. So a failure that
clients try again (see :func:`may_follow`) leaves its span open here. The next attempt takes it over
when it is the same request (client, address, body) under the same parent span, and the SDK's own
count, where it sends one, goes on from the failed attempt's: a count that starts anew is a new call
of the app's. What nobody takes over is closed, as of the end of the last attempt, when the enclosing
span ends, when its deadline is over, or by ``flush()`` and ``shutdown()``.
"""

from __future__ import annotations

import itertools
import logging
import os
import weakref
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from time import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from otel_agents.wire.call import Call
    from otel_agents.wire.outcome import Pending

logger = logging.getLogger(__name__)

#: Seconds that a span stays open beyond what the server asks to wait.
DEADLINE: Final = 60.0
#: Longest ``Retry-After`` that is believed, in seconds.
_LONGEST_WAIT: Final = 600.0
#: Spans that are kept open; beyond it the oldest is closed.
LIMIT: Final = 256
#: Bytes of requests kept for their messages; beyond it the oldest is closed.
_LIMIT_BYTES: Final = 64 * 1024 * 1024

_RETRYABLE: Final = frozenset({408, 409, 425, 429})

#: Sent by the SDKs of OpenAI, Anthropic and others that are made by the same generator.
_COUNT: Final = "x-stainless-retry-count"
#: The same of a first attempt, as httpx keeps it. To ask it for a header decodes and compares all of them.
_FIRST: Final = (_COUNT.encode(), _COUNT.encode(), b"0")
#: Sent by AWS's SDKs: ``ttl=20260101T000000Z; attempt=2; max=5``.
_AWS_COUNT: Final = "amz-sdk-request"


class Attempt(NamedTuple):
    """One send of a call: when it ended (nanoseconds), with what, after waiting how long (seconds)."""

    ended: int
    status: int | None
    error_type: str | None
    delay: float


class Held:
    """A call whose last attempt failed and which may go on."""

    __slots__ = ("body", "client", "close", "parent", "pending", "process", "serial")

    def __init__(self, pending: Pending, close: Callable[[Pending], None]) -> None:
        call = pending.call
        self.serial = next(_serials)
        self.pending: Pending | None = pending
        self.close = close
        self.process = os.getpid()
        self.parent = _identity(call.parent)
        self.body = pending.body
        self.client: weakref.ref[Any] | None = None
        if call.client is not None:
            try:
                self.client = weakref.ref(call.client)
            except TypeError:
                pass
        call.client = None


_serials = itertools.count()
#: Open calls by serial number, oldest first. Whoever pops one goes on with it or closes it.
held: dict[int, Held] = {}


def sent_count(headers: Mapping[str, str]) -> int | None:
    """How often the SDK says that it has sent this request before; None when it does not say."""
    if _FIRST in getattr(headers, "_list", ()):
        return 0
    count = headers.get(_COUNT)
    if count is not None:
        return int(count) if count.isdecimal() else None
    count = headers.get(_AWS_COUNT)
    if isinstance(count, str) and "attempt=" in count:
        number = count.partition("attempt=")[2].partition(";")[0]
        return max(int(number) - 1, 0) if number.isdecimal() else None
    return None


def may_follow(call: Call, error: BaseException | None) -> bool:
    """Whether clients try again after this: 408, 409, 425, 429, 5xx, broken connections, timeouts.

    ``x-should-retry``, which OpenAI and Anthropic send, decides where it is there. An exception
    counts when no usable answer came: SDKs try again whatever its class. Once the caller has a
    stream's head, what breaks is his to handle; a cancelled call is over.
    """
    status = call.status
    if status is not None and status >= 400:
        said = call.headers.get("x-should-retry")
        if said in ("true", "false"):
            return said == "true"
        return status >= 500 or status in _RETRYABLE
    if not isinstance(error, Exception):
        return False
    return status is None or not call.recognised.facts.stream


def hold(pending: Pending, close: Callable[[Pending], None]) -> None:
    """Keeps the call's span open; ``close(pending)`` ends it when no other attempt has followed."""
    call = pending.call
    kept = Held(pending, close)
    held[kept.serial] = kept
    call.runtime.worker.later(DEADLINE + _asked_to_wait(call.headers), _close, kept)
    _close_at_end(call.parent)
    while len(held) > LIMIT or sum(one.body[0] for one in list(held.values())) > _LIMIT_BYTES:
        oldest = next(iter(list(held.values())), None)
        if oldest is None:
            return
        _close(oldest)


def take(call: Call) -> Call | None:
    """The open call that ``call`` is the next attempt of, when that has a span of ours."""
    body: tuple[int, int] | None = None
    for one in list(held.values()):
        pending = one.pending
        if pending is None or one.process != os.getpid() or not pending.call.owned:
            continue
        before = pending.call
        if (
            before.runtime is not call.runtime
            or one.parent != _identity(call.parent)
            or (before.host, before.port, before.url) != (call.host, call.port, call.url)
            or (one.client is not None and one.client() is not call.client)
            or not _goes_on(before.count, call.count, call.request_body)
        ):
            continue
        if body is None:
            body = identity(call.request_body)
        if _same(one.body, body, call) and held.pop(one.serial, None) is not None:
            one.pending = None
            return _failed(pending)
    return None


def take_within(span: Span) -> Call | None:
    """The open call that is completed in ``span``, which somebody else made: one span is one call."""
    wanted = _identity(span)
    for one in list(held.values()):
        pending = one.pending
        if pending is None or pending.call.owned or one.parent != wanted or one.process != os.getpid():
            continue
        if held.pop(one.serial, None) is not None:
            one.pending = None
            return _failed(pending)
    return None


def _failed(pending: Pending) -> Call:
    """The call of an attempt that was not the last."""
    call = pending.call
    attempt = Attempt(pending.ended, call.status, pending.record.error_type, call.delay)
    call.attempts = (*call.attempts, attempt)
    return call


def settle_open() -> None:
    """Closes every call that waits for another attempt."""
    for one in list(held.values()):
        _close(one)


def identity(body: bytes | None) -> tuple[int, int]:
    """What tells two bodies apart, within this process."""
    return (0, 0) if body is None else (len(body), hash(body))


def _same(before: tuple[int, int], body: tuple[int, int], call: Call) -> bool:
    """Multipart bodies get a new boundary (of the same length) with every attempt."""
    if before == body:
        return True
    multipart = call.request_body is not None and call.request_body.startswith(b"--")
    return multipart and call.count is not None and before[0] == body[0]


def _goes_on(before: int | None, count: int | None, body: bytes | None) -> bool:
    if count is None:
        return before is None and body is not None
    return count > 0 and before == count - 1


def _close(one: Held) -> None:
    if held.pop(one.serial, None) is None:
        return
    pending, one.pending = one.pending, None
    # What a parent process left open is the parent's to close.
    if pending is not None and one.process == os.getpid():
        one.close(pending)


def _close_at_end(parent: Span) -> None:
    """Has what is open under ``parent`` closed just before it ends, whatever provider it is of."""
    wanted = _identity(parent)
    if wanted == (0, 0):
        return
    try:
        own = vars(parent)
    except TypeError:  # slots; the deadline remains
        return
    if isinstance(own.get("end"), _End):
        return
    own["end"] = _End(parent, wanted)


class _End:
    """Stands before a span's ``end`` until that is called."""

    def __init__(self, span: Span, wanted: tuple[int, int]) -> None:
        self._end = span.end
        self._own = vars(span)
        self._wanted = wanted

    def __call__(self, *arguments: Any, **keywords: Any) -> None:
        if self._own.get("end") is self:
            del self._own["end"]
        try:
            for one in list(held.values()):
                if one.parent == self._wanted:
                    _close(one)
        except Exception:
            logger.debug("otel-agents: an attempt could not be closed", exc_info=True)
        self._end(*arguments, **keywords)


def _identity(span: Span) -> tuple[int, int]:
    context = span.get_span_context()
    return context.trace_id, context.span_id


def _asked_to_wait(headers: Mapping[str, str]) -> float:
    """Seconds that the server wants the client to wait; 0 when it does not say."""
    try:
        if milliseconds := headers.get("retry-after-ms"):
            return _bounded(float(milliseconds) / 1000)
        given = headers.get("retry-after")
        if not given:
            return 0.0
        try:
            return _bounded(float(given))
        except ValueError:
            return _bounded(parsedate_to_datetime(given).timestamp() - time())
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), _LONGEST_WAIT) if seconds == seconds else 0.0  # NaN
