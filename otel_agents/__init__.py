"""OpenTelemetry-first instrumentation for LLM agents, exported to Langfuse and Prometheus.

The names below are bound on first use, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_agents.version import __version__

if TYPE_CHECKING:
    from otel_agents.config import ConfigError, Settings
    from otel_agents.contexts import context
    from otel_agents.decorators import agent, retrieval, tool, workflow
    from otel_agents.events import event, score
    from otel_agents.executors import bind, traced_executor
    from otel_agents.export.result import FlushResult
    from otel_agents.inferences import inference
    from otel_agents.setup import configure, flush, instrument, shutdown

_MODULES = {
    "ConfigError": "config",
    "FlushResult": "export.result",
    "Settings": "config",
    "agent": "decorators",
    "bind": "executors",
    "configure": "setup",
    "context": "contexts",
    "event": "events",
    "flush": "setup",
    "inference": "inferences",
    "instrument": "setup",
    "retrieval": "decorators",
    "score": "events",
    "shutdown": "setup",
    "tool": "decorators",
    "traced_executor": "executors",
    "workflow": "decorators",
}

__all__ = [
    "ConfigError",
    "FlushResult",
    "Settings",
    "__version__",
    "agent",
    "bind",
    "configure",
    "context",
    "event",
    "flush",
    "inference",
    "instrument",
    "retrieval",
    "score",
    "shutdown",
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
