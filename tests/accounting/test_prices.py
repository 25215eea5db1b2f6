"""What a call costs: the rate card against the library's own answer, and what has no price."""

from __future__ import annotations

from decimal import Decimal

import genai_prices
import pytest
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_agents.accounting import CallRecord, Usage, price, span_attributes
from otel_agents.accounting.metered import MeteredUsage, shared
from otel_agents.accounting.prices import _rate_card, _Unpriced


def record(**changes: object) -> CallRecord:
    known = {"operation": "chat", "provider": "openai", "request_model": "gpt-4o-mini"}
    return CallRecord(**{**known, **changes})  # type: ignore[arg-type]


def test_each_model_of_a_call_has_its_own_price() -> None:
    own, advice = Usage(input=1000, output=100), Usage(input=5000, output=700, cache_read=1000)
    call = record(provider="anthropic", request_model="claude-haiku-4-5")
    call.usage = shared((None, own), ("claude-opus-4-5", advice))
    price(call)
    expected = library_cost("anthropic", "claude-haiku-4-5", own)
    expected += library_cost("anthropic", "claude-opus-4-5", advice)
    assert call.cost == pytest.approx(float(expected))
    unknown = record(usage=shared((None, own), ("no-such-model", advice)))
    price(unknown)
    assert (unknown.cost, unknown.unpriced_reason) == (None, "unknown_model")


def test_a_search_is_billed_with_the_tokens() -> None:
    tokens = record(provider="anthropic", request_model="claude-haiku-4-5", usage=Usage(10, 5))
    both = record(
        provider="anthropic", request_model="claude-haiku-4-5", usage=MeteredUsage(10, 5, web_searches=3)
    )
    price(tokens)
    price(both)
    assert both.cost == pytest.approx((tokens.cost or 0) + 0.03)


@pytest.mark.parametrize(
    ("asked", "per_million"),
    [
        ("global.anthropic.claude-sonnet-4-5-20250929-v1:0", 18.0),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", 19.8),
        ("arn:aws:bedrock:us-east-1:1:application-inference-profile/abc", 19.8),  # says nothing of the model
    ],
)
def test_the_region_is_in_what_bedrock_was_asked_for(asked: str, per_million: float) -> None:
    call = record(provider="aws.bedrock", request_model=asked, response_model="claude-sonnet-4-5-20250929")
    call.usage = Usage(100_000, 100_000)
    price(call)
    assert call.cost == pytest.approx(per_million / 10)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    count = st.integers(0, 200_000)
    cache_read, cache_write, output = draw(count), draw(count), draw(count)
    return Usage(
        input=cache_read + cache_write + draw(count),
        output=output,
        cache_read=cache_read,
        cache_write=cache_write,
        cache_write_1h=draw(st.integers(0, cache_write)),
        reasoning=draw(st.integers(0, output)),
    )


def library_cost(provider: str, model: str, usage: Usage) -> Decimal:
    counts = {
        "input_tokens": usage.input,
        "output_tokens": usage.output,
        "cache_read_tokens": usage.cache_read,
        "cache_write_tokens": usage.cache_write,
        "cache_write_1h_tokens": usage.cache_write_1h,
    }
    library = genai_prices.Usage(**{name: count for name, count in counts.items() if count})
    return genai_prices.calc_price(library, model, provider_id=provider).total_price


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-4o-mini"),
        ("openai", "gpt-5-mini"),
        ("anthropic", "claude-haiku-4-5"),
        ("anthropic", "claude-opus-4-5"),
    ],
)
@given(usage=usages())
@settings(max_examples=25, deadline=None)
def test_cost_is_the_librarys_to_the_last_digit(provider: str, model: str, usage: Usage) -> None:
    call = record(provider=provider, request_model=model, usage=usage)
    price(call)
    assert call.cost == float(library_cost(provider, model, usage))
    assert call.unpriced_reason is None


def test_every_rate_card_agrees_with_the_library() -> None:
    usage = Usage(input=90_000, output=7_000, cache_read=30_000, cache_write=20_000, cache_write_1h=5_000)
    checked = 0
    for provider in get_snapshot().providers:
        if provider.id not in ("openai", "anthropic", "mistral", "groq", "deepseek", "x-ai"):
            continue
        for model in provider.models:
            try:
                card = _rate_card(provider.id, model.id, None)
                expected = library_cost(provider.id, model.id, usage)
            except _Unpriced:
                continue
            except LookupError:
                continue
            if card is not None:
                assert card.cost(usage) == expected, f"{provider.id} {model.id}"
                checked += 1
    assert checked > 50


def test_tiered_prices_are_left_to_the_library() -> None:
    # Gemini 2.5 Pro costs more for prompts over 200 000 tokens: no plain rate card.
    assert _rate_card("google", "gemini-2.5-pro", None) is None
    small, large = Usage(input=100_000), Usage(input=400_000)
    cheap = record(provider="gcp.gemini", request_model="gemini-2.5-pro", usage=small)
    dear = record(provider="gcp.gemini", request_model="gemini-2.5-pro", usage=large)
    price(cheap)
    price(dear)
    assert cheap.cost is not None
    assert dear.cost is not None
    assert dear.cost > 4 * cheap.cost


def test_the_answering_model_is_billed_before_the_requested_one() -> None:
    call = record(request_model="my-deployment", response_model="gpt-4o-mini", usage=Usage(1_000_000, 0))
    price(call)
    assert call.cost == 0.15


def test_a_known_cost_stays() -> None:
    call = record(usage=Usage(10, 10), cost=1.25)
    price(call)
    assert call.cost == 1.25


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"usage": None}, "no_usage"),
        ({"usage": Usage(1, 1), "request_model": None}, "no_model"),
        ({"usage": Usage(1, 1), "request_model": "a-model-nobody-sells"}, "unknown_model"),
        (
            {"usage": Usage(1, 1), "provider": "a-provider-nobody-knows", "request_model": "llama-3-8b"},
            "unknown_model",
        ),
        ({"usage": None, "error_type": "429"}, None),  # nothing was billed
    ],
)
def test_why_a_call_has_no_cost(changes: dict[str, object], reason: str | None) -> None:
    call = record(**changes)
    price(call)
    assert (call.cost, call.unpriced_reason) == (None, reason)


def test_span_attributes_print_what_is_known_and_parts_above_zero() -> None:
    call = record(usage=Usage(input=100, output=20, cache_read=40, reasoning=5))
    price(call)
    assert span_attributes(call) == {
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.cache_read.input_tokens": 40,
        "gen_ai.usage.reasoning.output_tokens": 5,
        "gen_ai.usage.cost": call.cost,
    }
    assert span_attributes(record()) == {}
