"""Providers' exports, and what is made of them beside what was recorded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from otel_agents.accounting.invoices import Invoice, InvoiceError, Line, read
from otel_agents.accounting.reconciling import canonical, reconcile

OPENAI_USAGE = """\
start_time,end_time,start_time_iso,end_time_iso,project_id,num_model_requests,model,batch,input_tokens,output_tokens,input_cached_tokens,input_uncached_tokens
1759622400,1759708800,2025-10-05T00:00:00+00:00,2025-10-06T00:00:00+00:00,p,12,gpt-5-mini-2025-08-07,false,15000,700,9000,6000
1759708800,1759795200,2025-10-06T00:00:00+00:00,2025-10-07T00:00:00+00:00,,,,,,,,
"""
OPENAI_COST = """\
start_time,start_time_iso,amount_value,amount_currency,line_item,project_id
1759622400,2025-10-05T00:00:00+00:00,0.8958740000000000,usd,"gpt-5-mini-2025-08-07, input",p
1759622400,2025-10-05T00:00:00+00:00,0.1,usd,"gpt-5-mini-2025-08-07, output",p
1759968000,2025-10-09T00:00:00+00:00,,,,
"""
ANTHROPIC_USAGE = """\
usage_date_utc,model_version,api_key,workspace,usage_type,context_window,usage_input_tokens_no_cache,usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,usage_output_tokens,web_search_count,inference_geo,speed
2026-03-22,claude-haiku-4-5-20251001,key,Default,standard,≤ 200k,50000,100,20,3,2000,0,not_available,
"""
ANTHROPIC_COST = """\
usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,list_price_usd,cost_type
2026-03-22,Claude Haiku 4.5,Default,key,message,≤ 200k,input_no_cache,0.05,0.05,token
2026-03-22,Claude Haiku 4.5,Default,key,message,≤ 200k,output,0.02,0.02,token
"""


def export(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "invoice.csv"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            OPENAI_USAGE,
            Invoice("openai", [Line(date(2025, 10, 5), "gpt-5-mini-2025-08-07", None, 15000, 700, 12)]),
        ),
        (
            OPENAI_COST,
            Invoice(
                "openai",
                [
                    Line(date(2025, 10, 5), "gpt-5-mini-2025-08-07", Decimal("0.8958740000000000")),
                    Line(date(2025, 10, 5), "gpt-5-mini-2025-08-07", Decimal("0.1")),
                ],
            ),
        ),
        (
            ANTHROPIC_USAGE,
            Invoice("anthropic", [Line(date(2026, 3, 22), "claude-haiku-4-5-20251001", None, 50123, 2000)]),
        ),
        (
            ANTHROPIC_COST,
            Invoice(
                "anthropic",
                [
                    Line(date(2026, 3, 22), "Claude Haiku 4.5", Decimal("0.05")),
                    Line(date(2026, 3, 22), "Claude Haiku 4.5", Decimal("0.02")),
                ],
            ),
        ),
        (
            '\ufeffDate;Model Name;Cost;Requests\n2026/1/3;m;"1,5";2\n',
            Invoice("generic", [Line(date(2026, 1, 3), "m", Decimal("1.5"), None, None, 2)]),
        ),
        (
            'day\tnote\tAmount (USD)\n1759622400\tx\t"$1,234.5"\n',
            Invoice("generic", [Line(date(2025, 10, 5), "", Decimal("1234.5"))]),
        ),
        (
            "Timestamp,Prompt Tokens,Completion Tokens\n2026-01-01T23:30:00-02:00,10,5\n",
            Invoice("generic", [Line(date(2026, 1, 2), "", None, 10, 5)]),
        ),
    ],
    ids=["openai usage", "openai cost", "anthropic usage", "anthropic cost", "semicolons", "tabs", "zones"],
)
def test_exports(tmp_path: Path, text: str, expected: Invoice) -> None:
    assert read(export(tmp_path, text)) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("a,b\n1,2\n", "no column with the day; it may be called usage_date_utc"),
        ("date,model\n2026-01-01,m\n", "no column with cost or tokens"),
        ("date,cost\n", "holds no rows with a cost or tokens"),
        ("date,cost\n2026-01-01,\n", "holds no rows"),
        ("date,Cost\n2026-01-01,1\n2026-01-02,much\n", "row 3: Cost must be a number, not 'much'"),
        ("date,cost\nyesterday,1\n", "row 2: date must be a day such as 2026-01-31, not 'yesterday'"),
        ("date,cost\n01/02/2026,1\n", "row 2: date must be a day"),
        (
            "date,cost\n2026-01-01,1\n9999-12-31,1\n",
            "row 3: date must be a day such as 2026-01-31, not '9999",
        ),
        ("date,cost\n0001-01-01T00:00+14:00,1\n", "row 2: date must be a day such as 2026-01-31"),
        ("date,cost,currency\n2026-01-01,1,EUR\n", "row 2: currency must be usd, not 'EUR'"),
    ],
)
def test_mistakes_name_file_and_place(tmp_path: Path, text: str, said: str) -> None:
    file = export(tmp_path, text)
    with pytest.raises(InvoiceError) as raised:
        read(file)
    assert str(raised.value).startswith(f"{file}: ")
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(InvoiceError, match="cannot be read"):
        read(tmp_path / "none.csv")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvoiceError, match="not UTF-8"):
        read(tmp_path / "binary")


@dataclass
class Call:
    start: datetime
    model: str | None
    cost: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0


DAY = date(2026, 3, 22)
NOON = datetime(2026, 3, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Claude Haiku 4.5", "claude-haiku-4-5-20251001"),
        ("gpt-5-mini-2025-08-07", "gpt-5-mini"),
        ("openai/gpt-4o", "GPT-4o"),
        ("claude-sonnet-4@20250514", "claude-sonnet-4"),
    ],
)
def test_names_of_one_model(one: str, other: str) -> None:
    assert canonical(one) == canonical(other)


def test_by_day_and_model() -> None:
    invoice = Invoice(
        "anthropic",
        [
            Line(DAY, "Claude Haiku 4.5", Decimal("1.00")),
            Line(DAY, "Claude Haiku 4.5", Decimal("0.50")),
            Line(DAY, "Claude Opus 4.5", Decimal(4)),
            Line(DAY, "web search", Decimal(1)),
        ],
    )
    calls = [
        Call(NOON, "claude-haiku-4-5-20251001", 1.0),
        Call(NOON, "claude-haiku-4-5", 0.505),
        Call(NOON, "claude-opus-4-5", 3.0),
        Call(NOON, "claude-sonnet-4-5", 0.25),
        Call(NOON, "gpt-4o", 99.0),  # another provider's
        Call(NOON.replace(day=23), "claude-opus-4-5", 99.0),  # another day
    ]
    makers = {"claude-sonnet-4-5": "anthropic", "gpt-4o": "openai"}
    found = reconcile(invoice, calls, maker=makers.get)
    assert [(row.model, row.billed.cost, row.recorded.cost, row.status) for row in found.rows] == [
        ("Claude Haiku 4.5", 1.5, 1.505, "ok"),
        ("Claude Opus 4.5", 4.0, 3.0, "differs"),
        ("claude-sonnet-4-5", None, 0.25, "not billed"),
        ("web search", 1.0, None, "not recorded"),
    ]
    assert found.rows[1].difference("cost") == -1.0
    assert found.rows[1].share("cost") == -0.25
    assert (found.total.billed.cost, found.total.recorded.cost) == (6.5, 4.755)
    assert not found.agrees


def test_a_call_that_failed_and_used_nothing_is_nothing_to_bill() -> None:
    invoice = Invoice("generic", [Line(DAY, "gpt-4o", Decimal(1))])
    found = reconcile(invoice, [Call(NOON, "gpt-4o", 1.0), Call(NOON, "no-such-model", None)])
    assert found.agrees
    assert [row.status for row in found.rows] == ["ok", "ok"]
    assert not reconcile(invoice, [Call(NOON, "gpt-4o", 1.0), Call(NOON, "unknown", None, 5, 0)]).agrees


def test_tokens_where_there_is_no_cost() -> None:
    invoice = Invoice("openai", [Line(DAY, "gpt-4o", None, 1000, 100, 2)])
    calls = [Call(NOON, "gpt-4o", 0.1, 500, 50), Call(NOON, "gpt-4o", 0.1, 500, 50)]
    assert reconcile(invoice, calls).agrees
    assert not reconcile(invoice, calls[:1]).agrees
    assert reconcile(invoice, calls[:1], tolerance=0.5).agrees


def test_days_where_models_are_not_told_apart() -> None:
    invoice = Invoice("generic", [Line(DAY, "", Decimal(2))])
    found = reconcile(invoice, [Call(NOON, "a", 1.5), Call(NOON, "b", 0.5)])
    assert [(row.model, row.recorded.cost, row.recorded.calls) for row in found.rows] == [
        ("(all models)", 2.0, 2)
    ]
    assert found.agrees
