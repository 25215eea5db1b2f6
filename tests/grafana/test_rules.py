"""Every rule by promtool: firing when it should, silent when it should not, saying what is wrong."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from grafana_queries import ROOT
from parts import require

RULES = ROOT / "grafana" / "rules"
FILES = ("recording.yaml", "thresholds.yaml", "alerts.yaml", "pipeline.yaml")
AGENT = 'gen_ai_agent_name="claude"'
APP = 'job="app",instance="1"'
CALLS = f"gen_ai_client_inference_duration_seconds_count{{{APP}"
QUEUE = 'job="collector",instance="c",exporter="otlp_http/langfuse"'
UNKNOWN = 'gen_ai_request_model="m",reason="unknown_model"'
LANGFUSE = {"exporter": "otlp_http/langfuse"}
BUDGET = f'{APP},budget="team",period="monthly"'
#: Until long after; promtool's time begins at 0.
ENDS = {f"otel_agents_budget_period_end_seconds{{{BUDGET}}}": "1000000x200"}
#: The process tells its metrics every minute.
ALIVE = {f"otel_agents_collection_timestamp_seconds{{{APP}}}": "0+60x200"}
TASKS = f"otel_agents_task_count_total{{{APP},{AGENT}"


@dataclass(frozen=True, slots=True)
class Case:
    """One alert: series with which it fires, series with which it does not.

    Attributes:
        firing, quiet: series and their values a minute, in promtool's notation.
        at: minutes.
        summary: what it says when it fires.
        labels: what it is about.
        severity: ``page`` or ``ticket``.
    """

    firing: dict[str, str]
    quiet: dict[str, str]
    at: int
    summary: str
    severity: str
    labels: dict[str, str] = field(default_factory=dict)


def buckets(counts: dict[str, str]) -> dict[str, str]:
    """Buckets of model calls' durations."""
    name = f'gen_ai_client_inference_duration_seconds_bucket{{{APP},gen_ai_request_model="m"'
    return {f'{name},le="{le}"}}': values for le, values in counts.items()}


def scores(
    mean_before: float, mean_after: float, agent: str = "claude", an_hour: float = 12
) -> dict[str, str]:
    """Some scores an hour for ten hours, then for two more, of another mean."""
    labels = f'{APP},gen_ai_agent_name="{agent}",gen_ai_evaluation_name="quality"'
    name = f"otel_agents_evaluation_score{{}}{{{labels}}}"
    per_minute = an_hour / 60
    before, after = 600, 120
    first, second = per_minute * mean_before, per_minute * mean_after
    return {
        name.replace("{}", "_count", 1): f"0+{per_minute}x{before + after}",
        name.replace("{}", "_sum", 1): f"0+{first}x{before} {first * before + second}+{second}x{after - 1}",
    }


CASES = {
    "AgentsCostPerDay": Case(
        {f"otel_agents_cost_total{{{APP}}}": "0+0.1x60"},
        {f"otel_agents_cost_total{{{APP}}}": "0+0.05x60"},
        60,
        "Model calls of the last 24 hours cost 6.00 USD, more than 5",
        "ticket",
    ),
    "AgentsBudgetNearlySpent": Case(
        {
            f"otel_agents_budget_spent{{{BUDGET}}}": "27x5",
            f"otel_agents_budget_limit{{{BUDGET}}}": "30x5",
            **ENDS,
        },
        {
            f"otel_agents_budget_spent{{{BUDGET}}}": "20x5",
            f"otel_agents_budget_limit{{{BUDGET}}}": "30x5",
            **ENDS,
            # Yesterday's: nobody has spent since, so nobody has said anything new.
            f'otel_agents_budget_spent{{{APP},budget="day",period="daily"}}': "27x5",
            f'otel_agents_budget_limit{{{APP},budget="day",period="daily"}}': "30x5",
            f'otel_agents_budget_period_end_seconds{{{APP},budget="day",period="daily"}}': "60x5",
        },
        5,
        "90% of team (monthly) is spent",
        "ticket",
        {"budget": "team", "period": "monthly"},
    ),
    "AgentsBudgetBurnsFast": Case(
        {
            f"otel_agents_budget_spent{{{BUDGET}}}": "0+0.01x120",  # 0.6 an hour: 43.2 in three days
            f"otel_agents_budget_limit{{{BUDGET}}}": "30x120",
            **ENDS,
        },
        {
            f"otel_agents_budget_spent{{{BUDGET}}}": "0+0.005x120",  # 21.6 in three days
            f"otel_agents_budget_limit{{{BUDGET}}}": "30x120",
            **ENDS,
            # What others spend is no concern of a budget.
            f"otel_agents_cost_total{{{APP}}}": "0+1x120",
            f'otel_agents_budget_spent{{{APP},budget="small",period="daily"}}': "0+0.01x120",
            f'otel_agents_budget_limit{{{APP},budget="small",period="daily"}}': "1x120",
            f'otel_agents_budget_period_end_seconds{{{APP},budget="small",period="daily"}}': "1000000x120",
        },
        90,
        "At this pace budget team is gone in less than three days",
        "page",
        {"budget": "team", "period": "monthly"},
    ),
    "AgentsModelErrors": Case(
        {f"{CALLS}}}": "0+3x40", f'{CALLS},error_type="429"}}': "0+1x40"},
        {f"{CALLS}}}": "0+3x40", f'{CALLS},error_type="429"}}': "0+0.2x40"},
        40,
        "25% of model calls fail",
        "page",
    ),
    "AgentsTasksFail": Case(
        {f'{TASKS},status="success"}}': "0+1x90", f'{TASKS},status="error"}}': "0+1x90"},
        {f'{TASKS},status="success"}}': "0+4x90", f'{TASKS},status="error"}}': "0+1x90"},
        90,
        "50% of the tasks of claude fail",
        "page",
        {"gen_ai_agent_name": "claude"},
    ),
    "AgentsModelLatency": Case(
        buckets({"40.96": "0+1x60", "81.92": "0+20x60", "+Inf": "0+20x60"}),
        buckets({"40.96": "0+20x60", "81.92": "0+20x60", "+Inf": "0+20x60"}),
        60,
        "A call of m takes up to 1m 19s",
        "ticket",
        {"gen_ai_request_model": "m"},
    ),
    "AgentsQualityDropped": Case(
        scores(0.9, 0.6),
        {**scores(0.9, 0.85), **scores(0.9, 0.2, "seldom", 3)},
        700,
        "Quality of claude fell to 0.60",
        "ticket",
        {"gen_ai_agent_name": "claude"},
    ),
    "AgentsCircuitBreakerOpen": Case(
        {f"otel_agents_circuit_breaker_state{{{APP},{AGENT}}}": "2x20", **ALIVE},
        {
            f"otel_agents_circuit_breaker_state{{{APP},{AGENT}}}": "2x2 1x20",
            **ALIVE,
            # Killed while it was open; the Collector goes on saying so.
            f'otel_agents_circuit_breaker_state{{job="app",instance="2",{AGENT}}}': "2x20",
            'otel_agents_collection_timestamp_seconds{job="app",instance="2"}': "0x20",
        },
        20,
        "The circuit breaker of claude is open",
        "page",
        {"gen_ai_agent_name": "claude"},
    ),
    "AgentsUnpricedCalls": Case(
        {
            f"otel_agents_unpriced_calls_total{{{APP},{UNKNOWN}}}": "3x5",
        },
        {
            f"otel_agents_unpriced_calls_total{{{APP},{UNKNOWN}}}": "0x5",
        },
        5,
        "3 calls of m have no cost: unknown_model",
        "ticket",
        {"gen_ai_request_model": "m", "reason": "unknown_model"},
    ),
    "AgentsLoopsStopped": Case(
        {f'otel_agents_loops_stopped_total{{{APP},{AGENT},reason="depth"}}': "_x200 1x5"},
        {f'otel_agents_loops_stopped_total{{{APP},{AGENT},reason="depth"}}': "1x300"},
        203,
        "A guard stopped 1 runs of claude",
        "ticket",
        {"gen_ai_agent_name": "claude"},
    ),
    "AgentsNoData": Case(
        {f"{CALLS}}}": "5x60 stale"},
        {f"{CALLS}}}": "5x3000"},
        60 + 24 * 60 + 20,
        "No model call was counted for a day, and there were some in the week before",
        "ticket",
    ),
    "AgentsSpansLost": Case(
        {f'otel_agents_export_spans_total{{{APP},outcome="dropped",reason="queue_full"}}': "_x3 7x5"},
        {f'otel_agents_export_spans_total{{{APP},outcome="delivered"}}': "_x3 7x5"},
        8,
        "app lost 7 spans: queue_full",
        "ticket",
        {"job": "app", "reason": "queue_full"},
    ),
    "CollectorDown": Case(
        {'up{job="collector",instance="c"}': "1x2 0x10"},
        {'up{job="collector",instance="c"}': "1x10 0x1"},
        11,
        "The Collector does not answer",
        "page",
        {"job": "collector", "instance": "c"},
    ),
    "CollectorQueueFilling": Case(
        {
            f"otelcol_exporter_queue_size{{{QUEUE}}}": "60x20",
            f"otelcol_exporter_queue_capacity{{{QUEUE}}}": "100x20",
        },
        {
            f"otelcol_exporter_queue_size{{{QUEUE}}}": "40x20",
            f"otelcol_exporter_queue_capacity{{{QUEUE}}}": "100x20",
        },
        20,
        "The queue of otlp_http/langfuse is 60% full",
        "ticket",
        LANGFUSE,
    ),
    "CollectorQueueNearlyFull": Case(
        {
            f"otelcol_exporter_queue_size{{{QUEUE}}}": "90x5",
            f"otelcol_exporter_queue_capacity{{{QUEUE}}}": "100x5",
        },
        {
            f"otelcol_exporter_queue_size{{{QUEUE}}}": "70x5",
            f"otelcol_exporter_queue_capacity{{{QUEUE}}}": "100x5",
        },
        5,
        "The queue of otlp_http/langfuse is 90% full",
        "page",
        LANGFUSE,
    ),
    "CollectorLosesSpans": Case(
        {f"otelcol_exporter_send_failed_spans{{{QUEUE}}}": "_x7 256x3"},  # a first batch, and no other
        {f"otelcol_exporter_send_failed_spans{{{QUEUE}}}": "5x3 _x6 5x3"},  # Prometheus was away
        10,
        "otlp_http/langfuse loses spans: they were refused for good",
        "page",
        LANGFUSE,
    ),
    "CollectorCannotQueue": Case(
        {f"otelcol_exporter_enqueue_failed_spans{{{QUEUE}}}": "9x6 4x4"},  # after a restart
        {f"otelcol_exporter_enqueue_failed_spans{{{QUEUE}}}": "5x10"},
        10,
        "otlp_http/langfuse cannot put spans into its queue",
        "page",
        LANGFUSE,
    ),
    "CollectorRefusesSpans": Case(
        {'otelcol_receiver_refused_spans{job="collector",receiver="otlp"}': "0+1x20"},
        {'otelcol_receiver_refused_spans{job="collector",receiver="otlp"}': "0+1x2 2x20"},
        20,
        "The Collector sends applications away; they keep their spans and try again",
        "page",
    ),
    "CollectorMemory": Case(
        {'otelcol_process_memory_rss{job="collector",instance="c"}': "2147483648x20"},
        {'otelcol_process_memory_rss{job="collector",instance="c"}': "200000000x20"},
        20,
        "The Collector uses 2GiB of memory",
        "ticket",
        {"instance": "c"},
    ),
    "CollectorFallsBehind": Case(
        {
            'otelcol_receiver_accepted_spans{job="collector"}': "0+5x40",
            f"otelcol_exporter_sent_spans{{{QUEUE}}}": "7x40",
        },
        {
            'otelcol_receiver_accepted_spans{job="collector"}': "0+5x40",
            f"otelcol_exporter_sent_spans{{{QUEUE}}}": "0+1x40",
        },
        40,
        "The Collector takes spans and sends none",
        "page",
    ),
    "BridgeDown": Case(
        {'up{job="bridge",instance="b"}': "0x10"},
        {'up{job="bridge",instance="b"}': "1x10"},
        10,
        "The bridge does not answer: scores wait, and traces where they go through it",
        "page",
        {"job": "bridge", "instance": "b"},
    ),
    "BridgeDropsScores": Case(
        {'otel_agents_bridge_scores_dropped_total{job="bridge",reason="refused"}': "_x18 1x3"},
        {'otel_agents_bridge_scores_dropped_total{job="bridge",reason="refused"}': "4x20"},
        20,
        "The bridge dropped scores: refused",
        "ticket",
        {"reason": "refused"},
    ),
    "BridgeScoresWait": Case(
        {'otel_agents_bridge_queue_oldest_seconds{job="bridge"}': "1800x5"},
        {'otel_agents_bridge_queue_oldest_seconds{job="bridge"}': "30x5"},
        5,
        "Scores wait for 30m 0s: Langfuse does not take them",
        "ticket",
    ),
}


def alerts() -> list[dict[str, object]]:
    files = [yaml.safe_load((RULES / name).read_text()) for name in FILES[1:]]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


def check(tmp_path: Path, *tests: dict[str, object]) -> None:
    """Runs promtool over tests of all files.

    Raises:
        AssertionError: with promtool's own words.
    """
    path = tmp_path / "tests.yaml"
    files = [str(RULES / name) for name in FILES]
    path.write_text(json.dumps({"rule_files": files, "evaluation_interval": "1m", "tests": tests}))
    done = subprocess.run(
        [require("promtool"), "test", "rules", path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def series(given: dict[str, str]) -> list[dict[str, str]]:
    return [{"series": name, "values": values} for name, values in given.items()]


def test_every_alert_has_a_case() -> None:
    assert [rule["alert"] for rule in alerts()] == list(CASES)


@pytest.mark.parametrize("name", CASES)
def test_fires(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    expected = {
        "exp_labels": {"severity": case.severity, **case.labels},
        "exp_annotations": {"summary": case.summary, "runbook_url": f"docs/runbooks.md#{name.lower()}"},
    }
    fires = {"eval_time": f"{case.at}m", "alertname": name, "exp_alerts": [expected]}
    check(tmp_path, {"interval": "1m", "input_series": series(case.firing), "alert_rule_test": [fires]})


@pytest.mark.parametrize("name", CASES)
def test_is_silent(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    silent = {"eval_time": f"{case.at}m", "alertname": name, "exp_alerts": []}
    check(tmp_path, {"interval": "1m", "input_series": series(case.quiet), "alert_rule_test": [silent]})


@pytest.mark.parametrize("name", CASES)
def test_says_nothing_without_any_data(name: str, tmp_path: Path) -> None:
    """But for the Collector, which has to be there."""
    if name == "CollectorDown":
        wanted = [
            {
                "exp_labels": {"severity": "page", "job": "collector"},
                "exp_annotations": {
                    "summary": CASES[name].summary,
                    "runbook_url": "docs/runbooks.md#collectordown",
                },
            }
        ]
    else:
        wanted = []
    silent = {"eval_time": "30m", "alertname": name, "exp_alerts": wanted}
    other = series({'up{job="prometheus",instance="p"}': "1x30"})
    check(tmp_path, {"interval": "1m", "input_series": other, "alert_rule_test": [silent]})


def test_every_alert_has_a_runbook() -> None:
    headings = set(re.findall(r"^## (\w+)$", (ROOT / "docs" / "runbooks.md").read_text(), re.MULTILINE))
    # Two alerts of tests/alerts have no threshold until somebody sets one.
    assert headings == {*CASES, "AgentsQualityLow", "AgentsErrorShare"}


RECORDED = {
    "agent:otel_agents_cost:increase1h": ({f"otel_agents_cost_total{{{APP},{AGENT}}}": "1+0.5x80"}, 80, 30),
    "agent:otel_agents_cost:increase1d": ({f"otel_agents_cost_total{{{APP},{AGENT}}}": "1+0.5x80"}, 80, 41),
    "model:otel_agents_cost:increase1d": (
        {f'otel_agents_cost_total{{{APP},gen_ai_request_model="m"}}': "1+0.5x80"},
        80,
        41,
    ),
    "agent:otel_agents_task:increase1h": ({f'{TASKS},status="success"}}': "_x70 2x20"}, 80, 2),
    "agent:otel_agents_task_errors:ratio1h": (
        {f'{TASKS},status="success"}}': "0+3x90", f'{TASKS},status="error"}}': "0+1x90"},
        80,
        0.25,
    ),
    "agent:quality:mean1h": (scores(0.5, 0.5), 300, 0.5),
    "agent:quality:mean1d": (scores(0.5, 0.5), 300, 0.5),
    "agent:gen_ai_invoke_agent_duration:p95_1h": (
        {
            f'gen_ai_invoke_agent_duration_seconds_bucket{{{APP},{AGENT},le="1"}}': "0+9x80",
            f'gen_ai_invoke_agent_duration_seconds_bucket{{{APP},{AGENT},le="2"}}': "0+10x80",
            f'gen_ai_invoke_agent_duration_seconds_bucket{{{APP},{AGENT},le="+Inf"}}': "0+10x80",
        },
        80,
        1.5,
    ),
    "model:gen_ai_client_inference_duration:p95_1h": (
        buckets({"1": "0+9x80", "2": "0+10x80", "+Inf": "0+10x80"}),
        80,
        1.5,
    ),
}


@pytest.mark.parametrize("name", RECORDED)
def test_recorded(name: str, tmp_path: Path) -> None:
    given, at, value = RECORDED[name]
    label = 'gen_ai_agent_name="claude"' if name.startswith("agent:") else 'gen_ai_request_model="m"'
    wanted = {
        "expr": name,
        "eval_time": f"{at}m",
        "exp_samples": [{"labels": f"{name}{{{label}}}", "value": value}],
    }
    check(tmp_path, {"interval": "1m", "input_series": series(given), "promql_expr_test": [wanted]})


def test_every_recording_rule_is_tested() -> None:
    groups = yaml.safe_load((RULES / "recording.yaml").read_text())["groups"]
    assert [rule["record"] for group in groups for rule in group["rules"]] == list(RECORDED)
