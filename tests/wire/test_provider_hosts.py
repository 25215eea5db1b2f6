"""Whose API is at a host, and how servers that speak OpenAI's API count and charge."""

from __future__ import annotations

import json
from typing import Any

import httpx
import openai
import pytest
from modelserver.server import ModelServer
from wire_rig import Wired

from otel_agents.accounting import Usage
from otel_agents.accounting.metered import MeteredUsage
from otel_agents.wire.formats import RequestFacts
from otel_agents.wire.hosts import PROVIDER_HOSTS, provider_of
from otel_agents.wire.providers.openai_chat import OpenAIChat
from otel_agents.wire.providers.openai_responses import OpenAIResponses

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
HELLO: list[Any] = CHAT["messages"]  # type: ignore[assignment]


def post(url: str, answer: dict[str, Any], request: dict[str, Any] = CHAT) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=answer))
    with httpx.Client(transport=transport) as client:
        client.post(url, json=request)


# --- hosts ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("url", "provider"),
    [
        ("https://api.openai.com/v1/chat/completions", "openai"),
        ("https://eu.api.openai.com/v1/chat/completions", "openai"),
        ("https://api.groq.com/openai/v1/chat/completions", "groq"),
        ("https://api.deepseek.com/chat/completions", "deepseek"),
        ("https://api.x.ai/v1/chat/completions", "x_ai"),
        ("https://api.together.xyz/v1/chat/completions", "together"),
        ("https://openrouter.ai/api/v1/chat/completions", "openrouter"),
        ("https://api.perplexity.ai/chat/completions", "perplexity"),
        ("https://api.fireworks.ai/inference/v1/chat/completions", "fireworks"),
        ("https://api.cerebras.ai/v1/chat/completions", "cerebras"),
        ("https://api.mistral.ai/v1/chat/completions", "mistral_ai"),
        ("https://api.moonshot.ai/v1/chat/completions", "moonshot_ai"),
        ("https://generativelanguage.googleapis.com/v1beta/openai/chat/completions", "gcp.gemini"),
        ("https://router.huggingface.co/v1/chat/completions", "huggingface"),
        # Azure's services are told apart by the path, on hosts that have several of them.
        ("https://my.openai.azure.com/openai/deployments/d/chat/completions", "azure.ai.openai"),
        ("https://my.openai.azure.com/openai/v1/chat/completions", "azure.ai.openai"),
        ("https://my.cognitiveservices.azure.com/openai/deployments/d/chat/completions", "azure.ai.openai"),
        ("https://my.services.ai.azure.com/openai/deployments/d/chat/completions", "azure.ai.openai"),
        ("https://my.services.ai.azure.com/openai/v1/chat/completions", "azure.ai.openai"),
        ("https://my.services.ai.azure.com/models/chat/completions", "azure.ai.inference"),
        ("https://my.eastus.models.ai.azure.com/v1/chat/completions", "azure.ai.inference"),
        ("https://gateway.example.com/openai/deployments/d/chat/completions", "azure.ai.openai"),
        (
            "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/l/endpoints/openapi/chat/completions",
            "gcp.vertex_ai",
        ),
        ("https://bedrock-runtime.us-west-2.amazonaws.com/openai/v1/chat/completions", "aws.bedrock"),
        # Local servers, by port or by the name of a service.
        ("http://localhost:1234/v1/chat/completions", "lm_studio"),
        ("http://127.0.0.1:11434/v1/chat/completions", "ollama"),
        ("http://vllm:8000/v1/chat/completions", "vllm"),
        ("http://vllm-0.models.svc.cluster.local/v1/chat/completions", "vllm"),
        ("http://litellm:4000/chat/completions", "litellm"),
        ("http://localhost:8000/v1/chat/completions", "openai"),
        ("https://example.com:11434/v1/chat/completions", "openai"),
    ],
)
def test_by_host(wired: Wired, url: str, provider: str) -> None:
    post(url, {"model": "m", "choices": [{"index": 0, "finish_reason": "stop", "message": {}}]})
    assert wired.record().provider == provider


def test_settings_come_before_the_tables() -> None:
    named = {"localhost:1234": "vllm", "api.openai.com": "proxy"}
    assert provider_of("localhost", 1234, named) == "vllm"
    assert provider_of("api.openai.com", 443, named, "azure.ai.openai") == "proxy"
    assert provider_of("api.openai.com", 443, {}, "azure.ai.openai") == "openai"
    assert provider_of("evilapi.openai.com.example.org", 443, {}) is None


def test_names_are_spelled_as_the_conventions_spell_them() -> None:
    for provider in PROVIDER_HOSTS.values():
        assert provider.replace(".", "").replace("_", "").isalnum()
        assert provider == provider.lower()


# --- Azure ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("streamed", [False, True])
def test_azures_client(wired: Wired, server: ModelServer, streamed: bool) -> None:
    client = openai.AzureOpenAI(azure_endpoint=server.url, api_key="any", api_version="2024-10-21")
    if streamed:
        options: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
        list(client.chat.completions.create(model="prod-gpt-4o", messages=HELLO, **options))
    else:
        client.chat.completions.create(model="prod-gpt-4o", messages=HELLO)
    attributes = wired.attributes()
    assert wired.span().name == "chat prod-gpt-4o"
    assert attributes["gen_ai.provider.name"] == "azure.ai.openai"
    assert attributes["gen_ai.request.model"] == "prod-gpt-4o"
    assert attributes["gen_ai.response.model"] == "gpt-4o-2024-08-06"
    assert wired.record().cost == pytest.approx(float(server.ledger()["cost"]))


async def test_azures_async_client_with_a_deployment_of_its_own(wired: Wired, server: ModelServer) -> None:
    """What the body calls the model does not count there."""
    client = openai.AsyncAzureOpenAI(
        azure_endpoint=server.url, azure_deployment="eu-gpt-4o-mini", api_key="any", api_version="2024-10-21"
    )
    answer = await client.chat.completions.create(model="whatever", messages=HELLO)
    attributes = wired.attributes()
    assert attributes["gen_ai.request.model"] == "eu-gpt-4o-mini"
    assert attributes["gen_ai.response.model"] == answer.model == "gpt-4o-mini-2024-07-18"
    assert wired.record().cost == pytest.approx(float(server.ledger()["cost"]))


def test_a_deployment_needs_no_model_in_the_body(wired: Wired) -> None:
    post(
        "https://my.openai.azure.com/openai/deployments/my%20own/chat/completions?api-version=1",
        {"model": "gpt-4o-2024-08-06", "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}},
        {"messages": HELLO},
    )
    assert wired.record().request_model == "my own"
    assert wired.record().cost is not None


# --- how others count ----------------------------------------------------------------------------
def chat_usage(**usage: Any) -> Usage | None:
    return OpenAIChat().read_response(json.dumps({"usage": usage}).encode(), False, RequestFacts("m")).usage


def test_xai_leaves_reasoning_out_of_the_completion() -> None:
    """Figures of a real response; the cost that it reports is exactly that of these counts."""
    assert chat_usage(
        prompt_tokens=10120,
        completion_tokens=1499,
        total_tokens=14428,
        prompt_tokens_details={"cached_tokens": 128},
        completion_tokens_details={"reasoning_tokens": 2809},
        cost_in_usd_ticks=232856000,
    ) == MeteredUsage(input=10120, output=4308, cache_read=128, reasoning=2809, cost=0.0232856)


def test_openai_does_not() -> None:
    details = {"reasoning_tokens": 5}
    plain = {"prompt_tokens": 10, "completion_tokens": 20, "completion_tokens_details": details}
    assert chat_usage(**plain, total_tokens=30) == Usage(input=10, output=20, reasoning=5)
    assert chat_usage(**plain) == Usage(input=10, output=20, reasoning=5)


def test_deepseek_and_moonshot_say_what_was_cached_beside_the_totals() -> None:
    assert chat_usage(
        prompt_tokens=100,
        completion_tokens=5,
        total_tokens=105,
        prompt_cache_hit_tokens=64,
        prompt_cache_miss_tokens=36,
    ) == Usage(input=100, output=5, cache_read=64)
    assert chat_usage(prompt_tokens=100, completion_tokens=5, cached_tokens=32) == Usage(100, 5, 32)
    # Both ways at once are not two caches.
    assert chat_usage(
        prompt_tokens=100,
        completion_tokens=5,
        prompt_cache_hit_tokens=64,
        prompt_tokens_details={"cached_tokens": 64},
    ) == Usage(input=100, output=5, cache_read=64)


def test_sound_and_images() -> None:
    usage = chat_usage(
        prompt_tokens=100,
        completion_tokens=50,
        prompt_tokens_details={"audio_tokens": 70, "image_tokens": 20},
        completion_tokens_details={"audio_tokens": 40},
    )
    assert usage == MeteredUsage(input=100, output=50, input_audio=70, output_audio=40, input_image=20)


def test_sound_on_the_span(wired: Wired) -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "prompt_tokens_details": {"audio_tokens": 70},
        "completion_tokens_details": {"audio_tokens": 40},
    }
    post("https://api.openai.com/v1/chat/completions", {"model": "gpt-4o-audio-preview", "usage": usage})
    attributes = wired.attributes()
    assert attributes["gen_ai.usage.audio.input_tokens"] == 70
    assert attributes["gen_ai.usage.audio.output_tokens"] == 40


def test_groqs_streams_have_usage_of_their_own() -> None:
    chunks = [
        {
            "id": "c",
            "model": "llama",
            "choices": [{"index": 0, "delta": {"content": "Hi"}}],
            "x_groq": {"id": "r"},
        },
        {
            "id": "c",
            "model": "llama",
            "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
            "x_groq": {"id": "r", "usage": {"prompt_tokens": 4, "completion_tokens": 2, "total_time": 0.1}},
        },
    ]
    assert streamed(chunks) == Usage(input=4, output=2)
    # With ``include_usage`` there is one more chunk, which says the same again.
    last = {"id": "c", "model": "llama", "choices": [], "usage": {"prompt_tokens": 4, "completion_tokens": 2}}
    assert streamed([*chunks, last]) == Usage(input=4, output=2)


def test_moonshots_streams_have_usage_in_the_choice() -> None:
    usage = {"prompt_tokens": 4, "completion_tokens": 2}
    choice = {"index": 0, "delta": {}, "finish_reason": "stop", "usage": usage}
    assert streamed([{"id": "c", "model": "kimi", "choices": [choice]}]) == Usage(input=4, output=2)


def streamed(chunks: list[dict[str, Any]]) -> Usage | None:
    body = (
        "".join(f"data: {json.dumps(chunk, separators=(',', ':'))}\n\n" for chunk in chunks)
        + "data: [DONE]\n\n"
    )
    facts = OpenAIChat().read_response(body.encode(), True, RequestFacts("m"))
    assert facts.finish_reasons == ["stop"]
    return facts.usage


# --- what others charge --------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("said", "cost"),
    [
        ({"cost": 0.015}, 0.015),
        ({"cost": 0}, 0.0),
        ({"cost": 0.95, "is_byok": False, "cost_details": {"upstream_inference_cost": 0.9}}, 0.95),
        ({"cost": 0.05, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.95}}, 1.0),
        ({"cost": {"total_cost": 0.006, "request_cost": 0.005}}, 0.006),
        ({"cost": {"total_cost": 0.006, "currency": "USD"}}, 0.006),
        ({"cost_in_usd_ticks": 10_000_000_000}, 1.0),
    ],
)
def test_a_reported_cost_is_the_cost(wired: Wired, said: dict[str, Any], cost: float) -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 1000, **said}
    post(
        "https://openrouter.ai/api/v1/chat/completions",
        {"model": "openai/gpt-4o", "choices": [], "usage": usage},
    )
    assert wired.record().cost == pytest.approx(cost)
    assert wired.attributes()["gen_ai.usage.cost"] == pytest.approx(cost)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"cost": None},
        {"cost": "0.015"},
        {"cost": -1},
        {"cost": 1e12},
        {"cost": True},
        {"cost": {"total_cost": 0.006, "currency": "CNY"}},
        {"cost": {}},
        {"cost_in_usd_ticks": -5},
    ],
)
def test_otherwise_the_list_price_is(wired: Wired, said: dict[str, Any]) -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 1000, **said}
    post(
        "https://openrouter.ai/api/v1/chat/completions",
        {"model": "openai/gpt-4o", "choices": [], "usage": usage},
    )
    assert wired.record().cost == pytest.approx(0.0125)


def test_costs_of_other_apis() -> None:
    body = {
        "status": "completed",
        "usage": {"input_tokens": 5, "output_tokens": 6, "cost": {"total_cost": 0.5}},
    }
    facts = OpenAIResponses().read_response(json.dumps(body).encode(), False, RequestFacts("m"))
    assert facts.usage == MeteredUsage(input=5, output=6, cost=0.5)


def test_a_reported_cost_in_a_stream(wired: Wired) -> None:
    chunk = {"id": "c", "model": "x/y", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    last = {**chunk, "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1, "cost": 0.25}}
    events = [
        f"data: {json.dumps(chunk)}",
        ": OPENROUTER PROCESSING",
        f"data: {json.dumps(last)}",
        "data: [DONE]",
    ]
    body = "\n\n".join([*events, ""])
    transport = httpx.MockTransport(
        lambda _: httpx.Response(200, text=body, headers={"content-type": "text/event-stream"})
    )
    with httpx.Client(transport=transport) as client:
        client.post("https://openrouter.ai/api/v1/chat/completions", json={**CHAT, "stream": True})
    assert wired.record().cost == 0.25
    assert wired.attributes()["gen_ai.response.finish_reasons"] == ("stop",)
