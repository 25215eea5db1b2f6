"""Measures this process: processor time, memory, garbage collection, and its container's limit.

The official instrumentation does it where it is installed (``otel-agents[system]``). What that says of the
machine is left out: each process would say it again, and the Collector's host_metrics says it once.
"""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from otel_agents.frameworks import is_disabled

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider

logger = logging.getLogger(__name__)

#: What is measured of the process; the values are the kinds that the instrumentation wants named.
_PROCESS: Final[dict[str, list[str] | None]] = {
    "process.cpu.time": ["user", "system"],
    "process.cpu.utilization": None,
    "process.memory.usage": None,
    "process.memory.virtual": None,
    "process.thread.count": None,
    "process.open_file_descriptor.count": None,
    "process.context_switches": ["involuntary", "voluntary"],
    "cpython.gc.collections": None,
    "cpython.gc.collected_objects": None,
    "cpython.gc.uncollectable_objects": None,
}

#: The meter provider that the process' metrics go to; None while they are not measured.
_measured: MeterProvider | None = None


def measure_process() -> None:
    """Measures this process, off the caller's path, if the instrumentation for it is installed."""
    from otel_agents import runtime

    if is_disabled("system_metrics") or find_spec("opentelemetry.instrumentation.system_metrics") is None:
        return
    current = runtime.current()
    current.worker.submit(lambda: _measure(current.meter_provider))


def measure_again(provider: MeterProvider | None) -> None:
    """Measures a forked child on the meter provider that it has made, if its parent was measured."""
    if _measured is not None:
        _measure(provider)


def _measure(provider: MeterProvider | None) -> None:
    global _measured
    try:
        from opentelemetry import metrics
        from opentelemetry.instrumentation.system_metrics import SystemMetricsInstrumentor

        from otel_agents import containers, semconv
        from otel_agents.version import __version__

        provider = provider or metrics.get_meter_provider()
        if provider is _measured or not hasattr(provider, "force_flush"):
            return  # measured already, or nobody collects
        only = SystemMetricsInstrumentor._instance
        if _measured is None and only is not None and only.is_instrumented_by_opentelemetry:
            return  # the app has enabled it, with a choice of its own
        # Not the one instance that the class hands out, which works once in a process: after a fork, and
        # after a shutdown, there is a new provider, and the process of now is to be measured on it.
        ours = object.__new__(SystemMetricsInstrumentor)
        ours.__init__(config=_PROCESS)  # type: ignore[misc]
        ours._instrument(meter_provider=provider)
        (only or SystemMetricsInstrumentor())._is_instrumented_by_opentelemetry = True
        limited = containers.find()
        if limited is not None:
            containers.observe(provider.get_meter(semconv.SCOPE_NAME, __version__), limited)
        _measured = provider
    except Exception:
        logger.warning("otel-agents: the process cannot be measured", exc_info=True)
