"""Versioned prompts: rows, labels that exist once a prompt, and the rules for both."""

from __future__ import annotations

import re
import sqlite3
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from otel_agents.local import codec

LATEST: Final = "latest"
PRODUCTION: Final = "production"

_COLUMNS: Final = (
    "id",
    "name",
    "version",
    "type",
    "prompt",
    "config",
    "labels",
    "tags",
    "commit_message",
    "created_ns",
    "updated_ns",
)
_SELECT: Final = f"SELECT {', '.join(_COLUMNS)} FROM prompts"
_LABEL: Final = re.compile(r"[a-z0-9_\-.]{1,36}")
_RESERVED: Final = frozenset({"new", "metrics", "prompt-detail"})
_LONGEST_NAME: Final = 255
_LONGEST_MESSAGE: Final = 500


class PromptError(ValueError):
    """A prompt that cannot be stored; the message says why."""


@dataclass(slots=True)
class Prompt:
    """One version of a prompt. ``prompt`` is a string (text) or a list of messages (chat)."""

    id: str
    name: str
    version: int
    type: str
    prompt: Any
    config: Any
    labels: list[str]
    tags: list[str]
    commit_message: str | None
    created_ns: int
    updated_ns: int


@dataclass(slots=True)
class PromptSummary:
    """All versions of one prompt."""

    name: str
    type: str
    versions: list[int] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    updated_ns: int = 0
    config: Any = None


@dataclass(slots=True)
class PromptInput:
    """A new version as it was sent. ``tags`` None takes those of the newest version."""

    name: str
    type: str
    prompt: Any
    labels: list[str]
    tags: list[str] | None
    config: Any
    commit_message: str | None


def check(body: Any) -> list[tuple[str, str]]:
    """What is wrong with a body that creates a prompt, as (path, message)."""
    if not isinstance(body, dict):
        return [("", "Expected object")]
    issues: list[tuple[str, str]] = []
    name = body.get("name")
    if not isinstance(name, str) or not name:
        issues.append(("name", "Required"))
    elif len(name) > _LONGEST_NAME or "|" in name or name in _RESERVED:
        issues.append(("name", "Invalid prompt name"))
    kind = body.get("type") or "text"
    if kind not in ("text", "chat"):
        issues.append(("type", "Expected text or chat"))
    prompt = body.get("prompt")
    if kind == "text" and not isinstance(prompt, str):
        issues.append(("prompt", "Expected string"))
    if kind == "chat" and not (isinstance(prompt, list) and all(_is_message(item) for item in prompt)):
        issues.append(("prompt", "Expected an array of messages or placeholders"))
    issues += [("labels", message) for message in label_issues(body.get("labels"))]
    tags = body.get("tags")
    if tags is not None and not (isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)):
        issues.append(("tags", "Expected an array of strings"))
    message = body.get("commitMessage")
    if message is not None and not (isinstance(message, str) and len(message) <= _LONGEST_MESSAGE):
        issues.append(("commitMessage", f"Expected a string of at most {_LONGEST_MESSAGE} characters"))
    return issues


def label_issues(labels: Any) -> list[str]:
    """What is wrong with a list of labels."""
    if labels is None:
        return []
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        return ["Expected an array of strings"]
    return [
        f"Label {label!r} must be 1 to 36 of a-z 0-9 _ - ." for label in labels if not _LABEL.fullmatch(label)
    ]


def _is_message(item: Any) -> bool:
    if not isinstance(item, dict):
        return False
    if item.get("type") == "placeholder":
        return isinstance(item.get("name"), str)
    return isinstance(item.get("role"), str) and isinstance(item.get("content"), str)


def create(connection: sqlite3.Connection, given: PromptInput) -> Prompt:
    """Stores the next version; its labels, and always ``latest``, move to it from older versions.

    Raises:
        PromptError: the prompt exists with another type.
    """
    known = versions(connection, given.name)
    if known and known[-1].type != given.type:
        raise PromptError(
            "Previous versions have different prompt type. Create a new prompt with a different name."
        )
    now = time.time_ns()
    tags = given.tags if given.tags is not None else (known[-1].tags if known else [])
    labels = [*dict.fromkeys([*given.labels, LATEST])]
    prompt = Prompt(
        str(uuid.uuid4()),
        given.name,
        known[-1].version + 1 if known else 1,
        given.type,
        given.prompt,
        given.config,
        labels,
        tags,
        given.commit_message,
        now,
        now,
    )
    _take_labels(connection, known, labels, now)
    if given.tags is not None:
        connection.execute("UPDATE prompts SET tags = ? WHERE name = ?", (codec.dump(given.tags), given.name))
    connection.execute(
        codec.insert_sql("prompts", _COLUMNS),
        (
            prompt.id,
            prompt.name,
            prompt.version,
            prompt.type,
            codec.dump(prompt.prompt),
            codec.dump(prompt.config),
            codec.dump(labels),
            codec.dump(tags),
            prompt.commit_message,
            now,
            now,
        ),
    )
    return prompt


def add_labels(
    connection: sqlite3.Connection, name: str, version: int, labels: Sequence[str]
) -> Prompt | None:
    """Gives labels to a version, taking them from others; None when the version does not exist."""
    known = versions(connection, name)
    prompt = next((found for found in known if found.version == version), None)
    if prompt is None:
        return None
    now = time.time_ns()
    _take_labels(connection, [other for other in known if other is not prompt], labels, now)
    prompt.labels = [*dict.fromkeys([*prompt.labels, *labels])]
    prompt.updated_ns = now
    _set_labels(connection, prompt, now)
    return prompt


def delete(connection: sqlite3.Connection, name: str, version: int | None, label: str | None) -> int:
    """Deletes the matching versions (all without version and label); ``latest`` moves to the newest left."""
    doomed = [
        prompt
        for prompt in versions(connection, name)
        if (version is None or prompt.version == version) and (label is None or label in prompt.labels)
    ]
    for prompt in doomed:
        connection.execute("DELETE FROM prompts WHERE name = ? AND version = ?", (name, prompt.version))
    left = versions(connection, name)
    if left and not any(LATEST in prompt.labels for prompt in left):
        add_labels(connection, name, left[-1].version, [LATEST])
    return len(doomed)


def versions(connection: sqlite3.Connection, name: str) -> list[Prompt]:
    """All versions of a prompt, oldest first."""
    rows = connection.execute(f"{_SELECT} WHERE name = ? ORDER BY version", (name,))
    return [_prompt(row) for row in rows]


def get(connection: sqlite3.Connection, name: str, version: int | None, label: str) -> Prompt | None:
    """One version by number, else the one with ``label``."""
    for prompt in versions(connection, name):
        if prompt.version == version if version is not None else label in prompt.labels:
            return prompt
    return None


def summaries(
    connection: sqlite3.Connection,
    name: str | None,
    label: str | None,
    tag: str | None,
    from_ns: int | None,
    to_ns: int | None,
) -> list[PromptSummary]:
    """Prompts by name, over the versions that match all that is given."""
    found: dict[str, PromptSummary] = {}
    for row in connection.execute(f"{_SELECT} ORDER BY name, version"):
        prompt = _prompt(row)
        if name is not None and prompt.name != name:
            continue
        if (label is not None and label not in prompt.labels) or (tag is not None and tag not in prompt.tags):
            continue
        if (from_ns is not None and prompt.updated_ns < from_ns) or (
            to_ns is not None and prompt.updated_ns > to_ns
        ):
            continue
        summary = found.setdefault(prompt.name, PromptSummary(prompt.name, prompt.type))
        summary.versions.append(prompt.version)
        summary.labels = [*dict.fromkeys([*summary.labels, *prompt.labels])]
        summary.tags = prompt.tags
        summary.updated_ns = max(summary.updated_ns, prompt.updated_ns)
        summary.config = prompt.config
    return list(found.values())


def _take_labels(
    connection: sqlite3.Connection, known: Sequence[Prompt], labels: Sequence[str], now: int
) -> None:
    for prompt in known:
        kept = [label for label in prompt.labels if label not in labels]
        if kept != prompt.labels:
            prompt.labels = kept
            _set_labels(connection, prompt, now)


def _set_labels(connection: sqlite3.Connection, prompt: Prompt, now: int) -> None:
    connection.execute(
        "UPDATE prompts SET labels = ?, updated_ns = ? WHERE name = ? AND version = ?",
        (codec.dump(prompt.labels), now, prompt.name, prompt.version),
    )


def _prompt(row: Sequence[Any]) -> Prompt:
    values = list(row)
    for at in range(4, 8):
        values[at] = codec.load(values[at])
    return Prompt(*values)
