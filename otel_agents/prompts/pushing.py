"""What a push would change, and doing it: a new version only where the content is new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from otel_agents.prompts.content import LATEST, Prompt, PromptError, check_label, difference
from otel_agents.prompts.server import PromptServer


@dataclass(frozen=True, slots=True)
class Change:
    """A file's prompt beside the newest version on the server.

    Attributes:
        kind: ``new`` prompt, ``changed`` content, only ``labels`` to move, or ``same``.
        labels: those that are to be on the version and are not yet.
        text: the diff; empty unless the content changes.
    """

    kind: Literal["new", "changed", "labels", "same"]
    prompt: Prompt
    server: Prompt | None
    labels: tuple[str, ...]
    text: str

    @property
    def summary(self) -> str:
        """One line: what the push does (or would do)."""
        newest = self.server.version if self.server is not None else None
        with_labels = f", labelled {', '.join(self.labels)}" if self.labels else ""
        name = self.prompt.name
        if self.kind == "new":
            return f"{name}: new prompt, version 1{with_labels}"
        if self.kind == "changed":
            return f"{name}: version {(newest or 0) + 1} after {newest}{with_labels}"
        if self.kind == "labels":
            return f"{name}: version {newest} unchanged, label {', '.join(self.labels)} put on it"
        return f"{name}: unchanged, version {newest}"


def compare(server: PromptServer, prompt: Prompt, labels: Sequence[str] = ()) -> Change:
    """Looks at what pushing ``prompt`` would change.

    Args:
        labels: wanted beside the prompt's own.

    Raises:
        PromptError: a label that cannot be given, or the prompt is there with another type.
    """
    for label in labels:
        check_label(label, "--label")
    wanted = tuple(dict.fromkeys((*prompt.labels, *labels)))
    there = server.find(prompt.name, label=LATEST)
    if there is None:
        text = difference(None, prompt, "/dev/null", prompt.name)
        return Change("new", prompt, None, wanted, text)
    if there.type != prompt.type:
        raise PromptError(
            f"{prompt.name!r} is a {there.type} prompt on the server and a {prompt.type} prompt in the file; "
            "choose another name"
        )
    if not prompt.same_content(there):
        text = difference(there, prompt, f"{prompt.name} version {there.version}", f"{prompt.name} (file)")
        return Change("changed", prompt, there, wanted, text)
    missing = tuple(label for label in wanted if label not in there.labels)
    return Change("labels" if missing else "same", prompt, there, missing, "")


def push(server: PromptServer, change: Change, message: str | None = None) -> Prompt:
    """Makes the change.

    Args:
        message: why, kept with a new version.

    Returns:
        The version that now has the content.
    """
    if change.kind in ("new", "changed"):
        return server.create(change.prompt, change.labels, message)
    assert change.server is not None
    there, version = change.server, change.server.version or 0
    if change.kind == "labels":
        server.add_labels(there.name, version, change.labels)
    return replace(there, labels=(*there.labels, *change.labels))


@dataclass(frozen=True, slots=True)
class Moved:
    """A label that went from one version to another; ``before`` is None when no version had it."""

    label: str
    before: int | None
    after: int


def promote(server: PromptServer, name: str, version: int, label: str) -> Moved:
    """Puts ``label`` on a version, taking it from the one that has it.

    Raises:
        PromptError: there is no such prompt or version, or the label cannot be given.
    """
    check_label(label, "--label")
    server.get(name, version=version)
    before = server.find(name, label=label)
    if before is None or before.version != version:
        server.add_labels(name, version, [label])
    return Moved(label, before.version if before is not None else None, version)


def rollback(server: PromptServer, name: str, label: str) -> Moved:
    """Puts ``label`` on the version before the one that has it.

    Langfuse keeps no history of labels, so this is the next lower number that still exists.

    Raises:
        PromptError: no version has the label, or there is none before it.
    """
    now = server.get(name, label=label)
    current = now.version or 0
    earlier = [version for version in server.versions(name) if version < current]
    if not earlier:
        raise PromptError(f"prompt {name!r} has no version before {current}; promote another one instead")
    return promote(server, name, earlier[-1], label)
