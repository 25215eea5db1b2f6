"""Faults on demand, to test how a client takes them: errors, rate limits, slow answers, lost answers."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(slots=True)
class Fault:
    """What happens to the next requests under a path.

    Attributes:
        path: beginning of the request path.
        status: answer with this status; None lets the request through (after ``delay_ms``).
        times: how many requests it hits; 0 for all until it is cleared.
        retry_after: seconds in a ``Retry-After`` header.
        delay_ms: wait this long first.
        after: handle the request, and only then answer with ``status`` (an answer that got lost: the
            client sends everything again).
    """

    path: str = "/api/public/"
    status: int | None = None
    times: int = 1
    retry_after: float | None = None
    delay_ms: int = 0
    after: bool = False


class Faults:
    """The faults that wait to happen. Safe for threads."""

    __slots__ = ("_faults", "_lock")

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        """Adds a fault behind those that wait."""
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Removes all faults."""
        with self._lock:
            self._faults.clear()

    def waiting(self) -> list[dict[str, Any]]:
        """The faults that are left."""
        with self._lock:
            return [asdict(fault) for fault in self._faults]

    def take(self, path: str) -> Fault | None:
        """The fault that hits a request to ``path``, counted down."""
        with self._lock:
            for fault in self._faults:
                if path.startswith(fault.path):
                    if fault.times == 1:
                        self._faults.remove(fault)
                    elif fault.times > 1:
                        fault.times -= 1
                    return fault
        return None


def fault_of(body: Any) -> Fault:
    """A fault from a JSON object.

    Raises:
        ValueError: it has unknown keys or wrong values.
    """
    if not isinstance(body, dict):
        raise ValueError("a fault is a JSON object")
    known = {
        "path": str,
        "status": int,
        "times": int,
        "retry_after": (int, float),
        "delay_ms": int,
        "after": bool,
    }
    for key, value in body.items():
        if key not in known:
            raise ValueError(f"unknown key {key!r}; a fault has {', '.join(known)}")
        expected: Any = known[key]
        wrong_bool = isinstance(value, bool) and expected is not bool
        if value is not None and (wrong_bool or not isinstance(value, expected)):
            raise ValueError(f"{key} has the wrong type")
    fault = Fault(**{key: value for key, value in body.items() if value is not None})
    if fault.status is not None and not 400 <= fault.status <= 599:
        raise ValueError("status has to be between 400 and 599")
    if fault.status is None and fault.delay_ms <= 0:
        raise ValueError("a fault needs a status, a delay_ms or both")
    if fault.times < 0 or fault.delay_ms < 0 or (fault.retry_after or 0) < 0:
        raise ValueError("times, delay_ms and retry_after cannot be negative")
    return fault
