"""A task told in Collector mode: Langfuse and Prometheus say the same, and the score is there once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from langfuse.api import LangfuseAPI
from parts import require, wait_for
from stack_up import Up

from otel_agents.stack.state import local_keys

pytestmark = [pytest.mark.collector, pytest.mark.prometheus]

APP = """
from otel_agents import get_langfuse_observer

observer = get_langfuse_observer()
assert observer.enabled
observer.track_agent_selection("t1", "claude", reason="best", all_rewards={"claude": 0.9})
with observer.trace_agent_execution("t1", "claude", "p", {"task_type": "docs"}) as trace:
    trace.update(output="o", tokens=1523, cost=0.0046)
observer.track_quality_assessment(task_id="t1", agent="claude", score=0.92)
assert observer.flush().ok
"""


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    require("collector")
    require("prometheus")
    started = Up(tmp_path / "home")
    yield started
    started.clean()


def test_one_task(up: Up, tmp_path: Path) -> None:
    _, stack = up.start("--scrape-interval", "0.5")
    keys = local_keys(up.home)
    done = subprocess.run(
        [sys.executable, "-c", APP],
        env={**up.environment, "OTEL_EXPORTER_OTLP_ENDPOINT": str(stack.otlp)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    api = LangfuseAPI(base_url=stack.ui, username=keys.public, password=keys.secret, timeout=20)

    def arrived() -> dict[str, Any] | None:
        found = api.observations.get_many(fields="core,basic,usage,metadata,io", limit=100).data
        return {str(row.name): row for row in found} if len(found) >= 4 else None

    rows = wait_for(arrived, "the task in Langfuse", timeout=60)
    assert set(rows) == {"agent_selection", "invoke_agent claude", "chat", "quality_assessment"}
    assert len({row.trace_id for row in rows.values()}) == 1
    assert rows["chat"].usage_details == {"total": 1523}
    assert rows["chat"].total_cost == 0.0046
    task = rows["invoke_agent claude"]
    assert task.metadata is not None
    assert (task.metadata["task_type"], task.metadata["status"]) == ("docs", "success")
    assert rows["quality_assessment"].parent_observation_id == task.id

    scores = wait_for(
        lambda: api.scores.get_many(limit=10, fields="core,subject").data,
        "the score, by the bridge",
        timeout=60,
    )
    [score] = scores
    assert (score.name, score.value, score.subject.id) == ("quality", 0.92, task.id)

    def value(query: str) -> float | None:
        with urlopen(f"{stack.prometheus}/api/v1/query?query={quote(query)}", timeout=10) as page:
            found = json.load(page)["data"]["result"]
        return float(found[0]["value"][1]) if found else None

    tasks = 'sum(otel_agents_task_count_total{gen_ai_agent_name="claude",status="success",task_type="docs"})'
    assert wait_for(lambda: value(tasks), "the task in Prometheus", timeout=60) == 1
    assert value("sum(otel_agents_cost_total)") == 0.0046
    assert value("sum(otel_agents_unsplit_tokens_total)") == 1523
    assert value('sum(otel_agents_evaluation_score_sum{gen_ai_evaluation_name="quality"})') == 0.92
