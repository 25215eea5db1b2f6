"""What the models cost, as the providers' price pages say it: the ledger's own fixed table.

On purpose written out by hand and computed with decimals, so that the ledger is an independent
witness: nothing here comes from the package that is being tested, nor from its price library.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

_MILLION: Final = Decimal(1_000_000)
#: USD for one search of OpenAI's web search tool.
_SEARCH: Final = Decimal("0.01")
_FREE: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Rates:
    """USD per million tokens. Writing to the cache and sound cost as much as plain input where None.

    ``hour`` is USD for an hour of sound, ``characters`` USD for a million characters read aloud.
    """

    input: Decimal
    cache_read: Decimal
    output: Decimal
    cache_write: Decimal | None = None
    cache_write_1h: Decimal | None = None
    audio: Decimal | None = None
    hour: Decimal = Decimal(0)
    characters: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Model:
    """One model of the catalogue.

    Attributes:
        provider: "openai", "anthropic", "google", "mistral" or "cohere".
        rates: prices of a call.
        snapshot: the dated name that answers carry, where the provider reports one.
        long_context: (tokens, rates): a prompt of more tokens is billed at these rates altogether.
        skill: how good the scripted answers are, 1 (poor) to 5 (good).
        reasons: whether the model thinks before it answers, unless told not to.
    """

    provider: str
    rates: Rates
    snapshot: str | None = None
    long_context: tuple[int, Rates] | None = None
    skill: int = 3
    reasons: bool = False


@dataclass(frozen=True, slots=True)
class Bill:
    """Tokens of one call: input includes the cache, output includes reasoning, as in the ledger.

    Attributes:
        cache_write: all tokens written to the cache; ``cache_write_1h`` is the part of them that
            stays for an hour.
        audio: the part of the input that is sound.
        seconds, characters, web_searches: billed by the piece.
    """

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    reasoning: int = 0
    audio: int = 0
    seconds: int = 0
    characters: int = 0
    web_searches: int = 0


def _rates(input_: str, cache_read: str, output: str, write: str = "", write_1h: str = "") -> Rates:
    return Rates(
        Decimal(input_),
        Decimal(cache_read),
        Decimal(output),
        Decimal(write) if write else None,
        Decimal(write_1h) if write_1h else None,
    )


CATALOGUE: Final[dict[str, Model]] = {
    "gpt-5.6-terra": Model(
        "openai",
        _rates("2", "0.2", "12", "2.5"),
        long_context=(272_000, _rates("4", "0.4", "18", "5")),
        skill=4,
        reasons=True,
    ),
    "gpt-5.4-mini": Model(
        "openai", _rates("0.75", "0.075", "4.5"), "gpt-5.4-mini-2026-03-17", skill=2, reasons=True
    ),
    "gpt-5.2": Model("openai", _rates("1.75", "0.175", "14"), reasons=True),
    "gpt-5-mini": Model("openai", _rates("0.25", "0.025", "2"), "gpt-5-mini-2025-08-07", reasons=True),
    "gpt-4.1": Model("openai", _rates("2", "0.5", "8"), "gpt-4.1-2025-04-14"),
    "gpt-4o": Model("openai", _rates("2.5", "1.25", "10"), "gpt-4o-2024-08-06"),
    "gpt-4o-mini": Model("openai", _rates("0.15", "0.075", "0.6"), "gpt-4o-mini-2024-07-18", skill=1),
    "o4-mini": Model("openai", _rates("1.1", "0.275", "4.4"), "o4-mini-2025-04-16", reasons=True),
    "text-embedding-3-small": Model("openai", _rates("0.02", "0.02", "0")),
    "text-embedding-3-large": Model("openai", _rates("0.13", "0.13", "0")),
    "gpt-image-1": Model("openai", _rates("5", "1.25", "40")),
    "gpt-4o-transcribe": Model(
        "openai", Rates(Decimal("2.5"), Decimal("2.5"), Decimal("10"), audio=Decimal("6"))
    ),
    "whisper-1": Model("openai", Rates(_FREE, _FREE, _FREE, hour=Decimal("0.36"))),
    "tts-1": Model("openai", Rates(_FREE, _FREE, _FREE, characters=Decimal("15"))),
    "gpt-4o-mini-tts": Model("openai", _rates("0.6", "0.6", "12")),
    "claude-opus-5-5": Model("anthropic", _rates("4", "0.2", "20", "5", "8"), skill=5),
    "claude-sonnet-5-5": Model("anthropic", _rates("2", "0.1", "10", "2.5", "4"), skill=5),
    "claude-haiku-5-5": Model(
        "anthropic",
        _rates("0.1", "0.01", "0.5", "0.125", "0.2"),
        long_context=(100_000, _rates("0.5", "0.05", "2.5", "0.625", "1")),
        skill=2,
    ),
    "claude-haiku-4-5": Model(
        "anthropic", _rates("1", "0.1", "5", "1.25", "2"), "claude-haiku-4-5-20251001", skill=2
    ),
    "claude-opus-4-8": Model("anthropic", _rates("5", "0.5", "25", "6.25", "10"), skill=5),
    "gemini-2.5-flash": Model("google", _rates("0.3", "0.03", "2.5")),
    "gemini-2.5-pro": Model(
        "google",
        _rates("1.25", "0.125", "10"),
        long_context=(200_000, _rates("2.5", "0.25", "15")),
        skill=4,
    ),
    "gemini-embedding-001": Model("google", _rates("0.15", "0.15", "0")),
    "mistral-medium-2508": Model("mistral", _rates("0.4", "0.04", "2")),
    "codestral-2508": Model("mistral", _rates("0.3", "0.03", "0.9"), skill=4),
    "command-a-03-2025": Model("cohere", _rates("2.5", "2.5", "10")),
    "embed-v4.0": Model("cohere", _rates("0.12", "0.12", "0")),
}

_BY_SNAPSHOT: Final = {model.snapshot: name for name, model in CATALOGUE.items() if model.snapshot}


def find(name: str) -> Model | None:
    """The catalogue's model of that name or dated name; None for a model that has no price here."""
    return CATALOGUE.get(_BY_SNAPSHOT.get(name, name))


def deployed(name: str) -> str:
    """The model behind a deployment at Azure: the longest known name that the deployment's ends with."""
    return max((known for known in CATALOGUE if name.endswith(known)), key=len, default=name)


def answering_name(name: str) -> str:
    """The name that the provider's answer carries for a request for ``name``."""
    model = CATALOGUE.get(name)
    return (model.snapshot or name) if model else name


def cost(name: str, bill: Bill) -> Decimal | None:
    """USD, exact, for one call; None when the model has no price here."""
    model = find(name)
    if model is None:
        return None
    rates = model.rates
    if model.long_context is not None and bill.input > model.long_context[0]:
        rates = model.long_context[1]
    write = rates.cache_write if rates.cache_write is not None else rates.input
    write_1h = rates.cache_write_1h if rates.cache_write_1h is not None else write
    total = (
        rates.input * (bill.input - bill.cache_read - bill.cache_write)
        + rates.cache_read * bill.cache_read
        + write * (bill.cache_write - bill.cache_write_1h)
        + write_1h * bill.cache_write_1h
        + rates.output * bill.output
        + ((rates.audio or rates.input) - rates.input) * bill.audio
        + rates.characters * bill.characters
    )
    return total / _MILLION + rates.hour * bill.seconds / 3600 + _SEARCH * bill.web_searches
