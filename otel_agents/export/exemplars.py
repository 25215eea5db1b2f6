"""Keeps an exemplar in sight until there is a newer one.

The SDK hands each exemplar out in one collection only. The Collector's prometheus exporter shows what the
last push had, so with pushes more frequent than scrapes most exemplars would be gone before a scrape sees
them, and with them the way from a point on a graph to its trace.
"""

from __future__ import annotations

import bisect
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics._internal.exemplar import Exemplar
    from opentelemetry.sdk.metrics.export import Metric, MetricsData

logger = logging.getLogger(__name__)


class KeepsExemplars(MetricExporter):
    """Passes metrics on to ``exporter``, each series with the newest exemplar of each of its buckets."""

    def __init__(self, exporter: MetricExporter) -> None:
        super().__init__(exporter._preferred_temporality, exporter._preferred_aggregation)
        self._exporter = exporter
        # Series (metric and labels) to bucket (0 for a counter) to exemplar: as bounded as the labels are.
        self._kept: dict[tuple[str, frozenset[tuple[str, Any]]], dict[int, Exemplar]] = {}

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        try:
            metrics_data = self._completed(metrics_data)
        except Exception:
            logger.debug("otel-agents: metrics go out without older exemplars", exc_info=True)
        return self._exporter.export(metrics_data, timeout_millis, **kwargs)

    def _completed(self, data: MetricsData) -> MetricsData:
        """A copy of ``data`` with what is kept."""
        resources = []
        for resource in data.resource_metrics:
            scopes = [
                replace(scope, metrics=[self._metric(metric) for metric in scope.metrics])
                for scope in resource.scope_metrics
            ]
            resources.append(replace(resource, scope_metrics=scopes))
        return replace(data, resource_metrics=resources)

    def _metric(self, metric: Metric) -> Metric:
        data: Any = metric.data
        points = [self._point(metric.name, point) for point in data.data_points]
        return replace(metric, data=replace(data, data_points=points))

    def _point(self, name: str, point: Any) -> Any:
        newest = self._newest(name, point)
        return replace(point, exemplars=newest) if newest else point

    def _newest(self, name: str, point: Any) -> Sequence[Exemplar]:
        fresh: Sequence[Exemplar] = getattr(point, "exemplars", ())
        series = (name, frozenset((point.attributes or {}).items()))
        kept = self._kept.get(series)
        if kept is None:
            if not fresh:
                return fresh
            kept = self._kept[series] = {}
        bounds = getattr(point, "explicit_bounds", ())
        for one in fresh:
            kept[bisect.bisect_left(bounds, one.value)] = one
        return list(kept.values())

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return self._exporter.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        self._exporter.shutdown(timeout_millis, **kwargs)
