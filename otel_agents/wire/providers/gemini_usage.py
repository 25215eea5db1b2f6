"""Token counts of Google's APIs: ``usageMetadata``.

``promptTokenCount`` includes the cached tokens. What the model thought (``thoughtsTokenCount``) is
beside ``candidatesTokenCount``, and what server-side tools put in front of it
(``toolUsePromptTokenCount``) beside the prompt; both are billed, so they are added.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from otel_agents.accounting import Usage
from otel_agents.accounting.metered import MeteredUsage

Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Part(msgspec.Struct, gc=False, rename="camel"):
    """Tokens of one modality: TEXT, IMAGE, AUDIO, VIDEO or DOCUMENT."""

    modality: str | None = None
    token_count: Count | None = None


class UsageMetadata(msgspec.Struct, gc=False, rename="camel"):
    """See the module."""

    prompt_token_count: Count | None = None
    cached_content_token_count: Count | None = None
    candidates_token_count: Count | None = None
    thoughts_token_count: Count | None = None
    tool_use_prompt_token_count: Count | None = None
    prompt_tokens_details: list[Part] | None = None
    cache_tokens_details: list[Part] | None = None
    candidates_tokens_details: list[Part] | None = None
    tool_use_prompt_tokens_details: list[Part] | None = None
    service_tier: str | None = None
    traffic_type: str | None = None


def merge(usage: UsageMetadata, later: UsageMetadata) -> None:
    """Takes the counts of a later chunk, which are totals so far; absent ones change nothing."""
    for name in UsageMetadata.__struct_fields__:
        value = getattr(later, name)
        if value is not None:
            setattr(usage, name, value)


def convert(usage: UsageMetadata) -> Usage | None:
    """The counts by the conventions' rules; None when there are none."""
    counts = (usage.prompt_token_count, usage.candidates_token_count, usage.thoughts_token_count)
    if all(count is None for count in counts):
        return None
    sent = (usage.prompt_token_count or 0) + (usage.tool_use_prompt_token_count or 0)
    thought = usage.thoughts_token_count or 0
    plain = Usage(
        input=sent,
        output=(usage.candidates_token_count or 0) + thought,
        cache_read=min(usage.cached_content_token_count or 0, sent),
        reasoning=thought,
        input_audio=_of("AUDIO", usage.prompt_tokens_details, usage.tool_use_prompt_tokens_details),
        output_audio=_of("AUDIO", usage.candidates_tokens_details),
        cache_audio_read=_of("AUDIO", usage.cache_tokens_details),
    )
    images = _of("IMAGE", usage.candidates_tokens_details)
    seen = _of("IMAGE", usage.prompt_tokens_details, usage.tool_use_prompt_tokens_details)
    if not images and not seen:
        return plain
    return MeteredUsage(
        plain.input,
        plain.output,
        plain.cache_read,
        reasoning=plain.reasoning,
        input_audio=plain.input_audio,
        output_audio=plain.output_audio,
        cache_audio_read=plain.cache_audio_read,
        input_image=seen,
        output_image=images,
        cache_image_read=_of("IMAGE", usage.cache_tokens_details),
    )


def _of(modality: str, *details: list[Part] | None) -> int:
    return sum(
        part.token_count or 0 for parts in details for part in parts or () if part.modality == modality
    )
