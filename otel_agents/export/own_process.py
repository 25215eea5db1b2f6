"""Keeps a forked child from exporting what its parent counted.

A child inherits the meter's state. Sent from there it would be the parent's series with the
parent's counts of the moment of the fork: a counter that goes back, which PromQL takes for a
restart and counts twice. The child gets instruments of its own; the inherited ones fall silent.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult

from otel_agents.export import tally

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricsData


class OwnProcess(MetricExporter):
    """Passes metrics on to ``exporter`` in the process that it was made in, and nowhere else."""

    def __init__(self, exporter: MetricExporter) -> None:
        super().__init__(exporter._preferred_temporality, exporter._preferred_aggregation)
        self._exporter = exporter
        self._process = os.getpid()
        tally.will_be_told()

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        if os.getpid() != self._process:
            return MetricExportResult.SUCCESS
        result = self._exporter.export(metrics_data, timeout_millis, **kwargs)
        if result is MetricExportResult.SUCCESS:
            tally.told()
        return result

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return os.getpid() != self._process or self._exporter.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        if os.getpid() == self._process:
            self._exporter.shutdown(timeout_millis, **kwargs)
