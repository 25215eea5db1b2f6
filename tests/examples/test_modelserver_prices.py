"""The ledger's own prices against the price library; and that the server knows neither package."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import genai_prices
import pytest
from modelserver.ledger import Entry, Ledger
from modelserver.prices import CATALOGUE, Bill, answering_name, cost

EXAMPLES = Path(__file__).parents[2] / "examples"


def bills(model: str) -> list[Bill]:
    """Usages that tell every rate of a model apart."""
    entry = CATALOGUE[model]
    plain = [
        Bill(input=1_000, output=0),
        Bill(input=2_000, output=70, reasoning=64),
        Bill(input=9_000, output=7, cache_read=8_192),
        Bill(input=99_999, output=31),
    ]
    if entry.rates.output == 0:
        plain = [Bill(input=1_000)]
    if entry.rates.cache_write is not None:
        plain.append(Bill(input=9_000, output=11, cache_read=1_024, cache_write=2_048))
    if entry.rates.cache_write_1h is not None:
        plain.append(Bill(input=9_000, output=11, cache_read=1_024, cache_write=3_072, cache_write_1h=1_500))
    if entry.long_context is not None:
        start = entry.long_context[0]
        plain += [Bill(input=start, output=5), Bill(input=start + 1, output=5, cache_read=start - 1)]
        plain.append(Bill(input=start + 9_000, output=5, cache_read=1_024, cache_write=5_000))
    return plain


@pytest.mark.parametrize("model", sorted(CATALOGUE))
def test_the_table_agrees_with_the_library(model: str) -> None:
    for name in {model, answering_name(model)}:
        for bill in bills(model):
            counts = {
                "input_tokens": bill.input,
                "output_tokens": bill.output,
                "cache_read_tokens": bill.cache_read,
                "cache_write_tokens": bill.cache_write,
                "cache_write_1h_tokens": bill.cache_write_1h,
            }
            usage = genai_prices.Usage(**{key: count for key, count in counts.items() if count})
            theirs = genai_prices.calc_price(usage, name, provider_id=CATALOGUE[model].provider)
            assert cost(name, bill) == theirs.total_price, bill


def test_a_cost_by_hand() -> None:
    bill = Bill(input=10_000, output=300, cache_read=6_000, cache_write=3_000, cache_write_1h=1_000)
    # 1000 at 2, 6000 at 0.1, 2000 at 2.5, 1000 at 4, 300 at 10, each by the million
    assert cost("claude-sonnet-5-5", bill) == Decimal("0.0146")
    assert cost("some-model-of-mine", bill) is None


def test_sums_of_the_ledger_by_hand() -> None:
    def entry(model: str, bill: Bill, cut: bool = False) -> Entry:
        path = "/v1/chat/completions"
        made = Entry("req", "id", "openai", "chat", path, model, model, False, bill)
        made.partial, made.reported = cut, not cut
        return made

    ledger = Ledger()
    ledger.bill(entry("gpt-4o", Bill(input=1_000, output=100, cache_read=512)))
    ledger.bill(entry("gpt-4o", Bill(input=10, output=1), cut=True))
    ledger.bill(entry("my-own", Bill(input=7, output=3, reasoning=2)))
    ledger.error(429)
    ledger.error(429)
    sums = ledger.snapshot(records=False)
    assert sums["models"].pop("my-own")["cost"] == "0"
    assert sums["models"].pop("gpt-4o")["input"] == 1_010
    assert sums == {
        "calls": 3,
        "input": 1_017,
        "output": 104,
        "cache_read": 512,
        "cache_write": 0,
        "cache_write_1h": 0,
        "reasoning": 2,
        # 488 * 2.5 + 512 * 1.25 + 100 * 10, and 10 * 2.5 + 1 * 10, by the million
        "cost": "0.002895",
        "unpriced_calls": 1,
        "models": {},
        "partial": sums["partial"],
        "unreported": sums["partial"],
        "errors": {"429": 2},
    }
    assert sums["partial"]["cost"] == "0.000035"
    ledger.reset()
    assert ledger.snapshot()["calls"] == 0


def test_the_server_is_an_independent_witness() -> None:
    script = (
        "import sys; import modelserver.__main__; "
        "print([m for m in sys.modules if m.split('.')[0] in ('otel_agents', 'genai_prices')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=EXAMPLES, check=True
    )
    assert done.stdout.strip() == "[]"
    for file in (EXAMPLES / "modelserver").glob("*.py"):
        source = file.read_text(encoding="utf-8")
        assert "import otel_agents" not in source
        assert "from otel_agents" not in source
        assert "genai_prices" not in source
