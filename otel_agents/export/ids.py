"""Trace ids: random, but for the root span of a task, whose trace id follows from the task's id.

Whoever knows the task's id, in whatever process, knows the trace. The sampler sees the id as it sees any
other, and nothing pretends to be the span's parent.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

_next: Final[ContextVar[int]] = ContextVar("otel-agents-next-trace-id", default=0)
_next_span: Final[ContextVar[int]] = ContextVar("otel-agents-next-span-id", default=0)


class TaskIds(RandomIdGenerator):
    """Random ids, but for a trace that is started inside :func:`starting`."""

    def generate_trace_id(self) -> int:
        """The trace id that is asked for, else a random one."""
        return _next.get() or super().generate_trace_id()

    def generate_span_id(self) -> int:
        """The span id that is asked for, else a random one."""
        return _next_span.get() or super().generate_span_id()


@contextlib.contextmanager
def starting(trace_id: int) -> Iterator[None]:
    """Gives ``trace_id`` to a root span that is started inside the block, by a provider with our ids."""
    token = _next.set(trace_id)
    try:
        yield
    finally:
        _next.reset(token)


@contextlib.contextmanager
def going_on(trace_id: int, span_id: int) -> Iterator[None]:
    """Gives the one span that is started inside the block these ids, by a provider with our ids."""
    token = _next_span.set(span_id)
    try:
        with starting(trace_id):
            yield
    finally:
        _next_span.reset(token)


def follows_tasks(tracer: Tracer) -> bool:
    """Whether a tracer's provider has our ids; that of an app's own has not."""
    return isinstance(getattr(tracer, "id_generator", None), TaskIds)


def trace_id_of(seed: str) -> int:
    """The trace id that follows from a text: the first 16 bytes of its SHA-256.

    Langfuse's SDKs do the same (``create_trace_id(seed=...)``), in Python and in JavaScript.
    """
    return int.from_bytes(hashlib.sha256(seed.encode("utf-8", "surrogatepass")).digest()[:16]) or 1
