"""The examples in docs/money.md are files that are taken as they are."""

from __future__ import annotations

import re
from pathlib import Path

from otel_agents.accounting import contracts, plans
from otel_agents.config import resolve

DOCS = (Path(__file__).parents[2] / "docs" / "money.md").read_text(encoding="utf-8")


def example(name: str, folder: Path) -> Path:
    found = re.search(rf"<!-- {name} -->\n```toml\n(.*?)```", DOCS, re.DOTALL)
    assert found is not None
    file = folder / f"{name}.toml"
    file.write_text(found[1], encoding="utf-8")
    return file


def test_prices(tmp_path: Path) -> None:
    file = example("prices", tmp_path)
    found = contracts.load(resolve({"prices_file": file}, environ={}, dotenv=False))
    assert found is not None
    assert (list(found.exact), len(found.patterns), list(found.aliases)) == (
        ["openai/gpt-5-mini"],
        1,
        ["chat-prod"],
    )


def test_plans(tmp_path: Path) -> None:
    file = example("plans", tmp_path)
    found = plans.load(resolve({"plans_file": file}, environ={}, dotenv=False))
    assert [plan.name for plan in found.plans] == ["copilot", "claude-pro", "gemini-free"]
    assert found.monthly_fees == 30


def test_settings() -> None:
    given = dict(re.findall(r"`(OTEL_AGENTS_(?:BUDGET|BUDGET_ON_EXCEEDED|GUARD))=([^`]+)`", DOCS))
    settings = resolve(environ=given, dotenv=False)
    assert settings.budget == ("30/monthly", "0.5/run")
    assert settings.budget_on_exceeded == "block"
    assert settings.guard == {"max_identical_tool_calls": 5, "max_seconds": 1800}
