"""Budgets and guards: what processes, an agent, a user or a run may spend, and when a run is stopped.

``gate`` is what calls and runs come by; ``books`` keep the accounts, ``store`` shares them between the
processes of a host, ``loops`` watches runs. Nothing of it is imported before a budget or guard is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_agents.budgets.errors import BudgetExceeded, LoopStopped, Refused

if TYPE_CHECKING:
    from otel_agents.budgets.budget import Alert, Budget, Status
    from otel_agents.budgets.ledger import budgets, remove_budget, set_budget, spent
    from otel_agents.budgets.loops import guard

_MODULES = {
    "Alert": "budget",
    "Budget": "budget",
    "Status": "budget",
    "budgets": "ledger",
    "guard": "loops",
    "remove_budget": "ledger",
    "set_budget": "ledger",
    "spent": "ledger",
}

__all__ = [
    "Alert",
    "Budget",
    "BudgetExceeded",
    "LoopStopped",
    "Refused",
    "Status",
    "budgets",
    "guard",
    "remove_budget",
    "set_budget",
    "spent",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'otel_agents.budgets' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"otel_agents.budgets.{_MODULES[name]}"), name)
    globals()[name] = value
    return value
