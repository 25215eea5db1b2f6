"""Every snippet of docs/observer.md runs, in order, and what the page says of it is so."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from observer_rig import Langfuse

from otel_agents import metrics
from otel_agents.export.prometheus_names import metric_name
from otel_agents.observer import LangfuseObserver

PAGE = Path(__file__).resolve().parents[2] / "docs" / "observer.md"
TEXT = PAGE.read_text(encoding="utf-8")


@pytest.fixture
def ran(observer: LangfuseObserver) -> dict[str, Any]:
    """The names that the snippets leave."""
    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL):
        exec(compile(block, str(PAGE), "exec"), names)
    assert names["observer"] is observer
    return names


def test_the_snippets(ran: dict[str, Any], observer: LangfuseObserver, langfuse: Langfuse) -> None:
    async def draft() -> str:
        return "draft"

    async def improve(text: str) -> str:
        return f"better {text}"

    assert asyncio.run(ran["draft_and_improve"](draft, improve)) == "better draft"
    assert observer.flush().ok
    assert ran["by_agent"] == {"claude": 0.0046}
    [trace_id] = {row.it.trace_id for row in langfuse.rows() if row.metadata.get("task_id") == "task_abc123"}
    below = {row.name for row in langfuse.rows(trace_id=trace_id)}
    assert below == {
        "invoke_agent claude",
        "chat",
        "agent_selection",
        "quality_assessment",
        "agent_switch",
        "attempt",
        "token_reduction",
    }
    [greeted] = [row for row in langfuse.rows() if row.it.prompt_name]
    assert (greeted.it.type, greeted.it.prompt_name, greeted.it.prompt_version) == ("GENERATION", "greet", 1)
    [tried] = [row for row in langfuse.rows() if row.metadata.get("experiment")]
    assert tried.metadata["variant"] == ran["chosen"].variant
    assert [score.value for score in langfuse.scores()] == [0.92]
    assert ran["result"].dropped == 0
    assert langfuse.findings() == []


def test_the_metrics_that_it_names_exist() -> None:
    known = {metric_name(one.name, one.unit, one.kind) for one in metrics.CATALOGUE}
    full = set(re.findall(r"`(otel_agents_[a-z_]+)`", TEXT))
    assert len(full) > 10
    assert full <= known, full - known


def test_the_pages_that_it_links_to_exist() -> None:
    for target in re.findall(r"\]\(([a-z]+\.md)", TEXT):
        assert (PAGE.parent / target).is_file(), target
