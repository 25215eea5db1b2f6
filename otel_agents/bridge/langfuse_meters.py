"""What only Langfuse knows, as metrics for Prometheus: tasks, their cost and their quality, by agent.

A thread reads Langfuse every now and then; a scrape gets what was read last and never waits.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from otel_agents.bridge.summaries import NoSummary
from otel_agents.bridge.summary import Figures
from otel_agents.instruments import OVERFLOW

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric

    from otel_agents.bridge.summaries import Answer, Summaries

logger = logging.getLogger(__name__)

#: Hours of the window that the gauges are about.
_HOURS: Final = 1.0
_PREFIX: Final = "otel_agents_langfuse_"
_LABELS: Final = ("gen_ai_agent_name",)
#: Figures older than this many intervals are no longer served: no value is better than a wrong one.
_TOO_OLD: Final = 5


class LangfuseMeters:
    """A collector of prometheus-client, with the thread that feeds it.

    Args:
        registry: where the metrics are served from.
        summaries: read for them.
        interval: seconds between two reads; 0 registers and reads nothing.
        label_limit: most agents that get series of their own; the rest are ``other``.
    """

    def __init__(
        self, registry: CollectorRegistry, summaries: Summaries, interval: float, label_limit: int
    ) -> None:
        self._summaries = summaries
        self._interval = interval
        self._limit = label_limit
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._answer: Answer | None = None
        self._read_at = 0.0
        self._reads = {"success": 0, "error": 0}
        self._up = False
        self._agents: list[str] = []
        if interval > 0:
            registry.register(self)

    def start(self) -> None:
        """Starts to read. Calling it again changes nothing."""
        with self._lock:
            if self._thread is None and self._interval > 0 and not self._stopped.is_set():
                self._thread = threading.Thread(
                    target=self._run, name="otel-agents-langfuse-metrics", daemon=True
                )
                self._thread.start()

    def stop(self) -> None:
        """Reads no more. A read that is under way ends with the process."""
        self._stopped.set()

    def describe(self) -> Iterator[Metric]:
        """Nothing: prometheus-client would collect to find out."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """The metrics as of the last read."""
        with self._lock:
            answer, read_at, reads, up = self._answer, self._read_at, dict(self._reads), self._up
            agents = list(self._agents)
        yield GaugeMetricFamily(f"{_PREFIX}up", "Whether the last read of Langfuse succeeded.", float(up))
        outcomes = CounterMetricFamily(f"{_PREFIX}reads", "Reads of Langfuse.", labels=("outcome",))
        for outcome, count in reads.items():
            outcomes.add_metric((outcome,), count)
        yield outcomes
        if answer is None:
            return
        yield GaugeMetricFamily(
            f"{_PREFIX}last_read_timestamp_seconds", "When Langfuse was last read with success.", read_at
        )
        yield GaugeMetricFamily(f"{_PREFIX}read_seconds", "How long that took.", answer.seconds)
        if time.time() - read_at <= _TOO_OLD * self._interval:
            yield from _gauges(_bounded(answer.summary.agents, agents))

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._take(self._summaries.read_now(_HOURS))
            except NoSummary as error:
                with self._lock:
                    first, self._up = self._up or not sum(self._reads.values()), False
                    self._reads["error"] += 1
                if first:
                    logger.warning("metrics from Langfuse: %s", error)
            except Exception:
                logger.exception("metrics from Langfuse")
            self._stopped.wait(self._interval)

    def _take(self, answer: Answer) -> None:
        with self._lock:
            if not self._up and self._reads["error"]:
                logger.info("Langfuse can be read again")
            self._answer, self._read_at, self._up = answer, time.time(), True
            self._reads["success"] += 1
            for name in answer.summary.agents:
                # The last place is for all the others.
                if name not in self._agents and len(self._agents) < self._limit - 1:
                    self._agents.append(name)


def _bounded(found: Mapping[str, Figures], agents: list[str]) -> dict[str, Figures]:
    """Figures for every agent that was ever seen, zeros included, and for those without a place."""
    shown = {name: found.get(name, Figures()) for name in agents}
    for name, figures in found.items():
        if name in shown:
            continue
        rest = shown.setdefault(OVERFLOW, Figures())
        rest.tasks += figures.tasks
        rest.succeeded += figures.succeeded
        rest.cost += figures.cost
        rest.qualities.extend(figures.qualities)
    return shown


def _gauges(agents: Mapping[str, Figures]) -> Iterator[Metric]:
    tasks = GaugeMetricFamily(
        f"{_PREFIX}tasks", "Tasks of the last hour, by status.", labels=(*_LABELS, "status")
    )
    cost = GaugeMetricFamily(f"{_PREFIX}cost", "Cost of the last hour's tasks in US dollars.", labels=_LABELS)
    quality = GaugeMetricFamily(
        f"{_PREFIX}quality", "Mean quality of the last hour's tasks that have a score.", labels=_LABELS
    )
    scored = GaugeMetricFamily(
        f"{_PREFIX}scored_tasks", "Tasks of the last hour that have a quality score.", labels=_LABELS
    )
    for name, figures in agents.items():
        tasks.add_metric((name, "success"), figures.succeeded)
        tasks.add_metric((name, "error"), figures.tasks - figures.succeeded)
        cost.add_metric((name,), figures.cost)
        scored.add_metric((name,), len(figures.qualities))
        if figures.avg_quality is not None:
            quality.add_metric((name,), figures.avg_quality)
    yield from (tasks, cost, quality, scored)
