"""What of a resumed session's figures belongs to the run that resumed it.

Codex says what its thread has used so far, earlier runs included. Claude Code, since 2.1.277, goes on from
the totals that the session had: cost and ``modelUsage`` contain the earlier runs, and only ``usage``, which
leaves out sub-agents, is of this run alone. Who sums up runs would count the first one again with each of
them. So what a session came to is remembered, in a small file for runs of other processes, and taken off.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Final

import msgspec

from otel_agents import runtime
from otel_agents.accounting import Usage
from otel_agents.cli_agents.reading import Reading
from otel_agents.cli_agents.result import ModelTotals
from otel_agents.tracing import spans

#: Named in ``AgentResult.skipped`` when nobody knows what earlier runs used.
UNKNOWN: Final = "totals_with_earlier_runs"
#: Sessions that are remembered, in memory and on disk.
_MAX_SESSIONS: Final = 1000
#: Dollars by which sums of doubles may differ.
_CENT: Final = 1e-9


class _Totals(msgspec.Struct, frozen=True):
    """What a session came to, by its agent's last word; usage and cost, of all models and of each."""

    usage: Usage | None
    cost: float | None
    models: dict[str, tuple[Usage | None, float | None]]


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
    models = {name: (one.usage, one.cost) for name, one in reading.models.items()}
    told = _Totals(reading.usage, reading.cost, models)
    before = None
    if resumed is not None:
        ids = [one for one in (resumed, reading.session_id) if one]
        before = next((found for id in ids if (found := _known(agent, id)) is not None), None)
    if reading.session_id:
        _remember(agent, reading.session_id, told)
    if resumed is None or told.usage is None:
        return
    if before is not None and before.usage is not None:
        _without(before, told, reading)
    elif reading.own is None or reading.own.total < told.usage.total:
        reading.skip(UNKNOWN)
        reading.usage, reading.models, reading.cost = reading.own, {}, None


def _known(agent: str, id: str) -> _Totals | None:
    with _lock:
        found = _sessions.get((agent, id))
    folder = _folder()
    if found is not None or folder is None:
        return found
    try:
        return msgspec.json.decode(_file(folder, agent, id).read_bytes(), type=_Totals)
    except (OSError, msgspec.MsgspecError):
        return None


def _remember(agent: str, id: str, told: _Totals) -> None:
    with _lock:
        _sessions[agent, id] = told
        _sessions.move_to_end((agent, id))
        if len(_sessions) > _MAX_SESSIONS:
            _sessions.popitem(last=False)
    if (folder := _folder()) is None:
        return
    try:
        file = _file(folder, agent, id)
        folder.mkdir(parents=True, exist_ok=True)
        made = file.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
        made.write_bytes(msgspec.json.encode(told))
        made.replace(file)
        many = list(folder.iterdir())
        for one in sorted(many, key=_age)[: max(len(many) - _MAX_SESSIONS, 0)]:
            one.unlink(missing_ok=True)
    except OSError:
        spans.note("remember what a session came to")  # runs of this process still know


def _folder() -> Path | None:
    """Where sessions are remembered; None where nothing is exported, and so nothing counted."""
    settings = runtime.current().settings
    return None if settings.mode == "disabled" else settings.home / "agent-sessions"


def _file(folder: Path, agent: str, id: str) -> Path:
    name = hashlib.sha256(f"{agent}\0{id}".encode(errors="replace")).hexdigest()[:32]
    return folder / f"{name}.json"


def _age(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def _without(before: _Totals, told: _Totals, reading: Reading) -> None:
    assert before.usage is not None
    assert told.usage is not None
    left = _less(told.usage, before.usage)
    if left is None or (reading.own is not None and left.total < reading.own.total):
        return  # smaller than before, or too small for what this run used: these figures are its own
    reading.usage = left
    reading.models = {}
    for name, one in told.models.items():
        usage, cost = one
        if (earlier := before.models.get(name)) is not None:
            usage = _less(usage, earlier[0]) if usage is not None and earlier[0] is not None else usage
            cost = _cost_less(cost, earlier[1])
        if (usage is not None and usage.total) or cost:
            reading.models[name] = ModelTotals(usage, cost)
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
