"""Runs through a Collector into the local backend, which says what a real one would have swallowed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from coexist.whole_way import WholeWay, whole_way
from parts import require
from stand_in import exporting

pytestmark = pytest.mark.collector
#: Agent → its captures, model calls, tokens in and out, cost in dollars (None: its model has no price).
EXPECTED = {
    "claude": ("claude-code", 2, 620, 40, 0.00153),
    "gemini": ("gemini-cli", 2, 200, 50, None),
    "copilot": ("copilot-cli", 2, 200, 40, None),
    # 60 tokens at 1.25, 40 cached at 0.125, 20 answered at 10 dollars a million, twice.
    "codex": ("codex", 2, 200, 40, 2 * (60 * 1.25 + 40 * 0.125 + 20 * 10) / 1e6),
}


@pytest.fixture(scope="module")
def way(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeWay]:
    with whole_way(require("collector"), tmp_path_factory.mktemp("whole-way")) as made:
        yield made


@pytest.mark.parametrize("telemetry", ["--telemetry", "--no-telemetry"])
@pytest.mark.parametrize("name", list(EXPECTED))
def test_one_tree_no_findings(
    name: str, telemetry: str, way: WholeWay, programs: Path, tmp_path: Path
) -> None:
    captures, calls, sent, produced, cost = EXPECTED[name]
    exporting(programs, name, captures)
    foreign = ("OTEL_", "LANGFUSE_")
    user = f"{name}{telemetry}"
    environment = {key: value for key, value in os.environ.items() if not key.startswith(foreign)} | {
        "OTEL_AGENTS_DOTENV": "off",
        "OTEL_AGENTS_HOME": str(tmp_path / "home"),
        "OTEL_AGENTS_SPOOL_DIR": str(tmp_path / "spool"),
        "OTEL_EXPORTER_OTLP_ENDPOINT": way.endpoint,
        "OTEL_SERVICE_NAME": user,
        "USER_OF_THE_TEST": user,
    }
    code = """
import os
import otel_agents
from otel_agents import cli_agents
otel_agents.configure()
with otel_agents.context(user=os.environ["USER_OF_THE_TEST"]):
    result = cli_agents.get({name!r}).run_sync("say hello", telemetry={telemetry})
assert result.ok, result.error
assert otel_agents.flush().ok
"""
    done = subprocess.run(
        [sys.executable, "-c", code.format(name=name, telemetry=telemetry == "--telemetry")],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    way.settle()
    found = way.observations(user)
    ids = {one["id"] for one in found}
    assert len({one["traceId"] for one in found}) == 1
    assert [one["name"] for one in found if one["parentObservationId"] not in ids] == [f"invoke_agent {name}"]
    generations = [one for one in found if one["type"] == "GENERATION"]
    totals = telemetry == "--no-telemetry"
    if name == "copilot" and totals:
        calls, sent, produced = 0, 0, 0
    elif totals:
        calls = 1
    assert len(generations) == calls
    usage = [one["usageDetails"] for one in generations]
    assert sum(n for one in usage for kind, n in one.items() if kind.startswith("input")) == sent
    assert sum(n for one in usage for kind, n in one.items() if kind.startswith("output")) == produced
    if cost is not None and not (name == "codex" and totals):  # its output names no model
        assert sum(one["totalCost"] or 0 for one in generations) == pytest.approx(cost)
    assert way.counted("gen_ai_client_inference_usage_input_tokens_total", user) == sent
    assert way.findings({one["traceId"] for one in found}) == set()
