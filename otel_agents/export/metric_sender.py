"""Metrics on their way to a Collector: one attempt each time.

The SDK's exporters try a collection again until their time limit is over, and log every attempt. Counters
are cumulative: the next collection says all that this one did, so a repetition gains nothing, and at the
end of a process without a Collector it would cost seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics import Counter, Histogram, ObservableCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, MetricExporter, MetricExportResult

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricsData

    from otel_agents.export.grpc_sender import GrpcSender
    from otel_agents.export.sender import HttpSender

logger = logging.getLogger(__name__)


class SendsMetrics(MetricExporter):
    """Sends each collection once, cumulative, so that one whose answer got lost counts nothing twice.

    Args:
        connect: makes what sends.
    """

    def __init__(self, connect: Callable[[], HttpSender | GrpcSender]) -> None:
        cumulative = AggregationTemporality.CUMULATIVE
        super().__init__(dict.fromkeys((Counter, Histogram, ObservableCounter), cumulative))
        self._sender = connect()
        self._problem = ""

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        body = encode_metrics(metrics_data).SerializeToString()
        answer = self._sender.post(body, 1, timeout_millis / 1000)
        taken = answer.kind == "taken"
        self._say("" if taken and not answer.rejected else answer.reason, answer.message)
        return MetricExportResult.SUCCESS if taken else MetricExportResult.FAILURE

    def _say(self, problem: str, message: str) -> None:
        """Once for as long as it is the same problem."""
        if problem and problem != self._problem:
            logger.warning("otel-agents: the Collector did not take metrics: %s", message)
        self._problem = problem

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        self._sender.close()
