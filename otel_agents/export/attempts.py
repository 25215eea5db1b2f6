"""How it has been going with the backend lately, and so when it is time to try again."""

from __future__ import annotations

import time
from typing import Final

from otel_agents.export.sender import Answer
from otel_agents.export.waits import pause

#: Failures in a row after which a batch that the backend fails at is tried in parts.
_DOUBT: Final = 3
#: Seconds between two attempts while somebody waits.
STEP: Final = 0.25
#: An attempt that fails after longer than this many seconds was a hanging one.
_HANGING: Final = 1.0


class Attempts:
    """The failures in a row, and what follows from them. All times are of ``time.monotonic()``."""

    __slots__ = ("_asked_until", "_failed_at", "_not_before", "_took", "failures")

    def __init__(self) -> None:
        self.failures = 0
        self._failed_at = 0.0
        self._took = 0.0
        self._not_before = 0.0
        self._asked_until = 0.0

    @property
    def doubtful(self) -> bool:
        """Whether a single span may be what makes the backend fail."""
        return self.failures >= _DOUBT

    def succeeded(self) -> bool:
        """Notes that a batch got through; answers whether that ends an outage."""
        over = self.failures > 0
        self.failures, self._not_before, self._asked_until = 0, 0.0, 0.0
        return over

    def failed(self, answer: Answer, seconds: float, in_part: bool) -> bool:
        """Notes a failure, after ``seconds``; answers whether it is the first one of an outage.

        Args:
            answer: what the backend said.
            seconds: how long it took.
            in_part: some of the batch got through.
        """
        now = time.monotonic()
        self.failures = _DOUBT if in_part else self.failures + 1
        self._failed_at, self._took = now, seconds
        self._not_before = now + pause(self.failures, answer.wait)
        self._asked_until = self._not_before if answer.wait else 0.0
        return self.failures == 1

    def ready_at(self, hurried: bool) -> float:
        """When to try again. Somebody who waits shortens our pauses, not those the server asked for."""
        if hurried and self.failures:
            return max(min(self._not_before, self._failed_at + STEP), self._asked_until)
        return self._not_before

    def hopeless(self, since: float, at_last: bool) -> bool:
        """Whether who has been waiting since ``since`` need not wait for another attempt.

        An attempt has failed meanwhile, or the server wants none now. And a backend that is known to hang
        need not hold up everybody who asks, only (``at_last``) the end of the process.
        """
        if not self.failures:
            return False
        recently = STEP if self._took < _HANGING or at_last else 10 * self._took
        return self._failed_at >= since - recently or self._asked_until > time.monotonic()
