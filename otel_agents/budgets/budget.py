"""What a budget is: its limit, period and scope, and what happens on the way to the limit.

Money is in whole nano-dollars everywhere inside, so that sums are exact whoever adds them in whatever order.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from otel_agents import semconv
from otel_agents.budgets.periods import PERIODS, RUN
from otel_agents.config import ConfigError

if TYPE_CHECKING:
    from otel_agents.tracing.scopes import AgentRun, Scope

NANO: Final = 1_000_000_000
ACTIONS: Final = ("warn", "block", "stop_run")
_KINDS: Final = ("agent", "user", "tenant")
#: Attributes of the context that say whose call it is.
_ATTRIBUTES: Final = {
    "user": (semconv.USER_ID,),
    "tenant": (semconv.METADATA_PREFIX + "tenant", semconv.METADATA_PREFIX + "tenant_id"),
}
EACH: Final = "*"


class BadBudget(ConfigError, ValueError):
    """An argument of a budget or guard that makes no sense; the text names it."""


@dataclass(frozen=True, slots=True)
class Alert:
    """A threshold that was passed, as a callback gets it. Money is in USD.

    Attributes:
        budget: the budget's name.
        threshold: share of the amount, such as 0.8.
        scope: as in :class:`BudgetExceeded`.
    """

    budget: str
    threshold: float
    spent: float
    amount: float
    period: str
    scope: str


@dataclass(frozen=True, slots=True)
class Status:
    """How a budget stands.

    Attributes:
        spent: USD in the present period, by all processes of this service on this host; of ``run``
            budgets and of budgets for each user, tenant or agent, None: they have many accounts.
        shared: False while the file that processes share cannot be used: then it is this process's.
    """

    name: str
    amount: float
    period: str
    scope: str
    on_exceeded: str
    spent: float | None
    shared: bool


@dataclass(frozen=True, slots=True)
class Budget:
    """A budget as it was set.

    Attributes:
        limit: nano-dollars.
        kind: ``agent``, ``user``, ``tenant``, or empty for all calls.
        value: whose; ``*`` for each of them.
        thresholds: shares of the limit, ascending.
    """

    name: str
    limit: int
    period: str
    kind: str
    value: str
    on_exceeded: str
    thresholds: tuple[float, ...]
    callback: Callable[[Alert], object] | None = None

    @property
    def amount(self) -> float:
        """The limit in USD."""
        return self.limit / NANO

    @property
    def scope(self) -> str:
        """``agent:claude`` and so on; empty for all calls."""
        return f"{self.kind}:{self.value}" if self.kind else ""

    @property
    def each(self) -> bool:
        """Whether everybody has an account."""
        return self.value == EACH

    def account(self, around: Scope, agent: str | None = None) -> str | None:
        """Whose account a call in ``around`` is charged to; None when it is none of this budget's.

        Args:
            agent: that makes the call, where ``around`` does not say it.
        """
        if not self.kind:
            return ""
        if self.kind == "agent":
            return self._agent(around.run, agent)
        for name in _ATTRIBUTES[self.kind]:
            whose = around.attributes.get(name)
            if whose is not None:
                return _digest(str(whose)) if self.each else self._if_own(str(whose))
        return None

    def run(self, around: Scope) -> AgentRun | None:
        """The run that a call is charged to: the outermost (of the agent, where the budget has one)."""
        found, run = None, around.run
        while run is not None:
            if self.kind != "agent" or self.each or run.name == self.value:
                found = run
            run = run.parent
        return found

    def _agent(self, run: AgentRun | None, agent: str | None) -> str | None:
        """An agent also pays for the agents that it calls."""
        if self.each:
            return agent or (run.name if run is not None else None)
        while run is not None:
            if run.name == self.value:
                return self.value
            run = run.parent
        return self.value if agent == self.value else None

    def _if_own(self, whose: str) -> str | None:
        if whose == self.value:
            return self.value
        from otel_agents import runtime

        # What the context holds is redacted already.
        return self.value if whose == runtime.current().redactor.text(self.value) else None


def make(
    amount: object,
    period: object,
    scope: object,
    whose: dict[str, object],
    on_exceeded: object,
    thresholds: object,
    callback: object,
    name: object,
) -> Budget:
    """A budget from arguments as a user gives them.

    Raises:
        BadBudget: one line that names the argument.
    """
    if period not in PERIODS:
        raise BadBudget(f"period must be one of {', '.join(PERIODS)}, not {period!r}")
    if on_exceeded not in ACTIONS:
        raise BadBudget(f"on_exceeded must be one of {', '.join(ACTIONS)}, not {on_exceeded!r}")
    if callback is not None and not callable(callback):
        raise BadBudget(f"callback must be a function of one argument, not {callback!r}")
    kind, value = _scope(scope, whose)
    if name is not None and (not isinstance(name, str) or not name.strip() or len(name) > 100):
        raise BadBudget(f"name must be text of at most 100 characters, not {name!r}")
    called = name or " ".join(part for part in (str(period), _label(kind, value)) if part)
    return Budget(
        name=str(called),
        limit=_nano(amount),
        period=str(period),
        kind=kind,
        value=value,
        on_exceeded=str(on_exceeded),
        thresholds=_shares(thresholds),
        callback=callback,
    )


def _label(kind: str, value: str) -> str:
    """Names become metric labels, so they hold no user."""
    if kind == "user" and value != EACH:
        value = _digest(value)
    return f"{kind}:{value}" if kind else ""


def _nano(amount: object) -> int:
    usable: Any = amount
    try:
        if isinstance(amount, bool):
            raise ValueError
        number = float(usable)
        if not 0 <= number < 1e9 or not math.isfinite(number):
            raise ValueError
    except (TypeError, ValueError):
        raise BadBudget(f"amount must be a number of USD of at least 0, not {amount!r}") from None
    return round(number * NANO)


def _scope(scope: object, whose: dict[str, object]) -> tuple[str, str]:
    given = {kind: value for kind, value in whose.items() if value is not None}
    if scope is not None:
        kind, _, name = scope.partition(":") if isinstance(scope, str) else ("", "", "")
        if kind not in _KINDS or not name:
            raise BadBudget(
                f"scope must be None, or agent:, user: or tenant: with a name or *, not {scope!r}"
            )
        given.setdefault(kind, name)
    if len(given) > 1:
        raise BadBudget(f"scope must be one of agent, user and tenant, not {' and '.join(sorted(given))}")
    for kind, value in given.items():
        if not isinstance(value, str) or not value.strip():
            raise BadBudget(f"{kind} must be a name or *, not {value!r}")
        return kind, value.strip()
    return "", ""


def _shares(thresholds: object) -> tuple[float, ...]:
    try:
        many: Iterable[Any] = thresholds if isinstance(thresholds, Iterable) else (thresholds,)
        shares = sorted({float(one) for one in many})
        if any(not 0 < one <= 100 for one in shares):
            raise ValueError
    except (TypeError, ValueError):
        raise BadBudget(
            f"thresholds must be shares above 0, such as (0.5, 0.8, 1.0), not {thresholds!r}"
        ) from None
    return tuple(shares)


def _digest(whose: str) -> str:
    """Users and tenants are not written down."""
    return hashlib.sha256(whose.encode("utf-8", "replace")).hexdigest()[:16]


def is_run(budget: Budget) -> bool:
    """Whether the budget is one of single runs."""
    return budget.period == RUN
