"""Usage is normalised once, priced once, and printed twice: on the span and in the metrics.

Everything that knows of a model call makes a :class:`CallRecord`; :func:`price` fills in the cost;
:func:`span_attributes` prints it for the span, ``metrics.Instruments.record_call`` for the metrics.
"""

from __future__ import annotations

from otel_agents.accounting.prices import price
from otel_agents.accounting.record import CallRecord, span_attributes
from otel_agents.accounting.usage import Usage

__all__ = ["CallRecord", "Usage", "price", "span_attributes"]
