"""Whether anything is recorded, and the circuit breakers as they were last told of."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from otel_agents import runtime, setup

_LIMIT: Final = 1000
_breakers: OrderedDict[str, str] = OrderedDict()


def enabled() -> bool:
    """Whether what is recorded now goes anywhere."""
    current = runtime.current()
    settings = current.settings
    if not settings.enabled:
        return False
    if current.pipeline is not None:
        return True
    # Without traces there may be metrics; before configure() has succeeded and after shutdown() nothing is.
    return setup.configured() and settings.mode in ("collector", "direct")


def breaker_state(agent: str | None) -> str | None:
    """The state that an agent's circuit breaker came to last; None when it was never told."""
    return _breakers.get(agent) if agent else None


def breaker_changed(agent: str, state: str) -> None:
    """Notes a circuit breaker's state."""
    _breakers[agent] = state
    _breakers.move_to_end(agent)
    while len(_breakers) > _LIMIT:
        _breakers.popitem(last=False)
