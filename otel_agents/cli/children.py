"""Takes telemetry along into processes that ``multiprocessing`` spawns, such as uvicorn's workers.

A forked child is its parent's copy. A spawned one starts anew and is told by its parent what to set up
before anything else; one more entry in what it is told, which configures when it is unpickled, is all
that it takes. Nothing else of the child's start changes.
"""

from __future__ import annotations

import logging
from typing import Any

logger = logging.getLogger(__name__)

_prepared = False


class _Configures:
    """Configures telemetry in the process that unpickles it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (begin, ())


def begin_first() -> None:
    """Configures this process, and has its spawned children configure themselves, and theirs after them.

    Raises:
        otel_agents.ConfigError: see ``configure()``.
    """
    global _prepared
    import wrapt

    import otel_agents

    otel_agents.configure()
    if not _prepared:
        _prepared = True
        # Not part of the documented interface, but the same since Python 3.4; coverage relies on it too.
        wrapt.register_post_import_hook(_hook, "multiprocessing.spawn")


def begin() -> None:
    """What a spawned child runs first. Never raises."""
    try:
        begin_first()
    except Exception as error:
        logger.warning("otel-agents: no telemetry in this process: %s", error)


def _hook(module: Any) -> None:
    original = getattr(module, "get_preparation_data", None)
    if original is None:
        return

    def get_preparation_data(name: str) -> dict[str, Any]:
        data: dict[str, Any] = original(name)
        data["otel_agents"] = _Configures()
        return data

    module.get_preparation_data = get_preparation_data
