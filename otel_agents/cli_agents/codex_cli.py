"""Codex CLI: ``codex exec --json``.

Format: ``codex-rs/exec/src/exec_events.rs`` and ``event_processor_with_jsonl_output.rs`` of openai/codex,
checked with 0.169. One event a line: ``thread.started``, ``turn.*``, ``item.*``, ``error``. Before 0.41 they
were others: :mod:`~otel_agents.cli_agents.codex_older`.

- The usage of ``turn.completed`` is what the thread has used so far, whatever its comment says, also in
  runs before this one that it resumes.
- ``input_tokens`` includes the cache, ``output_tokens`` includes reasoning.
- No cost, no model, no duration. Without a network it waits for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from otel_agents.accounting import Usage
from otel_agents.cli_agents import codex_older
from otel_agents.cli_agents.reading import (
    Reading,
    bounded,
    items,
    mapping,
    number,
    running_total,
    text_of,
)

_NO_TOOLS: Final = ("agent_message", "reasoning", "todo_list", "error", "user_message")


def read(event: Mapping[str, Any], reading: Reading) -> None:
    """Takes one event in."""
    kind = text_of(event.get("type"))
    if kind in ("thread.started", "session.created"):  # the older name
        reading.session_id = text_of(event.get("thread_id") or event.get("session_id")) or reading.session_id
        reading.state["thread"] = reading.session_id
    elif kind == "turn.started":
        reading.state["started"] = reading.state.get("started", 0) + 1
    elif kind == "turn.completed":
        reading.state["completed"] = reading.state.get("completed", 0) + 1
        _usage(mapping(event.get("usage")), reading)
        reading.recovered()
        reading.finished = True
    elif kind == "turn.failed":
        _usage(mapping(event.get("usage")), reading)
        reading.finished = False
        reading.fail(event.get("error") or "the turn failed", "api_error")
    elif kind == "error":
        # Also said of attempts that are made again; a completed turn takes it back.
        reading.fail(event.get("message") or event, "api_error")
    elif kind in ("item.started", "item.updated", "item.completed"):
        _item(mapping(event.get("item")), kind, reading)
    elif not kind and codex_older.speaks(event):
        codex_older.read(event, reading)
    else:
        reading.skip(f"event:{kind or 'untyped'}")


def finish(reading: Reading) -> None:
    """Usage over all threads."""
    codex_older.finish(reading)
    threads: dict[str, list[Usage]] = reading.state.get("usage", {})
    totals = [running_total(seen) for seen in threads.values()]
    if totals:
        reading.usage = sum(totals[1:], totals[0])
        reading.so_far = True
    turns = max(reading.state.get("started", 0), reading.state.get("completed", 0))
    reading.turns = turns or reading.turns


def _usage(told: Mapping[str, Any], reading: Reading) -> None:
    """Notes what the thread has used so far."""
    usage = codex_older.usage_of(told)
    if usage is not None:
        threads: dict[str, list[Usage]] = reading.state.setdefault("usage", {})
        threads.setdefault(reading.state.get("thread") or "", []).append(usage)


def _item(item: Mapping[str, Any], event: str, reading: Reading) -> None:
    kind = text_of(item.get("type") or item.get("item_type"))  # the older name
    over = event == "item.completed"
    if kind == "agent_message" or kind == "assistant_message":
        if isinstance(item.get("text"), str):
            reading.output = item["text"]
        return
    if kind == "todo_list":
        reading.note("todo_list", bounded(item.get("items")))
        return
    if kind == "error":
        reading.note("warning", item.get("message"))
        return
    if kind in _NO_TOOLS:
        return
    if not kind:
        reading.skip("item:untyped")
        return
    id = item.get("id")
    name, arguments = _tool(kind, item)
    reading.tool_started(name, id, arguments)
    if not over:
        return
    error = _error(item)
    reading.tool_ended(id, _output(kind, item), error)
    if kind == "file_change" and error is None:
        for change in items(item.get("changes")):
            reading.file_changed(mapping(change).get("path"))


def _tool(kind: str, item: Mapping[str, Any]) -> tuple[str, object]:
    if kind == "command_execution":
        return "shell", {"command": item.get("command")}
    if kind == "mcp_tool_call":
        name = ".".join(filter(None, (text_of(item.get("server")), text_of(item.get("tool")))))
        return name or kind, item.get("arguments")
    if kind == "file_change":
        return "apply_patch", {"changes": item.get("changes")}
    if kind == "web_search":
        return "web_search", {"query": item.get("query")}
    if kind == "collab_tool_call":
        names = ("prompt", "sender_thread_id", "receiver_thread_ids")
        return text_of(item.get("tool")) or kind, {key: item[key] for key in names if key in item}
    known = ("id", "type", "status")
    return kind, {key: value for key, value in item.items() if key not in known}


def _output(kind: str, item: Mapping[str, Any]) -> object:
    if kind == "command_execution":
        return item.get("aggregated_output")
    return item.get("result") if kind == "mcp_tool_call" else None


def _error(item: Mapping[str, Any]) -> object:
    if item.get("error"):
        return item["error"]
    status = text_of(item.get("status"))
    code = item.get("exit_code")
    if status in ("failed", "declined", "cancelled"):
        return f"exit status {code}" if status == "failed" and code else status
    if (number(code) or 0) > 0 or (isinstance(code, (int, float)) and code < 0):
        return f"exit status {code}"
    return None
