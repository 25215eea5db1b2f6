"""What the app says that an execution used, beside what was counted of its model calls.

Calls that were seen win: the numbers given are kept as ``otel_agents.reported.*``, and a difference of
more than 5 % is counted. When none was seen, a child ``chat`` span carries the numbers, since Langfuse
drops usage and cost of agents; where calls seen have no price, it carries what is left of the cost for them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opentelemetry import trace
from opentelemetry.trace import SpanKind

from otel_agents import accounting, metrics, runtime, semconv
from otel_agents.observer.complaints import complain
from otel_agents.observer.providers import provider_of
from otel_agents.tracing import spans
from otel_agents.tracing.contexts import scope, short_name
from otel_agents.tracing.inference_request import positive_number
from otel_agents.tracing.scopes import count_call
from otel_agents.tracing.usage_forms import usage_of

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue

    from otel_agents.accounting import Usage
    from otel_agents.tracing.scopes import Counted

#: Share by which what is reported may differ from what was counted.
TOLERANCE: Final = 0.05


@dataclass(slots=True)
class Totals:
    """What the app has said so far; later words win.

    Attributes:
        usage: tokens.
        cost: USD.
        model: that did the work, if the app names one.
        provider: of it, if the app names one.
        told: it has its span.
    """

    usage: Usage | None = None
    cost: float | None = None
    model: str | None = None
    provider: str | None = None
    told: bool = False

    def take(self, tokens: object, cost: object) -> None:
        """Takes down tokens and cost in any form that is understood; complains of others."""
        if tokens is not None:
            usage = usage_of(tokens)
            if usage is None:
                complain("tokens= is neither a number from zero up nor a mapping with input and output")
            self.usage = usage or self.usage
        if cost is not None:
            dollars = positive_number(cost)
            if dollars is None:
                complain("cost= is no number of dollars from zero up")
            self.cost = self.cost if dollars is None else dollars

    def named(self, model: object, provider: object) -> None:
        """Takes down who did the work."""
        self.model = short_name(model) or self.model
        self.provider = short_name(provider) or self.provider

    def attributes(self) -> dict[str, AttributeValue]:
        """What was said, as attributes of the execution's span."""
        found: dict[str, AttributeValue] = {}
        if self.usage is not None:
            found[f"{semconv.REPORTED_PREFIX}tokens"] = self.usage.total
            if not self.usage.unsplit:
                found[f"{semconv.REPORTED_PREFIX}input_tokens"] = self.usage.input
                found[f"{semconv.REPORTED_PREFIX}output_tokens"] = self.usage.output
        if self.cost is not None:
            found[f"{semconv.REPORTED_PREFIX}cost"] = self.cost
        return found

    def mismatches(self, counted: Counted) -> list[str]:
        """``tokens`` and ``cost``, those that differ by more than the tolerance from what was counted."""
        found = []
        if self.usage is not None and counted.used and _differ(self.usage.total, counted.tokens):
            found.append("tokens")
        if self.cost is not None and counted.priced and _differ(self.cost, counted.cost):
            rest = self.cost > counted.cost and counted.unpriced  # is that of calls without a price
            if not rest:
                found.append("cost")
        return found


def settle(totals: Totals, agent: str | None, started: int, context: Context, counted: Counted) -> None:
    """Compares what was said with what was counted, or tells it where nothing was. May raise.

    Args:
        agent: who worked.
        started: when, in nanoseconds since the epoch.
        context: inside the execution.
        counted: of its model calls, and of those of everything that ran inside.
    """
    if totals.told or (totals.usage is None and totals.cost is None):
        return
    totals.told = True
    for quantity in totals.mismatches(counted):
        labels = {semconv.AGENT_NAME: agent, "quantity": quantity}
        runtime.current().instruments.count(metrics.REPORTED_MISMATCH, 1, labels, context)
    if not (counted.used or counted.priced):
        _tell(totals, totals.usage, totals.cost, agent, started, context)
    elif counted.unpriced and totals.cost is not None and totals.cost > counted.cost:
        # Calls whose model has no price: what the app says beyond the others' is all that is known of theirs.
        rest = totals.cost - counted.cost
        _tell(totals, None, rest, agent, started, context)
        count_call(scope(context).run, None, rest)  # whoever is around need not tell it again


def _tell(
    totals: Totals,
    usage: Usage | None,
    cost: float | None,
    agent: str | None,
    started: int,
    context: Context,
) -> None:
    current = runtime.current()
    redact = current.redactor.text
    model = redact(totals.model) if totals.model else None
    record = accounting.CallRecord(
        operation=semconv.OP_CHAT,
        provider=redact(totals.provider or provider_of(agent, model)),
        request_model=model,
        usage=usage,
        agent_name=agent,
        labels=scope(context).labels,
        cost=cost,
        reported=True,
    )
    accounting.price(record)
    attributes: dict[str, AttributeValue] = {
        semconv.OPERATION_NAME: record.operation,
        semconv.PROVIDER_NAME: record.provider,
        **accounting.span_attributes(record),
    }
    if model:
        attributes[semconv.REQUEST_MODEL] = model
    name = f"{record.operation} {model}" if model else record.operation
    span: Span = spans.start_span(
        name,
        kind=SpanKind.CLIENT,
        attributes=current.redactor.attributes(attributes),
        context=context,
        start_time=started,
    )
    record.context = trace.set_span_in_context(span, context)
    spans.end_span(span, time.time_ns())
    current.accountant.submit(record)


def _differ(given: float, counted: float) -> bool:
    return abs(given - counted) > TOLERANCE * counted
