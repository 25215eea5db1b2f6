"""What the price list and one's own contracts say of a model, and how old the list is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib import metadata
from typing import Any, Final

from otel_agents.accounting import contracts, prices
from otel_agents.accounting.aliases import candidates
from otel_agents.accounting.plans import maker

_MILLION: Final = 1_000_000
PACKAGE: Final = "genai-prices"


@dataclass(frozen=True, slots=True)
class Age:
    """How old the price list is.

    Attributes:
        version: of the package that holds it.
        installed: the day it was installed; None when the files do not tell.
        newest: the latest day, up to today, from which a price in it is; the list is at least as new.
    """

    version: str
    installed: date | None
    newest: date | None


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs and who says so.

    Attributes:
        source: ``contract``, ``discount``, ``list`` or ``alias``; empty when there is no price.
        found_as: the contract's name, or provider and model of the list.
        rates: USD for a million tokens of each kind; empty when they depend on size or time.
        comment: the list's, about the price.
    """

    source: str
    found_as: str = ""
    rates: dict[str, Decimal] | None = None
    comment: str = ""


def age(today: date | None = None) -> Age:
    """How old the price list is."""
    from genai_prices.data_snapshot import get_snapshot

    today = today or datetime.now(UTC).date()
    starts = {
        start
        for provider in get_snapshot().providers
        for model in provider.models
        if isinstance(model.prices, list)
        for start in [getattr(getattr(one, "constraint", None), "start_date", None) for one in model.prices]
        if isinstance(start, date) and start <= today
    }
    return Age(metadata.version(PACKAGE), _installed(), max(starts, default=None))


def _installed() -> date | None:
    try:
        files = metadata.distribution(PACKAGE).files or []
        record: Any = next(one for one in files if one.name == "RECORD").locate()
        return datetime.fromtimestamp(record.stat().st_mtime, UTC).date()
    except (StopIteration, OSError):
        return None


def look_up(model: str, provider: str | None = None) -> Price:
    """What a call of ``model`` would cost now, by the same way as calls are priced.

    Args:
        provider: by the conventions' name; by default the one the list knows the model of.
    """
    owner = provider or maker(model) or "openai"
    if contracts.in_force is not None:
        owner, model = contracts.in_force.billed(owner, model)
        own = contracts.in_force.find(owner, model)
        if own is not None and own.discount is None:
            kinds = ("input", "output", "cache_read", "cache_write", "cache_write_1h")
            return Price("contract", own.name, {kind: getattr(own, kind) for kind in kinds})
        if own is not None and own.discount is not None:
            listed = _listed(owner, model)
            share = 1 - own.discount
            rates = (
                None if listed.rates is None else {kind: rate * share for kind, rate in listed.rates.items()}
            )
            return Price("discount" if listed.source else "", f"{own.name} on {listed.found_as}", rates)
    return _listed(owner, model)


def _listed(owner: str, model: str) -> Price:
    from genai_prices.data_snapshot import get_snapshot

    own = prices.provider_id(owner)
    for source, (found_owner, name) in (
        ("list", (own, model)),
        *(("alias", one) for one in candidates(own, model)),
    ):
        try:
            _, info = get_snapshot().find_provider_model(name, None, found_owner, None)
        except LookupError:
            continue
        card = prices._rate_card(found_owner, name, None)
        rates = None
        if card is not None:
            kinds = ("input", "output", "cache_read", "cache_write", "cache_write_1h")
            rates = {kind: getattr(card, kind) * _MILLION for kind in kinds}
        return Price(source, f"{found_owner}/{info.id}", rates, info.price_comments or "")
    return Price("")
