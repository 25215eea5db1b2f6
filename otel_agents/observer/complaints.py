"""Arguments that make no sense are left out and said once: an orchestrator's task goes on."""

from __future__ import annotations

import logging

logger = logging.getLogger(__name__)

_LIMIT = 100
_said: set[str] = set()


def complain(what: str) -> None:
    """Warns of an argument that is left out; each text once in a process, and at most a hundred texts."""
    if what not in _said and len(_said) < _LIMIT:
        _said.add(what)
        logger.warning("otel-agents: %s (said once)", what)
