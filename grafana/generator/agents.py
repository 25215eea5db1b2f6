"""*Agents and tools*: runs, steps, selections, switches, circuit breakers, guards."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from generator import panels, queries
from generator.panels import COUNT, NUMBER, SECONDS, SHARE, Column, Query, Steps
from generator.queries import BY_AGENT, BY_TOOL, SET, increase_in, mean, quantile, ratio
from otel_agents import metrics

RANGE = "$__range"
STEP = "$__interval"


def build() -> dashboard.Dashboard:
    """The dashboard."""
    return panels.board(
        "otel-agents-agents",
        "Agents and tools",
        "Runs of agents, their tools, and how the orchestrator chooses between them.",
        ("agent", "task_type"),
        {"Runs": _runs(), "Tools": _tools(), "Orchestration": _orchestration()},
        since="now-24h",
    )


def _runs() -> list[object]:
    runs = increase_in(metrics.AGENT_DURATION, RANGE, BY_AGENT, "_count")
    failed = increase_in(metrics.AGENT_DURATION, RANGE, BY_AGENT, "_count", error_type=SET)
    return [
        panels.listing(
            "Agents",
            "Runs of each agent in the time range, workflows among them.",
            [("gen_ai_agent_name", "Agent")],
            Column("Runs", COUNT, runs),
            Column("Failed", SHARE, ratio(failed, runs)),
            Column("Mean duration", SECONDS, mean(metrics.AGENT_DURATION, RANGE, BY_AGENT)),
            Column("Model calls a run", NUMBER, mean(metrics.AGENT_CALLS, RANGE, BY_AGENT)),
            Column("Tool calls a run", NUMBER, mean(metrics.AGENT_TOOLS, RANGE, BY_AGENT)),
        ),
        panels.graph(
            "Runs by agent",
            "Runs that ended at each step.",
            COUNT,
            Query(increase_in(metrics.AGENT_DURATION, STEP, BY_AGENT, "_count"), "{{gen_ai_agent_name}}"),
            stacked=True,
            bars=True,
            interval="5m",
        ),
        panels.graph(
            "Duration of a run",
            "95 of 100 runs in the hour before each point were faster.",
            SECONDS,
            Query(
                quantile(0.95, metrics.AGENT_DURATION, "1h", BY_AGENT),
                "{{gen_ai_agent_name}}",
                exemplars=True,
            ),
        ),
        panels.graph(
            "Model calls a run",
            "Mean of the runs in the hour before each point: how many steps an agent takes.",
            NUMBER,
            Query(mean(metrics.AGENT_CALLS, "1h", BY_AGENT), "{{gen_ai_agent_name}}"),
        ),
    ]


def _tools() -> list[object]:
    calls = increase_in(metrics.TOOL_DURATION, RANGE, BY_TOOL, "_count")
    failed = increase_in(metrics.TOOL_DURATION, RANGE, BY_TOOL, "_count", error_type=SET)
    return [
        panels.listing(
            "Tools",
            "Tool calls in the time range.",
            [("gen_ai_tool_name", "Tool")],
            Column("Calls", COUNT, calls),
            Column("Failed", SHARE, ratio(failed, calls)),
            Column("p95", SECONDS, quantile(0.95, metrics.TOOL_DURATION, RANGE, BY_TOOL)),
        ),
        panels.graph(
            "Tool errors",
            "Failed tool calls at each step.",
            COUNT,
            Query(
                increase_in(
                    metrics.TOOL_DURATION,
                    STEP,
                    ("gen_ai_tool_name", "error_type"),
                    "_count",
                    error_type=SET,
                ),
                "{{gen_ai_tool_name}}: {{error_type}}",
            ),
            stacked=True,
            bars=True,
            interval="5m",
        ),
    ]


def _orchestration() -> list[object]:
    chosen = increase_in(metrics.SELECTIONS, RANGE, BY_AGENT)
    switch = ("from_agent", "to_agent")
    gained = f"{mean(metrics.QUALITY_AFTER, RANGE, switch)} - {mean(metrics.QUALITY_BEFORE, RANGE, switch)}"
    return [
        panels.ranking(
            "Selections",
            "Share of the tasks for which each agent was selected.",
            SHARE,
            Query(
                f"{chosen} / ignoring (gen_ai_agent_name) group_left () (sum({chosen}) > 0)",
                "{{gen_ai_agent_name}}",
            ),
        ),
        panels.listing(
            "Switches",
            "Tasks that went on with another agent, and what that did for their quality.",
            [("from_agent", "From"), ("to_agent", "To")],
            Column("Switches", COUNT, increase_in(metrics.SWITCHES, RANGE, switch)),
            Column("Quality gained", NUMBER, gained),
            span=8,
        ),
        panels.graph(
            "Circuit breakers",
            "0 closed, 1 half open, 2 open.",
            NUMBER,
            Query(
                f"max by (gen_ai_agent_name) ({queries.living(queries.select(metrics.BREAKER_STATE))})",
                "{{gen_ai_agent_name}}",
            ),
            maximum=2,
            span=8,
        ),
        panels.figure(
            "Loops stopped",
            "Runs that a guard ended.",
            COUNT,
            f"{increase_in(metrics.LOOPS_STOPPED, RANGE)} or vector(0)",
            steps=Steps(1, 5),
            decimals=0,
            span=8,
        ),
        panels.figure(
            "Changes of circuit breakers",
            "Times that one opened.",
            COUNT,
            f"{increase_in(metrics.BREAKER_CHANGES, RANGE, state='open')} or vector(0)",
            steps=Steps(1, 5),
            decimals=0,
            span=8,
        ),
        panels.figure(
            "Mismatched reports",
            "Tasks whose reported usage was more than 5 % off what was counted on the wire.",
            COUNT,
            f"{increase_in(metrics.REPORTED_MISMATCH, RANGE)} or vector(0)",
            steps=Steps(1, 10),
            decimals=0,
            span=8,
        ),
    ]
