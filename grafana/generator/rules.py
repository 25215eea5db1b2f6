"""Prometheus rules: what is expensive to ask, recorded; what somebody should hear of, as alerts.

Alerts whose thresholds are settings come from ``otel_agents.alerts``, in a file of their own: it is what
``otel-agents alerts rules`` writes, so that other thresholds take its place instead of coming on top.
Every alert's runbook is in docs/runbooks.md under the alert's name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from generator.queries import (
    AGENT,
    SET,
    counted,
    increase_in,
    living,
    mean,
    present,
    quantile,
    ratio,
    select,
    total,
)
from otel_agents import metrics
from otel_agents.alerts.rules import rules_file
from otel_agents.config import Settings

_RUNBOOKS: Final = "docs/runbooks.md"
_HEAD: Final = "# Written by grafana/generate.py; change grafana/generator/rules.py instead.\n"

_AGENT: Final = (AGENT[1],)


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert.

    Attributes:
        name: in Prometheus and of its runbook.
        expression: PromQL; alerts while it gives anything.
        lasting: how long it has to before anybody is told.
        severity: ``page`` (now) or ``ticket`` (soon).
        summary: one line; may use ``{{ $value }}`` and ``{{ $labels... }}``.
    """

    name: str
    expression: str
    lasting: str
    severity: str
    summary: str
    labels: Mapping[str, str] = field(default_factory=dict)


def _grown(definition: metrics.Definition, window: str, suffix: str = "", **where: str) -> str:
    return increase_in(definition, window, (), suffix, variables=False, **where)


def _by_agent(definition: metrics.Definition, window: str, suffix: str = "", **where: str) -> str:
    return increase_in(definition, window, _AGENT, suffix, variables=False, **where)


def recorded() -> dict[str, str]:
    """Recording rules: name and expression."""
    return {
        "agent:otel_agents_cost:increase1h": _by_agent(metrics.COST, "1h"),
        "agent:otel_agents_cost:increase1d": _by_agent(metrics.COST, "1d"),
        "model:otel_agents_cost:increase1d": increase_in(
            metrics.COST, "1d", ("gen_ai_request_model",), variables=False
        ),
        "agent:otel_agents_task:increase1h": _by_agent(metrics.TASK_COUNT, "1h"),
        "agent:otel_agents_task_errors:ratio1h": ratio(
            _by_agent(metrics.TASK_COUNT, "1h", status="error"), _by_agent(metrics.TASK_COUNT, "1h")
        ),
        "agent:quality:mean1h": mean(
            metrics.SCORE, "1h", _AGENT, variables=False, gen_ai_evaluation_name="quality"
        ),
        "agent:quality:mean1d": mean(
            metrics.SCORE, "1d", _AGENT, variables=False, gen_ai_evaluation_name="quality"
        ),
        "agent:gen_ai_invoke_agent_duration:p95_1h": quantile(
            0.95, metrics.AGENT_DURATION, "1h", _AGENT, variables=False
        ),
        "model:gen_ai_client_inference_duration:p95_1h": quantile(
            0.95, metrics.CALL_DURATION, "1h", ("gen_ai_request_model",), variables=False
        ),
    }


def alert_list() -> list[Alert]:
    """Every alert about agents with a threshold that is fixed."""
    calls = _grown(metrics.CALL_DURATION, "15m", "_count")
    failed = _grown(metrics.CALL_DURATION, "15m", "_count", error_type=SET)
    spent = f"max by (budget, period) ({present(metrics.BUDGET_SPENT, variables=False)})"
    limit = f"max by (budget, period) ({select(metrics.BUDGET_LIMIT, variables=False)})"
    monthly = f"max by (budget, period) ({present(metrics.BUDGET_SPENT, variables=False, period='monthly')})"
    # Less than the hour before as soon as another month has begun.
    before = select(metrics.BUDGET_SPENT, variables=False, period="monthly") + " offset 1h"
    tasks = _by_agent(metrics.TASK_COUNT, "1h")
    failed_tasks = _by_agent(metrics.TASK_COUNT, "1h", status="error")
    slow = quantile(0.95, metrics.CALL_DURATION, "15m", ("gen_ai_request_model",), variables=False)
    unpriced = increase_in(metrics.UNPRICED_CALLS, "1h", ("gen_ai_request_model", "reason"), variables=False)
    lost = increase_in(metrics.EXPORT_SPANS, "15m", ("job", "reason"), variables=False, outcome="dropped")
    quality = {"gen_ai_evaluation_name": "quality"}
    counted = select(metrics.CALL_DURATION, "_count", variables=False)
    return [
        Alert(
            "AgentsBudgetNearlySpent",
            f"{spent} / ({limit} > 0) > 0.8",
            "0s",
            "ticket",
            "{{ $value | humanizePercentage }} of {{ $labels.budget }} ({{ $labels.period }}) is spent",
        ),
        Alert(
            "AgentsBudgetBurnsFast",
            # At the pace of the last hour a month's budget lasts less than three days.
            f"({monthly} - max by (budget, period) ({before})) * 72 > {limit}",
            "15m",
            "page",
            "At this pace budget {{ $labels.budget }} is gone in less than three days",
        ),
        Alert(
            "AgentsModelErrors",
            f"{ratio(failed, calls)} > 0.1 and {calls} >= 10",
            "5m",
            "page",
            "{{ $value | humanizePercentage }} of model calls fail",
        ),
        Alert(
            "AgentsTasksFail",
            f"{ratio(failed_tasks, tasks)} > 0.25 and {tasks} >= 4",
            "10m",
            "page",
            "{{ $value | humanizePercentage }} of the tasks of {{ $labels.gen_ai_agent_name }} fail",
        ),
        Alert(
            "AgentsModelLatency",
            f"{slow} > 60",
            "15m",
            "ticket",
            "A call of {{ $labels.gen_ai_request_model }} takes up to {{ $value | humanizeDuration }}",
        ),
        Alert(
            "AgentsQualityDropped",
            # Of a few scores a single bad one is no drop.
            "agent:quality:mean1h < agent:quality:mean1d offset 1h - 0.1"
            f" and on ({_AGENT[0]}) {_by_agent(metrics.SCORE, '1h', '_count', **quality)} >= 5",
            "30m",
            "ticket",
            'Quality of {{ $labels.gen_ai_agent_name }} fell to {{ $value | printf "%.2f" }}',
        ),
        Alert(
            "AgentsCircuitBreakerOpen",
            f"max by (gen_ai_agent_name) ({living(select(metrics.BREAKER_STATE, variables=False))}) == 2",
            "5m",
            "page",
            "The circuit breaker of {{ $labels.gen_ai_agent_name }} is open",
        ),
        Alert(
            "AgentsUnpricedCalls",
            f"{unpriced} > 0",
            "0s",
            "ticket",
            "{{ $value }} calls of {{ $labels.gen_ai_request_model }} have no cost: {{ $labels.reason }}",
        ),
        Alert(
            "AgentsLoopsStopped",
            f"{_by_agent(metrics.LOOPS_STOPPED, '1h')} > 0",
            "0s",
            "ticket",
            "A guard stopped {{ $value }} runs of {{ $labels.gen_ai_agent_name }}",
        ),
        Alert(
            "AgentsNoData",
            f"absent_over_time({counted}[1d]) and on () count(last_over_time({counted}[7d])) > 0",
            "15m",
            "ticket",
            "No model call was counted for a day, and there were some in the week before",
        ),
        Alert(
            "AgentsSpansLost",
            f"{lost} > 0",
            "0s",
            "ticket",
            "{{ $labels.job }} lost {{ $value }} spans: {{ $labels.reason }}",
        ),
    ]


def _pipeline() -> list[Alert]:
    fill = "otelcol_exporter_queue_size / otelcol_exporter_queue_capacity"
    return [
        Alert(
            "CollectorDown",
            'up{job="collector"} == 0 or absent(up{job="collector"})',
            "2m",
            "page",
            "The Collector does not answer",
        ),
        Alert(
            "CollectorQueueFilling",
            f"max by (exporter) ({fill}) > 0.5",
            "10m",
            "ticket",
            "The queue of {{ $labels.exporter }} is {{ $value | humanizePercentage }} full",
        ),
        Alert(
            "CollectorQueueNearlyFull",
            f"max by (exporter) ({fill}) > 0.8",
            "2m",
            "page",
            "The queue of {{ $labels.exporter }} is {{ $value | humanizePercentage }} full",
        ),
        Alert(
            "CollectorLosesSpans",
            f"{total(counted('otelcol_exporter_send_failed_spans', '5m'), ('exporter',))} > 0",
            "0s",
            "page",
            "{{ $labels.exporter }} loses spans: they were refused for good",
        ),
        Alert(
            "CollectorCannotQueue",
            f"{total(counted('otelcol_exporter_enqueue_failed_spans', '5m'), ('exporter',))} > 0",
            "0s",
            "page",
            "{{ $labels.exporter }} cannot put spans into its queue",
        ),
        Alert(
            "CollectorRefusesSpans",
            "sum(rate(otelcol_receiver_refused_spans[5m])) > 0",
            "5m",
            "page",
            "The Collector sends applications away; they keep their spans and try again",
        ),
        Alert(
            "CollectorMemory",
            "max by (instance) (otelcol_process_memory_rss) > 1.5e9",
            "10m",
            "ticket",
            "The Collector uses {{ $value | humanize1024 }}B of memory",
        ),
        Alert(
            "CollectorFallsBehind",
            "sum(rate(otelcol_receiver_accepted_spans[10m])) > 0"
            " unless sum(rate(otelcol_exporter_sent_spans[10m])) > 0",
            "10m",
            "page",
            "The Collector takes spans and sends none",
        ),
        Alert(
            "BridgeDown",
            'up{job="bridge"} == 0',
            "5m",
            "page",
            "The bridge does not answer: scores wait, and traces where they go through it",
        ),
        Alert(
            "BridgeDropsScores",
            f"{total(counted('otel_agents_bridge_scores_dropped_total', '15m'), ('reason',))} > 0",
            "0s",
            "ticket",
            "The bridge dropped scores: {{ $labels.reason }}",
        ),
        Alert(
            "BridgeScoresWait",
            "max(otel_agents_bridge_queue_oldest_seconds) > 900",
            "0s",
            "ticket",
            "Scores wait for {{ $value | humanizeDuration }}: Langfuse does not take them",
        ),
    ]


def recording() -> str:
    """The file of recording rules."""
    rules = [{"record": name, "expr": expression} for name, expression in recorded().items()]
    return _HEAD + _yaml([{"name": "otel-agents-recording", "interval": "1m", "rules": rules}])


def alerts() -> str:
    """The file of alerts about agents."""
    return _alerts("otel-agents", alert_list())


def pipeline() -> str:
    """The file of alerts about the Collector and the bridge, for those who have them."""
    return _alerts("otel-agents-pipeline", _pipeline())


def _alerts(group: str, made: list[Alert]) -> str:
    rules: list[dict[str, object]] = [
        {
            "alert": one.name,
            "expr": one.expression,
            "for": one.lasting,
            "labels": {"severity": one.severity, **one.labels},
            "annotations": {"summary": one.summary, "runbook_url": f"{_RUNBOOKS}#{one.name.lower()}"},
        }
        for one in made
    ]
    return _HEAD + _yaml([{"name": group, "rules": rules}])


def thresholds() -> str:
    """The file of alerts whose thresholds are settings, with the defaults."""
    return rules_file(Settings())


def _yaml(groups: list[dict[str, object]]) -> str:
    """YAML that people can read; every text in it is a JSON string, which YAML reads too."""
    lines = ["groups:"]
    for group in groups:
        lines.append(f"  - name: {group['name']}")
        if "interval" in group:
            lines.append(f"    interval: {group['interval']}")
        lines.append("    rules:")
        rules = group["rules"]
        assert isinstance(rules, list)
        for rule in rules:
            for at, (key, value) in enumerate(rule.items()):
                start = "      - " if at == 0 else "        "
                if isinstance(value, dict):
                    lines.append(f"{start}{key}:")
                    lines += [f"          {name}: {json.dumps(text)}" for name, text in value.items()]
                else:
                    plain = key in ("record", "alert", "for")
                    lines.append(f"{start}{key}: {value if plain else json.dumps(value)}")
    return "\n".join(lines) + "\n"
