"""What is told about budgets: thresholds that were passed, calls that were refused, how much is spent."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from opentelemetry import context as otel_context

from otel_agents import metrics, runtime
from otel_agents.budgets.budget import NANO, Alert, Budget
from otel_agents.tracing.events import event
from otel_agents.tracing.scopes import detach

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from otel_agents.metrics import Definition

logger = logging.getLogger(__name__)

EVENT = "budget_threshold"


def tell(budget: Budget, threshold: float, spent: int, context: Context | None) -> None:
    """A threshold was passed: callback, event, metric and log, on the worker's thread."""
    runtime.current().worker.submit(_tell, budget, threshold, spent, context)


def _tell(budget: Budget, threshold: float, spent: int, context: Context | None) -> None:
    alert = Alert(budget.name, threshold, spent / NANO, budget.amount, budget.period, budget.scope)
    runtime.current().instruments.count(
        metrics.BUDGET_ALERTS, 1, {**_labels(budget), "threshold": f"{threshold:g}"}, context
    )
    logger.warning(
        "otel-agents: budget %r has reached %g %%: %.6g of %.6g USD %s",
        budget.name, threshold * 100, alert.spent, alert.amount, budget.period,
    )  # fmt: skip
    told = {
        "budget": budget.name,
        "threshold": threshold,
        "spent": alert.spent,
        "amount": alert.amount,
        "period": budget.period,
    }
    token = otel_context.attach(context) if context is not None else None
    try:
        event(EVENT, told, **told)
    finally:
        if token is not None:
            detach(token)
    if budget.callback is not None:
        try:
            budget.callback(alert)
        except Exception:
            logger.exception("otel-agents: the callback of budget %r failed", budget.name)


def blocked(budget: Budget) -> None:
    """A call or run was refused."""
    runtime.current().instruments.count(metrics.BUDGET_BLOCKED, 1, _labels(budget))


def blind(reason: str) -> None:
    """The shared file could not be used."""
    runtime.current().instruments.count(metrics.BUDGET_STORE_ERRORS, 1, {"reason": reason})


def gauge(definition: Definition, budget: Budget, nano: int) -> None:
    """Sets a gauge of a budget to an amount."""
    runtime.current().instruments.count(definition, nano / NANO, _labels(budget))


def ends(budget: Budget, at: float) -> None:
    """When the period ends that the last ``BUDGET_SPENT`` belongs to, in seconds since 1970."""
    runtime.current().instruments.count(metrics.BUDGET_ENDS, at, _labels(budget))


def _labels(budget: Budget) -> dict[str, str | None]:
    return {"budget": budget.name, "period": budget.period}
