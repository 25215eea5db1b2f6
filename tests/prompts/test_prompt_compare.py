"""``prompts compare``: figures by version, against what was recorded, worked out by hand."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from langfuse.api import LangfuseAPI
from recorded_spans import Recorder

from otel_agents.local.server import Running
from otel_agents.prompts.figures import interval, percentile

Command = Callable[..., int]
Out = pytest.CaptureFixture[str]
PROMPT = "review"


def used(version: int, name: str = PROMPT) -> dict[str, Any]:
    return {"gen_ai.prompt.name": name, "gen_ai.prompt.version": str(version)}


@pytest.fixture
def history(backend: Running, api: LangfuseAPI) -> Recorder:
    """Three versions; tasks with 1 (two), 2 (two, one fails), one that mixes, a call outside of any."""
    from langfuse.api import CreateTextPromptRequest

    for text in ("one", "two", "three"):
        labels = ["production"] if text == "two" else []
        api.prompts.create(request=CreateTextPromptRequest(name=PROMPT, prompt=text, labels=labels))
    made = Recorder(backend)
    for number, (version, seconds, cost, quality, error) in enumerate(
        [
            (1, 1.0, 0.01, 0.6, None),
            (1, 3.0, 0.03, 0.8, None),
            (2, 2.0, 0.002, 0.9, None),
            (2, 4.0, None, None, "timeout"),
        ]
    ):
        metadata = {"task_id": f"t{number}"}
        task = made.agent("claude", "x", ago=600, seconds=10, metadata=metadata, error=error)
        made.chat(
            "gpt-4o-mini" if cost is not None else "nobody-knows-it",
            attributes=used(version),
            cost=cost,
            parent=task,
            ago=590,
            seconds=seconds,
            error=error,
            metadata=metadata,
        )
        # another prompt's call is part of the task's cost, not of the version's
        made.chat(
            "gpt-4o-mini", attributes=used(1, "other"), cost=0.1, parent=task, ago=580, metadata=metadata
        )
        if quality is not None:
            made.score(task, quality)
    mixed = made.agent("claude", "x", ago=500, seconds=10)
    for version in (1, 2):
        made.chat("gpt-4o-mini", attributes=used(version), cost=0.5, parent=mixed, ago=495, seconds=1)
    made.chat("gpt-4o-mini", attributes=used(3), cost=0.2, ago=400, seconds=1.5, tokens=(10, 5))
    made.chat("gpt-4o-mini", attributes=used(3), cost=9.0, ago=40 * 86400, seconds=1)  # too old
    made.send()
    return made


def test_figures_by_version(cli: Command, history: Recorder, capsys: Out) -> None:
    assert cli("prompts", "compare", PROMPT, "1", "v2", "--format", "json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["prompt"] == PROMPT
    one, two = found["versions"]
    assert one == {
        "version": 1,
        "calls": 3,
        "call_success": 1.0,
        "cost": pytest.approx(0.54),
        "cost_per_call": pytest.approx(0.18),
        "tokens_per_call": 120.0,
        "latency_mean": pytest.approx(5 / 3),
        "latency_p95": pytest.approx(2.8),
        "tasks": 2,
        "task_success": 1.0,
        "cost_per_task": pytest.approx(0.12),
        "quality": pytest.approx(0.7),
        "quality_error": pytest.approx(1.96 * 0.1414213562 / 2**0.5),
        "quality_scores": 2,
        "unpriced_calls": 0,
        "mixed_tasks": 1,
    }
    assert (two["calls"], two["tasks"], two["task_success"]) == (3, 2, 0.5)
    assert two["call_success"] == pytest.approx(2 / 3)
    assert two["latency_mean"] == pytest.approx(1.5), "failed calls have no latency worth comparing"
    assert two["cost"] == pytest.approx(0.502)
    assert (two["quality"], two["quality_error"], two["unpriced_calls"]) == (0.9, None, 1)


def test_the_table_and_its_notes(cli: Command, history: Recorder, capsys: Out) -> None:
    assert cli("prompts", "compare", PROMPT, "production", "3") == 0
    captured = capsys.readouterr()
    rows = [re.split(r"\s{2,}", line) for line in captured.out.splitlines()]
    cells = {row[0]: row[1:] for row in rows}
    assert cells[""] == ["version 2", "version 3"]
    assert cells["calls"] == ["3", "1"]
    assert cells["calls that succeeded"] == ["66.7 %", "100 %"]
    assert cells["cost a call"] == ["$0.167333", "$0.2"]
    assert cells["latency a call, mean"] == ["1.5 s", "1.5 s"]
    assert cells["quality"] == ["0.900 (1 score)", "-"]
    assert cells["tasks"] == ["2", "1"]
    assert "version 2: 1 call without a price" in captured.err
    assert "version 2: 1 task used other versions, too" in captured.err


def test_all_versions_and_a_short_time(cli: Command, history: Recorder, capsys: Out) -> None:
    assert cli("prompts", "compare", PROMPT, "--since", "1m", "--format", "json") == 0
    captured = capsys.readouterr()
    assert [(one["version"], one["calls"]) for one in json.loads(captured.out)["versions"]] == [
        (1, 0),
        (2, 0),
        (3, 0),
    ]
    assert cli("prompts", "compare", PROMPT, "--since", "1m") == 0
    assert "no call with these versions in this time" in capsys.readouterr().err


def test_percentile_and_interval() -> None:
    assert percentile([], 0.95) is None
    assert percentile([5.0], 0.95) == 5.0
    assert percentile([4.0, 1.0, 3.0, 2.0], 0.5) == 2.5
    assert interval([1.0]) is None
    assert interval([2.0, 2.0, 2.0]) == 0.0
