"""Prices of one's own: contracts, discounts and other names, before the price list is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from otel_agents.accounting import CallRecord, Usage, contracts, price
from otel_agents.accounting.metered import MeteredUsage
from otel_agents.config import ConfigError, resolve

FILE = """
[prices."openai/gpt-4o-mini"]
input = 0.10
output = 0.40
cache_read = 0.01
per_call = 0.5

[prices.house-model]
input = 1
output = 2

[prices."anthropic/*"]
discount = 0.25

[prices."anthropic/claude-opus-*"]
input = 3
output = 9
cache_write = 4

[aliases]
Chat-Prod = "openai/gpt-4o-mini"
"azure.ai.openai/fast" = "house-model"
"""

Use = Callable[[str], None]


@pytest.fixture
def use(tmp_path: Path) -> Iterator[Use]:
    def put(text: str) -> None:
        file = tmp_path / "prices.toml"
        file.write_text(text)
        contracts.use(resolve({"prices_file": file}, environ={}, dotenv=False))

    yield put
    contracts.use(resolve(environ={}, dotenv=False))


def cost(provider: str, model: str, **changes: object) -> float | None:
    usage = Usage(input=1_000_000, output=1_000_000, cache_read=500_000)
    call = CallRecord("chat", provider, model, **{"usage": usage, **changes})  # type: ignore[arg-type]
    price(call)
    assert (call.cost is None) == (call.unpriced_reason is not None)
    return call.cost


def test_contract_before_the_price_list(use: Use) -> None:
    use(FILE)
    assert cost("openai", "gpt-4o-mini") == 0.955  # 0.05 + 0.005 + 0.40, and the call
    assert cost("openai", "GPT-4o-mini") == 0.955
    assert cost("anywhere", "house-model") == 3.0  # what is left out costs as much as other input
    assert cost("azure.ai.openai", "fast") == 3.0
    assert cost("openai", "fast") is None


def test_alias_is_billed_as_what_it_names(use: Use) -> None:
    use(FILE)
    assert cost("azure.ai.openai", "chat-prod") == 0.955


def test_alias_of_a_model_on_the_price_list(use: Use) -> None:
    listed = cost("openai", "gpt-4o")
    use('[aliases]\nchat-prod = "openai/gpt-4o"\n')
    assert cost("azure.ai.openai", "chat-prod") == listed


def test_discount_and_the_longer_pattern(use: Use) -> None:
    listed = cost("anthropic", "claude-sonnet-4-5")
    assert listed is not None
    use(FILE)
    assert cost("anthropic", "claude-sonnet-4-5") == pytest.approx(listed * 0.75)
    assert cost("anthropic", "claude-opus-4-5") == 12.0


def test_responding_model_counts_before_the_requested_one(use: Use) -> None:
    use(FILE)
    assert cost("openai", "gpt-4o-mini", response_model="house-model") == 3.0
    assert cost("openai", "house-model", response_model="unheard-of") == 3.0


def test_cost_that_is_known_stays(use: Use) -> None:
    use(FILE)
    assert cost("openai", "gpt-4o-mini", cost=0.25) == 0.25
    assert cost("openai", "gpt-4o-mini", usage=MeteredUsage(input=10, cost=0.125)) == 0.125


@pytest.mark.parametrize("bad", [-0.5, float("nan"), float("inf")])
def test_what_is_no_money_is_priced_anew(bad: float) -> None:
    listed = cost("openai", "gpt-4o-mini")
    assert cost("openai", "gpt-4o-mini", cost=bad) == listed
    metered = MeteredUsage(input=1_000_000, output=1_000_000, cache_read=500_000, cost=bad)
    assert cost("openai", "gpt-4o-mini", usage=metered) == listed
    assert cost("openai", "unheard-of", cost=bad) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[prices.x]\ninput = 1", "prices.x.output is missing"),
        ("[prices.x]\ninput = -1\noutput = 1", "prices.x.input must be a number of at least 0"),
        ("[prices.x]\ninput = true\noutput = 1", "prices.x.input must be a number"),
        ("[prices.'a/b']\ninput = inf\noutput = 1", 'prices."a/b".input must be a number'),
        ("[prices.x]\ndiscount = 1.5", "prices.x.discount must be a number from 0 to 1"),
        ("[prices.x]\ndiscount = 0.5\ninput = 1", "prices.x.input does not go with discount"),
        ("[prices.x]\nname = 'y'", "prices.x.name is not known here"),
        ("[prices.x]\ninputs = 1", "prices.x.inputs is not known here"),
        ("[aliases]\na = 3", "aliases.a must be a model"),
        ("[aliases]\na = 'b'\nb = 'c'", "aliases.a must not name another alias"),
        ("[price.x]\ninput = 1", "price is not known here"),
    ],
)
def test_mistakes_name_file_and_key(use: Use, tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        use(text)
    message = str(raised.value)
    assert message.startswith(f"{tmp_path / 'prices.toml'}: ")
    assert said in message


def test_configure_refuses_a_bad_file(clean_globals: None, tmp_path: Path) -> None:
    import otel_agents

    with pytest.raises(ConfigError, match="OTEL_AGENTS_PRICES_FILE"):
        otel_agents.configure(prices_file=tmp_path / "none.toml")
