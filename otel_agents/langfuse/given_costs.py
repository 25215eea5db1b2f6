"""What the app said that model calls cost whose model has no price, put where it belongs.

The observer tells it by a ``chat`` span of its own, with a cost and without tokens (see
``otel_agents.observer.totals``): so Langfuse's sums are right. But that span is no model call, and the calls
that it pays for are not without a cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from otel_agents.langfuse.tasks import Call

#: Model of a call that names none.
UNKNOWN: Final = "unknown"


def settle(calls: Sequence[Call]) -> list[Call]:
    """One run's model calls, those without a cost with their share (by tokens) of the cost that was given.

    Calls are left as they are where none lacks a cost: then a cost without tokens is all that is known of
    the run. A call that is paid by the piece, such as an image, has tokens of none but a model of its own.
    """
    unpaid = [call for call in calls if call.cost is None and call.tokens > 0]
    names = {UNKNOWN, *(call.model for call in unpaid)}
    given = [call for call in calls if call.cost and not call.tokens and call.model in names]
    if not unpaid or not given:
        return list(calls)
    amount = sum(call.cost or 0.0 for call in given)
    tokens = sum(call.tokens for call in unpaid)
    return [
        replace(call, cost=amount * call.tokens / tokens) if any(call is one for one in unpaid) else call
        for call in calls
        if not any(call is one for one in given)
    ]
