"""Spans of model calls, started and filled in a third of the time that the SDK takes for it.

The SDK makes every span anew from twenty arguments and looks at every value of every attribute. Here a
span starts as ``Tracer.start_span`` starts it (sampler, ids, processors), but what is the same for all
spans of a tracer is copied from one that the SDK has made, and values that it would keep as they are go
where it keeps them. That is only done where the SDK's spans have the very fields that are known here;
of every other tracer, span and attribute the SDK takes care itself.
"""

from __future__ import annotations

import threading
from time import time_ns
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer
    from opentelemetry.util.types import AttributeValue

#: Fields that all client spans of a tracer have in common.
_COMMON: Final = frozenset(
    {
        "_end_time", "_instrumentation_info", "_instrumentation_scope", "_kind", "_limits",
        "_record_exception", "_set_status_on_exception", "_span_processor", "_status", "_trace_config",
    }
)  # fmt: skip
#: Fields that are a span's own.
_OWN: Final = frozenset(
    {
        "_attributes", "_context", "_events", "_links", "_lock", "_name", "_parent", "_record_end_metrics",
        "_resource", "_sampler", "_start_time",
    }
)  # fmt: skip
_OF_ATTRIBUTES: Final = frozenset({"_dict", "_immutable", "_lock", "dropped", "max_value_len", "maxlen"})
#: Types of attribute values that the SDK keeps as they are.
_KEPT: Final = frozenset({str, bool, int, float, tuple})

#: Whether a span is sampled, and whether its trace id is random → flags.
_FLAGS: Final = {(sampled, rest): TraceFlags(sampled + 2 * rest) for sampled in (0, 1) for rest in (0, 1)}
#: On a tracer: what its client spans have in common; None when they are not as they are known here.
_PATTERN: Final = "_otel_agents_pattern"


def start_client_span(
    tracer: Tracer, name: str, context: Context, parent: Span, attributes: dict[str, AttributeValue]
) -> Span:
    """``tracer.start_span(...)`` of kind client, for a span that notes no exceptions by itself.

    Args:
        context: where the parent is.
        parent: the current span of ``context``.
        attributes: redacted already.
    """
    pattern = _pattern(tracer) if type(tracer) is sdk.Tracer else None
    if pattern is None:
        return tracer.start_span(
            name, context, SpanKind.CLIENT, attributes, record_exception=False, set_status_on_exception=False
        )
    return _start(tracer, pattern, name, context, parent, attributes)


def set_attributes(span: Span, attributes: dict[str, AttributeValue]) -> None:
    """``span.set_attributes(attributes)``; redacted already, and lists should be tuples."""
    kept = getattr(span, "_attributes", None)
    if type(kept) is BoundedAttributes and not kept._immutable and _fit(kept, attributes):
        with kept._lock:
            kept._dict.update(attributes)
    else:
        span.set_attributes(attributes)


def _fit(kept: BoundedAttributes, attributes: dict[str, AttributeValue]) -> bool:
    """Whether ``kept`` has room for all of ``attributes``, and would change none of them."""
    return (
        kept.max_value_len is None
        and (kept.maxlen is None or len(kept._dict) + len(attributes) <= kept.maxlen)
        and _KEPT.issuperset(map(type, attributes.values()))
    )


def _pattern(tracer: Any) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] | None = vars(tracer)[_PATTERN]
    except KeyError:
        found = vars(tracer)[_PATTERN] = _make_pattern(tracer)
    return found


def _make_pattern(tracer: Any) -> dict[str, Any] | None:
    try:
        fields = vars(
            sdk._Span(
                "",
                trace.INVALID_SPAN_CONTEXT,
                kind=SpanKind.CLIENT,
                span_processor=tracer.span_processor,
                instrumentation_info=tracer.instrumentation_info,
                record_exception=False,
                set_status_on_exception=False,
                limits=tracer._span_limits,
                instrumentation_scope=tracer._instrumentation_scope,
            )
        )
        if fields.keys() != _COMMON | _OWN or vars(fields["_attributes"]).keys() != _OF_ATTRIBUTES:
            return None
        # What is asked of a tracer for each span has to be there as well.
        _ = tracer._is_enabled, tracer._tracer_metrics.start_span, tracer.id_generator, tracer.sampler
    except (AttributeError, TypeError):
        return None
    return {name: fields[name] for name in _COMMON}


def _start(
    tracer: Any,
    pattern: dict[str, Any],
    name: str,
    context: Context,
    parent: Span,
    attributes: dict[str, AttributeValue],
) -> Span:
    above: SpanContext | None = parent.get_span_context()
    if not tracer._is_enabled():
        return trace.NonRecordingSpan(above or trace.INVALID_SPAN_CONTEXT)
    ids = tracer.id_generator
    if above is None or not above.is_valid:
        above = None
        trace_id, random = ids.generate_trace_id(), ids.is_trace_id_random()
    else:
        trace_id, random = above.trace_id, above.trace_flags.random_trace_id
    result = tracer.sampler.should_sample(context, trace_id, name, SpanKind.CLIENT, attributes, ())
    decision = result.decision
    span_context = SpanContext(
        trace_id, ids.generate_span_id(), False, _FLAGS[decision.is_sampled(), random], result.trace_state
    )
    at_end = tracer._tracer_metrics.start_span(above, decision)
    if not decision.is_recording():
        return trace.NonRecordingSpan(span_context)
    limits = pattern["_limits"]
    kept = BoundedAttributes(limits.max_span_attributes, None, False, limits.max_span_attribute_length)
    given = dict(result.attributes)  # a sampler may add to them
    if _fit(kept, given):
        kept._dict = given
    else:
        kept.update(given)
    span: Any = object.__new__(sdk._Span)
    span.__dict__ = {
        **pattern,
        "_name": name,
        "_context": span_context,
        "_parent": above,
        "_resource": tracer.resource,
        "_sampler": tracer.sampler,
        "_attributes": kept,
        "_events": BoundedList(limits.max_events),
        "_links": BoundedList(limits.max_links),
        "_lock": threading.Lock(),
        "_record_end_metrics": at_end,
        "_start_time": time_ns(),
    }
    span._span_processor.on_start(span, parent_context=context)
    return span  # type: ignore[no-any-return]
