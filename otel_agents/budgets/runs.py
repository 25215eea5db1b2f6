"""Budgets of single runs: their accounts live and end with the run."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from otel_agents.budgets import alerts

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from otel_agents.budgets.budget import Budget
    from otel_agents.tracing.scopes import AgentRun


class Tally:
    """What a run has spent: nano-dollars by budget, and the thresholds that it has passed."""

    __slots__ = ("lock", "passed", "spent")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.spent: dict[str, int] = {}
        self.passed: set[tuple[str, float]] = set()


def after_fork() -> None:
    """A child may have got the lock of a thread that it lacks."""
    global _making
    _making = threading.Lock()


def charge(budget: Budget, run: AgentRun | None, nano: int, context: Context | None) -> None:
    """Adds what a call inside of ``run`` cost; nothing outside of runs."""
    if run is None:
        return
    tally = run.tally
    if tally is None:
        # Two threads may both make one: setdefault's promise, for a slot.
        with _making:
            tally = run.tally = run.tally or Tally()
    with tally.lock:
        total = tally.spent[budget.name] = tally.spent.get(budget.name, 0) + nano
        passed = [
            threshold
            for threshold in budget.thresholds
            if total >= round(threshold * budget.limit) and (budget.name, threshold) not in tally.passed
        ]
        tally.passed.update((budget.name, threshold) for threshold in passed)
    for threshold in passed:
        alerts.tell(budget, threshold, total, context)


def spent(budget: Budget, run: AgentRun | None) -> int | None:
    """Nano-dollars that ``run`` has spent; None outside of runs."""
    if run is None:
        return None
    return 0 if run.tally is None else run.tally.spent.get(budget.name, 0)


_making = threading.Lock()
