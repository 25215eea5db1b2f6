"""The orchestrator's view: tasks, selections, switches, quality, prompts, in an orchestrator's own words.

A facade: everything here is an agent run, an event, a score or a model call of ``tracing/``.
"""

from __future__ import annotations

from otel_agents.observer.executions import Execution
from otel_agents.observer.facade import LangfuseObserver, get_langfuse_observer

__all__ = ["Execution", "LangfuseObserver", "get_langfuse_observer"]
