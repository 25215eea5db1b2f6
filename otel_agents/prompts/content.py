"""What a prompt is, wherever it is kept, and the rules Langfuse has for it."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

LATEST: Final = "latest"
PRODUCTION: Final = "production"

_LABEL: Final = re.compile(r"[a-z0-9_\-.]{1,36}")
_RESERVED_NAMES: Final = frozenset({"new", "metrics", "prompt-detail"})
_LONGEST_NAME: Final = 255

Message = Mapping[str, Any]


class PromptError(Exception):
    """A prompt, or a file with one, that cannot be used. The text is one line: what, then what to do."""


@dataclass(slots=True)
class Prompt:
    """One prompt.

    Attributes:
        name: with folders, such as ``review/security``.
        text: of a text prompt, else None.
        messages: of a chat prompt (``{"role", "content"}``, or ``{"type": "placeholder", "name"}``), else
            None.
        config: anything JSON; model and parameters by custom.
        labels: such as ``production``; each is on one version of a prompt only.
        tags: of all versions; None leaves them as they are.
        version: Langfuse's number; None for one that is not there yet.
    """

    name: str
    text: str | None = None
    messages: Sequence[Message] | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    tags: tuple[str, ...] | None = None
    version: int | None = None

    @property
    def type(self) -> str:
        """``text`` or ``chat``."""
        return "text" if self.messages is None else "chat"

    def same_content(self, other: Prompt) -> bool:
        """Whether type, wording and config are equal; labels and tags are not content."""
        return (self.type, self.text, _plain(self.messages), _plain(self.config)) == (
            (other.type, other.text, _plain(other.messages), _plain(other.config))
        )

    def readable(self) -> str:
        """Wording and config as lines to look at and to compare."""
        if self.messages is None:
            parts = [self.text or ""]
        else:
            parts = [_readable_message(one) for one in self.messages]
        if self.config:
            parts.append("# config\n" + json.dumps(self.config, indent=2, ensure_ascii=False, sort_keys=True))
        return "\n\n".join(parts)


def difference(before: Prompt | None, after: Prompt, before_is: str, after_is: str) -> str:
    """A unified diff of wording and config; empty when there is none.

    Args:
        before: None compares with nothing.
        before_is: name of the first in the heading.
        after_is: name of the second.
    """
    old = before.readable().splitlines() if before is not None else []
    lines = difflib.unified_diff(old, after.readable().splitlines(), before_is, after_is, lineterm="")
    return "\n".join(lines)


def check(prompt: Prompt, where: str) -> None:
    """Holds a prompt to Langfuse's rules before it is sent.

    Args:
        where: what to name in the message, such as the file.

    Raises:
        PromptError: the first rule that it breaks.
    """
    name = prompt.name
    if not name or len(name) > _LONGEST_NAME or "|" in name or name in _RESERVED_NAMES:
        raise PromptError(
            f"{where}: a prompt cannot be named {name!r}; use 1 to {_LONGEST_NAME} characters without |, "
            "and none of " + ", ".join(sorted(_RESERVED_NAMES))
        )
    for label in prompt.labels:
        check_label(label, where)
    for number, message in enumerate(prompt.messages or (), 1):
        placeholder = message.get("type") == "placeholder" and isinstance(message.get("name"), str)
        spoken = isinstance(message.get("role"), str) and isinstance(message.get("content"), str)
        if not (placeholder or spoken):
            raise PromptError(f"{where}: message {number} needs role and content, or placeholder with a name")
    if prompt.text is None and prompt.messages is None:
        raise PromptError(f"{where}: neither a text nor messages; a prompt has one of them")


def check_label(label: str, where: str) -> None:
    """Refuses a label that Langfuse would refuse.

    Raises:
        PromptError: naming it.
    """
    if label == LATEST:
        raise PromptError(f"{where}: {LATEST!r} is always on the newest version; choose another label")
    if not _LABEL.fullmatch(label):
        raise PromptError(f"{where}: label {label!r} must be 1 to 36 of a-z 0-9 _ - .")


def _readable_message(message: Message) -> str:
    if message.get("type") == "placeholder":
        return f"# placeholder {message.get('name')}"
    return f"# {message.get('role')}\n{message.get('content')}"


def _plain(value: object) -> str:
    """A form in which equal JSON is equal: ``{"type": "chatmessage"}`` is what Langfuse adds to messages."""
    if isinstance(value, (list, tuple)):
        value = [
            {key: item for key, item in one.items() if (key, item) != ("type", "chatmessage")}
            if isinstance(one, Mapping)
            else one
            for one in value
        ]
    return json.dumps(value, sort_keys=True, default=str)
