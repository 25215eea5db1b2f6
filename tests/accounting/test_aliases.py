"""Names of models on the wire, and the price that each of them finds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_agents.accounting import CallRecord, Usage, price
from otel_agents.accounting.aliases import candidates
from otel_agents.accounting.metered import MeteredUsage

THOUSAND_OF_EACH = Usage(input=1000, output=1000)


def cost_of(provider: str, model: str, usage: Usage = THOUSAND_OF_EACH) -> float | None:
    record = CallRecord("chat", provider, request_model=model, usage=usage)
    price(record)
    assert (record.cost is None) == (record.unpriced_reason is not None)
    return record.cost


@pytest.mark.parametrize(
    ("provider", "model", "same_as"),
    [
        # Dates and ``latest`` that the library has not heard of.
        ("openai", "gpt-4o-2099-01-31", ("openai", "gpt-4o")),
        ("openai", "gpt-5-latest", ("openai", "gpt-5")),
        ("anthropic", "claude-opus-4-8-20990131", ("anthropic", "claude-opus-4-8")),
        ("anthropic", "claude-3-5-haiku", ("anthropic", "claude-3-5-haiku-latest")),
        # Azure answers with the real model.
        ("azure.ai.openai", "gpt-4o-2099-01-31", ("azure.ai.openai", "gpt-4o")),
        # Fine-tuned models have prices of their own.
        ("openai", "ft:gpt-4o-mini:org::id", ("openai", "ft:gpt-4o-mini-2024-07-18:org::id")),
        # Routes of OpenRouter and of proxies that speak OpenAI's API.
        ("openrouter", "openai/gpt-4o:nitro", ("openrouter", "openai/gpt-4o")),
        ("openrouter", "anthropic/claude-sonnet-4.5:online", ("openrouter", "anthropic/claude-sonnet-4.5")),
        ("openai", "openai/gpt-4o", ("openai", "gpt-4o")),
        ("openai", "claude-sonnet-4-5", ("anthropic", "claude-sonnet-4-5")),
        ("openai", "anthropic/claude-sonnet-4-5-20250929", ("anthropic", "claude-sonnet-4-5")),
        ("openai", "gemini/gemini-2.5-pro", ("gcp.gemini", "gemini-2.5-pro")),
        ("openai", "openrouter/anthropic/claude-sonnet-4.5", ("openrouter", "anthropic/claude-sonnet-4.5")),
        (
            "openai",
            "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            ("aws.bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ),
        ("perplexity", "openai/gpt-5.1", ("openai", "gpt-5.1")),
        (
            "huggingface",
            "deepseek-ai/DeepSeek-R1:together",
            ("huggingface_together", "deepseek-ai/DeepSeek-R1"),
        ),
        # Bedrock: ARNs of models and of inference profiles, escaped as they are in a path.
        (
            "aws.bedrock",
            "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-sonnet-4-5-20250929-v1:0",
            ("aws.bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ),
        (
            "aws.bedrock",
            "arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fapac.amazon.nova-pro-v1%3A0",
            ("aws.bedrock", "amazon.nova-pro-v1:0"),
        ),
        (
            "aws.bedrock",
            "us.meta.llama3-3-70b-instruct-v1:0",
            ("aws.bedrock", "meta.llama3-3-70b-instruct-v1:0"),
        ),
        # Google: publishers, dates after an at sign, models of others.
        ("gcp.vertex_ai", "publishers/google/models/gemini-2.5-pro", ("gcp.gemini", "gemini-2.5-pro")),
        ("gcp.vertex_ai", "google/gemini-2.5-flash", ("gcp.gemini", "gemini-2.5-flash")),
        ("gcp.gemini", "models/gemini-2.5-pro", ("gcp.gemini", "gemini-2.5-pro")),
        ("gcp.vertex_ai", "claude-haiku-4-5@20991231", ("anthropic", "claude-haiku-4-5")),
        # Gateways that the price library does not know, and models that only their makers sell.
        ("our-gateway", "gpt-4o-mini", ("openai", "gpt-4o-mini")),
        ("our-gateway", "anthropic/claude-haiku-4-5", ("anthropic", "claude-haiku-4-5")),
        (
            "gcp.vertex_ai",
            "publishers/anthropic/models/claude-sonnet-4-5@20250929",
            ("anthropic", "claude-sonnet-4-5"),
        ),
    ],
)
def test_a_name_that_finds_its_price(provider: str, model: str, same_as: tuple[str, str]) -> None:
    cost = cost_of(provider, model)
    assert cost is not None
    assert cost == cost_of(*same_as)


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("azure.ai.openai", "my-deployment"),  # says nothing of the model
        ("aws.bedrock", "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc"),
        ("aws.bedrock", "arn:aws:bedrock:us-east-1:1:provisioned-model/abc"),  # billed by the hour
        ("gcp.vertex_ai", "projects/p/locations/l/endpoints/123"),
        ("openrouter", "anthropic/claude-sonnet-4.5:free"),  # has no price, and not the paid one's
        ("openai", "ft:gpt-4.1-mini-2025-04-14:org::id"),  # dearer than its base
        ("openai", "deepseek-r1"),  # open weights, behind a host that nobody knows
        ("vllm", "gpt-4o"),
        ("ollama", "gpt-4o"),
    ],
)
def test_no_price_rather_than_a_wrong_one(provider: str, model: str) -> None:
    assert cost_of(provider, model) is None


def test_the_models_own_price_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    from otel_agents.accounting import prices

    monkeypatch.setattr(prices, "candidates", lambda *_: pytest.fail("not needed"))
    assert cost_of("openai", "gpt-4o-2024-08-06") == cost_of("openai", "gpt-4o")


def test_the_requests_own_price_comes_before_an_alias_of_the_responses() -> None:
    record = CallRecord(
        "chat",
        "openai",
        request_model="gpt-4o-mini",
        response_model="gpt-4o-2099-01-31",
        usage=THOUSAND_OF_EACH,
    )
    price(record)
    assert record.cost == cost_of("openai", "gpt-4o-mini")


def test_best_first_and_without_the_name_itself() -> None:
    assert candidates("openai", "gpt-9-2031-01-31") == (
        ("openai", "gpt-9"),
        ("openai", "gpt-9-latest"),
    )
    assert candidates("openrouter", "openai/gpt-9:nitro")[:2] == (
        ("openrouter", "openai/gpt-9:nitro-latest"),
        ("openrouter", "openai/gpt-9"),
    )
    assert candidates("aws", "arn:aws:bedrock:us-east-1:1:custom-model/abc") == ()


@given(
    st.text(max_size=80), st.sampled_from(["openai", "aws", "google", "azure", "openrouter", "", "no such"])
)
def test_any_name_is_a_name(model: str, provider: str) -> None:
    found = candidates(provider, model)
    assert (provider, model) not in found
    assert len(set(found)) == len(found)
    assert all(name and owner is not None for owner, name in found)


# --- what is billed beyond tokens ----------------------------------------------------------------
def test_a_reported_cost_is_the_cost() -> None:
    assert cost_of("openrouter", "no-such-model", MeteredUsage(input=10, output=10, cost=0.25)) == 0.25
    assert cost_of("openrouter", "openai/gpt-4o", MeteredUsage(input=10, output=10, cost=0.0)) == 0.0


def test_images_characters_seconds_and_searches() -> None:
    # USD per million tokens of gpt-image-1: text 5, images in 10, images out 40.
    usage = MeteredUsage(input=300, output=1000, input_image=200, output_image=1000)
    assert cost_of("openai", "gpt-image-1", usage) == pytest.approx((100 * 5 + 200 * 10 + 1000 * 40) / 1e6)
    assert cost_of("openai", "tts-1", MeteredUsage(input_characters=1000)) == pytest.approx(0.015)
    assert cost_of("openai", "whisper-1", MeteredUsage(audio_seconds=30.0)) == pytest.approx(0.003)
    plain = cost_of("openai", "gpt-5-mini")
    searched = cost_of("openai", "gpt-5-mini", MeteredUsage(input=1000, output=1000, web_searches=2))
    assert plain is not None
    assert searched == pytest.approx(plain + 0.02)
