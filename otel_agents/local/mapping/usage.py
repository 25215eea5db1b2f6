"""Token usage: which attribute lands in which bucket, and what the sums then read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from otel_agents.local.findings import Notes
from otel_agents.local.mapping.kinds import json_object

EXPLICIT: Final = "langfuse.observation.usage_details"

_PREFIXES: Final = ("gen_ai.usage.", "llm.token_count.")
_INPUT: Final = ("prompt_tokens", "input_tokens", "prompt")
_OUTPUT: Final = ("completion_tokens", "output_tokens", "completion")
_TOTAL: Final = ("total_tokens", "total")
_CACHE_READ: Final = (
    "cache_read.input_tokens",
    "cache_read_input_tokens",
    "cache_read_tokens",
    "details.cache_read_tokens",
    "details.cache_read_input_tokens",
    "prompt_details.cache_read",
    "input_cached_tokens",
)
_CACHE_WRITE: Final = (
    "cache_creation.input_tokens",
    "cache_creation_input_tokens",
    "cache_write_tokens",
    "details.cache_write_tokens",
    "details.cache_creation_input_tokens",
    "prompt_details.cache_write",
    "input_cache_creation",
)
#: Servers after 4.16 know this one; 4.16 keeps it under its own name, beside the input that includes it.
_CACHE_WRITE_LATER: Final = ("cache_creation.input_tokens", "cache_write.input_tokens", *_CACHE_WRITE[1:])
_REASONING: Final = ("reasoning.output_tokens", "completion_details.reasoning")
_AUDIO_OUT: Final = ("completion_details.audio",)

_OPENAI_SHAPES: Final = (
    ("prompt_tokens", "completion_tokens"),
    ("input_tokens", "output_tokens"),
)
_INTEGER: Final = re.compile(r"\s*[+-]?\d+")


def usage_details(attributes: Mapping[str, Any], strict: bool, notes: Notes) -> dict[str, int]:
    """The usage buckets with their total; empty when there is no usage."""
    found = _explicit(attributes, notes)
    if found is None:
        found = _generic(attributes, strict, notes)
    details = _valid(_openai(found), notes)
    if not details:
        return {}
    if "total" in details:
        if sum(details.values()) - details["total"] > details["total"]:
            notes.add("usage_total_too_low", usage=details)
    else:
        details["total"] = sum(details.values())
    unnamed = details.keys() - {"total"}  # a total alone says that nobody knows how it splits
    if details["total"] and unnamed and not any("input" in key or "output" in key for key in unnamed):
        notes.add("usage_reads_zero", usage=details)
    return details


def sum_of(details: Mapping[str, Any], part: str) -> float | int:
    """Sum of all values whose key contains ``part``, as the API and the metrics read them."""
    return sum(
        value
        for key, value in details.items()
        if part in key and isinstance(value, int | float) and not isinstance(value, bool)
    )


def _explicit(attributes: Mapping[str, Any], notes: Notes) -> dict[str, Any] | None:
    if EXPLICIT not in attributes:
        return None
    given = attributes[EXPLICIT]
    if not isinstance(given, str):
        notes.add("usage_details_invalid", value=given)
        return {}
    found = json_object(given)
    if found is None:
        notes.add("usage_details_invalid", value=given)
        try:
            json.loads(given)
        except ValueError:
            return None  # not JSON at all: the gen_ai attributes are read instead
        return {}
    return found


def _generic(attributes: Mapping[str, Any], strict: bool, notes: Notes) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for key, value in attributes.items():
        for prefix in _PREFIXES:
            if key.startswith(prefix) and key != "gen_ai.usage.cost":
                given.setdefault(key.removeprefix(prefix), value)
    if not given:
        return {}
    cache_write_keys = _CACHE_WRITE if strict else _CACHE_WRITE_LATER
    read = _take(given, _CACHE_READ, notes)
    write = _take(given, cache_write_keys, notes)
    reasoning = _take(given, _REASONING, notes)
    audio = _take(given, _AUDIO_OUT, notes)
    total_in = _take(given, _INPUT, notes)
    total_out = _take(given, _OUTPUT, notes)
    total = _take(given, _TOTAL, notes)
    found: dict[str, Any] = {}
    if total_in is not None:
        found["input"] = max(total_in - (read or 0) - (write or 0), 0)
    if total_out is not None:
        found["output"] = max(total_out - (reasoning or 0) - (audio or 0), 0)
    for bucket, value in (
        ("input_cached_tokens", read),
        ("input_cache_creation", write),
        ("output_reasoning_tokens", reasoning),
        ("output_audio_tokens", audio),
        ("total", total),
    ):
        if value is not None:
            found[bucket] = value
    own = {key.removeprefix("details."): value for key, value in given.items()}
    if any(_number(value) for value in own.values()):
        notes.add("usage_double_counted", buckets=sorted(own))
    return found | own


def _take(given: dict[str, Any], keys: tuple[str, ...], notes: Notes) -> float | int | None:
    """Removes every spelling of a bucket; the value of the first that has a number counts."""
    values = [given.pop(key) for key in keys if key in given]
    for value in values:
        if (number := _number(value)) is not None:
            if number < 0:
                notes.add("usage_value_dropped", value=number)
            return number
    if values:
        notes.add("usage_value_dropped", value=values[0])
    return None


def _number(value: Any) -> float | int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    if isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            return None
        return int(number) if number.is_integer() else number
    return None


def _openai(found: dict[str, Any]) -> dict[str, Any]:
    """OpenAI's own usage object, recognised only when it has exactly its keys."""
    for sent, received in _OPENAI_SHAPES:
        required = {sent, received, "total_tokens"}
        details = {f"{sent}_details": "input", f"{received}_details": "output"}
        if not required <= set(found) or not set(found) <= required | set(details):
            continue
        result = {"input": found[sent], "output": found[received], "total": found["total_tokens"]}
        for key, side in details.items():
            for name, value in (found.get(key) or {}).items():
                if isinstance(value, int) and not isinstance(value, bool):
                    result[f"{side}_{name}"] = value
                    result[side] = max(result[side] - value, 0)
        return result
    return found


def _valid(found: Mapping[str, Any], notes: Notes) -> dict[str, int]:
    """Integers of 0 or more; strings go through JavaScript's parseInt; everything else is dropped."""
    details: dict[str, int] = {}
    for key, value in found.items():
        number = value
        if isinstance(value, str):
            match = _INTEGER.match(value)
            number = int(match.group()) if match else None
        if isinstance(number, float) and number.is_integer():
            number = int(number)
        if isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= 2**53:
            details[key] = number
        elif value is not None:
            notes.add("usage_value_dropped", key=key, value=value)
    return details
