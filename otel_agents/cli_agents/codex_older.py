"""Codex CLI before 0.41: ``codex exec --json`` printed its protocol's events, ``{"id": ..., "msg": {...}}``.

Format: ``codex-rs/protocol/src/protocol.rs`` of openai/codex at 0.20 to 0.40. Two lines stand in front: the
configuration (with the model) and the prompt.

- ``token_count`` is one call's; with ``info`` it also has what the session used so far.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from otel_agents.accounting import Usage
from otel_agents.cli_agents.reading import Reading, bounded, count, has, mapping, number, text_of, truth

_COUNTS: Final = ("input_tokens", "output_tokens", "cached_input_tokens")
_QUIET: Final = (
    "agent_", "task_", "turn_", "session_", "exec_command_output_delta", "background_event", "web_search_",
    "plan_update", "user_message", "shutdown_complete",
)  # fmt: skip


def usage_of(told: Mapping[str, Any]) -> Usage | None:
    """Counts under Codex' names; input includes the cache, output reasoning. None without any."""
    if not has(told, *_COUNTS):
        return None
    read, written = count(told.get("cached_input_tokens")), count(told.get("cache_write_input_tokens"))
    output = count(told.get("output_tokens"))
    return Usage(
        input=max(count(told.get("input_tokens")), read + written),
        output=output,
        cache_read=read,
        cache_write=written,
        reasoning=min(count(told.get("reasoning_output_tokens")), output),
    )


def speaks(event: Mapping[str, Any]) -> bool:
    """Whether this is one of these events, or of the lines in front of them."""
    return isinstance(event.get("msg"), dict) or "workdir" in event or set(event) == {"prompt"}


def read(event: Mapping[str, Any], reading: Reading) -> None:
    """Takes one event in."""
    message = mapping(event.get("msg"))
    kind = text_of(message.get("type"))
    if not message:
        reading.model = text_of(event.get("model")) or reading.model
    elif kind == "session_configured":
        reading.session_id = text_of(message.get("session_id")) or reading.session_id
        reading.model = text_of(message.get("model")) or reading.model
    elif kind == "agent_message" and isinstance(message.get("message"), str):
        reading.output = message["message"]
    elif kind == "task_complete":
        reading.output = _last(message, reading)
        reading.turns = (reading.turns or 0) + 1
        reading.recovered()
        reading.finished = True
    elif kind in ("error", "stream_error"):
        reading.fail(message.get("message") or message, "api_error")
    elif kind == "turn_aborted":
        reading.fail(message.get("reason") or "aborted", "cancelled")
    elif kind == "token_count":
        _count(message, reading)
    elif kind in ("exec_command_begin", "mcp_tool_call_begin", "patch_apply_begin"):
        reading.tool_started(*_tool(kind, message))
    elif kind in ("exec_command_end", "mcp_tool_call_end", "patch_apply_end"):
        _end(kind, message, reading)
    elif not kind.startswith(_QUIET):
        reading.skip(f"event:{kind or 'untyped'}")


def finish(reading: Reading) -> None:
    """Usage of all calls, where these events told it."""
    calls: list[Usage] = reading.state.get("calls", [])
    total: Usage | None = reading.state.get("total")
    if total is not None:
        reading.usage, reading.so_far = total, True
    elif calls:
        reading.usage = sum(calls[1:], calls[0])


def _last(message: Mapping[str, Any], reading: Reading) -> str:
    said = message.get("last_agent_message")
    return said if isinstance(said, str) and said else reading.output


def _count(message: Mapping[str, Any], reading: Reading) -> None:
    total = usage_of(mapping(mapping(message.get("info")).get("total_token_usage")))
    if total is not None:
        reading.state["total"] = total
    elif (one := usage_of(message)) is not None:
        reading.state.setdefault("calls", []).append(one)


def _tool(kind: str, message: Mapping[str, Any]) -> tuple[object, object, object]:
    id = message.get("call_id")
    if kind.startswith("exec"):
        return "shell", id, {"command": message.get("command")}
    if kind.startswith("mcp"):
        given = mapping(message.get("invocation")) or message
        name = ".".join(filter(None, (text_of(given.get("server")), text_of(given.get("tool")))))
        return name or "mcp_tool_call", id, given.get("arguments")
    return "apply_patch", id, {"changes": bounded(message.get("changes"))}


def _end(kind: str, message: Mapping[str, Any], reading: Reading) -> None:
    output, error = message.get("result"), None
    if not kind.startswith("mcp"):
        output = (
            message.get("aggregated_output") or f"{message.get('stdout') or ''}{message.get('stderr') or ''}"
        )
    if text_of(code := message.get("exit_code")) not in ("", "0"):
        error = f"exit status {code}"
    elif "success" in message and not truth(message["success"]):
        error = output or "failed"
    elif isinstance(output, dict) and "Err" in output:
        error = output["Err"]
    lasted = mapping(message.get("duration"))
    seconds = number(lasted.get("secs"))
    duration = None if seconds is None else seconds + count(lasted.get("nanos")) / 1e9
    call = reading.tool_ended(message.get("call_id"), output, error, duration)
    if call is not None and kind.startswith("patch") and error is None and isinstance(call.arguments, dict):
        for path in mapping(call.arguments.get("changes")):
            reading.file_changed(path)
