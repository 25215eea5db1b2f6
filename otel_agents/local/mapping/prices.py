"""List prices of usage buckets, for spans that carry no cost.

Langfuse prices each bucket by a key of the same name in its own table. That table is not here; the
numbers come from genai-prices. Two gaps of the table are kept, because they make real costs too low:
no Claude model has a price for ``output_reasoning_tokens``, and hardly any GPT model has one for
``input_cache_creation``.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from typing import Any, Final

logger = logging.getLogger(__name__)

#: bucket → the genai-prices usage of one million of its tokens.
_BUCKETS: Final[dict[str, dict[str, int]]] = {
    "input": {"input_tokens": 1_000_000},
    "input_cached_tokens": {"input_tokens": 1_000_000, "cache_read_tokens": 1_000_000},
    "input_cache_creation": {"input_tokens": 1_000_000, "cache_write_tokens": 1_000_000},
    "output": {"output_tokens": 1_000_000},
    "output_reasoning_tokens": {"output_tokens": 1_000_000},
    "output_audio_tokens": {"output_tokens": 1_000_000, "output_audio_tokens": 1_000_000},
}


def cost(
    model: str, provider: str | None, usage: Mapping[str, int], strict: bool
) -> tuple[dict[str, Any], list[str]]:
    """USD for each bucket and in total, and the buckets that have tokens but no price.

    Both are empty for a model without prices.
    """
    rates = _rates(model, provider)
    if not rates:
        return {}, []
    if strict:
        rates = dict(rates)
        if "claude" in model:
            rates.pop("output_reasoning_tokens", None)
        elif model.startswith("gpt"):
            rates.pop("input_cache_creation", None)
    found: dict[str, Any] = {
        bucket: count * rates[bucket] for bucket, count in usage.items() if bucket in rates
    }
    if not found:
        return {}, []
    found["total"] = sum(found.values())
    missing = [bucket for bucket, count in usage.items() if count and bucket not in found]
    return found, missing


@functools.lru_cache(maxsize=1024)
def _rates(model: str, provider: str | None) -> dict[str, float]:
    from genai_prices import Usage, calc_price

    found: dict[str, float] = {}
    for bucket, tokens in _BUCKETS.items():
        try:
            try:
                price = calc_price(Usage(**tokens), model, provider_id=provider)
            except LookupError:
                price = calc_price(Usage(**tokens), model)
        except LookupError:
            return {}
        except Exception:
            logger.debug("no price of %s for %s", bucket, model, exc_info=True)
            continue
        found[bucket] = float(price.total_price) / 1_000_000
    return found
