"""The public face of budgets: setting and reading them, and what becomes of each call.

A finished call adds its cost to this process's part of an account. A moment later the worker writes that
into the file (``store``) that all processes of this service on this host share. Only a call under a budget
that blocks may have to ask the file itself, when its lease is used up. ``books`` does all of that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from otel_agents.budgets import budget as kinds
from otel_agents.budgets.books import Books
from otel_agents.budgets.budget import NANO, Alert, Budget, Status
from otel_agents.tracing.scopes import NO_SCOPE, AgentRun, inside_run, scope

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from otel_agents.accounting import CallRecord
    from otel_agents.config import Settings


def set_budget(
    amount: float,
    period: str = "monthly",
    scope: str | None = None,
    *,
    agent: str | None = None,
    user: str | None = None,
    tenant: str | None = None,
    on_exceeded: str = "warn",
    thresholds: Iterable[float] = (0.5, 0.8, 1.0),
    callback: Callable[[Alert], object] | None = None,
    name: str | None = None,
) -> Budget:
    """Sets what may be spent in a period; a budget of the same name is replaced, what was spent stays.

    Spending is shared by all processes of this service (``service_name``) on this host, outlives them,
    and is exact to the nano-dollar. Periods begin and end by the calendar in UTC.

    Args:
        amount: USD.
        period: ``monthly``, ``daily``, ``hourly``, or ``run``: for every outermost agent run anew.
        scope: None is all calls; else ``agent:NAME``, ``user:NAME`` or ``tenant:NAME``, which ``agent``,
            ``user`` and ``tenant`` say as well; ``*`` as the name gives each of them the amount. An agent
            also pays for agents that it calls; users are those of ``context(user=...)``, tenants those of
            ``context(metadata={"tenant": ...})``.
        on_exceeded: ``warn`` only tells; ``block`` raises :class:`BudgetExceeded` instead of the next model
            call or agent run; ``stop_run`` raises it at the next model or tool call inside of agent runs,
            calls outside of runs go on. Calls that are under way are not broken off, so spending may end
            above the amount by what these cost.
        thresholds: shares of the amount; passing one is told once a period: to ``callback``, as an event
            span ``budget_threshold``, as ``otel_agents.budget.alerts`` and in the log.
        callback: called with an :class:`Alert` on a thread of ours, soon after; it should be quick.
        name: in messages and metrics; by default made from period and scope.

    Raises:
        ValueError: an argument makes no sense; the message names it.
    """
    made = kinds.make(
        amount, period, scope, {"agent": agent, "user": user, "tenant": tenant}, on_exceeded, thresholds,
        callback, name,
    )  # fmt: skip
    _ledger.put(made)
    return made


def remove_budget(name: str) -> bool:
    """Forgets a budget; what was spent under its name stays written. False when there is none."""
    return _ledger.remove(name)


def budgets() -> list[Status]:
    """How every budget stands."""
    return [_ledger.status(one) for one in _ledger.budgets]


def spent(name: str) -> float | None:
    """USD spent of a budget in its present period, by all processes of this service on this host.

    None for budgets that have many accounts: those of single runs, and of each user, tenant or agent.

    Raises:
        KeyError: there is no such budget.
    """
    for one in _ledger.budgets:
        if one.name == name:
            return _ledger.status(one).spent
    raise KeyError(name)


_ledger: Final = Books()


def charge(record: CallRecord) -> None:
    """A model call is over: its cost goes to every budget that it belongs to."""
    if not _ledger.budgets:
        return
    if record.cost is None and record.unpriced_reason is None:
        from otel_agents.accounting import price

        price(record)
    if not record.cost or record.cost < 0:
        return
    around = scope(record.context) if record.context is not None else NO_SCOPE
    _ledger.charge(round(record.cost * NANO), around, record.agent_name, record.context)


def before_call(context: Context) -> None:
    """Raises when a model call in ``context`` may not be made."""
    if _ledger.budgets:
        around = scope(context)
        _ledger.refuse(around, ("block", "stop_run") if around.run is not None else ("block",))


def before_tool(context: Context) -> None:
    """Raises when a tool call in ``context`` may not be made."""
    if _ledger.budgets:
        around = scope(context)
        if around.run is not None:
            _ledger.refuse(around, ("stop_run",))


def before_run(context: Context, name: str) -> None:
    """Raises when the agent ``name`` may not start in ``context``."""
    if _ledger.budgets:
        around = scope(context)
        _ledger.refuse(inside_run(around, AgentRun(name, around.run)), ("block", "stop_run"))


def declare(settings: Settings) -> None:
    """Replaces the budgets that were declared by settings."""
    _ledger.declare(settings)
