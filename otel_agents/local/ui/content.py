"""One recorded input or output, read into messages and blocks that a page can show.

Content arrives as one string. Mostly it is JSON: a list of messages in the conventions' schema or a
provider's, retrieved documents, any other value; else it is text, or JSON that was cut off. Nothing here
raises: what is not understood is shown as it was recorded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from otel_agents.local.ui import jsontext, parts
from otel_agents.local.ui.blocks import Block, Content, Message
from otel_agents.local.ui.parts import mapping, words


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of one side is drawn."""

    #: Characters of one block.
    characters: int
    #: Messages: the first and the last half of this many.
    messages: int


SHORT = Bounds(characters=6_000, messages=40)
#: After "show all": what a browser still scrolls well. The raw text has no bound.
FULL = Bounds(characters=400_000, messages=2_000)
_PREVIEW = Bounds(characters=400, messages=4)


def read(recorded: str | None, bounds: Bounds = SHORT) -> Content:
    """Reads one recorded side of an observation."""
    if recorded is None or recorded == "":
        return Content("empty")
    value = jsontext.parse(recorded)
    if value is jsontext.NOT_JSON:
        content = Content("text", blocks=parts.text_blocks(recorded, bounds.characters))
    else:
        content = _value(value, bounds)
    content.size = len(recorded)
    return content


def preview(recorded: str | None) -> str:
    """The words of a recorded side that tell one run from another, for a table cell.

    Of messages: the last one's text (the question asked, the answer given), else its tool calls.
    """
    if not recorded:
        return ""
    value = jsontext.parse(recorded)
    if value is jsontext.NOT_JSON:
        return _cut_messages(recorded) or recorded
    if isinstance(value, str):
        return value
    content = _value(value, _PREVIEW)
    for message in reversed(content.messages):
        for kinds in (("text", "code"), ("tool_call", "tool_result"), ("reasoning", "media", "json")):
            spoken = " ".join(_summary(block) for block in message.blocks if block.kind in kinds).strip()
            if spoken:
                return spoken
    if content.kind == "documents":
        return " · ".join(block.label or block.text for block in content.blocks)
    return " ".join(jsontext.pretty(value)[:2000].split())


def _cut_messages(recorded: str) -> str:
    """The first text in a conversation whose JSON was cut off: lists keep a bounded start of it."""
    if not recorded.lstrip().startswith(("[{", '{"')):
        return ""
    for key in ('"content":', '"text":'):
        before, found, after = recorded.partition(key)
        if found and '"role"' in before and after.lstrip().startswith('"'):
            spoken = after.lstrip()[1:]
            end = 0
            while end < len(spoken) and spoken[end] != '"':
                end += 2 if spoken[end] == "\\" else 1
            value = jsontext.parse('"' + spoken[:end].rstrip("\\") + '"')
            return value if isinstance(value, str) else spoken[:end]
    return ""


def _summary(block: Block) -> str:
    if block.kind == "tool_call":
        return f"\u2192 {block.label}({' '.join(block.text.split())[:160]})"
    if block.kind == "tool_result":
        return f"\u2190 {block.text}"
    if block.kind == "media":
        return f"[{block.label}]"
    return block.text


def _value(value: Any, bounds: Bounds) -> Content:
    if isinstance(value, str):
        return Content("text", blocks=parts.text_blocks(value, bounds.characters))
    if isinstance(value, dict):
        return _object(value, bounds)
    if isinstance(value, list) and value:
        if all(_is_message(item) for item in value):
            return _conversation(value, bounds)
        if all(_is_document(item) for item in value):
            documents = [_document(item, bounds) for item in value[: bounds.messages]]
            skipped = len(value) - len(documents)
            return Content("documents", blocks=documents, skipped=skipped, skipped_at=len(documents))
        if all(parts.is_part(item) for item in value):
            return _conversation([{"role": "", "parts": value}], bounds)
    return Content("json", blocks=[parts.json_block(value, bounds.characters)])


def _object(value: dict[str, Any], bounds: Bounds) -> Content:
    """A provider's request or response body, one message, or any other object."""
    messages = value.get("messages")
    if isinstance(messages, list) and messages and all(_is_message(item) for item in messages):
        system = value.get("system")
        if system and not any(item.get("role") == "system" for item in messages):
            messages = [{"role": "system", "content": system}, *messages]
        content = _conversation(messages, bounds)
        content.tools = _tools(value.get("tools"))
        rest = {key: item for key, item in value.items() if key not in ("messages", "tools", "system")}
        if rest:
            content.blocks.append(parts.json_block(rest, bounds.characters, "other fields"))
        return content
    choices = value.get("choices")
    if isinstance(choices, list) and choices and all(_is_message(mapping(c).get("message")) for c in choices):
        spoken = [{"finish_reason": choice.get("finish_reason"), **choice["message"]} for choice in choices]
        return _conversation(spoken, bounds)
    if _is_message(value):
        return _conversation([value], bounds)
    return Content("json", blocks=[parts.json_block(value, bounds.characters)])


def _conversation(items: Sequence[Mapping[str, Any]], bounds: Bounds) -> Content:
    content = Content("messages")
    kept = items
    if len(items) > bounds.messages:
        half = bounds.messages // 2
        kept = [*items[:half], *items[-half:]]
        content.skipped, content.skipped_at = len(items) - len(kept), half
    content.messages = [_message(item, bounds.characters) for item in kept]
    return content


def _message(item: Mapping[str, Any], limit: int) -> Message:
    message = Message(
        role=words(item.get("role")),
        name=words(item.get("name")),
        finish=words(item.get("finish_reason") or item.get("stop_reason")),
    )
    for key in ("reasoning_content", "reasoning", "thinking"):
        if isinstance(item.get(key), str) and item[key]:
            message.blocks.append(parts.text_block("reasoning", item[key], limit))
            break
    body = item.get("parts", item.get("content"))
    if message.role in ("tool", "function") and not (
        isinstance(body, list) and any(map(parts.is_part, body))
    ):
        # OpenAI: the result is the whole content; the name, if any, is the tool's.
        call_id = words(item.get("tool_call_id"))
        message.blocks.append(parts.payload_block("tool_result", body, limit, message.name, call_id))
        message.name = ""
    elif isinstance(body, list):
        for part in body:
            message.blocks.extend(parts.part_blocks(part, limit))
    elif isinstance(body, str):
        if body:
            message.blocks.extend(parts.text_blocks(body, limit))
    elif body is not None:
        message.blocks.append(parts.json_block(body, limit))
    if isinstance(item.get("refusal"), str) and item["refusal"]:
        message.blocks.append(parts.text_block("text", item["refusal"], limit, label="refusal"))
    calls = item.get("tool_calls")
    message.blocks.extend(
        parts.openai_call(call, limit) for call in (calls if isinstance(calls, list) else ())
    )
    if isinstance(item.get("function_call"), dict):
        message.blocks.append(parts.openai_call({"function": item["function_call"]}, limit))
    return message


def _document(item: Mapping[str, Any], bounds: Bounds) -> Block:
    keys = ("content", "text", "page_content", "snippet")
    key = next((key for key in keys if isinstance(item.get(key), str)), "")
    rest = {name: value for name, value in item.items() if name not in ("id", "score", key)}
    pieces = [item[key]] if key else []
    if rest:
        pieces.append(jsontext.pretty(rest))
    score = item["score"]
    note = f"{score:.3g}" if isinstance(score, float) else str(score)[:20]
    return parts.text_block(
        "document", "\n".join(pieces), bounds.characters, label=words(item.get("id")), note=note
    )


def _is_message(item: Any) -> bool:
    if not isinstance(item, dict) or not isinstance(item.get("role"), str):
        return False
    return any(key in item for key in ("parts", "content", "tool_calls", "function_call"))


def _is_document(item: Any) -> bool:
    if not isinstance(item, dict) or isinstance(item.get("score"), bool):
        return False
    return isinstance(item.get("score"), int | float) and bool(item.keys() & {"id", "content", "text"})


def _tools(value: Any) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for item in value if isinstance(value, list) else ():
        function = mapping(mapping(item).get("function")) or mapping(item)
        if name := words(function.get("name")):
            found.append((name, words(function.get("description"))))
    return found
