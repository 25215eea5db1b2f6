"""*Pipeline health*: whether the numbers on the other dashboards can be believed.

The Collector's own counters begin anew when it restarts. Where many come by ``rate()`` will do; what is rare
(a loss) is counted.
"""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from generator import panels
from generator.panels import COUNT, NUMBER, SHARE, Query, Steps
from generator.queries import counted, increase_in, living, select, total
from otel_agents import metrics

RANGE = "$__range"
STEP = "$__interval"


def build() -> dashboard.Dashboard:
    """The dashboard."""
    return panels.board(
        "otel-agents-pipeline",
        "Pipeline health",
        "What became of every span on its way: application, Collector, bridge, Langfuse, Prometheus.",
        (),
        {"Applications": _apps(), "Collector": _collector(), "Bridge and scrapes": _rest()},
        since="now-6h",
    )


def _apps() -> list[object]:
    return [
        panels.figure(
            "Spans lost",
            "Spans that applications had to drop in the time range.",
            COUNT,
            f"{increase_in(metrics.EXPORT_SPANS, RANGE, outcome='dropped')} or vector(0)",
            steps=Steps(1, 1),
            decimals=0,
            span=8,
        ),
        panels.figure(
            "Spans delivered",
            "Spans that the Collector or Langfuse took from applications.",
            COUNT,
            increase_in(metrics.EXPORT_SPANS, RANGE, outcome="delivered"),
            decimals=0,
            span=8,
        ),
        panels.figure(
            "Label values beyond the limit",
            "Counted as `other`; raise OTEL_AGENTS_LABEL_LIMIT or use fewer values.",
            COUNT,
            f"{increase_in(metrics.LABEL_OVERFLOW, RANGE)} or vector(0)",
            steps=Steps(1, 1000),
            decimals=0,
            span=8,
        ),
        panels.graph(
            "Spans that wait",
            "Ended spans that are not delivered yet; on disk while the backend does not answer.",
            COUNT,
            Query(f"sum({living(select(metrics.EXPORT_QUEUE))})", "in memory"),
            Query(f"sum({living(select(metrics.SPOOL_SPANS))})", "on disk"),
        ),
        panels.graph(
            "Spans by outcome",
            "What became of the spans that ended at each step.",
            COUNT,
            Query(increase_in(metrics.EXPORT_SPANS, STEP, ("outcome", "reason")), "{{outcome}} {{reason}}"),
            stacked=True,
            bars=True,
            interval="5m",
        ),
    ]


def _collector() -> list[object]:
    return [
        panels.graph(
            "Spans through the Collector",
            "Per second: taken from applications, given to Langfuse.",
            NUMBER,
            Query("sum(rate(otelcol_receiver_accepted_spans[$__rate_interval]))", "accepted"),
            Query(
                "sum by (exporter) (rate(otelcol_exporter_sent_spans[$__rate_interval]))", "sent {{exporter}}"
            ),
        ),
        panels.graph(
            "Spans that the Collector lost or refused",
            "At each step. Failed to send means lost; refused is tried again by the sender.",
            COUNT,
            Query(_at_each_step("otelcol_exporter_send_failed_spans", "exporter"), "failed {{exporter}}"),
            Query(
                _at_each_step("otelcol_exporter_enqueue_failed_spans", "exporter"), "not queued {{exporter}}"
            ),
            Query(_at_each_step("otelcol_receiver_refused_spans"), "refused"),
            stacked=True,
            bars=True,
            interval="5m",
        ),
        panels.graph(
            "Queues",
            "How full the queues on disk are.",
            SHARE,
            Query(
                "max by (exporter) (otelcol_exporter_queue_size / otelcol_exporter_queue_capacity)",
                "{{exporter}}",
            ),
            maximum=1,
            span=8,
        ),
        panels.graph(
            "Collector memory",
            "Resident memory of the Collector.",
            panels.BYTES,
            Query("max by (instance) (otelcol_process_memory_rss)", "{{instance}}"),
            span=8,
        ),
        panels.graph(
            "Collector processor",
            "Processors that the Collector keeps busy.",
            NUMBER,
            Query("sum by (instance) (rate(otelcol_process_cpu_seconds[$__rate_interval]))", "{{instance}}"),
            span=8,
        ),
    ]


def _rest() -> list[object]:
    return [
        panels.graph(
            "Scrapes",
            "1 for each target that answers.",
            NUMBER,
            # Not up alone: every application's series carry its own job, those of the scrape the target's.
            Query("max by (job, instance) (up)", "{{job}} {{instance}}"),
            maximum=1,
            span=8,
        ),
        panels.graph(
            "Scores through the bridge",
            "At each step: taken, given to Langfuse, lost.",
            COUNT,
            Query(_at_each_step("otel_agents_bridge_scores_stored_total"), "stored"),
            Query(_at_each_step("otel_agents_bridge_scores_sent_total"), "sent"),
            Query(_at_each_step("otel_agents_bridge_scores_dropped_total", "reason"), "dropped {{reason}}"),
            interval="5m",
            span=8,
        ),
        panels.graph(
            "Trace requests through the bridge",
            "At each step, by what Langfuse said.",
            COUNT,
            Query(_at_each_step("otel_agents_bridge_trace_requests_total", "outcome"), "{{outcome}}"),
            stacked=True,
            bars=True,
            interval="5m",
            span=8,
        ),
    ]


def _at_each_step(counter: str, *by: str) -> str:
    return total(counted(counter, STEP), by)
