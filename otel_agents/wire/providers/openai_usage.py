"""Token counts of OpenAI's APIs and of the servers that speak them, each with its own habits.

Chat Completions say ``prompt_tokens`` and ``completion_tokens``, all newer APIs ``input_tokens`` and
``output_tokens``. Both count as the conventions do, with exceptions that are told by the figures
and not by the provider's name, because they also come through proxies:

- xAI leaves reasoning out of ``completion_tokens``; then ``total_tokens`` is the sum of all three.
- Google's endpoint leaves out of all but the total what Gemini thought, which it bills as output.
- DeepSeek says ``prompt_cache_hit_tokens``, Moonshot ``cached_tokens`` beside the totals.
- OpenRouter reports ``cost`` in USD; with a key of one's own (``is_byok``) that is its fee only, and
  what the key was charged is in ``cost_details``. xAI reports ``cost_in_usd_ticks``, Perplexity an
  object with ``total_cost``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from otel_agents.accounting import Usage
from otel_agents.accounting.metered import MeteredUsage

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue

#: One US dollar in xAI's unit of cost.
_TICKS: Final = 10_000_000_000
#: A reported cost above this (USD for one call) is taken for another unit.
_MOST: Final = 100_000.0

Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class PromptDetails(msgspec.Struct, gc=False):
    """``prompt_tokens_details``."""

    cached_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    audio_tokens: Count | None = None
    image_tokens: Count | None = None


class CompletionDetails(msgspec.Struct, gc=False):
    """``completion_tokens_details``."""

    reasoning_tokens: Count | None = None
    audio_tokens: Count | None = None
    image_tokens: Count | None = None


class CostDetails(msgspec.Struct, gc=False):
    """``cost_details`` of OpenRouter."""

    upstream_inference_cost: float | None = None


class ReportedCost(msgspec.Struct, gc=False):
    """``cost`` of Perplexity."""

    total_cost: float | None = None
    currency: str | None = None


class Costs(msgspec.Struct, gc=False):
    """What some servers say a call cost, beside its tokens."""

    cost: float | ReportedCost | None = None
    cost_details: CostDetails | None = None
    is_byok: bool | None = None
    cost_in_usd_ticks: Count | None = None


class ChatUsage(Costs, gc=False):
    """``usage`` of a chat completion."""

    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    total_tokens: Count | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    prompt_cache_hit_tokens: Count | None = None
    cached_tokens: Count | None = None


class CachedDetails(msgspec.Struct, gc=False):
    """``cached_tokens_details``, and the names that the same has in ``tool_usage``."""

    audio_tokens: Count | None = None
    image_tokens: Count | None = None


class TokenDetails(msgspec.Struct, gc=False):
    """``input_tokens_details`` and ``output_tokens_details``, of which each API has its part."""

    cached_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    cached_tokens_details: CachedDetails | None = None
    reasoning_tokens: Count | None = None
    audio_tokens: Count | None = None
    image_tokens: Count | None = None


class TokenUsage(Costs, gc=False):
    """``usage`` of the responses, images and audio APIs (the last writes ``input_token_details``)."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    total_tokens: Count | None = None
    input_tokens_details: TokenDetails | None = None
    output_tokens_details: TokenDetails | None = None
    input_token_details: TokenDetails | None = None
    output_token_details: TokenDetails | None = None
    seconds: float | None = None


_NO_PROMPT_DETAILS: Final = PromptDetails()
_NO_COMPLETION_DETAILS: Final = CompletionDetails()
_NO_DETAILS: Final = TokenDetails()
_NOT_CACHED: Final = CachedDetails()


def chat_usage(usage: ChatUsage, model: str | None = None) -> Usage | None:
    """Usage of a chat completion by ``model``; None when it has no count."""
    if usage.prompt_tokens is None and usage.completion_tokens is None:
        return None
    prompt = usage.prompt_tokens_details or _NO_PROMPT_DETAILS
    completion = usage.completion_tokens_details or _NO_COMPLETION_DETAILS
    sent = usage.prompt_tokens or 0
    reasoning = completion.reasoning_tokens or 0
    if not reasoning and model is not None and "gemini" in model:
        reasoning = max((usage.total_tokens or 0) - sent - (usage.completion_tokens or 0), 0)
    cached = prompt.cached_tokens
    if cached is None:
        cached = usage.prompt_cache_hit_tokens if usage.cached_tokens is None else usage.cached_tokens
    plain = Usage(
        sent,
        _with_reasoning(usage.total_tokens, sent, usage.completion_tokens or 0, reasoning),
        min(cached or 0, sent),
        prompt.cache_write_tokens or 0,
        0,
        reasoning,
        prompt.audio_tokens or 0,
        completion.audio_tokens or 0,
    )
    cost = reported_cost(usage)
    if cost is None and not (prompt.image_tokens or completion.image_tokens):
        return plain
    return _metered(
        plain, input_image=prompt.image_tokens or 0, output_image=completion.image_tokens or 0, cost=cost
    )


def token_usage(usage: TokenUsage, web_searches: int = 0) -> Usage | None:
    """Usage of the newer APIs; None when it has no count.

    Args:
        web_searches: what else the response says was billed.
    """
    if usage.input_tokens is None and usage.output_tokens is None:
        return None
    sent = usage.input_tokens_details or usage.input_token_details or _NO_DETAILS
    produced = usage.output_tokens_details or usage.output_token_details or _NO_DETAILS
    cached = sent.cached_tokens_details or _NOT_CACHED
    reasoning = produced.reasoning_tokens or 0
    total = usage.input_tokens or 0
    plain = Usage(
        total,
        _with_reasoning(usage.total_tokens, total, usage.output_tokens or 0, reasoning),
        min(sent.cached_tokens or 0, total),
        sent.cache_write_tokens or 0,
        0,
        reasoning,
        sent.audio_tokens or 0,
        produced.audio_tokens or 0,
        cached.audio_tokens or 0,
    )
    cost = reported_cost(usage)
    if cost is None and not (web_searches or sent.image_tokens or produced.image_tokens):
        return plain
    return _metered(
        plain,
        input_image=sent.image_tokens or 0,
        output_image=produced.image_tokens or 0,
        cache_image_read=cached.image_tokens or 0,
        web_searches=web_searches,
        cost=cost,
    )


def last_usage(body: bytes) -> TokenUsage | None:
    """The last ``usage`` in a body that is not whole; quotes in texts are escaped, so it is a field."""
    start = max(body.rfind(b'"usage":{'), body.rfind(b'"usage": {'))
    if start < 0:
        return None
    text = body[body.index(b"{", start) :].decode("utf-8", "replace")
    try:
        return msgspec.convert(json.JSONDecoder().raw_decode(text)[0], TokenUsage, strict=False)
    except ValueError:
        return None


def modalities(usage: Usage | None) -> dict[str, AttributeValue]:
    """The counts by modality as the conventions name them on a span; only those above zero."""
    if usage is None:
        return {}
    found: dict[str, AttributeValue] = {}
    if usage.input_audio or usage.output_audio or usage.cache_audio_read:
        for name, count in (
            ("audio.input_tokens", usage.input_audio),
            ("audio.output_tokens", usage.output_audio),
            ("audio.cache_read.input_tokens", usage.cache_audio_read),
        ):
            if count:
                found[f"gen_ai.usage.{name}"] = count
    if isinstance(usage, MeteredUsage):
        for name, count in (
            ("image.input_tokens", usage.input_image),
            ("image.output_tokens", usage.output_image),
            ("image.cache_read.input_tokens", usage.cache_image_read),
        ):
            if count:
                found[f"gen_ai.usage.{name}"] = count
    return found


def _with_reasoning(total: int | None, sent: int, produced: int, reasoning: int) -> int:
    """Output with reasoning. Whether it was in there already is told by the total, or by its size."""
    apart = reasoning > produced if total is None else total == sent + produced + reasoning
    return produced + reasoning if apart else produced


def reported_cost(usage: Costs) -> float | None:
    """USD that the server says the call cost, or None."""
    cost: float | None = None
    if isinstance(usage.cost, ReportedCost):
        if usage.cost.currency in (None, "USD"):
            cost = usage.cost.total_cost
    elif usage.cost is not None:
        cost = usage.cost
        if usage.is_byok and usage.cost_details is not None:
            cost += usage.cost_details.upstream_inference_cost or 0.0
    elif usage.cost_in_usd_ticks is not None:
        cost = usage.cost_in_usd_ticks / _TICKS
    return cost if cost is not None and 0 <= cost <= _MOST else None


def _metered(plain: Usage, **more: Any) -> MeteredUsage:
    return MeteredUsage(*(getattr(plain, name) for name in _COUNTS), **more)


_COUNTS: Final = Usage.__struct_fields__
