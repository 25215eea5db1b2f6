"""*Agents overview*: what is done, what it costs, how good it is, and the machine beneath."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from generator import panels, queries
from generator.panels import COUNT, DOLLARS, NUMBER, SECONDS, SHARE, Query, Steps
from generator.queries import BY_AGENT, increase_in, mean, quantile, ratio
from otel_agents import metrics

RANGE = "$__range"


def build() -> dashboard.Dashboard:
    """The dashboard."""
    return panels.board(
        "otel-agents-overview",
        "Agents overview",
        "Tasks, cost and quality of agents beside processor, memory and latency.",
        ("agent", "model", "task_type"),
        {"Tasks": _tasks(), "System": system()},
        since="now-24h",
    )


def _tasks() -> list[object]:
    failed = increase_in(metrics.TASK_COUNT, RANGE, status="error")
    done = increase_in(metrics.TASK_COUNT, RANGE)
    return [
        panels.figure("Tasks", "Tasks that ended in the time range.", COUNT, done, decimals=0),
        panels.figure(
            "Tasks per hour",
            "Tasks of the last hour.",
            COUNT,
            increase_in(metrics.TASK_COUNT, "1h"),
            decimals=0,
        ),
        panels.figure(
            "Success rate",
            "Tasks without an error among all that ended in the time range.",
            SHARE,
            f"1 - {ratio(failed, done)}",
            steps=Steps(0.95, 0.8, falling=True),
            decimals=1,
        ),
        panels.figure(
            "Cost",
            "What model calls in the time range cost by the price list.",
            DOLLARS,
            increase_in(metrics.COST, RANGE),
            decimals=4,
        ),
        panels.figure(
            "Cost per hour",
            "What model calls of the last hour cost.",
            DOLLARS,
            increase_in(metrics.COST, "1h"),
            decimals=4,
        ),
        panels.figure(
            "Quality",
            "Mean of the scores named quality in the time range; tasks without one do not count.",
            NUMBER,
            mean(metrics.SCORE, RANGE, gen_ai_evaluation_name="quality"),
            steps=Steps(0.8, 0.6, falling=True),
            decimals=2,
        ),
        panels.figure(
            "Active agents",
            "Agents with a run in the time range.",
            COUNT,
            f"count({increase_in(metrics.AGENT_DURATION, RANGE, BY_AGENT, '_count')} > 0)",
            decimals=0,
        ),
        panels.figure(
            "Spent of the budget",
            "The fullest budget of this period.",
            SHARE,
            f"max(max by (budget) ({queries.present(metrics.BUDGET_SPENT)}) / "
            f"(max by (budget) ({queries.select(metrics.BUDGET_LIMIT)}) > 0))",
            steps=Steps(0.8, 1.0),
            decimals=0,
        ),
        panels.figure(
            "Unpriced calls",
            "Model calls without a cost: the model is not in the price list, or usage is missing.",
            COUNT,
            f"{increase_in(metrics.UNPRICED_CALLS, RANGE)} or vector(0)",
            steps=Steps(1, 10),
            decimals=0,
        ),
        panels.figure(
            "Agent switches",
            "Tasks that went on with another agent.",
            COUNT,
            f"{increase_in(metrics.SWITCHES, RANGE)} or vector(0)",
            decimals=0,
        ),
        panels.figure(
            "Open circuit breakers",
            "Agents that are not asked at present.",
            COUNT,
            f"count(max by ({BY_AGENT[0]}) ({queries.living(queries.select(metrics.BREAKER_STATE))}) == 2)"
            " or vector(0)",
            steps=Steps(1, 1),
            decimals=0,
        ),
        panels.figure(
            "p95 of a run",
            "95 of 100 agent runs in the time range were faster.",
            SECONDS,
            quantile(0.95, metrics.AGENT_DURATION, RANGE),
            decimals=1,
        ),
        panels.graph(
            "Tasks per hour by agent",
            "Each point counts the hour before it.",
            COUNT,
            Query(increase_in(metrics.TASK_COUNT, "1h", BY_AGENT), "{{gen_ai_agent_name}}"),
            stacked=True,
        ),
        panels.graph(
            "Cost per hour by agent",
            "Each point sums the hour before it.",
            DOLLARS,
            Query(increase_in(metrics.COST, "1h", BY_AGENT), "{{gen_ai_agent_name}}", exemplars=True),
            stacked=True,
        ),
        panels.graph(
            "Quality by agent",
            "Mean score of the hour before each point.",
            NUMBER,
            Query(
                mean(metrics.SCORE, "1h", BY_AGENT, gen_ai_evaluation_name="quality"),
                "{{gen_ai_agent_name}}",
            ),
        ),
        panels.graph(
            "Duration of runs by agent",
            "95 of 100 runs in the hour before each point were faster.",
            SECONDS,
            Query(
                quantile(0.95, metrics.AGENT_DURATION, "1h", BY_AGENT),
                "{{gen_ai_agent_name}}",
                exemplars=True,
            ),
        ),
    ]


def system() -> list[object]:
    """Processor, memory and latency of the machine and the app."""
    return [
        panels.graph(
            "Processor",
            "Share of the machine's processors that is not idle.",
            SHARE,
            Query(
                '1 - avg by (instance) (system_cpu_utilization_ratio{state="idle"})', "machine {{instance}}"
            ),
            Query(f"avg by (job) ({_alive('process_cpu_utilization_ratio')})", "process {{job}}"),
            maximum=1,
            span=8,
        ),
        panels.graph(
            "Memory",
            "Memory in use: of the machine, the app's processes, and its container if that has a limit.",
            panels.BYTES,
            Query('sum by (instance) (system_memory_usage_bytes{state="used"})', "machine {{instance}}"),
            Query(f"sum by (job) ({_alive('process_memory_usage_bytes')})", "process {{job}}"),
            Query(f"max by (job) ({_alive('container_memory_usage_bytes')})", "container {{job}}"),
            span=8,
        ),
        panels.graph(
            "API latency",
            "95 of 100 requests that the app served, or sent, were faster.",
            SECONDS,
            Query(_latency("server"), "served by {{job}}"),
            Query(_latency("client"), "sent by {{job}}"),
            span=8,
        ),
    ]


def _alive(name: str) -> str:
    return queries.living(f'{name}{{job=~"$service"}}')


def _latency(side: str) -> str:
    """p95 of HTTP requests in seconds, by the names of today and those from before HTTP's were stable."""

    def p95(name: str) -> str:
        buckets = f'rate({name}_bucket{{job=~"$service"}}[$__rate_interval])'
        return f"histogram_quantile(0.95, sum by (le, job) ({buckets}))"

    new, old = f"http_{side}_request_duration_seconds", f"http_{side}_duration_milliseconds"
    return f"{p95(new)} or {p95(old)} / 1000"
