"""*Quality and experiments*: scores by agent, prompt version and variant, and what they cost."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from generator import panels
from generator.panels import COUNT, DOLLARS, NUMBER, SHARE, Column, Query
from generator.queries import BY_AGENT, BY_SCORE, SET, increase_in, mean, quantile
from otel_agents import metrics

RANGE = "$__range"
QUALITY = "quality"
VARIANT = ("experiment", "variant")
VERSION = ("prompt_version",)


def build() -> dashboard.Dashboard:
    """The dashboard."""
    return panels.board(
        "otel-agents-quality",
        "Quality and experiments",
        "How good the work is, by agent, prompt version and variant.",
        ("agent", "model", "task_type"),
        {"Scores": _scores(), "Experiments": _experiments(), "Tokens": _tokens()},
        since="now-7d",
    )


def _scores() -> list[object]:
    return [
        panels.listing(
            "Scores",
            "Every numeric score of the time range.",
            [("gen_ai_evaluation_name", "Score"), ("gen_ai_agent_name", "Agent")],
            Column("Given", COUNT, increase_in(metrics.SCORE, RANGE, (*BY_SCORE, *BY_AGENT), "_count")),
            Column("Mean", NUMBER, mean(metrics.SCORE, RANGE, (*BY_SCORE, *BY_AGENT))),
            Column("p10", NUMBER, quantile(0.1, metrics.SCORE, RANGE, (*BY_SCORE, *BY_AGENT))),
        ),
        panels.graph(
            "Quality by agent",
            "Mean of the scores named quality, of the hour before each point.",
            NUMBER,
            Query(
                mean(metrics.SCORE, "1h", BY_AGENT, gen_ai_evaluation_name=QUALITY), "{{gen_ai_agent_name}}"
            ),
        ),
    ]


def _experiments() -> list[object]:
    return [
        panels.listing(
            "Variants",
            "What each variant of an experiment did in the time range.",
            [("experiment", "Experiment"), ("variant", "Variant")],
            Column("Tasks", COUNT, increase_in(metrics.TASK_COUNT, RANGE, VARIANT, experiment=SET)),
            Column(
                "Quality",
                NUMBER,
                mean(metrics.SCORE, RANGE, VARIANT, gen_ai_evaluation_name=QUALITY, experiment=SET),
            ),
            Column("Cost", DOLLARS, increase_in(metrics.COST, RANGE, VARIANT, experiment=SET)),
        ),
        panels.listing(
            "Prompt versions",
            "What each version of a prompt did in the time range.",
            [("prompt_version", "Version")],
            Column(
                "Model calls",
                COUNT,
                increase_in(metrics.CALL_DURATION, RANGE, VERSION, "_count", prompt_version=SET),
            ),
            Column(
                "Quality",
                NUMBER,
                mean(metrics.SCORE, RANGE, VERSION, gen_ai_evaluation_name=QUALITY, prompt_version=SET),
            ),
            Column("Cost", DOLLARS, increase_in(metrics.COST, RANGE, VERSION, prompt_version=SET)),
        ),
    ]


def _tokens() -> list[object]:
    before = increase_in(metrics.ORIGINAL_TOKENS, RANGE)
    after = increase_in(metrics.ACTUAL_TOKENS, RANGE)
    sent = increase_in(metrics.CALL_INPUT, "1h", BY_AGENT, "_sum")
    received = increase_in(metrics.CALL_OUTPUT, "1h", BY_AGENT, "_sum")
    done = increase_in(metrics.TASK_COUNT, "1h", BY_AGENT, status="success")
    return [
        panels.figure(
            "Compression",
            "Tokens before compression for each token after it.",
            NUMBER,
            f"{before} / ({after} > 0)",
            decimals=1,
            span=12,
        ),
        panels.figure(
            "Tokens saved",
            "Share of the tokens that compression saved.",
            SHARE,
            f"1 - {after} / ({before} > 0)",
            decimals=0,
            span=12,
        ),
        panels.graph(
            "Tokens per successful task",
            "All tokens over the successful tasks of the hour before each point.",
            COUNT,
            Query(f"({sent} + {received}) / ({done} > 0)", "{{gen_ai_agent_name}}"),
            span=24,
        ),
    ]
