"""The accounts of all budgets in this process, and how they are told to the file that processes share."""

from __future__ import annotations

import atexit
import logging
import math
import sqlite3
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_agents import forks, metrics, runtime
from otel_agents.budgets import alerts, gate, runs
from otel_agents.budgets import budget as kinds
from otel_agents.budgets.account import Account
from otel_agents.budgets.budget import NANO, Budget, Status
from otel_agents.budgets.errors import BudgetExceeded
from otel_agents.budgets.store import Exchanged, Store

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from otel_agents.config import Settings
    from otel_agents.tracing.scopes import Scope

logger = logging.getLogger(__name__)

FILE: Final = "budgets.db"
#: Seconds after a call at which it is written.
_SOON: Final = 0.2
#: Seconds after which an unused lease is given back.
_IDLE: Final = 1.0
#: Seconds after which a file that could not be used is tried again.
_RETRY: Final = 2.0
#: Seconds for which a process that ends tries.
_LAST_CHANCE: Final = 3.0
#: Accounts of budgets that have one for each user and so on; beyond it the oldest that is settled goes.
_LIMIT: Final = 10_000
#: Of budgets that settings declare.
_THRESHOLDS: Final = (0.5, 0.8, 1.0)


class Books:
    """Every budget of this process with its accounts.

    Attributes:
        budgets: as they were set, in that order.
    """

    def __init__(self) -> None:
        self.budgets: tuple[Budget, ...] = ()
        self._declared: set[str] = set()
        self._accounts: dict[tuple[str, str], Account] = {}
        self._stores: dict[Path, Store] = {}
        self._leaked: list[Store] = []
        self._registered = False
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._holder = uuid.uuid4().hex
        self._due = math.inf
        self._blind_until = 0.0
        self._is_locked = False
        self._told_blind = False

    # --- budgets -------------------------------------------------------------------------------

    def put(self, budget: Budget) -> None:
        self.remove(budget.name)
        with self._lock:
            self.budgets = (*self.budgets, budget)
            if not self._registered:
                self._registered = True
                atexit.register(self.settle, True)
                forks.watch(self._after_fork)
        gate.arm()
        alerts.gauge(metrics.BUDGET_LIMIT, budget, budget.limit)

    def remove(self, name: str) -> bool:
        if all(one.name != name for one in self.budgets):
            return False
        self.settle(True)
        with self._lock:
            self.budgets = tuple(one for one in self.budgets if one.name != name)
            self._accounts = {key: one for key, one in self._accounts.items() if key[0] != name}
        return True

    def declare(self, settings: Settings) -> None:
        for name in self._declared:
            self.remove(name)
        self._declared = set()
        for one in settings.budget:
            amount, _, period = one.partition("/")
            made = kinds.make(
                amount, period.strip().lower(), None, {}, settings.budget_on_exceeded, _THRESHOLDS, None, None
            )
            self.put(made)
            self._declared.add(made.name)
        for budget in self.budgets:  # the instruments are new
            alerts.gauge(metrics.BUDGET_LIMIT, budget, budget.limit)

    def status(self, budget: Budget) -> Status:
        total: float | None = None
        shared = True
        if not kinds.is_run(budget) and not budget.each:
            account = self._account(budget, budget.value)
            self._exchange(account, give_back=True)
            total, shared = account.total / NANO, account.shared
        return Status(
            budget.name, budget.amount, budget.period, budget.scope, budget.on_exceeded, total, shared
        )

    # --- calls ---------------------------------------------------------------------------------

    def charge(self, nano: int, around: Scope, agent: str | None, context: Context | None) -> None:
        charged = False
        for budget in self.budgets:
            value = budget.account(around, agent)
            if value is None:
                continue
            if kinds.is_run(budget):
                runs.charge(budget, budget.run(around), nano, context)
                continue
            self._account(budget, value).charge(nano, context)
            charged = True
        if charged:
            self._settle_in(_SOON)

    def refuse(self, around: Scope, actions: tuple[str, ...]) -> None:
        """Raises when a budget that does one of ``actions`` is used up for calls in ``around``."""
        for budget in self.budgets:
            if budget.on_exceeded not in actions:
                continue
            value = budget.account(around)
            if value is None:
                continue
            if kinds.is_run(budget):
                total = runs.spent(budget, budget.run(around))
                over = total is not None and total >= budget.limit
            else:
                account = self._account(budget, value)
                over = not account.has_lease() and self._is_over(account)
                total = account.total
            if over:
                alerts.blocked(budget)
                raise BudgetExceeded(
                    budget.name, budget.amount, (total or 0) / NANO, budget.period, budget.scope
                )

    def _is_over(self, account: Account) -> bool:
        self._exchange(account)
        if account.lease > 0 and account.shared:
            return False
        # Without the file, what this process knows has to do.
        return account.shared or account.total >= account.budget.limit

    def _account(self, budget: Budget, value: str) -> Account:
        key = (budget.name, value)
        found = self._accounts.get(key)
        if found is None:
            with self._lock:
                found = self._accounts.get(key)
                if found is None:
                    found = Account(budget, f"{budget.name}|{value}", value)
                    if len(self._accounts) >= _LIMIT:
                        self._forget_one()
                    self._accounts[key] = found
        return found

    def _forget_one(self) -> None:
        for key, one in self._accounts.items():
            if not one.open:
                del self._accounts[key]
                return

    # --- the file ------------------------------------------------------------------------------

    def settle(self, closing: bool = False) -> None:
        """Writes what is not written yet and gives unused leases back; all leases when ``closing``."""
        self._due = math.inf
        waiting = False
        deadline = time.monotonic() + _LAST_CHANCE
        for account in list(self._accounts.values()):
            if account.open:
                self._exchange(account, give_back=closing or not account.used)
            while closing and account.open and self._is_locked and time.monotonic() < deadline:
                time.sleep(0.05)
                self._blind_until = 0.0
                self._exchange(account, give_back=True)
                waiting = waiting or (account.open and not account.shared)
        if waiting and not closing:
            self._settle_in(_RETRY)

    def _settle_in(self, seconds: float) -> None:
        due = time.monotonic() + seconds
        if due < self._due - _SOON / 2:
            self._due = due
            runtime.current().worker.later(seconds, self.settle)

    def _exchange(self, account: Account, give_back: bool = False) -> None:
        """Tells the file what was spent and asks for a lease. Never raises."""
        budget = account.budget
        found: list[Exchanged] = []
        failure: Exception | None = None
        # Nothing is submitted inside: a worker that has been stopped would settle at once, and wait here.
        with account.exchanging:
            if time.monotonic() < self._blind_until:
                account.shared = False
            else:
                try:
                    self._tell(account, give_back, found)
                    account.shared = True
                except (sqlite3.Error, OSError) as error:
                    account.shared = False
                    self._blind_until = time.monotonic() + _RETRY
                    self._is_locked = "locked" in str(error)
                    failure = error
        if failure is not None:
            self._say_blind(failure)
        for one in found:
            for threshold in one.passed:
                alerts.tell(budget, threshold, one.spent, account.context)
        if not account.shared:
            self._look(account)
        if account.lease:
            self._settle_in(_IDLE)
        alerts.gauge(metrics.BUDGET_LIMIT, budget, budget.limit)
        if not budget.each:
            alerts.gauge(metrics.BUDGET_SPENT, budget, account.total)
            alerts.ends(budget, account.ends)

    def _tell(self, account: Account, give_back: bool, found: list[Exchanged]) -> None:
        budget, key = account.budget, self._key(account)
        late, present = account.portions()
        asks = budget.on_exceeded != "warn" and not give_back
        want = max(4 * present.used, 4 * account.recent, 1) if asks else 0
        for portion in (*late, present):
            one = self._store().exchange(
                key, portion.period, self._holder, portion.used,
                limit=budget.limit, want=want if portion is present else 0, thresholds=budget.thresholds,
            )  # fmt: skip
            account.told(portion, one.spent, one.lease)
            found.append(one)

    def _look(self, account: Account) -> None:
        """Alerts while there is no file: once a period in this process."""
        budget = account.budget
        for threshold in budget.thresholds:
            if threshold not in account.passed and account.total >= round(threshold * budget.limit):
                account.passed.add(threshold)
                alerts.tell(budget, threshold, account.total, account.context)

    def _key(self, account: Account) -> str:
        return f"{runtime.current().settings.service_name}|{account.key}"

    def _store(self) -> Store:
        home = runtime.current().settings.home
        found = self._stores.get(home)
        if found is None:
            with self._lock:
                found = self._stores.setdefault(home, Store(home / FILE))
        return found

    def _say_blind(self, error: Exception) -> None:
        alerts.blind("locked" if self._is_locked else "unusable")
        if not self._told_blind:
            self._told_blind = True
            logger.warning(
                "otel-agents: %s cannot be used (%s); until it can, this process counts budgets by itself; "
                "check OTEL_AGENTS_HOME",
                self._store().path,
                error,
            )

    def _after_fork(self) -> None:
        """A child has its own lease and its own connection; the parent's is kept open and left alone."""
        self._leaked.extend(self._stores.values())
        self._stores = {}
        self._reset()
        runs.after_fork()
        for account in self._accounts.values():
            account.after_fork()
