"""What is known of one model call once it is over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from otel_agents import semconv
from otel_agents.accounting.usage import Usage

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.util.types import AttributeValue

#: Reasons for which a call has no cost, the values of ``otel_agents.unpriced_calls{reason}``.
NO_USAGE = "no_usage"
NO_MODEL = "no_model"
UNKNOWN_MODEL = "unknown_model"
NO_SPLIT = "no_split"  # only the total of input and output is known


class CallRecord(msgspec.Struct, eq=False):
    """One model call, as the metrics and the span print it.

    ``cost`` is in USD. It is filled by :func:`otel_agents.accounting.price` unless whoever made the
    record knows the true cost already. ``unpriced_reason`` says why there is none; calls that
    failed without usage have neither, since nothing was billed.

    ``duration``, ``time_to_first_chunk`` and ``chunk_gaps`` (the time between later chunks) are in
    seconds. ``context`` carries the span, so that exemplars point at its trace.

    ``reported`` marks totals that the app told of work whose calls nobody saw: tokens and cost count,
    but it is no call whose duration or size would say anything.
    """

    operation: str
    provider: str
    request_model: str | None = None
    response_model: str | None = None
    usage: Usage | None = None
    error_type: str | None = None
    duration: float = 0.0
    time_to_first_chunk: float | None = None
    chunk_gaps: Sequence[float] = ()
    stream: bool = False
    server_address: str | None = None
    server_port: int | None = None
    service_tier: str | None = None
    agent_name: str | None = None
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    context: Context | None = None
    cost: float | None = None
    unpriced_reason: str | None = None
    reported: bool = False


def span_attributes(record: CallRecord) -> dict[str, AttributeValue]:
    """The record's usage and cost as span attributes; only what is known, parts only above zero."""
    attributes: dict[str, AttributeValue] = {}
    usage = record.usage
    if usage is not None and usage.unsplit:
        attributes[semconv.USAGE_TOTAL_TOKENS] = usage.total
    elif usage is not None:
        attributes[semconv.USAGE_INPUT_TOKENS] = usage.input
        if record.operation != semconv.OP_EMBEDDINGS:
            attributes[semconv.USAGE_OUTPUT_TOKENS] = usage.output
        if usage.cache_read:
            attributes[semconv.USAGE_CACHE_READ] = usage.cache_read
        if usage.cache_write:
            attributes[semconv.USAGE_CACHE_WRITE] = usage.cache_write
        if usage.reasoning:
            attributes[semconv.USAGE_REASONING] = usage.reasoning
    if record.cost is not None:
        attributes[semconv.USAGE_COST] = record.cost
    if record.unpriced_reason is not None:
        attributes[semconv.UNPRICED_REASON] = record.unpriced_reason
    return attributes
