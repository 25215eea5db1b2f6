"""Message parts in the dialects that spans hold, read into blocks.

Sources: the GenAI conventions' message schema (``parts`` with a ``type``), OpenAI Chat Completions and
Responses, Anthropic Messages, Gemini (parts without a type).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from otel_agents.local.ui.blocks import Block, BlockKind
from otel_agents.local.ui.clean import clip
from otel_agents.local.ui.jsontext import NOT_JSON, parse, pretty
from otel_agents.local.ui.media import media_block

_FENCE = "```"


def words(value: Any) -> str:
    """``value`` when it is text, "" for nothing, else its plain spelling."""
    return value if isinstance(value, str) else "" if value is None else str(value)


def mapping(value: Any) -> Mapping[str, Any]:
    """``value`` when it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def text_blocks(text: str, limit: int) -> list[Block]:
    """Text, with Markdown's fenced code as blocks of their own."""
    shown, hidden = clip(text, limit)
    blocks: list[Block] = []
    lines: list[str] = []
    language: str | None = None  # of the open fence

    def close() -> None:
        body = "\n".join(lines)
        if language is not None:
            blocks.append(Block("code", body, label=language))
        elif body.strip():
            blocks.append(Block("text", body.strip("\n")))
        lines.clear()

    if _FENCE in shown:
        for line in shown.split("\n"):
            if line.lstrip().startswith(_FENCE):
                close()
                language = line.strip().removeprefix(_FENCE).strip()[:40] if language is None else None
            else:
                lines.append(line)
        close()
    if not blocks:
        blocks = [Block("text", shown)]
    blocks[-1].hidden = hidden
    return blocks


def text_block(kind: BlockKind, text: str, limit: int, label: str = "", note: str = "") -> Block:
    """One bounded block."""
    shown, hidden = clip(text, limit)
    return Block(kind, shown, label=label, note=note, hidden=hidden)


def json_block(value: Any, limit: int, label: str = "") -> Block:
    """Any value, printed."""
    return text_block("json", pretty(value), limit, label=label)


def payload_block(kind: BlockKind, value: Any, limit: int, label: str = "", note: str = "") -> Block:
    """A tool call's arguments or result, which are often JSON inside a string."""
    if isinstance(value, str):
        inner = parse(value)
        shown = value if inner is NOT_JSON else inner if isinstance(inner, str) else pretty(inner)
    else:
        shown = "" if value is None else pretty(value)
    return text_block(kind, shown, limit, label=label, note=note)


def openai_call(call: Any, limit: int) -> Block:
    """An entry of OpenAI's ``tool_calls``."""
    call = mapping(call)
    function = mapping(call.get("function")) or call
    arguments = function.get("arguments", function.get("args", call.get("input")))
    return payload_block("tool_call", arguments, limit, words(function.get("name")), words(call.get("id")))


def part_blocks(part: Any, limit: int) -> list[Block]:
    """One part of a message in any dialect; an unknown one is printed as JSON."""
    if isinstance(part, str):
        return text_blocks(part, limit)
    if not isinstance(part, dict):
        return [json_block(part, limit)]
    kind = part.get("type")
    if kind is None:
        kind = next((key for key in _UNTYPED if key in part), None)
    handler = HANDLERS.get(kind) if isinstance(kind, str) else None
    return handler(part, limit) if handler else [json_block(part, limit, words(kind))]


def is_part(item: Any) -> bool:
    """True for an object whose ``type`` is one that messages use."""
    return isinstance(item, dict) and isinstance(item.get("type"), str) and item["type"] in HANDLERS


def _is_text(item: Any) -> bool:
    return isinstance(item, dict) and item.get("type") in ("text", "output_text", "input_text")


def _text(part: Mapping[str, Any], limit: int) -> list[Block]:
    spoken = part.get("content", part.get("text", part.get("refusal")))
    return text_blocks(spoken, limit) if isinstance(spoken, str) else [json_block(spoken, limit)]


def _reasoning(part: Mapping[str, Any], limit: int) -> list[Block]:
    thought = part.get("content", part.get("thinking", part.get("text", part.get("summary"))))
    if isinstance(thought, list):
        thought = "\n\n".join(words(mapping(item).get("text", item)) for item in thought)
    if part.get("type") == "redacted_thinking":
        thought = "(redacted by the provider)"
    return [text_block("reasoning", words(thought), limit)]


def _call(part: Mapping[str, Any], limit: int) -> list[Block]:
    part = mapping(part.get("functionCall", part.get("function_call"))) or part
    keys = ("arguments", "input", "args", "server_tool_call")
    arguments = next((part[key] for key in keys if key in part), None)
    call_id = words(part.get("call_id") or part.get("id"))
    return [payload_block("tool_call", arguments, limit, words(part.get("name")), call_id)]


def _result(part: Mapping[str, Any], limit: int) -> list[Block]:
    part = mapping(part.get("functionResponse", part.get("function_response"))) or part
    keys = ("response", "content", "output", "result", "server_tool_call_response")
    answer = next((part[key] for key in keys if key in part), None)
    if isinstance(answer, list) and answer and all(_is_text(item) for item in answer):
        answer = "\n".join(words(item.get("text", item.get("content"))) for item in answer)
    ids = ("tool_use_id", "tool_call_id", "call_id", "id")
    call_id = next((words(part[key]) for key in ids if part.get(key)), "")
    block = payload_block("tool_result", answer, limit, words(part.get("name")), call_id)
    block.failed = part.get("is_error") is True
    return [block]


def _media(part: Mapping[str, Any], limit: int) -> list[Block]:
    return [media_block(part)]


#: Gemini's parts have no ``type``: the key that is there says what it is.
_UNTYPED = (
    "text",
    "functionCall",
    "function_call",
    "functionResponse",
    "function_response",
    "inlineData",
    "fileData",
)

HANDLERS: dict[str, Callable[[Mapping[str, Any], int], list[Block]]] = {
    **dict.fromkeys(("text", "input_text", "output_text", "refusal", "compaction"), _text),
    **dict.fromkeys(("reasoning", "thinking", "redacted_thinking"), _reasoning),
    **dict.fromkeys(("tool_call", "tool_use", "server_tool_use", "server_tool_call"), _call),
    **dict.fromkeys(("function_call", "functionCall"), _call),
    **dict.fromkeys(("tool_call_response", "tool_result", "server_tool_call_response"), _result),
    **dict.fromkeys(("function_call_output", "functionResponse", "function_response"), _result),
    **dict.fromkeys(("blob", "uri", "file", "image", "image_url", "input_image", "input_file"), _media),
    **dict.fromkeys(("input_audio", "document", "inlineData", "fileData"), _media),
}
