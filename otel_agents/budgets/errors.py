"""What is raised at a call that may not be made: the only exceptions of ours that reach an app's own code.

They do because the app asked for it, with ``on_exceeded="block"`` or a guard.
"""

from __future__ import annotations

from typing import Any


class Refused(Exception):
    """A call that a budget or a guard does not let through. It was not sent and has cost nothing."""


class BudgetExceeded(Refused):
    """A budget is used up.

    Attributes:
        budget: its name.
        amount: its limit in USD.
        spent: USD so far in its present period (or run).
        period: ``monthly``, ``daily``, ``hourly`` or ``run``.
        scope: such as ``agent:claude``; empty for all calls. Never the name of a user of ``user:*``.
    """

    def __init__(self, budget: str, amount: float, spent: float, period: str, scope: str = "") -> None:
        whose = f" for {scope}" if scope else ""
        super().__init__(f"budget {budget!r} is used up: {spent:.6g} of {amount:.6g} USD {period}{whose}")
        self.budget = budget
        self.amount = amount
        self.spent = spent
        self.period = period
        self.scope = scope

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.budget, self.amount, self.spent, self.period, self.scope)


class LoopStopped(Refused):
    """A guard has stopped a run.

    Attributes:
        reason: ``identical_tool_calls``, ``identical_model_calls``, ``depth``, ``seconds`` or ``calls``.
        limit: what the guard allows.
        agent: that was running; empty outside of agents.
    """

    def __init__(self, reason: str, limit: float, agent: str = "", detail: str = "") -> None:
        whose = f"agent {agent!r}" if agent else "the run"
        more = f" ({detail})" if detail else ""
        what = "agents inside of each other" if reason == "depth" else reason.replace("_", " ")
        super().__init__(f"{whose} was stopped: more than {limit:g} {what}{more}")
        self.reason = reason
        self.limit = limit
        self.agent = agent
        self.detail = detail

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.reason, self.limit, self.agent, self.detail)
