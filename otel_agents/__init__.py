"""OpenTelemetry-first instrumentation for LLM agents, exported to Langfuse and Prometheus.

The names below are bound on first use, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_agents.version import __version__

if TYPE_CHECKING:
    from otel_agents.budgets import BudgetExceeded, LoopStopped, guard, set_budget
    from otel_agents.config import ConfigError, Settings
    from otel_agents.export.result import FlushResult
    from otel_agents.freezing import flush_before_freeze
    from otel_agents.inflight.suspension import resume, suspend
    from otel_agents.observer.experiments import experiment
    from otel_agents.observer.facade import get_langfuse_observer
    from otel_agents.setup import configure, flush, instrument, shutdown
    from otel_agents.tracing.contexts import context
    from otel_agents.tracing.decorators import agent, retrieval, tool, workflow
    from otel_agents.tracing.events import event, score
    from otel_agents.tracing.executors import bind, traced_executor
    from otel_agents.tracing.inferences import inference

_MODULES = {
    "BudgetExceeded": "budgets.errors",
    "ConfigError": "config",
    "FlushResult": "export.result",
    "LoopStopped": "budgets.errors",
    "Settings": "config",
    "agent": "tracing.decorators",
    "bind": "tracing.executors",
    "configure": "setup",
    "context": "tracing.contexts",
    "event": "tracing.events",
    "experiment": "observer.experiments",
    "flush": "setup",
    "flush_before_freeze": "freezing",
    "get_langfuse_observer": "observer.facade",
    "guard": "budgets.loops",
    "inference": "tracing.inferences",
    "instrument": "setup",
    "resume": "inflight.suspension",
    "retrieval": "tracing.decorators",
    "score": "tracing.events",
    "set_budget": "budgets.ledger",
    "shutdown": "setup",
    "suspend": "inflight.suspension",
    "tool": "tracing.decorators",
    "traced_executor": "tracing.executors",
    "workflow": "tracing.decorators",
}

__all__ = [
    "BudgetExceeded",
    "ConfigError",
    "FlushResult",
    "LoopStopped",
    "Settings",
    "__version__",
    "agent",
    "bind",
    "configure",
    "context",
    "event",
    "experiment",
    "flush",
    "flush_before_freeze",
    "get_langfuse_observer",
    "guard",
    "inference",
    "instrument",
    "resume",
    "retrieval",
    "score",
    "set_budget",
    "shutdown",
    "suspend",
    "tool",
    "traced_executor",
    "workflow",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'otel_agents' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"otel_agents.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
