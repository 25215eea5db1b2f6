"""This process's side of one account: what it has spent since it last told the others, and its lease."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from otel_agents.budgets import periods
from otel_agents.budgets.store import LEASE

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from otel_agents.budgets.budget import Budget

#: Seconds before its end at which a lease is no longer spent from.
_MARGIN = 1.0


class Portion(NamedTuple):
    """What is to be told about one period."""

    period: str
    used: int


class Account:
    """Amounts are in nano-dollars. :meth:`charge` is the caller's side: an addition under a lock.

    Attributes:
        key: its name in the file.
        spent: by everybody in the present period, as last heard.
        used: by this process since then.
        lease: what it may spend before it has to ask; until ``until`` (monotonic seconds).
        exchanging: held while the file is asked, so that nothing is told twice.
        ends: of the present period, seconds since 1970.
        context: of the last call, where its alerts belong.
    """

    __slots__ = (
        "_late", "_lock", "budget", "context", "ends", "exchanging", "key", "lease", "passed", "period",
        "recent", "shared", "spent", "until", "used", "value",
    )  # fmt: skip

    def __init__(self, budget: Budget, key: str, value: str) -> None:
        self.budget = budget
        self.key = key
        self.value = value
        self.shared = True
        self.context: Context | None = None
        self.used = 0
        self._late: list[Portion] = []
        self.after_fork()
        self._begin(time.time())

    def after_fork(self) -> None:
        """A child tells nothing of what its parent spent, holds no lease, and no lock of a lost thread."""
        self._lock = threading.Lock()
        self.exchanging = threading.Lock()
        self.used = 0
        self.recent = 0
        self.lease = 0
        self.until = 0.0
        self._late = []

    def _begin(self, now: float) -> None:
        self.period, self.ends = periods.bounds(self.budget.period, now)
        self.spent = 0
        self.lease = 0
        self.passed: set[float] = set()

    def charge(self, nano: int, context: Context | None) -> None:
        """Adds what a call cost, to the period in which it ended."""
        now = time.time()
        with self._lock:
            if now >= self.ends:
                self._turn(now)
            self.used += nano
            if context is not None:
                self.context = context

    def has_lease(self) -> bool:
        """Whether a call may be made without asking."""
        return self.used < self.lease and time.monotonic() < self.until and time.time() < self.ends

    def portions(self) -> tuple[list[Portion], Portion]:
        """What is to be told: of periods that are over, and of the present one."""
        now = time.time()
        with self._lock:
            if now >= self.ends:
                self._turn(now)
            return list(self._late), Portion(self.period, self.used)

    def told(self, portion: Portion, spent: int, lease: int) -> None:
        """The others know of ``portion`` now."""
        with self._lock:
            if portion in self._late:
                self._late.remove(portion)
            elif portion.period == self.period:
                self.used -= portion.used
                self.recent = portion.used
                self.spent = spent
                self.lease = lease
                self.until = time.monotonic() + LEASE - _MARGIN
            else:  # the period ended meanwhile
                self._late = [
                    Portion(one.period, one.used - portion.used) if one.period == portion.period else one
                    for one in self._late
                ]

    @property
    def open(self) -> bool:
        """Whether there is something to tell, or a lease to give back."""
        return bool(self.used or self._late or self.lease)

    @property
    def total(self) -> int:
        """Spent in the present period, as far as this process knows."""
        return self.spent + self.used

    def _turn(self, now: float) -> None:
        if self.used:
            self._late.append(Portion(self.period, self.used))
        self.used = 0
        self._begin(now)
