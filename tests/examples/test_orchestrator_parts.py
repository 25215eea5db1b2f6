"""The orchestrator's decisions, one by one."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from modelserver import ModelServer

FOLDER = Path(__file__).parents[2] / "examples" / "orchestrator"
_NAMES = {file.stem for file in FOLDER.glob("*.py")}


@pytest.fixture
def part(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Imports a module of the example, whose names are too common to stay importable."""
    monkeypatch.syspath_prepend(str(FOLDER))
    before = {name: sys.modules.pop(name) for name in _NAMES & sys.modules.keys()}
    yield importlib.import_module
    for name in _NAMES & sys.modules.keys():
        del sys.modules[name]
    sys.modules.update(before)


@pytest.fixture
def task(part: Callable[[str], ModuleType], tmp_path: Path) -> Any:
    (tmp_path / "app.py").write_text("def main():\n    pass\n", encoding="utf-8")
    return part("tasks").Task("t1", "review", "app.py", "demo", tmp_path)


def test_the_best_reward_is_chosen_and_learned(part: Callable[[str], ModuleType]) -> None:
    chooser = part("choice").Chooser(seed=1, explore=0)
    first = chooser.select("t", "security")
    assert (first.agent, first.reason) == ("claude", "best reward for security")
    assert first.rewards == {"claude": 0.9, "gpt": 0.6, "mini": 0.4}
    chooser.learn("security", "claude", 0.0)
    chooser.learn("security", "claude", 0.0)
    assert chooser.select("t", "security").agent == "gpt"
    assert chooser.select("t", "security", without={"gpt", "mini"}).agent == "claude"
    assert chooser.select("t", "security", without={"gpt", "mini", "claude"}) is None


def test_exploration_is_seeded_and_never_follows_a_failure(part: Callable[[str], ModuleType]) -> None:
    def picks(seed: int) -> list[str]:
        chooser = part("choice").Chooser(seed=seed, explore=1.0)
        return [chooser.select(f"t{number}", "review").agent for number in range(20)]

    assert picks(1) == picks(1) != picks(2)
    assert set(picks(1)) == {"claude", "gpt", "mini"}
    again = part("choice").Chooser(seed=1, explore=1.0).select("t1", "review", without={"gpt"})
    assert again.reason == "best reward for review"


@pytest.mark.parametrize(
    ("said", "score"),
    [
        ('{"score": 0.8, "reason": "fine"}', 0.8),
        ('Sure! {"score": 1, "reason": "fine"} Anything else?', 1.0),
        ("I would give it eight of ten.", None),
        ('{"score": "high"}', None),
        ('{"score": 8}', None),
        ('{"verdict": 0.5}', None),
        ("}{", None),
    ],
)
async def test_only_a_usable_score_counts(
    part: Callable[[str], ModuleType],
    task: Any,
    models: ModelServer,
    monkeypatch: pytest.MonkeyPatch,
    said: str,
    score: float | None,
) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", models.url)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-test")
    models.script({"text": said})
    judged, reason = await part("judge").judge(task, "gpt", "1. (line 1) `main` does nothing.")
    assert judged == score
    assert isinstance(reason, str)


def test_tools_stay_inside_the_repository(part: Callable[[str], ModuleType], task: Any) -> None:
    call = part("repository").call
    assert call("read_file", '{"path": "app.py"}', task.root) == "1: def main():\n2:     pass"
    for outside in ("../app.py", "/etc/passwd", "."):
        assert call("read_file", {"path": outside}, task.root).startswith("no such file")
    (task.root / "link.py").symlink_to("/etc/passwd")
    assert call("read_file", {"path": "link.py"}, task.root).startswith("no such file")
    assert call("grep", {"pattern": "def m"}, task.root) == "app.py:1: def main():"
    assert call("grep", {"pattern": "root:"}, task.root) == "no match"


def test_what_a_model_gets_wrong_about_tools_is_told_to_it(
    part: Callable[[str], ModuleType], task: Any
) -> None:
    call = part("repository").call
    assert call("grep", {"pattern": "("}, task.root).startswith("not a regular expression")
    for name, arguments in [("rm", "{}"), ("grep", "{}"), ("grep", "not JSON"), ("grep", "[]")]:
        assert call(name, arguments, task.root).startswith("bad tool call")


def test_the_prompt_names_the_task_first(task: Any) -> None:
    assert task.prompt() == "Review of app.py\n\n```\ndef main():\n    pass\n\n```"
