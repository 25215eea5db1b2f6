"""Items of the Responses API: what a request says, and what an answer is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from modelserver.answers import number
from modelserver.caching import Segment, count
from modelserver.exchange import Exchange, compact, slices
from modelserver.prompt import Prompt

#: Name of an event, output tokens that it stands for, and its fields.
Event = tuple[str, int, dict[str, Any]]


def read_item(prompt: Prompt, item: Mapping[str, Any]) -> None:
    """Adds one input item to the prompt."""
    kind, role = item.get("type", "message"), item.get("role", "user")
    if kind == "message":
        text = _text(item.get("content"))
        prompt.segments.append(Segment(f"<{role}>{text}"))
        if role in ("system", "developer"):
            prompt.system += text
        elif role == "user":
            prompt.user, prompt.tool_results = text, []
    elif kind.endswith("_call_output"):
        output = item.get("output")
        text = output if isinstance(output, str) else _text(output)
        prompt.segments.append(Segment(f"<tool>{text}"))
        prompt.tool_results.append(text)
    else:
        prompt.segments.append(Segment(f"<{kind}>{compact(_bare(item))}"))


def output_items(exchange: Exchange) -> list[dict[str, Any]]:
    """What the model produced: a thought, a search, then calls or a message; ids stay the same."""
    answer, key = exchange.answers[0], exchange.response_id
    items: list[dict[str, Any]] = []

    def item_id(prefix: str) -> str:
        return f"{prefix}_{number(key, str(len(items))):08x}"

    if exchange.bill.reasoning:
        summary: list[dict[str, Any]] = []
        if (exchange.body.get("reasoning") or {}).get("summary") and answer.thinking:
            summary = [{"type": "summary_text", "text": answer.thinking}]
        items.append({"id": item_id("rs"), "type": "reasoning", "summary": summary})
    if exchange.bill.web_searches:
        action = {"type": "search", "query": exchange.prompt.first_line[:60]}
        items.append(
            {"id": item_id("ws"), "type": "web_search_call", "status": "completed", "action": action}
        )
    for call in answer.tool_calls:
        items.append(
            {
                "id": item_id("fc"),
                "type": "function_call",
                "status": "completed",
                "call_id": f"call_{number(key, call.name, str(len(items))):08x}",
                "name": call.name,
                "arguments": call.arguments,
            }
        )
    if not answer.tool_calls or answer.text:
        part: dict[str, Any] = {"type": "output_text", "text": answer.text, "annotations": [], "logprobs": []}
        if answer.finish == "refusal":
            part = {"type": "refusal", "refusal": answer.text}
        status = "incomplete" if answer.finish in ("length", "content_filter") else "completed"
        items.append(
            {
                "id": item_id("msg"),
                "type": "message",
                "status": status,
                "role": "assistant",
                "content": [part],
            }
        )
    return items


def pieces_of(item: Mapping[str, Any]) -> Iterator[Event]:
    """The events that deliver one item."""
    names = {"item_id": item["id"]}
    opened = {**item, "status": "in_progress"} if "status" in item else dict(item)
    emptied: dict[str, dict[str, Any]] = {
        "message": {"content": []},
        "reasoning": {"summary": []},
        "function_call": {"arguments": ""},
    }
    yield "response.output_item.added", 0, {"item": opened | emptied.get(item["type"], {})}
    if item["type"] == "message":
        yield from _message(item["content"][0], {**names, "content_index": 0})
    elif item["type"] == "reasoning":
        for at, part in enumerate(item["summary"]):
            where = {**names, "summary_index": at}
            empty = {"type": "summary_text", "text": ""}
            yield "response.reasoning_summary_part.added", 0, {**where, "part": empty}
            for piece in slices(part["text"]):
                yield "response.reasoning_summary_text.delta", 0, {**where, "delta": piece}
            yield "response.reasoning_summary_text.done", 0, {**where, "text": part["text"]}
            yield "response.reasoning_summary_part.done", 0, {**where, "part": part}
    elif item["type"] == "function_call":
        for piece in slices(item["arguments"], 12):
            yield "response.function_call_arguments.delta", 3, {**names, "delta": piece}
        done = {**names, "name": item["name"], "arguments": item["arguments"]}
        yield "response.function_call_arguments.done", 4 + count(item["name"]), done
    elif item["type"] == "web_search_call":
        for step in ("in_progress", "searching", "completed"):
            yield f"response.web_search_call.{step}", 0, names
    yield "response.output_item.done", 0, {"item": dict(item)}


def _message(part: Mapping[str, Any], where: dict[str, Any]) -> Iterator[Event]:
    field = "refusal" if part["type"] == "refusal" else "text"
    kind = "refusal" if field == "refusal" else "output_text"
    more: dict[str, Any] = {} if field == "refusal" else {"logprobs": []}
    yield "response.content_part.added", 0, {**where, "part": {**part, field: ""}}
    for piece in slices(part[field]):
        yield f"response.{kind}.delta", count(piece), {**where, "delta": piece, **more}
    yield f"response.{kind}.done", 0, {**where, field: part[field], **more}
    yield "response.content_part.done", 0, {**where, "part": dict(part)}


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return compact(content)
    # Images and files count as the length of their data; there is no better deterministic rule.
    return "".join(str(part["text"]) if "text" in part else compact(part) for part in content)


def _bare(item: Mapping[str, Any]) -> dict[str, Any]:
    """Without ids and states, which are not part of the prompt."""
    return {name: value for name, value in item.items() if name not in ("id", "call_id", "status")}
