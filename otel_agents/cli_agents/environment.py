"""The variables that an agent's process gets.

What configures *our* telemetry must not configure the agent's: it would report under the app's service
name, to where the app's keys go. ``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`` in particular has
two spellings: the conventions' ``span_only`` and so on, and Copilot's ``true``, which the conventions'
readers refuse with a warning.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from opentelemetry import trace

CAPTURE: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"

_OURS: Final = "OTEL_"
#: Read by this package only, which tools that the agent starts may use, too.
_SHARED: Final = "OTEL_AGENTS_"


def base(inherited: Mapping[str, str], span: trace.Span | None) -> dict[str, str]:
    """``inherited`` without what is about our own telemetry, and with the trace that goes on.

    Args:
        span: what the agent's work belongs to.
    """
    kept = {
        name: value
        for name, value in inherited.items()
        if not name.startswith(_OURS) or name.startswith(_SHARED)
    }
    for name in ("TRACEPARENT", "TRACESTATE", "BAGGAGE"):
        kept.pop(name, None)
    context = span.get_span_context() if span is not None else trace.INVALID_SPAN_CONTEXT
    if context.is_valid:
        flags = int(context.trace_flags) & 1
        kept["TRACEPARENT"] = f"00-{context.trace_id:032x}-{context.span_id:016x}-{flags:02x}"
        if state := context.trace_state.to_header():
            kept["TRACESTATE"] = state
    return kept
