"""*Models and cost*: requests, tokens, prices and speed of model calls."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from generator import panels, queries
from generator.panels import COUNT, DOLLARS, NUMBER, SECONDS, SHARE, Column, Query, Steps
from generator.queries import (
    BY_AGENT,
    BY_ERROR,
    BY_MODEL,
    BY_TASK_TYPE,
    SET,
    increase_in,
    quantile,
    ratio,
)
from otel_agents import metrics

RANGE = "$__range"
STEP = "$__interval"


def build() -> dashboard.Dashboard:
    """The dashboard."""
    return panels.board(
        "otel-agents-models",
        "Models and cost",
        "Requests, tokens, cost and speed of model calls.",
        ("agent", "model", "task_type"),
        {"Totals": _totals(), "Cost": _cost(), "Tokens": _tokens(), "Speed": _speed()},
        since="now-24h",
    )


def _totals() -> list[object]:
    calls = increase_in(metrics.CALL_DURATION, RANGE, (), "_count")
    failed = increase_in(metrics.CALL_DURATION, RANGE, (), "_count", error_type=SET)
    read, sent = increase_in(metrics.CACHE_READ_TOKENS, RANGE), increase_in(metrics.INPUT_TOKENS, RANGE)
    return [
        panels.figure("Requests", "Model calls that ended in the time range.", COUNT, calls, decimals=0),
        panels.figure(
            "Errors",
            "Model calls that failed.",
            SHARE,
            ratio(failed, calls),
            steps=Steps(0.02, 0.1),
            decimals=1,
        ),
        panels.figure(
            "Cost",
            "What the calls cost by the price list.",
            DOLLARS,
            increase_in(metrics.COST, RANGE),
            decimals=4,
        ),
        panels.figure(
            "Projection",
            "Cost of 30 days, if they went like the time range.",
            DOLLARS,
            f"{increase_in(metrics.COST, RANGE)} / $__range_s * 2592000",
            decimals=2,
        ),
        panels.figure(
            "Cache hits",
            "Share of input tokens that came from a provider's cache.",
            SHARE,
            ratio(read, sent),
            decimals=1,
        ),
        panels.figure(
            "Unpriced calls",
            "Model calls without a cost.",
            COUNT,
            f"{increase_in(metrics.UNPRICED_CALLS, RANGE)} or vector(0)",
            steps=Steps(1, 10),
            decimals=0,
        ),
    ]


def _cost() -> list[object]:
    return [
        panels.graph(
            "Cost per hour by model",
            "Each point sums the hour before it.",
            DOLLARS,
            Query(increase_in(metrics.COST, "1h", BY_MODEL), "{{gen_ai_request_model}}", exemplars=True),
            stacked=True,
        ),
        panels.listing(
            "Models",
            "What each model was used for in the time range.",
            [("gen_ai_request_model", "Model"), ("gen_ai_provider_name", "Provider")],
            Column("Requests", COUNT, increase_in(metrics.CALL_DURATION, RANGE, _MODEL, "_count")),
            Column("Input", COUNT, increase_in(metrics.INPUT_TOKENS, RANGE, _MODEL)),
            Column("Output", COUNT, increase_in(metrics.OUTPUT_TOKENS, RANGE, _MODEL)),
            Column("Cost", DOLLARS, increase_in(metrics.COST, RANGE, _MODEL)),
        ),
        panels.ranking(
            "Cost by agent",
            "Calls outside of any agent have no name.",
            DOLLARS,
            Query(increase_in(metrics.COST, RANGE, BY_AGENT), "{{gen_ai_agent_name}}"),
        ),
        panels.ranking(
            "Cost by task type",
            "Calls of tasks without a type have no name.",
            DOLLARS,
            Query(increase_in(metrics.COST, RANGE, BY_TASK_TYPE), "{{task_type}}"),
        ),
        panels.ranking(
            "Unpriced calls by reason",
            "Why there is no cost.",
            COUNT,
            Query(
                increase_in(metrics.UNPRICED_CALLS, RANGE, ("gen_ai_request_model", "reason")),
                "{{gen_ai_request_model}}: {{reason}}",
            ),
        ),
        panels.graph(
            "Plans beside metered cost",
            "Flat fees by the month, and what 30 days like the last one would cost by the price list. "
            "The two are never added up.",
            DOLLARS,
            Query(f"max by (plan) ({queries.select(metrics.PLAN_FEE)})", "plan {{plan}}"),
            Query(f"{increase_in(metrics.COST, '1d')} * 30", "metered"),
            span=24,
        ),
    ]


def _tokens() -> list[object]:
    read, thought = increase_in(metrics.CACHE_READ_TOKENS, STEP), increase_in(metrics.REASONING_TOKENS, STEP)
    rest = f"{increase_in(metrics.INPUT_TOKENS, STEP)} - ({read} or vector(0))"
    plain = f"{increase_in(metrics.OUTPUT_TOKENS, STEP)} - ({thought} or vector(0))"
    return [
        panels.graph(
            "Tokens by kind",
            "Counted at each step; the parts add up to all tokens sent and received.",
            COUNT,
            Query(rest, "input"),
            Query(read, "input from cache"),
            Query(plain, "output"),
            Query(thought, "reasoning"),
            stacked=True,
            bars=True,
            interval="5m",
        ),
        panels.graph(
            "Cache hits by model",
            "Share of input tokens from the provider's cache, in the hour before each point.",
            SHARE,
            Query(
                ratio(
                    increase_in(metrics.CACHE_READ_TOKENS, "1h", BY_MODEL),
                    increase_in(metrics.INPUT_TOKENS, "1h", BY_MODEL),
                ),
                "{{gen_ai_request_model}}",
            ),
            maximum=1,
        ),
    ]


def _speed() -> list[object]:
    received = increase_in(metrics.CALL_OUTPUT, "1h", BY_MODEL, "_sum")
    waited = increase_in(metrics.CALL_DURATION, "1h", BY_MODEL, "_sum")
    return [
        panels.graph(
            "Duration of a call",
            "Of calls in the hour before each point.",
            SECONDS,
            *(
                Query(
                    quantile(share, metrics.CALL_DURATION, "1h"), f"p{share * 100:g}", exemplars=share == 0.95
                )
                for share in (0.5, 0.95, 0.99)
            ),
        ),
        panels.graph(
            "Duration by model",
            "95 of 100 calls in the hour before each point were faster.",
            SECONDS,
            Query(
                quantile(0.95, metrics.CALL_DURATION, "1h", BY_MODEL),
                "{{gen_ai_request_model}}",
                exemplars=True,
            ),
        ),
        panels.graph(
            "Time to first chunk by model",
            "Of streams in the hour before each point; 95 of 100 began sooner.",
            SECONDS,
            Query(quantile(0.95, metrics.CALL_FIRST_CHUNK, "1h", BY_MODEL), "{{gen_ai_request_model}}"),
            span=8,
        ),
        panels.graph(
            "Output tokens per second by model",
            "Output tokens over the duration of all calls, in the hour before each point.",
            NUMBER,
            Query(f"{received} / ({waited} > 0)", "{{gen_ai_request_model}}"),
            span=8,
        ),
        panels.graph(
            "Errors by type",
            "Failed calls at each step.",
            COUNT,
            Query(
                increase_in(metrics.CALL_DURATION, STEP, BY_ERROR, "_count", error_type=SET),
                "{{error_type}}",
                exemplars=True,
            ),
            stacked=True,
            bars=True,
            interval="5m",
            span=8,
        ),
    ]


_MODEL = (*BY_MODEL, *queries.BY_PROVIDER)
