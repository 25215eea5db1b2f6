"""What recorded content becomes before it is drawn: blocks, messages, one side of an observation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

BlockKind = Literal["text", "code", "json", "tool_call", "tool_result", "reasoning", "media", "document"]


@dataclass(slots=True)
class Block:
    """One piece of a message: text, a tool call, an image ..."""

    kind: BlockKind
    #: Shown text; JSON is printed with indentation.
    text: str
    #: Tool name, document id, media type, language of a code fence.
    label: str = ""
    #: Call id, relevance score, link.
    note: str = ""
    #: Characters of ``text`` that were left out.
    hidden: int = 0
    #: ``data:`` URL of a small raster image, else empty.
    image: str = ""
    #: True for a tool result that says it is an error.
    failed: bool = False


@dataclass(slots=True)
class Message:
    """One message of a conversation."""

    role: str
    name: str = ""
    finish: str = ""
    blocks: list[Block] = field(default_factory=list)


@dataclass(slots=True)
class Content:
    """One side (input or output) of an observation."""

    kind: Literal["empty", "messages", "documents", "json", "text"]
    messages: list[Message] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    #: Tool definitions that were offered to the model: name and description.
    tools: list[tuple[str, str]] = field(default_factory=list)
    #: Messages left out between the first and the last ones.
    skipped: int = 0
    #: Position in ``messages`` before which they were left out.
    skipped_at: int = 0
    #: Characters recorded.
    size: int = 0

    @property
    def bounded(self) -> bool:
        """True when something was left out and "show all" has more to show."""
        every = [*self.blocks, *(block for message in self.messages for block in message.blocks)]
        return bool(self.skipped or any(block.hidden for block in every))
