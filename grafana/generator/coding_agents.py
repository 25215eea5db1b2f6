"""*Coding agents*: Claude Code, Gemini CLI, Copilot and Codex: our runs of them, and their own account."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from generator import panels
from generator.panels import COUNT, DOLLARS, Column, Query
from generator.queries import BY_AGENT, increase_in
from otel_agents import metrics
from otel_agents.cli_agents import own_metrics as own

RANGE = "$__range"
STEP = "$__interval"


def build() -> dashboard.Dashboard:
    """The dashboard."""
    return panels.board(
        "otel-agents-coding",
        "Coding agents",
        "Command-line agents: runs that we started, and what the programs count of themselves.",
        ("agent", "model", "task_type"),
        {"Runs": _runs(), "By the agents' own account": _own()},
        since="now-24h",
    )


def _runs() -> list[object]:
    return [
        panels.listing(
            "Runs by agent",
            "Runs that were started by otel_agents.cli_agents, otel-agents exec or the app itself.",
            [("gen_ai_agent_name", "Agent")],
            Column("Runs", COUNT, increase_in(metrics.AGENT_DURATION, RANGE, BY_AGENT, "_count")),
            Column("Cost", DOLLARS, increase_in(metrics.COST, RANGE, BY_AGENT)),
            Column("Tokens in", COUNT, increase_in(metrics.INPUT_TOKENS, RANGE, BY_AGENT)),
            Column("Tokens out", COUNT, increase_in(metrics.OUTPUT_TOKENS, RANGE, BY_AGENT)),
            Column("Tool calls", COUNT, increase_in(metrics.AGENT_TOOLS, RANGE, BY_AGENT, "_sum")),
            span=24,
        ),
    ]


def _own() -> list[object]:
    sessions = (own.CLAUDE_SESSIONS, own.GEMINI_SESSIONS, own.CODEX_SESSIONS)
    return [
        panels.graph(
            "Sessions",
            "Sessions that were started at each step, by program.",
            COUNT,
            *(Query(increase_in(one, STEP, ("job",)), "{{job}}") for one in sessions),
            stacked=True,
            bars=True,
            interval="5m",
        ),
        panels.graph(
            "Cost of Claude Code",
            "By its own account, at each step; the others say none.",
            DOLLARS,
            Query(increase_in(own.CLAUDE_COST, STEP, ("model",)), "{{model}}"),
            stacked=True,
            bars=True,
            interval="5m",
        ),
        panels.graph(
            "Tokens of the agents",
            "By kind. Claude Code's input is without the cache, Gemini CLI's is with it.",
            COUNT,
            Query(increase_in(own.CLAUDE_TOKENS, STEP, ("type",)), "Claude Code {{type}}"),
            Query(increase_in(own.GEMINI_TOKENS, STEP, ("type",)), "Gemini CLI {{type}}"),
            stacked=True,
            bars=True,
            interval="5m",
        ),
        panels.graph(
            "Tools of the agents",
            "Tool calls at each step.",
            COUNT,
            Query(increase_in(own.GEMINI_TOOLS, STEP, ("function_name",)), "Gemini CLI {{function_name}}"),
            Query(
                increase_in(own.COPILOT_TOOLS, STEP, ("gen_ai_tool_name",)), "Copilot {{gen_ai_tool_name}}"
            ),
            Query(increase_in(own.CODEX_TOOLS, STEP, ("tool",)), "Codex {{tool}}"),
            stacked=True,
            bars=True,
            interval="5m",
        ),
        panels.graph(
            "Lines of code",
            "Added and removed at each step.",
            COUNT,
            Query(increase_in(own.CLAUDE_LINES, STEP, ("type",)), "Claude Code {{type}}"),
            Query(increase_in(own.GEMINI_LINES, STEP, ("type",)), "Gemini CLI {{type}}"),
            stacked=True,
            bars=True,
            interval="5m",
        ),
        panels.listing(
            "Decisions",
            "Edits of Claude Code that were accepted or rejected, in the time range.",
            [("tool_name", "Tool"), ("decision", "Decision")],
            Column("Edits", COUNT, increase_in(own.CLAUDE_DECISIONS, RANGE, ("tool_name", "decision"))),
        ),
    ]
