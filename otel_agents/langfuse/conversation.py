"""Recorded input and output as messages of the GenAI conventions, whatever form they were recorded in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from otel_agents.tracing.messages import messages_json

Part = Mapping[str, Any]

#: No bound of ours: what was recorded has one already.
_NO_LIMIT: Final = 2**31


@dataclass(frozen=True, slots=True)
class Message:
    """A role and the parts it said: text, reasoning, tool calls and their responses, images ..."""

    role: str
    parts: Sequence[Part]

    @property
    def text(self) -> str:
        """What the text parts say."""
        return "\n".join(str(one.get("content") or "") for one in self.parts if one.get("type") == "text")


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages, and the tools that were offered with them."""

    messages: Sequence[Message]
    tools: Sequence[Mapping[str, Any]] = field(default=())

    @property
    def prompt(self) -> str:
        """The task: what the user said last; without a user, everything that was said."""
        said = [one.text for one in self.messages if one.role == "user" and one.text]
        return said[-1] if said else "\n\n".join(one.text for one in self.messages if one.text)

    def readable(self) -> str:
        """Every part but reasoning as lines: text as it is, tool calls as ``name({...})``."""
        return "\n".join(line for one in self.messages for part in one.parts if (line := _readable(part)))


def parse(recorded: str | None, role: str = "user") -> Conversation | None:
    """A recorded input or output; None when nothing was recorded.

    Args:
        recorded: messages as JSON (the conventions', a provider's, with or without tools around), any
            other JSON, or text.
        role: of what has none of its own.
    """
    if recorded is None or not recorded.strip():
        return None
    tools: Any = ()
    try:
        found = json.loads(recorded)
    except ValueError:
        found = recorded
    if isinstance(found, dict) and isinstance(found.get("messages"), list):
        tools, found = found.get("tools") or (), found["messages"]
    if isinstance(found, str):
        return Conversation([Message(role, [{"type": "text", "content": found}])])
    if not _are_messages(found):  # the arguments of a function, say
        return Conversation([Message(role, [{"type": "text", "content": recorded}])])
    made = json.loads(messages_json(found, role, _NO_LIMIT)[0])
    messages = [Message(str(one["role"]), [part for part in one["parts"] if part]) for one in made]
    return Conversation([one for one in messages if one.parts], tools_of(tools)) if messages else None


def tools_of(recorded: object) -> list[Mapping[str, Any]]:
    """Tool definitions from JSON text or a list; empty when there are none."""
    if isinstance(recorded, str):
        try:
            recorded = json.loads(recorded)
        except ValueError:
            return []
    return [one for one in recorded if isinstance(one, dict)] if isinstance(recorded, list) else []


def _are_messages(found: object) -> bool:
    many = found if isinstance(found, list) else [found]
    return bool(many) and all(
        isinstance(one, dict) and isinstance(one.get("role"), str) and ("parts" in one or "content" in one)
        for one in many
    )


def _readable(part: Part) -> str:
    kind = part.get("type")
    if kind in ("text", "refusal"):
        return str(part.get("content") or "")
    if kind == "reasoning":
        return ""
    if kind == "tool_call":
        arguments = part.get("arguments")
        shown = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
        return f"{part.get('name')}({shown})"
    if kind == "tool_call_response":
        response = part.get("response")
        return response if isinstance(response, str) else json.dumps(response, ensure_ascii=False)
    return f"[{part.get('modality') or kind}]"
