"""What of a resumed session's figures belongs to the run that resumed it.

Codex says what its thread has used so far, earlier runs included. Claude Code, since 2.1.277, goes on from
the totals that the session had: cost and ``modelUsage`` contain the earlier runs, and only ``usage``, which
leaves out sub-agents, is of this run alone. Who sums up runs would count the first one again with each of
them. So what a session came to is remembered for as long as this process lives, and taken off.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from otel_agents.accounting import Usage
from otel_agents.cli_agents.reading import Reading
from otel_agents.cli_agents.result import ModelTotals

#: Named in ``AgentResult.skipped`` when nobody knows what earlier runs used.
UNKNOWN: Final = "totals_with_earlier_runs"
#: Sessions that are remembered.
_MAX_SESSIONS: Final = 1000
#: Dollars by which sums of doubles may differ.
_CENT: Final = 1e-9


@dataclass(frozen=True, slots=True)
class _Totals:
    """What a session came to, by its agent's last word."""

    usage: Usage | None
    models: Mapping[str, ModelTotals]
    cost: float | None


_lock: Final = threading.Lock()
_sessions: Final[OrderedDict[tuple[str, str], _Totals]] = OrderedDict()


def this_run_only(agent: str, reading: Reading, resumed: str | None) -> None:
    """Leaves only this run's part in ``reading``, where it has a session's totals.

    Args:
        agent: whose session it is.
        reading: of the run, finished.
        resumed: id of the session that the run was asked to continue, "" for the latest; None for a new one.
    """
    if not reading.so_far:
        return
    told = _Totals(reading.usage, dict(reading.models), reading.cost)
    with _lock:
        known = [_sessions.get((agent, id)) for id in (resumed, reading.session_id) if id]
        if reading.session_id:
            _sessions[agent, reading.session_id] = told
            _sessions.move_to_end((agent, reading.session_id))
            if len(_sessions) > _MAX_SESSIONS:
                _sessions.popitem(last=False)
    if resumed is None or told.usage is None:
        return
    before = next((one for one in known if one is not None), None)
    if before is not None and before.usage is not None:
        _without(before, told, reading)
    elif reading.own is None or reading.own.total < told.usage.total:
        reading.skip(UNKNOWN)
        reading.usage, reading.models, reading.cost = reading.own, {}, None


def _without(before: _Totals, told: _Totals, reading: Reading) -> None:
    assert before.usage is not None
    assert told.usage is not None
    left = _less(told.usage, before.usage)
    if left is None or (reading.own is not None and left.total < reading.own.total):
        return  # smaller than before, or too small for what this run used: these figures are its own
    reading.usage = left
    reading.models = {}
    for name, one in told.models.items():
        earlier = before.models.get(name)
        usage, cost = one.usage, one.cost
        if earlier is not None:
            usage = _less(one.usage, earlier.usage) if one.usage and earlier.usage else one.usage
            cost = _cost_less(one.cost, earlier.cost)
        if (usage is not None and usage.total) or cost:
            reading.models[name] = ModelTotals(usage, cost, one.calls)
    reading.cost = _cost_less(told.cost, before.cost)


def _less(usage: Usage, earlier: Usage) -> Usage | None:
    """The difference; None when any part of it would be below zero."""
    parts = {name: getattr(usage, name) - getattr(earlier, name) for name in Usage.__struct_fields__}
    return Usage(**parts) if min(parts.values()) >= 0 else None


def _cost_less(cost: float | None, earlier: float | None) -> float | None:
    if cost is None or earlier is None:
        return cost
    left = cost - earlier
    return left if left > _CENT else 0.0
