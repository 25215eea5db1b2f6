"""What the bridge counts about itself, for Prometheus, in a registry of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily

if TYPE_CHECKING:
    from otel_agents.bridge.lanes import Lanes


class Meters:
    """The counters, and the queues' size at the time of a scrape.

    Attributes:
        records: log records that came, by ``kind`` (``evaluation``, ``content``, ``other``).
        stored: scores that are on disk.
        sent: scores that Langfuse accepted.
        failed: requests to Langfuse that will be repeated.
        dropped: scores that are lost, by ``reason`` (``not_a_score``, ``refused``, ``error``).
        full: requests that were asked to come again because the queue was full.
        traces: trace requests, by ``outcome`` (``delivered``, ``retry``, ``refused``, ``repeated``).
        repeated: spans that were left out because they had been delivered before.
        content: records with content for spans, by ``outcome`` (``stored``, ``merged``, ``late``,
            ``expired``, ``unusable``).
        waits: requests that waited for content, by ``outcome`` (``found``, ``in_vain``).
    """

    def __init__(self, lanes: Lanes) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"otel_agents_bridge_{name}", text, labels, registry=self.registry)

        self.records = counter("log_records", "Log records received.", "kind")
        self.stored = counter("scores_stored", "Scores put on disk.")
        self.sent = counter("scores_sent", "Scores that Langfuse accepted.")
        self.failed = counter("score_requests_failed", "Requests to Langfuse that are repeated.")
        self.dropped = counter("scores_dropped", "Scores that are lost.", "reason")
        self.full = counter("queue_full", "Requests asked to come again because the queue was full.")
        self.traces = counter("trace_requests", "Trace requests by what became of them.", "outcome")
        self.repeated = counter("repeated_spans", "Spans left out because they had been delivered.")
        self.content = counter("event_content", "Records with content for spans.", "outcome")
        self.waits = counter("content_waits", "Trace requests that waited for content.", "outcome")
        # A series that begins with its first event is one that increase() does not see.
        for kind in ("evaluation", "content", "other"):
            self.records.labels(kind)
        for reason in ("not_a_score", "refused", "error"):
            self.dropped.labels(reason)
        for outcome in ("delivered", "retry", "refused", "repeated"):
            self.traces.labels(outcome)
        for outcome in ("stored", "merged", "late", "expired", "unusable"):
            self.content.labels(outcome)
        for outcome in ("found", "in_vain"):
            self.waits.labels(outcome)
        self.registry.register(_QueueSize(lanes))


class _QueueSize:
    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes

    def collect(self) -> Iterator[GaugeMetricFamily]:
        count, size = self._lanes.size()
        name = "otel_agents_bridge_queue_"
        yield GaugeMetricFamily(f"{name}scores", "Scores that wait for Langfuse.", count)
        yield GaugeMetricFamily(f"{name}bytes", "Bytes of the scores that wait.", size)
        yield GaugeMetricFamily(
            f"{name}oldest_seconds", "How long the oldest score has waited.", self._lanes.oldest_seconds()
        )
