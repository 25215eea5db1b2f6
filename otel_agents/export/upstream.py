"""Tells the next process which span above it reaches Langfuse.

A request carries the id of the span that sent it, such as an HTTP client's or MCP's, and that one may
not reach Langfuse; the process behind cannot know what is above. So the id of the nearest span that
does goes along in W3C's ``tracestate``, as ``otelagents=p:<16 hex digits>``. Services in between that
do not know it pass it on, as the standard asks.
"""

from __future__ import annotations

from typing import Any, Final

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import (
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)
from opentelemetry.trace import TraceState

from otel_agents.export import roots

_FIELD: Final = "tracestate"


class NearestAncestor(TextMapPropagator):
    """Writes the entry into what goes out; what comes in is read from the span's context when needed."""

    def extract(
        self, carrier: Any, context: Context | None = None, getter: Getter[Any] = default_getter
    ) -> Context:
        """Nothing to do: the entry is in the ``tracestate`` that W3C's propagator has read."""
        return Context() if context is None else context

    def inject(
        self, carrier: Any, context: Context | None = None, setter: Setter[Any] = default_setter
    ) -> None:
        """Replaces the entry of the process before with this one's."""
        span = trace.get_current_span(context)
        current = span.get_span_context()
        if not current.is_valid:
            return
        above = roots.nearest(span)
        before = current.trace_state.get(roots.STATE_KEY)
        entry = f"p:{above:016x}" if above else None
        if entry == before:
            return
        state = TraceState(
            [(key, value) for key, value in current.trace_state.items() if key != roots.STATE_KEY]
        )
        if entry is not None:
            # First, as what was changed last has to be, and never one more than there may be.
            state = TraceState([(roots.STATE_KEY, entry), *list(state.items())[:31]])
        setter.set(carrier, _FIELD, state.to_header())

    @property
    def fields(self) -> set[str]:
        """What :meth:`inject` may write."""
        return {_FIELD}


def install() -> None:
    """Adds the entry to what the global propagator writes, if that writes W3C's context at all."""
    existing = propagate.get_global_textmap()
    if "traceparent" in existing.fields and not isinstance(existing, _Extended):
        propagate.set_global_textmap(_Extended(existing))


def uninstall() -> None:
    """Puts the propagator back that was global before."""
    current = propagate.get_global_textmap()
    if isinstance(current, _Extended):
        propagate.set_global_textmap(current.before)


class _Extended(CompositePropagator):
    def __init__(self, before: TextMapPropagator) -> None:
        super().__init__([before, NearestAncestor()])
        self.before = before
