"""Prices of one's own: what a contract says instead of the price list, and other names of models.

The file (``OTEL_AGENTS_PRICES_FILE``, TOML or YAML); prices are USD for a million tokens::

    [prices."openai/gpt-5-mini"]    # provider/model, or a model at any provider; * at the end matches more
    input = 0.20
    output = 1.60
    cache_read = 0.02               # what is left out costs as much as other input, or other output
    cache_write = 0.25
    per_call = 0.0001               # USD for each call, whatever its size

    [prices."anthropic/*"]
    discount = 0.15                 # share off the price list

    [aliases]
    "chat-prod" = "azure/gpt-5-mini"    # a deployment's or gateway's name → what it is billed as

A name without ``*`` counts before one with it, and a longer one before a shorter. A cost that the provider
itself reports with a call stays: discounts are in it. So does one that the app gives.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from otel_agents.accounting import files

if TYPE_CHECKING:
    from otel_agents.accounting.usage import Usage
    from otel_agents.config import Settings

SETTING: Final = "OTEL_AGENTS_PRICES_FILE"
_MILLION: Final = 1_000_000
_REMEMBERED: Final = 4096


@dataclass(frozen=True, slots=True)
class Contract:
    """What one model costs: USD for a million tokens of each disjoint kind, or a share off the list.

    Attributes:
        name: as in the file.
        discount: share off the price list, from 0 to 1; None when there are prices.
        per_call: USD.
    """

    name: str
    discount: Decimal | None = None
    input: Decimal = Decimal(0)
    output: Decimal = Decimal(0)
    cache_read: Decimal = Decimal(0)
    cache_write: Decimal = Decimal(0)
    cache_write_1h: Decimal = Decimal(0)
    input_audio: Decimal = Decimal(0)
    output_audio: Decimal = Decimal(0)
    per_call: Decimal = Decimal(0)

    def cost(self, usage: Usage) -> Decimal:
        """USD for ``usage``."""
        audio = max(usage.input_audio - usage.cache_audio_read, 0)
        plain = max(usage.input - usage.cache_read - usage.cache_write - audio, 0)
        counted = (
            self.input * plain
            + self.input_audio * audio
            + self.cache_read * usage.cache_read
            + self.cache_write * (usage.cache_write - usage.cache_write_1h)
            + self.cache_write_1h * usage.cache_write_1h
            + self.output * (usage.output - usage.output_audio)
            + self.output_audio * usage.output_audio
        )
        return counted / _MILLION + self.per_call


@dataclass(slots=True)
class Contracts:
    """What a file says. Names are compared without regard to case."""

    exact: dict[str, Contract]
    patterns: list[Contract]
    aliases: dict[str, str]
    _found: dict[tuple[str, str], Contract | None] = field(default_factory=dict)

    def find(self, provider: str, model: str) -> Contract | None:
        """The contract for a model at a provider (by the conventions' name or the price list's)."""
        key = (provider, model)
        try:
            return self._found[key]
        except KeyError:
            pass
        if len(self._found) >= _REMEMBERED:
            self._found.clear()
        found = self._found[key] = self._look_up(provider.lower(), model.lower())
        return found

    def _look_up(self, provider: str, model: str) -> Contract | None:
        from otel_agents.accounting.prices import provider_id

        names = list(dict.fromkeys((f"{provider}/{model}", f"{provider_id(provider)}/{model}", model)))
        for name in names:
            if name in self.exact:
                return self.exact[name]
        for contract in self.patterns:
            if any(fnmatchcase(name, contract.name.lower()) for name in names):
                return contract
        return None

    def billed(self, provider: str, model: str) -> tuple[str, str]:
        """Provider and model that a name is billed as: itself, when it is no alias."""
        lowered = model.lower()
        target = self.aliases.get(f"{provider.lower()}/{lowered}") or self.aliases.get(lowered)
        if target is None:
            return provider, model
        owner, slash, rest = target.partition("/")
        return (owner, rest) if slash else (provider, target)


#: Contracts that count now; None when there is no file.
in_force: Contracts | None = None


def use(settings: Settings) -> None:
    """Puts the settings' file in force, or nothing when there is none.

    Raises:
        otel_agents.ConfigError: one line that names the file and the key.
    """
    global in_force
    in_force = load(settings)


def load(settings: Settings) -> Contracts | None:
    """What the settings' file says; None when there is no file. Errors are those of :func:`use`."""
    if settings.prices_file is None:
        return None
    top = files.read(settings.prices_file, SETTING)
    top.known(("aliases", "prices"))
    found = [_contract(name, table) for name, table in top.tables("prices").items()]
    aliases = {} if (table := top.table("aliases")) is None else _aliases(table)
    return Contracts(
        {one.name.lower(): one for one in found if "*" not in one.name},
        sorted((one for one in found if "*" in one.name), key=lambda one: -len(one.name)),
        aliases,
    )


#: What is left out costs as much as this.
_SAME_AS: Final = {
    "cache_read": "input",
    "cache_write": "input",
    "cache_write_1h": "cache_write",
    "input_audio": "input",
    "output_audio": "output",
}


def _contract(name: str, table: files.Table) -> Contract:
    table.known(one.name for one in fields(Contract) if one.name != "name")
    discount = table.number("discount", "share off the price list", 1.0)
    if discount is not None:
        if others := sorted(set(table.values) - {"discount"}):
            raise table.error(others[0], "does not go with discount; give prices or a discount")
        return Contract(name, discount)
    rates: dict[str, Decimal] = {}
    for key in ("input", "output"):
        rate = table.number(key, "USD for a million tokens")
        if rate is None:
            raise table.error(key, "is missing; give USD for a million tokens, 0 for none, or a discount")
        rates[key] = rate
    for key, other in _SAME_AS.items():
        rate = table.number(key, "USD for a million tokens")
        rates[key] = rates[other] if rate is None else rate
    return Contract(name, None, **rates, per_call=table.number("per_call", "USD") or Decimal(0))


def _aliases(table: files.Table) -> dict[str, str]:
    aliases: dict[str, str] = {}
    for name, target in table.values.items():
        if not isinstance(target, str) or not target.strip():
            raise table.error(name, f"must be a model, or provider/model, not {target!r}")
        aliases[name.lower()] = target.strip()
    for name, target in aliases.items():
        if any(spelling in aliases for spelling in _spellings(target)):
            raise table.error(name, f"must not name another alias ({target})")
    return aliases


def _spellings(target: str) -> Iterable[str]:
    yield target.lower()
    yield target.lower().partition("/")[2]
