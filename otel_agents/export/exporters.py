"""Builds what sends for a mode: OTLP to a Collector, OTLP straight to Langfuse, or the console."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from otel_agents.export.same_target import Target

if TYPE_CHECKING:
    from opentelemetry.sdk._logs.export import LogRecordExporter
    from opentelemetry.sdk.metrics.export import MetricExporter
    from opentelemetry.sdk.trace.export import SpanExporter

    from otel_agents.config import Settings
    from otel_agents.export.sender import Sender

#: Langfuse 4.16 answers 400 to anything above 4; with 4 it writes spans at once instead of after minutes.
LANGFUSE_INGESTION_VERSION: Final = "4"


def langfuse_traces_url(base_url: str) -> str:
    """Where Langfuse takes OTLP traces (over HTTP only; it has no gRPC)."""
    return f"{base_url.rstrip('/')}/api/public/otel/v1/traces"


def langfuse_headers(public_key: str, secret_key: str) -> dict[str, str]:
    """Basic authorisation with a project's keys, and the ingestion version."""
    token = base64.b64encode(f"{public_key}:{secret_key}".encode()).decode()
    return {"Authorization": f"Basic {token}", "x-langfuse-ingestion-version": LANGFUSE_INGESTION_VERSION}


def span_exporter(settings: Settings) -> SpanExporter | None:
    """The console, when spans are to go there."""
    if settings.traces_exporter != "console":
        return None
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter

    return ConsoleSpanExporter()


def span_sender(settings: Settings) -> Callable[[], Sender] | None:
    """What makes the sender to the Collector or Langfuse, by mode; None when spans go nowhere.

    What it needs is imported here: a thread that is importing cannot be forked.
    """
    from opentelemetry.exporter.otlp.proto.common import trace_encoder  # noqa: F401

    from otel_agents.export.connections import connection
    from otel_agents.export.sender import HttpSender

    if settings.traces_exporter in ("none", "console"):
        return None
    if settings.mode == "direct":
        import requests  # noqa: F401

        headers = langfuse_headers(settings.langfuse_public_key or "", settings.langfuse_secret_key or "")
        url = langfuse_traces_url(settings.langfuse_base_url)
        # The only compression that Langfuse decodes is gzip.
        return lambda: HttpSender(url, headers, settings.export_timeout, "gzip")
    target = settings.otlp("traces")
    if target is None:
        return None
    return connection(target, "traces")


def span_target(settings: Settings) -> Target | None:
    """The place that spans are sent to by OTLP; None when they go nowhere or to the console."""
    if settings.traces_exporter in ("console", "none"):
        return None
    if settings.mode == "direct":
        keys = settings.langfuse_public_key or "", settings.langfuse_secret_key or ""
        return Target.of(langfuse_traces_url(settings.langfuse_base_url), langfuse_headers(*keys))
    target = settings.otlp("traces")
    return Target.of(target.endpoint, target.headers) if target is not None else None


def metric_exporter(settings: Settings) -> MetricExporter | None:
    """Where metrics are pushed; None when they are scraped or not wanted.

    Always cumulative, so that a repeated batch counts nothing twice.
    """
    if settings.metrics_exporter == "console":
        from opentelemetry.sdk.metrics.export import ConsoleMetricExporter

        return ConsoleMetricExporter()
    from otel_agents.export import last_metrics
    from otel_agents.export.metric_sender import SendsMetrics

    found = last_metrics.outlet(settings)
    return SendsMetrics(found[1]) if found is not None else None


def log_exporter(settings: Settings) -> LogRecordExporter | None:
    """Where events go (evaluation results, message content); None for nowhere."""
    if settings.logs_exporter == "console":
        from opentelemetry.sdk._logs.export import ConsoleLogRecordExporter

        return ConsoleLogRecordExporter()
    from otel_agents.export.kept_logs import KeptLogs

    return KeptLogs.from_settings(settings)
