"""What a request asks for, in one form for both providers' wire formats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelserver.caching import Segment, count


class BadRequest(Exception):
    """The body is not a request that the provider would accept; answered with status 400."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that the client offers: its name and the JSON schema of its arguments."""

    name: str
    schema: Mapping[str, Any]


@dataclass(slots=True)
class Prompt:
    """A request for an answer.

    Attributes:
        segments: everything that counts as input, in the order of the provider's cache.
        system: the system text; ``user``: the text of the last user turn that is not a tool result.
        tool_results: texts of the tool results that came after that user turn.
        tool_choice: "auto", "none", "any", or the name of the tool that must be called.
        json_schema: the schema that the answer must follow; {} for any JSON object; None for text.
        thinking: tokens of hidden or visible thought are wanted.
        max_tokens: the output's limit in tokens, or None.
        background: the client does not wait for the answer but fetches it later.
        web_search: the model searches the web once before it answers.
    """

    model: str
    segments: list[Segment]
    system: str = ""
    user: str = ""
    tools: Sequence[Tool] = ()
    tool_results: list[str] = field(default_factory=list)
    tool_choice: str = "auto"
    json_schema: Mapping[str, Any] | None = None
    thinking: bool = False
    max_tokens: int | None = None
    choices: int = 1
    stream: bool = False
    include_usage: bool = True
    stop: Sequence[str] = ()
    background: bool = False
    web_search: bool = False

    @property
    def tokens(self) -> int:
        """Tokens of the whole prompt, with three for the frame around it."""
        return sum(count(segment.text) for segment in self.segments) + 3

    @property
    def first_line(self) -> str:
        """The user turn's first line: names the task in the example, stable when files change."""
        return self.user.strip().partition("\n")[0]


@dataclass(slots=True)
class ToolCall:
    """A call that the model asks for; ``arguments`` is JSON text as it goes over the wire."""

    name: str
    arguments: str


@dataclass(slots=True)
class Answer:
    """What the model says. ``finish``: "stop", "tool", "length", "refusal" or "content_filter"."""

    text: str = ""
    thinking: str = ""
    tool_calls: list[ToolCall] = field(default_factory=list)
    finish: str = "stop"
