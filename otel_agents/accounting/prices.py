"""What a call costs: prices from genai-prices, turned into a rate card a model.

The library finds the model and knows the prices; that takes about 90 us a call. Most prices are
plain (so many dollars a token of each kind), so the library is asked once a model for the price of
a million tokens of each kind, and a call's cost is then a sum of six products. Prices that depend
on the size of the prompt or on the time of day are asked of the library at every call.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Final

from otel_agents.accounting import contracts
from otel_agents.accounting.aliases import SELF_HOSTED, candidates
from otel_agents.accounting.metered import MeteredUsage
from otel_agents.accounting.record import NO_MODEL, NO_SPLIT, NO_USAGE, UNKNOWN_MODEL, CallRecord
from otel_agents.accounting.usage import Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice, PriceContext

    from otel_agents.accounting.contracts import Contract

logger = logging.getLogger(__name__)

_MILLION: Final = 1_000_000
#: Seconds after which a rate card is made anew (prices can change on a date).
_CARD_LIFETIME: Final = 300.0
_CARD_LIMIT: Final = 1024

_BEDROCK: Final = "aws.bedrock"

#: The conventions' provider names → genai-prices' provider ids, where they differ.
_PROVIDER_IDS: Final = {
    _BEDROCK: "aws",
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "gcp.gemini": "google",
    "gcp.vertex_ai": "google",
    "gcp.gen_ai": "google",
    "mistral_ai": "mistral",
    "x_ai": "x-ai",
}


@dataclass(frozen=True, slots=True)
class RateCard:
    """USD for one token of each disjoint kind; exact decimals, since they are summed over years."""

    input: Decimal
    cache_read: Decimal
    cache_write: Decimal
    cache_write_1h: Decimal
    output: Decimal

    def cost(self, usage: Usage) -> Decimal:
        """USD for ``usage``. Reasoning tokens are billed as output by every provider."""
        plain = max(usage.input - usage.cache_read - usage.cache_write, 0)
        total = self.input * plain + self.output * usage.output
        if usage.cache_read:
            total += self.cache_read * usage.cache_read
        if usage.cache_write:
            total += self.cache_write * (usage.cache_write - usage.cache_write_1h)
            total += self.cache_write_1h * usage.cache_write_1h
        return total


class _Unpriced(Exception):
    """No price is known for the model."""


#: Stands for a model that the library does not know.
_UNKNOWN: Final = RateCard(*[Decimal(0)] * 5)

#: Provider, model and service tier → when the card was made, and the card; None: the library has to be asked.
_cards: dict[tuple[str, str, str | None], tuple[float, RateCard | None]] = {}
_NO_CARD: Final = (0.0, None)
_cards_lock = threading.Lock()
_warm = threading.Event()


def price(record: CallRecord) -> None:
    """Fills ``record.cost`` (USD) or ``record.unpriced_reason``. Never raises.

    A cost that is already there stays, unless it is no amount of money. A failed call without usage
    costs nothing and is not counted as unpriced.
    """
    if record.cost is not None:
        if 0 <= record.cost < math.inf:
            return
        record.cost = None
    if record.usage is None:
        if record.error_type is None:
            record.unpriced_reason = NO_USAGE
        return
    if (card := _card_at_hand(record, record.usage)) is not None:
        record.cost = float(card.cost(record.usage))
        return
    if isinstance(record.usage, MeteredUsage):
        said = record.usage.cost
        if said is not None and 0 <= said < math.inf:
            record.cost = said
            return
    if record.usage.unsplit:
        record.unpriced_reason = NO_SPLIT
        return
    models = [model for model in (record.response_model, record.request_model) if model]
    if not models:
        record.unpriced_reason = NO_MODEL
        return
    if record.provider == _BEDROCK:
        models.reverse()  # its answers say Anthropic's name, which lacks the region that the price depends on
    shares = record.usage.shares if isinstance(record.usage, MeteredUsage) else ()
    if not shares:
        cost = _found(record, models, record.usage)
    else:
        parts = [_found(record, [model] if model else models, usage) for model, usage in shares]
        known = [part for part in parts if part is not None]
        cost = sum(known, Decimal(0)) if len(known) == len(parts) else None
    if cost is None:
        record.unpriced_reason = UNKNOWN_MODEL
    else:
        record.cost = float(cost)


def _card_at_hand(record: CallRecord, usage: Usage) -> RateCard | None:
    """The card that was made for the model before, where it is all that counts: nearly always."""
    if type(usage) is not Usage or usage.unsplit or usage.input_audio or usage.output_audio:
        return None
    if contracts.in_force is not None or record.provider == _BEDROCK:
        return None
    model = record.response_model or record.request_model or ""
    made, card = _cards.get((record.provider, model, record.service_tier), _NO_CARD)
    return None if card is _UNKNOWN or time.monotonic() - made > _CARD_LIFETIME else card


def _found(record: CallRecord, models: list[str], usage: Usage) -> Decimal | None:
    """USD for ``usage`` of the first of the models that has a price; the first is what is billed."""
    named = [(record.provider, model) for model in models]
    own: Contract | None = None
    if contracts.in_force is not None:
        named = [contracts.in_force.billed(*one) for one in named]
        own = next((found for one in named if (found := contracts.in_force.find(*one))), None)
        if own is not None and own.discount is None:
            return own.cost(usage)
    for provider, model in chain(named, _aliases(named)):
        try:
            cost = _cost(provider, model, record.service_tier, usage)
            return cost if own is None or own.discount is None else cost * (1 - own.discount)
        except _Unpriced:
            continue
        except Exception:
            logger.debug("no price for %s %s", provider, model, exc_info=True)
    return None


def _aliases(named: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The first other name of each model that has a price; only asked for when its own has none."""
    for provider, model in named:
        known = _known_alias(provider_id(provider), model, int(time.monotonic() / _CARD_LIFETIME))
        if known is not None:
            yield known


@lru_cache(_CARD_LIMIT)
def _known_alias(provider: str, model: str, period: int) -> tuple[str, str] | None:
    """``period`` only makes the answer forgotten when prices may have changed."""
    for candidate in candidates(provider, model, listed=_is_listed(provider)):
        try:
            _is_plain(*candidate)
        except _Unpriced:
            continue
        return candidate
    return None


def _is_listed(provider: str) -> bool:
    """Whether the price library knows the provider, or it serves models on one's own machines."""
    from genai_prices.data_snapshot import get_snapshot

    if provider in SELF_HOSTED:
        return True  # whatever the model is called there, nobody bills it
    return any(one.id == provider or one.id.startswith(f"{provider}_") for one in get_snapshot().providers)


def warm_up() -> None:
    """Imports the price data (about half a second) so that no call has to wait for it."""
    if not _warm.is_set():
        import genai_prices.data_snapshot

        genai_prices.data_snapshot.get_snapshot()
        _warm.set()


def _cost(provider: str, model: str, tier: str | None, usage: Usage) -> Decimal:
    key = (provider, model, tier)
    now = time.monotonic()
    cached = _cards.get(key)
    if cached is None or now - cached[0] > _CARD_LIFETIME:
        try:
            card = _rate_card(provider, model, tier)
        except _Unpriced:
            card = _UNKNOWN  # looking for what is not there takes as long as finding what is
        with _cards_lock:
            if len(_cards) >= _CARD_LIMIT:
                _cards.clear()
            _cards[key] = (now, card)
    else:
        card = cached[1]
    if card is _UNKNOWN:
        raise _Unpriced(model)
    if card is None or usage.input_audio or usage.output_audio or isinstance(usage, MeteredUsage):
        return _library_cost(provider, model, tier, usage)
    return card.cost(usage)


def _library_cost(provider: str, model: str, tier: str | None, usage: Usage) -> Decimal:
    """The library's own answer for this very usage."""
    import genai_prices

    try:
        return genai_prices.calc_price(
            _library_usage(usage),
            model,
            provider_id=provider_id(provider),
            price_context=_price_context(tier),
        ).total_price
    except LookupError as missing:
        raise _Unpriced(model) from missing


def _library_usage(usage: Usage) -> object:
    from genai_prices import Usage as LibraryUsage

    known = {
        "input_tokens": usage.input,
        "output_tokens": usage.output,
        "cache_read_tokens": usage.cache_read,
        "cache_write_tokens": usage.cache_write,
        "cache_write_1h_tokens": usage.cache_write_1h,
        "input_audio_tokens": usage.input_audio,
        "output_audio_tokens": usage.output_audio,
        "cache_audio_read_tokens": usage.cache_audio_read,
    }
    more = usage.meters() if isinstance(usage, MeteredUsage) else {}
    return LibraryUsage(**{name: count for name, count in known.items() if count}, **more)


def _rate_card(provider: str, model: str, tier: str | None) -> RateCard | None:
    """The model's rates, or None when its price is not plain.

    Raises:
        _Unpriced: the library does not know the model.
    """
    if not _is_plain(provider, model):
        return None

    def rate(usage: Usage) -> Decimal:
        return _library_cost(provider, model, tier, usage) / _MILLION

    return RateCard(
        input=rate(Usage(input=_MILLION)),
        cache_read=rate(Usage(input=_MILLION, cache_read=_MILLION)),
        cache_write=rate(Usage(input=_MILLION, cache_write=_MILLION)),
        cache_write_1h=rate(Usage(input=_MILLION, cache_write=_MILLION, cache_write_1h=_MILLION)),
        output=rate(Usage(output=_MILLION)),
    )


def _is_plain(provider: str, model: str) -> bool:
    """Whether the model has one price for each kind of token, at all times and sizes."""
    from genai_prices.data_snapshot import get_snapshot

    try:
        _, info = get_snapshot().find_provider_model(model, None, provider_id(provider), None)
    except LookupError as missing:
        raise _Unpriced(model) from missing
    prices: ModelPrice | list[object] = info.prices  # type: ignore[assignment]
    if isinstance(prices, list):
        return False
    values = vars(prices)
    # A price for each request, or for a kind of token that the card lacks, is left to the library.
    # What is billed by the piece is only in a MeteredUsage, which never goes by the card.
    known = {
        "input_mtok",
        "cache_read_mtok",
        "cache_write_mtok",
        "cache_write_1h_mtok",
        "output_mtok",
        "input_audio_mtok",
        "output_audio_mtok",
        "cache_audio_read_mtok",
        "input_image_mtok",
        "output_image_mtok",
        "cache_image_read_mtok",
        "web_searches_kcount",
        "storage_searches_kcount",
    }
    return all(
        value is None or (name in known and isinstance(value, Decimal)) for name, value in values.items()
    )


def provider_id(provider: str) -> str:
    """The price library's id of a provider that the conventions name otherwise."""
    return _PROVIDER_IDS.get(provider, provider)


def _price_context(tier: str | None) -> PriceContext | None:
    return {"service_tier": tier} if tier else None
