"""Token usage as users hand it over: ours, or as the SDKs of OpenAI, Anthropic and Google have it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from otel_agents import values
from otel_agents.accounting import Usage
from otel_agents.values.objects import is_a

if TYPE_CHECKING:
    from otel_agents.wire.formats import WireFormat

_NAMES: Final = Usage.__struct_fields__
#: More tokens than this are a mistake; a float holds all numbers up to it.
_MOST: Final = 2**53
_ANTHROPIC: Final = ("cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation")
_GEMINI: Final = (
    "prompt_token_count",
    "promptTokenCount",
    "candidates_token_count",
    "candidatesTokenCount",
)


def usage_of(given: object) -> Usage | None:
    """``given`` as :class:`Usage`; None when it says nothing about tokens. Never raises.

    Args:
        given: a ``Usage``; a number, the total of input and output; a mapping with our names (``input``,
            ``output``, ``cache_read`` ..., ``total``); or a mapping or object like the ``usage`` of an
            OpenAI or Anthropic response, or a Gemini one's ``usage_metadata``. Numbers may be text, as a
            command line's output has them.
    """
    if given is None or is_a(given, Usage):
        return given
    # By way of JSON: SDK objects, dataclasses and mappings become dicts, odd values text.
    text = values.to_json(given, 100_000)
    found = msgspec.json.decode(text)
    try:
        if not isinstance(found, dict):
            return _of_total(found)
        numbered = _with_numbers(found)
        return _of_mapping(numbered, text if numbered == found else values.to_json(numbered, 100_000))
    except ValueError:  # a shape that the format cannot read
        return None


def _of_mapping(found: dict[str, Any], text: str) -> Usage | None:
    if "prompt_tokens" in found or "completion_tokens" in found:
        from otel_agents.wire.providers.openai_chat import OpenAIChat

        return _as_in_a_response(OpenAIChat(), text)
    if any(found.get(name) is not None for name in _ANTHROPIC):
        from otel_agents.wire.providers.anthropic_messages import AnthropicMessages

        return _as_in_a_response(AnthropicMessages(), text)
    if any(name in found for name in _GEMINI):
        from otel_agents.wire.providers.gemini_usage import UsageMetadata, convert

        return convert(msgspec.convert(_camel(found), UsageMetadata))
    if "input_tokens" in found or "output_tokens" in found:
        sent, produced = _mapping(found, "input_tokens_details"), _mapping(found, "output_tokens_details")
        return Usage(
            input=_count(found.get("input_tokens")),
            output=_count(found.get("output_tokens")),
            cache_read=_count(sent.get("cached_tokens")),
            reasoning=_count(produced.get("reasoning_tokens")),
        )
    counts = {name: _count(found[name]) for name in _NAMES if isinstance(found.get(name), (int, float))}
    total = found.get("total", found.get("total_tokens"))
    if ("input" in counts) is not ("output" in counts):  # the other part is the rest of the whole
        other, known = ("output", "input") if "input" in counts else ("input", "output")
        counts[other] = max(_count(total) - counts[known], 0)
    if not counts:
        return _of_total(total)
    return _consistent(Usage(**counts))


def _of_total(total: object) -> Usage | None:
    number = _number(total)
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 <= number <= _MOST:
        return None
    return Usage(unsplit=int(number))


def _number(given: Any) -> Any:
    """Text that is a finite number as that number; anything else as it is."""
    if not isinstance(given, str):
        return given
    try:
        number = float(given)
    except ValueError:
        return given
    if not math.isfinite(number):
        return given
    return int(number) if number == int(number) else number


def _with_numbers(found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _with_numbers(value) if isinstance(value, dict) else _number(value)
        for name, value in found.items()
    }


def _as_in_a_response(wire_format: WireFormat, usage: str) -> Usage | None:
    """The format's own reading: the rules of each provider are written down once, there."""
    from otel_agents.wire.formats import RequestFacts

    body = b'{"usage":' + usage.encode() + b"}"
    return wire_format.read_response(body, False, RequestFacts()).usage


def _camel(found: Any) -> Any:
    """Google's JSON of what its SDK shows with names of Python's style."""
    if isinstance(found, list):
        return [_camel(one) for one in found]
    if not isinstance(found, dict):
        return found
    return {re.sub("_([a-z])", lambda at: at[1].upper(), name): _camel(one) for name, one in found.items()}


def _consistent(usage: Usage) -> Usage:
    """Parts that are larger than their total show that the total was counted without them."""
    cached = usage.cache_read + usage.cache_write
    return Usage(
        input=usage.input if usage.input >= cached else usage.input + cached,
        output=usage.output if usage.output >= usage.reasoning else usage.output + usage.reasoning,
        cache_read=usage.cache_read,
        cache_write=usage.cache_write,
        cache_write_1h=min(usage.cache_write_1h, usage.cache_write),
        reasoning=usage.reasoning,
        input_audio=usage.input_audio,
        output_audio=usage.output_audio,
        cache_audio_read=usage.cache_audio_read,
        unsplit=usage.unsplit,
    )


def _mapping(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    inner = found.get(name)
    return inner if isinstance(inner, dict) else {}


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 0
    return int(value) if 0 <= value <= _MOST else 0
