"""The example as its users start it: a program, against the scripted models, without any exporter."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from modelserver import ModelServer, running

MAIN = Path(__file__).parents[2] / "examples" / "orchestrator" / "main.py"


def run(
    arguments: Sequence[str | Path], folder: Path, server: ModelServer | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs the example in an empty folder, with nothing of this machine's settings."""
    foreign = ("OTEL_", "LANGFUSE_", "OPENAI_", "ANTHROPIC_", "ORCHESTRATOR_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    environment["OTEL_AGENTS_DOTENV"] = "off"
    if server is not None:
        environment |= {"OPENAI_BASE_URL": f"{server.url}/v1", "ANTHROPIC_BASE_URL": server.url}
    return subprocess.run(
        [sys.executable, str(MAIN), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=folder,
        env=environment,
    )


def outcomes(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in done.stdout.splitlines() if line.startswith("  ")]


@pytest.fixture(scope="module")
def whole(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """One run over all tasks with faults, and the ledger after it."""
    with running(latency="none", faults=True) as server:
        done = run(["--run-id", "run-7"], tmp_path_factory.mktemp("run"), server)
        return done, server.ledger()


def test_every_task_gets_an_answer(whole: tuple[subprocess.CompletedProcess[str], dict[str, Any]]) -> None:
    done, _ = whole
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("run run-7: 12 tasks, ")
    assert "12 of 12 done" in done.stdout
    assert "Traceback" not in done.stderr


def test_agents_are_switched_for_failures_and_for_bad_answers(
    whole: tuple[subprocess.CompletedProcess[str], dict[str, Any]],
) -> None:
    done, _ = whole
    switched = [line for line in outcomes(done) if "->" in line]
    assert any("failed with OverloadedError" in line for line in switched)
    assert any("quality 0." in line for line in switched)
    assert f"{len(switched)} switched agent" in done.stdout


def test_the_run_covers_what_providers_bill(
    whole: tuple[subprocess.CompletedProcess[str], dict[str, Any]],
) -> None:
    _, ledger = whole
    kinds = {(record["provider"], record["stream"]) for record in ledger["records"]}
    assert kinds == {("openai", True), ("openai", False), ("anthropic", True), ("anthropic", False)}
    for name in ("cache_read", "cache_write", "cache_write_1h", "reasoning"):
        assert ledger[name] > 0, name
    assert {"429", "500", "529"} <= set(ledger["errors"])
    # All of it can be counted by an observer: nothing was cut, every stream told its usage.
    assert ledger["unreported"]["calls"] == ledger["unpriced_calls"] == 0
    assert any(record["retry_count"] for record in ledger["records"])


def test_a_seed_gives_the_same_run_again(tmp_path: Path) -> None:
    # Files of its own: those of the repository may change between the two runs.
    (tmp_path / "app.py").write_text("def main():\n    pass\n" * 40, encoding="utf-8")
    kinds = ("review", "security", "summarise", "tests", "review")
    entries = [f"[[task]]\ntype = '{kind}'\ninput = 'app.py'\n" for kind in kinds]
    (tmp_path / "tasks.toml").write_text("".join(entries), encoding="utf-8")
    arguments = ["--tasks", "tasks.toml", "--limit", "4", "--seed", "5", "--concurrency", "1"]
    runs = []
    for _ in range(2):
        with running(latency="none") as server:
            done = run(arguments, tmp_path, server)
            runs.append((done.returncode, outcomes(done), server.ledger(records=False)))
    assert runs[0] == runs[1]
    assert len(runs[0][1]) == 4


def test_without_keys_it_brings_its_own_models(tmp_path: Path) -> None:
    done = run(["--limit", "1"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "scripted models" in done.stdout
    assert "1 of 1 done" in done.stdout


def test_when_no_agent_can_answer_the_status_says_so(tmp_path: Path) -> None:
    with running(latency="none") as server:
        server.fail_next(20, 400)
        done = run(["--limit", "1"], tmp_path, server)
    assert done.returncode == 1
    assert re.search(r"review-setup\s+FAIL  \w+ -> \w+ -> \w+", done.stdout)
    assert "0 of 1 done" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "cannot read"),
        ("[[task", "is not valid TOML"),
        ("", "has no [[task]]"),
        ("[[task]]\ntype='poem'\ninput='x'", "type 'poem' is none of review, security, summarise, tests"),
        ("[[task]]\ntype='review'\ninput='gone.py'", "no file 'gone.py'"),
    ],
)
def test_an_unusable_tasks_file_is_explained_in_one_line(
    tmp_path: Path, content: str | None, complaint: str
) -> None:
    file = tmp_path / "tasks.toml"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    done = run(["--tasks", file], tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert complaint in done.stderr
