"""Gemini CLI: ``gemini -p ... --output-format json|stream-json``.

Format: the project's ``docs/cli/headless.md`` and ``packages/core/src/output``, checked with 0.61. ``json``
prints one object over many lines, ``stream-json`` an event a line (``init``, ``message``, ``tool_use``,
``tool_result``, ``error``, ``result``).

- ``prompt`` includes what was ``cached``; ``input`` is the rest of it.
- What the model thought is not in ``candidates``, what tools sent not in ``prompt``.
- No cost. Exit status 42 is wrong input, 53 the limit of turns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from otel_agents.accounting import Usage
from otel_agents.cli_agents.reading import Reading, count, has, items, mapping, number, text_of, truth
from otel_agents.cli_agents.result import ModelTotals, ToolCall

#: Exit status → error type.
EXIT_ERRORS: Final = {
    41: "authentication", 42: "input", 44: "sandbox", 52: "configuration", 53: "max_turns", 54: "tool",
    55: "untrusted_folder", 130: "cancelled",
}  # fmt: skip
_WRITES: Final = ("write_file", "replace", "edit")
_PATHS: Final = ("file_path", "absolute_path", "path")


def read(event: Mapping[str, Any], reading: Reading) -> None:
    """Takes the one object, or one event, in."""
    kind = text_of(event.get("type"))
    if session := text_of(event.get("session_id")):
        reading.session_id = session
    if kind == "init":
        reading.model = text_of(event.get("model")) or reading.model
    elif kind == "message":
        if event.get("role") == "assistant" and isinstance(event.get("content"), str):
            said = reading.output if truth(event.get("delta", False)) or not reading.output else ""
            reading.output = said + event["content"]
    elif kind == "tool_use":
        reading.tool_started(event.get("tool_name"), event.get("tool_id"), event.get("parameters"))
    elif kind == "tool_result":
        _tool_result(event, reading)
    elif kind == "error":
        _error_event(event, reading)
    elif kind == "result":
        _result(event, reading)
    elif not kind and ("stats" in event or "response" in event or "error" in event):
        _whole(event, reading)
    else:
        reading.skip(f"event:{kind or 'untyped'}")


def finish(reading: Reading) -> None:
    """Nothing is left to do: the figures come with the last event."""


def _whole(event: Mapping[str, Any], reading: Reading) -> None:
    said = event.get("response")
    if isinstance(said, str):
        reading.output = said
    _stats(mapping(event.get("stats")), reading)
    for one in items(event.get("warnings")):
        reading.note("warning", one)
    if event.get("error"):
        _failed(event["error"], reading)
    else:
        reading.recovered()
        reading.finished = True


def _result(event: Mapping[str, Any], reading: Reading) -> None:
    _stats(mapping(event.get("stats")), reading)
    if event.get("error") or text_of(event.get("status")) not in ("success", ""):
        _failed(event.get("error") or "the agent says that it failed", reading)
    else:
        reading.recovered()
        reading.finished = True


def _failed(error: object, reading: Reading) -> None:
    told = mapping(error)
    code = count(told.get("code"))
    kind = EXIT_ERRORS.get(code)
    name = text_of(told.get("type"))
    if kind is None:
        kind = "max_turns" if "turn" in name.lower() else "api_error" if 400 <= code < 600 else "agent_error"
    reading.fail(error, kind)


def _error_event(event: Mapping[str, Any], reading: Reading) -> None:
    if text_of(event.get("severity")) == "error":
        _failed(event.get("error") or event, reading)
    else:
        reading.note("warning", event.get("message"))


def _tool_result(event: Mapping[str, Any], reading: Reading) -> None:
    failed = text_of(event.get("status")) == "error" or bool(event.get("error"))
    error = (event.get("error") or event.get("output") or "failed") if failed else None
    call = reading.tool_ended(event.get("tool_id"), event.get("output"), error)
    if call is None:
        reading.skip("tool_result_without_tool_use")
    elif not failed and call.name in _WRITES and isinstance(call.arguments, dict):
        reading.file_changed(next((call.arguments[key] for key in _PATHS if key in call.arguments), None))


def _stats(stats: Mapping[str, Any], reading: Reading) -> None:
    if not stats:
        return
    calls = 0
    for name, given in mapping(stats.get("models")).items():
        told = mapping(given)
        requests = number(mapping(told.get("api")).get("totalRequests"))
        usage = _usage(mapping(told["tokens"])) if "tokens" in told else _flat(told)
        reading.models[text_of(name) or "unknown"] = ModelTotals(
            usage, calls=int(requests) if requests is not None else None
        )
        roles = mapping(told.get("roles"))
        main = mapping(mapping(roles.get("main")).get("api", roles.get("main")))
        calls += count(main.get("totalRequests")) if "main" in roles else int(requests or 0)
    if reading.models:
        named = reading.model
        reading.total_of_models()
        reading.model = named if named in reading.models else reading.model
    if reading.usage is None:
        reading.usage = _flat(stats)
    reading.turns = calls or reading.turns
    tools = mapping(stats.get("tools"))
    if not reading.tool_calls:
        _tools_by_name(mapping(tools.get("byName")), reading)
    files = mapping(stats.get("files"))
    if has(files, "totalLinesAdded", "totalLinesRemoved"):
        reading.lines_added = count(files.get("totalLinesAdded"))
        reading.lines_removed = count(files.get("totalLinesRemoved"))


def _usage(tokens: Mapping[str, Any]) -> Usage | None:
    if not has(tokens, "prompt", "input", "candidates", "total"):
        return None
    cached = count(tokens.get("cached"))
    prompt = count(tokens["prompt"]) if "prompt" in tokens else count(tokens.get("input")) + cached
    by_tools, thought = count(tokens.get("tool")), count(tokens.get("thoughts"))
    return Usage(
        input=max(prompt, cached) + by_tools,
        output=count(tokens.get("candidates")) + thought,
        cache_read=cached,
        reasoning=thought,
    )


def _flat(stats: Mapping[str, Any]) -> Usage | None:
    """The totals of ``stream-json``; what is in none of the parts was thought."""
    if not has(stats, "input_tokens", "output_tokens", "total_tokens"):
        return None
    cached = count(stats.get("cached"))
    sent = count(stats["input_tokens"]) if "input_tokens" in stats else count(stats.get("input")) + cached
    produced = count(stats.get("output_tokens"))
    thought = max(count(stats.get("total_tokens")) - sent - produced, 0)
    return Usage(input=max(sent, cached), output=produced + thought, cache_read=cached, reasoning=thought)


def _tools_by_name(tools: Mapping[str, Any], reading: Reading) -> None:
    """``json`` only says how often each tool was used."""
    for name, given in tools.items():
        told = mapping(given)
        times, failed = count(told.get("count")), count(told.get("fail"))
        each = count(told.get("durationMs")) / 1000 / times if times else None
        for index in range(min(times, 1000)):
            call: ToolCall = reading.tool_started(name, f"{name}#{index}", None)
            reading.tool_ended(call.id, None, "failed" if index >= times - failed else None, each)
