"""A circuit breaker for each agent: after some failures in a row it is left alone for a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from otel_agents import get_langfuse_observer  # otel


@dataclass(slots=True)
class Breaker:
    """``closed`` lets everything through, ``open`` nothing, ``half_open`` one try.

    ``rest`` is seconds for which it stays open.
    """

    agent: str
    limit: int = 2
    rest: float = 30.0
    clock: Callable[[], float] = time.monotonic
    state: str = "closed"
    failures: int = 0
    _until: float = 0.0

    def allows(self) -> bool:
        """Whether the agent may be asked now."""
        if self.state == "open" and self.clock() >= self._until:
            self._become("half_open")
        return self.state != "open"

    def record(self, succeeded: bool, task_id: str) -> None:
        """What came of a try."""
        if succeeded:
            self.failures = 0
            if self.state != "closed":
                self._become("closed", task_id)
            return
        self.failures += 1
        if self.state == "half_open" or (self.state == "closed" and self.failures >= self.limit):
            self._until = self.clock() + self.rest
            self._become("open", task_id)

    def _become(self, state: str, task_id: str | None = None) -> None:
        self.state = state
        get_langfuse_observer().track_circuit_breaker_event(  # otel
            agent=self.agent, state=state, failure_count=self.failures, task_id=task_id
        )
