"""The tasks file: what is to be done, on which files."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

TYPES = {
    "review": "Review",
    "security": "Security review",
    "summarise": "Summary",
    "tests": "Write tests: plan",
}
#: Characters of the input file that go into the prompt; the agents can read the rest by tool.
_EXCERPT = 12_000


class TasksError(Exception):
    """The tasks file cannot be used; the message says why, in one line."""


@dataclass(frozen=True, slots=True)
class Task:
    """One piece of work: a kind of question about one file below ``root``."""

    id: str
    type: str
    input: str
    project: str
    root: Path

    @property
    def title(self) -> str:
        """What is to be done, in a few words."""
        return f"{TYPES[self.type]} of {self.input}"

    def prompt(self) -> str:
        """What an agent is asked; the first line names the task."""
        source = (self.root / self.input).read_text(encoding="utf-8", errors="replace")
        return f"{self.title}\n\n```\n{source[:_EXCERPT]}\n```"


def load(path: Path) -> list[Task]:
    """The tasks of a TOML file.

    Raises:
        TasksError: the file or one of its tasks is unusable.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TasksError(f"cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TasksError(f"{path} is not valid TOML: {error}") from None
    root = (path.parent / content.get("root", ".")).resolve()
    tasks = []
    for number, entry in enumerate(content.get("task", ()), start=1):
        task = Task(
            id=entry.get("id", f"task-{number}"),
            type=entry.get("type", ""),
            input=entry.get("input", ""),
            project=content.get("project", root.name),
            root=root,
        )
        if task.type not in TYPES:
            raise TasksError(f"{path}: {task.id}: type {task.type!r} is none of {', '.join(TYPES)}")
        if not (root / task.input).is_file():
            raise TasksError(f"{path}: {task.id}: no file {task.input!r} in {root}")
        tasks.append(task)
    if not tasks:
        raise TasksError(f"{path} has no [[task]]")
    return tasks
