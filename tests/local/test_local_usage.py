"""Usage buckets, totals and cost of an observation."""

from __future__ import annotations

import json
from typing import Any

import pytest
from local_spans import mapped

CHAT = {"gen_ai.operation.name": "chat"}
USAGE = "langfuse.observation.usage_details"
COST = "langfuse.observation.cost_details"


def usage(**counts: Any) -> dict[str, Any]:
    return CHAT | {"gen_ai.usage." + key.replace("__", "."): value for key, value in counts.items()}


def details(key: str, value: Any) -> dict[str, Any]:
    return CHAT | {key: value if isinstance(value, str) else json.dumps(value)}


@pytest.mark.parametrize(
    ("attributes", "stored", "sums"),
    [
        # contract 2.4, the table of results that were run on the server
        (
            usage(
                input_tokens=100, output_tokens=20, cache_read__input_tokens=40, reasoning__output_tokens=5
            ),
            {
                "input": 60,
                "output": 15,
                "input_cached_tokens": 40,
                "output_reasoning_tokens": 5,
                "total": 120,
            },
            (100, 20, 120),
        ),
        (
            usage(input_tokens=100, output_tokens=20, cache_write__input_tokens=30),
            {"input": 100, "output": 20, "cache_write.input_tokens": 30, "total": 150},
            (130, 20, 150),
        ),
        (
            usage(input_tokens=10, cache_read__input_tokens=40),
            {"input": 0, "input_cached_tokens": 40, "total": 40},
            (40, 0, 40),
        ),
        (
            details(USAGE, {"prompt_tokens": 10, "completion_tokens": 5}),
            {"prompt_tokens": 10, "completion_tokens": 5, "total": 15},
            (0, 0, 15),
        ),
        (details(USAGE, {"input": 10.5, "output": 5}), {"output": 5, "total": 5}, (0, 5, 5)),
        (
            CHAT
            | {
                "gen_ai.usage.input_tokens": 300,
                "gen_ai.usage.output_tokens": 20,
                "gen_ai.usage.cache_read.input_tokens": 40,
                "gen_ai.usage.text.input": 100,
                "gen_ai.usage.text.cache_read.input": 40,
                "gen_ai.usage.image.input": 200,
                "gen_ai.usage.text.output": 20,
            },
            {
                "input": 260,
                "output": 20,
                "input_cached_tokens": 40,
                "text.input": 100,
                "text.cache_read.input": 40,
                "image.input": 200,
                "text.output": 20,
                "total": 680,
            },
            (640, 40, 680),
        ),
        # contract 2.4, buckets: precedence of the spellings
        (usage(prompt_tokens=1, input_tokens=2), {"input": 1, "total": 1}, (1, 0, 1)),
        (usage(completion_tokens=1, output_tokens=2), {"output": 1, "total": 1}, (0, 1, 1)),
        (usage(input_tokens=1, total_tokens=9), {"input": 1, "total": 9}, (1, 0, 9)),
        (
            usage(input_tokens=9, cache_creation__input_tokens=2),
            {"input": 7, "input_cache_creation": 2, "total": 9},
            (9, 0, 9),
        ),
        (
            usage(output_tokens=9, completion_details__audio=2),
            {"output": 7, "output_audio_tokens": 2, "total": 9},
            (0, 9, 9),
        ),
        (
            CHAT | {"llm.token_count.prompt": 4, "llm.token_count.completion": 2},
            {"input": 4, "output": 2, "total": 6},
            (4, 2, 6),
        ),
        # contract 2.4: anything else under its own name, without `details.`
        (usage(input_tokens=1, details__foo=2), {"input": 1, "foo": 2, "total": 3}, (1, 0, 3)),
        # contract 2.4: usage_details wins completely, even {}
        (usage(input_tokens=5) | {USAGE: "{}"}, {}, (0, 0, None)),
        (usage(input_tokens=5) | {USAGE: '{"input": 1}'}, {"input": 1, "total": 1}, (1, 0, 1)),
        # contract 2.4: invalid JSON falls back, a non-string attribute is {}
        (usage(input_tokens=5) | {USAGE: "{"}, {"input": 5, "total": 5}, (5, 0, 5)),
        (usage(input_tokens=5) | {USAGE: 3}, {}, (0, 0, None)),
        # contract 2.4, UsageDetails: strings go through parseInt, negatives are dropped
        (details(USAGE, {"input": "12x", "output": -1}), {"input": 12, "total": 12}, (12, 0, 12)),
        # contract 2.4: OpenAI's shape when it has exactly its keys
        (
            details(
                USAGE,
                {
                    "prompt_tokens": 10,
                    "completion_tokens": 5,
                    "total_tokens": 15,
                    "prompt_tokens_details": {"cached_tokens": 4},
                },
            ),
            {"input": 6, "input_cached_tokens": 4, "output": 5, "total": 15},
            (10, 5, 15),
        ),
        (
            details(USAGE, {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}),
            {"input": 10, "output": 5, "total": 15},
            (10, 5, 15),
        ),
    ],
)
def test_usage(attributes: dict[str, Any], stored: dict[str, int], sums: tuple[int, int, int | None]) -> None:
    row, _ = mapped(attributes)
    assert row.usage == stored
    assert (row.input_tokens, row.output_tokens, row.total_tokens) == sums


def test_lenient_mode_knows_cache_write() -> None:
    row, _ = mapped(usage(input_tokens=100, cache_write__input_tokens=30), strict=False)
    # contract 2.4: later servers map it
    assert row.usage == {"input": 70, "input_cache_creation": 30, "total": 100}


@pytest.mark.parametrize(
    ("attributes", "stored", "total"),
    [
        # contract 2.5: precedence
        (details(COST, {"total": 0.5}) | {"gen_ai.usage.cost": 9.0}, {"total": 0.5}, 0.5),
        (CHAT | {"gen_ai.usage.cost": 0.25, "llm.cost.total": 9.0}, {"total": 0.25}, 0.25),
        (CHAT | {"llm.cost.total": 0.75}, {"total": 0.75}, 0.75),
        # contract 2.5: total is added only to a subset of input and output
        (details(COST, {"input": 0.25, "output": 0.5}), {"input": 0.25, "output": 0.5, "total": 0.75}, 0.75),
        (details(COST, {"input": 0.25}), {"input": 0.25, "total": 0.25}, 0.25),
        # contract 2.5: any other key and no total reads as 0
        (
            details(COST, {"input": 0.25, "input_cached_tokens": 0.5}),
            {"input": 0.25, "input_cached_tokens": 0.5},
            0.0,
        ),
        (details(COST, {"total_cost": 0.5}), {"total_cost": 0.5}, 0.0),
        # contract 2.5: strings would be concatenated
        (
            details(COST, {"input": "0.1", "output": "0.2"}),
            {"input": "0.1", "output": "0.2", "total": "0.10.2"},
            0.0,
        ),
    ],
)
def test_given_cost(attributes: dict[str, Any], stored: dict[str, Any], total: float) -> None:
    row, _ = mapped(attributes)
    assert row.cost == stored
    assert row.total_cost == total


def priced(model: str, **counts: int) -> tuple[Any, list[str]]:
    return mapped(CHAT | {"gen_ai.request.model": model, USAGE: json.dumps(counts)})


def test_list_price_a_bucket_at_a_time() -> None:
    row, findings = priced("gpt-4o", input=1_000_000, output=1_000_000, input_cached_tokens=1_000_000)
    # contract 2.5: model match times the usage key of the same name
    assert set(row.cost) == {"input", "output", "input_cached_tokens", "total"}
    assert row.cost["total"] == pytest.approx(sum(row.cost[key] for key in row.cost if key != "total"))
    assert row.cost["input_cached_tokens"] < row.cost["input"] < row.cost["output"]
    assert row.input_cost == pytest.approx(row.cost["input"] + row.cost["input_cached_tokens"])
    assert row.output_cost == row.cost["output"]
    assert findings == []


def test_claude_has_no_price_for_reasoning() -> None:
    row, findings = priced("claude-sonnet-4-5", output=10, output_reasoning_tokens=30)
    # contract 2.5: output 10 priced, 30 unpriced
    assert set(row.cost) == {"output", "total"}
    assert row.cost["total"] == pytest.approx(priced("claude-sonnet-4-5", output=10)[0].total_cost)
    assert findings == ["tokens_unpriced"]


def test_gpt_has_no_price_for_cache_writes() -> None:
    row, findings = priced("gpt-4o", input=10, input_cache_creation=30)
    assert set(row.cost) == {"input", "total"}  # contract 2.5
    assert findings == ["tokens_unpriced"]


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        (CHAT | {"gen_ai.request.model": "nobody-knows", USAGE: '{"input":1}'}, "no price"),
        (CHAT | {USAGE: '{"input":1}'}, "no model"),
        (CHAT | {"gen_ai.request.model": "gpt-4o"}, "no usage"),
        # contract 2.4, table: prompt_tokens has no price match, so no cost
        (CHAT | {"gen_ai.request.model": "gpt-4o", USAGE: '{"prompt_tokens":10}'}, "no price"),
    ],
)
def test_unpriced(attributes: dict[str, Any], reason: str) -> None:
    from local_spans import RECEIVED, received

    from otel_agents.local.mapping.observation import read

    row, findings = read(received(attributes), RECEIVED)
    assert (row.cost, row.total_cost) == ({}, None)
    assert [found.detail["reason"] for found in findings if found.kind == "generation_unpriced"] == [reason]


def test_a_failed_generation_without_usage_is_no_finding() -> None:
    assert mapped(CHAT | {"gen_ai.request.model": "gpt-4o"}, status=2)[1] == []


@pytest.mark.parametrize("operation", ["invoke_agent", "agent_step"])
def test_agents_lose_usage_and_cost(operation: str) -> None:
    row, findings = mapped(
        {
            "gen_ai.operation.name": operation,
            "langfuse.observation.type": "generation",
            "gen_ai.usage.input_tokens": 5,
            USAGE: '{"input": 5}',
            COST: '{"total": 1}',
        }
    )
    # contract 2.6: dropped even from the explicit attributes and with type generation
    assert (row.usage, row.cost, row.total_cost, row.model) == ({}, {}, None, None)
    assert "usage_on_agent_dropped" in findings


def test_agents_without_the_operation_keep_them() -> None:
    row, findings = mapped(
        {"langfuse.observation.type": "agent", USAGE: '{"input": 5}', COST: '{"total": 1}'}
    )
    assert (row.type, row.usage, row.total_cost) == ("AGENT", {"input": 5, "total": 5}, 1.0)  # contract 2.6
    assert findings == []


def test_create_agent_keeps_them() -> None:
    row, _ = mapped({"gen_ai.operation.name": "create_agent", "gen_ai.usage.input_tokens": 5})
    assert row.usage == {"input": 5, "total": 5}  # contract 2.6


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        (usage(input_tokens=100, cache_write__input_tokens=30), "usage_double_counted"),
        (details(USAGE, {"input": 5, "output": 5, "total": 6}), "usage_total_too_low"),
        (details(USAGE, {"prompt_tokens": 10, "completion_tokens": 5}), "usage_reads_zero"),
        (details(USAGE, {"input": 1.5}), "usage_value_dropped"),
        (details(USAGE, {"input": -1}), "usage_value_dropped"),
        (usage(input_tokens=1.5), "usage_value_dropped"),
        (usage(input_tokens="many"), "usage_value_dropped"),
        (details(USAGE, "{"), "usage_details_invalid"),
        (CHAT | {USAGE: 3}, "usage_details_invalid"),
        (details(COST, {"total_cost": 0.5}), "cost_without_total"),
        (details(COST, {"input": "0.1"}), "cost_not_a_number"),
        (details(COST, {"total": -1}), "cost_not_a_number"),
        (details(COST, "{"), "cost_details_invalid"),
    ],
)
def test_findings(attributes: dict[str, Any], kind: str) -> None:
    assert kind in mapped(attributes)[1]
