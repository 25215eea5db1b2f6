"""GitHub Copilot CLI: ``copilot -p ... --output-format json``.

Format: ``copilot help`` and the session events of the Copilot SDK, checked with 1.0. One event a line,
``{type, data, id, parentId, timestamp}``; the last is a ``result``.

- No tokens and no dollars; premium requests are what is billed.
- The value of the API key is replaced by asterisks everywhere, also inside names if it is short.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any, Final

from otel_agents.accounting import Usage
from otel_agents.cli_agents.reading import (
    Reading,
    bounded,
    count,
    has,
    items,
    mapping,
    number,
    text_of,
    truth,
)
from otel_agents.cli_agents.result import ModelTotals

_MASK: Final = "******"
_EVENTS: Final = (
    "result", "user.message", "system.message", "assistant.message", "assistant.message_start",
    "assistant.message_delta", "assistant.turn_start", "assistant.turn_end", "assistant.intent",
    "assistant.reasoning", "assistant.reasoning_delta", "assistant.streaming_delta", "assistant.idle",
    "assistant.tool_call_delta", "assistant.usage", "model.call_start", "model.call_finished",
    "model.call_failure", "model.call_final_result", "tool.execution_start", "tool.execution_progress",
    "tool.execution_partial_result", "tool.execution_complete", "tool.shell_output", "tool.user_requested",
    "subagent.started", "subagent.completed", "subagent.failed", "subagent.selected",
    "subagent.deselected", "session.start", "session.resume", "session.error", "session.idle",
    "session.info", "session.warning", "session.shutdown", "session.truncation",
    "session.compaction_start", "session.compaction_complete", "session.model_change", "abort",
)  # fmt: skip
_QUIET: Final = (
    "session.", "hook.", "skill.", "permission.", "user_input.", "elicitation.", "command.", "mcp.",
    "external_tool.", "system.", "sampling.", "exit_plan_mode.", "auto_mode_switch.", "capabilities.",
    "pending_messages.", "sandbox.", "assistant.", "model.", "tool.", "user.", "subagent.",
)  # fmt: skip
_FIELDS: Final = (
    "exitCode", "sessionId", "premiumRequests", "totalApiDurationMs", "sessionDurationMs", "codeChanges",
    "linesAdded", "linesRemoved", "filesModified", "toolCallId", "toolName", "toolRequests", "arguments",
    "success", "result", "error", "content", "detailedContent", "message", "messageId", "model", "usage",
    "parentToolCallId", "errorType", "statusCode", "agentName", "agentDisplayName", "turnId", "timestamp",
    "inputTokens", "outputTokens", "cacheReadTokens", "cacheWriteTokens", "modelMetrics", "requests",
    "totalPremiumRequests", "context", "text", "code", "data", "type",
)  # fmt: skip


def read(event: Mapping[str, Any], reading: Reading) -> None:
    """Takes one event in."""
    event = _unmasked(event)
    kind = _name(text_of(event.get("type")), _EVENTS)
    data = mapping(event.get("data"))
    parent = text_of(data.get("parentToolCallId"))
    if kind == "result":
        _result(event, reading)
    elif kind == "assistant.message":
        _message(data, parent, reading)
    elif kind == "assistant.turn_start":
        if not parent:
            reading.turns = (reading.turns or 0) + 1
    elif kind == "assistant.usage":
        _usage_event(data, reading)
    elif kind == "tool.execution_start":
        reading.tool_started(data.get("toolName"), data.get("toolCallId"), data.get("arguments"), parent)
    elif kind == "tool.execution_complete":
        _tool_end(data, reading)
    elif kind in ("session.start", "session.resume"):
        reading.session_id = text_of(data.get("sessionId")) or reading.session_id
    elif kind == "session.error":
        reading.fail(data.get("message") or data, "api_error" if has(data, "statusCode") else "agent_error")
    elif kind == "model.call_failure":
        reading.note("model_call_failure", bounded(dict(data)))
    elif kind == "session.shutdown":
        _shutdown(data, reading)
    elif kind == "abort":
        reading.fail(data.get("reason") or "aborted", "cancelled")
    elif kind.startswith("subagent."):
        reading.note(kind, bounded(dict(data)))
    elif not kind.startswith(_QUIET):
        reading.skip(f"event:{kind or 'untyped'}")


def finish(reading: Reading) -> None:
    """Usage by model, where this version says it."""
    if reading.models:
        reading.total_of_models()
    if not reading.output:
        reading.output = reading.state.get("streamed", "")


def _result(event: Mapping[str, Any], reading: Reading) -> None:
    reading.session_id = text_of(event.get("sessionId")) or reading.session_id
    usage = mapping(event.get("usage"))
    premium = number(usage.get("premiumRequests"))
    reading.premium_requests = premium if premium is not None else reading.premium_requests
    _changes(mapping(usage.get("codeChanges")), reading)
    code = number(event.get("exitCode"))
    if code:
        if reading.error is None:
            reading.fail(f"the agent ended with status {code:g}", "exit_status")
    else:
        reading.recovered()
        reading.finished = True


def _changes(changes: Mapping[str, Any], reading: Reading) -> None:
    if has(changes, "linesAdded", "linesRemoved"):
        reading.lines_added = count(changes.get("linesAdded"))
        reading.lines_removed = count(changes.get("linesRemoved"))
    for path in items(changes.get("filesModified")):
        reading.file_changed(path)


def _message(data: Mapping[str, Any], parent: str, reading: Reading) -> None:
    if model := text_of(data.get("model")):
        reading.model = reading.model or model
    said = data.get("content")
    if isinstance(said, str) and said.strip() and not parent:
        reading.output = said
    for given in items(data.get("toolRequests")):
        request = mapping(given)
        # Its start is an event of its own; what is only asked for may never run.
        reading.state.setdefault("asked", {})[text_of(request.get("toolCallId"))] = request.get("arguments")


def _tool_end(data: Mapping[str, Any], reading: Reading) -> None:
    id = data.get("toolCallId")
    result = data.get("result")
    output = mapping(result).get("content", result)
    failed = data.get("error") if data.get("error") else None
    if failed is None and "success" in data and not truth(data["success"]):
        failed = output or "failed"
    if reading.tool_ended(id, output, failed) is None:
        asked = reading.state.get("asked", {}).get(text_of(id))
        reading.tool_started(data.get("toolName"), id, asked)
        reading.tool_ended(id, output, failed)


def _usage_event(data: Mapping[str, Any], reading: Reading) -> None:
    usage = _tokens(data)
    if usage is None:
        return
    known = reading.models.setdefault(text_of(data.get("model")) or "unknown", ModelTotals())
    known.usage = usage if known.usage is None else known.usage + usage
    known.calls = (known.calls or 0) + 1


def _shutdown(data: Mapping[str, Any], reading: Reading) -> None:
    premium = number(data.get("totalPremiumRequests"))
    reading.premium_requests = premium if premium is not None else reading.premium_requests
    _changes(mapping(data.get("codeChanges")), reading)
    for name, given in mapping(data.get("modelMetrics")).items():
        usage = _tokens(mapping(mapping(given).get("usage")))
        if usage is not None:  # these are the whole session's, whatever came before
            calls = number(mapping(mapping(given).get("requests")).get("count"))
            reading.models[text_of(name)] = ModelTotals(
                usage, calls=int(calls) if calls is not None else None
            )


def _tokens(data: Mapping[str, Any]) -> Usage | None:
    if not has(data, "inputTokens", "outputTokens"):
        return None
    read, written = count(data.get("cacheReadTokens")), count(data.get("cacheWriteTokens"))
    return Usage(
        input=max(count(data.get("inputTokens")), read + written),
        output=count(data.get("outputTokens")),
        cache_read=read,
        cache_write=written,
    )


def _unmasked(event: Mapping[str, Any], depth: int = 4) -> Mapping[str, Any]:
    """The event with names as they were before the key's value was taken out of them."""
    if not depth:
        return event
    return {
        _name(key, _FIELDS): _unmasked(value, depth - 1) if isinstance(value, dict) else value
        for key, value in event.items()
    }


def _name(name: str, known: tuple[str, ...]) -> str:
    return _restored(name, known) if _MASK in name else name


@functools.lru_cache(maxsize=1024)
def _restored(name: str, known: tuple[str, ...]) -> str:
    pattern = re.compile(".+".join(map(re.escape, name.split(_MASK))))
    return next((one for one in known if pattern.fullmatch(one)), name)
