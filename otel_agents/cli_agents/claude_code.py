"""Claude Code: ``claude -p --output-format json|stream-json``.

Format: ``code.claude.com/docs`` (headless mode, Agent SDK messages), checked with 2.1. One ``result``
object ends a run; ``stream-json`` prints ``system``, ``assistant`` and ``user`` messages before it.

- ``is_error`` decides. ``subtype`` says ``success`` for an API error too, and its text is in ``result``.
- ``input_tokens`` excludes the cache.
- ``modelUsage`` has all models with what sub-agents used; ``usage`` only the main conversation's.
- Resumed sessions go on from the cost and ``modelUsage`` that they had.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Final

from otel_agents.accounting import Usage
from otel_agents.cli_agents.reading import (
    Reading,
    bounded,
    bounded_json,
    count,
    has,
    items,
    mapping,
    number,
    one_line,
    running_total,
    text_of,
    truth,
)
from otel_agents.cli_agents.result import ModelTotals

_KNOWN: Final = frozenset(
    {"system", "stream_event", "user", "assistant", "result", "rate_limit_event", "tool_progress",
     "tool_use_summary", "auth_status", "prompt_suggestion", "keep_alive", "control_request",
     "control_response", "control_cancel_request", "streamlined_text", "transcript_mirror"}
)  # fmt: skip
_COUNTS: Final = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
#: Tools that write files → where the path is.
_WRITES: Final = {
    "Write": "file_path", "Edit": "file_path", "MultiEdit": "file_path", "NotebookEdit": "notebook_path",
}  # fmt: skip
_ERRORS: Final = {"error_max_turns": "max_turns", "error_max_budget_usd": "budget"}


def read(event: Mapping[str, Any], reading: Reading) -> None:
    """Takes one message in."""
    kind = text_of(event.get("type"))
    if not reading.session_id and (session := text_of(event.get("session_id"))):
        reading.session_id = session
    if kind == "result" or (not kind and ("is_error" in event or "total_cost_usd" in event)):
        _result(event, reading)
    elif kind == "assistant":
        _assistant(event, reading)
    elif kind == "user":
        _user(event, reading)
    elif kind == "system":
        _system(event, reading)
    elif kind not in _KNOWN:
        reading.skip(f"event:{kind or 'untyped'}")


def finish(reading: Reading) -> None:
    """What the run came to, all messages read."""
    results: list[Mapping[str, Any]] = reading.state.get("results", [])
    if results:
        _totals(results, reading)
    if reading.usage is not None or reading.cost is not None:
        return
    # Cut off: the messages that were seen are all there is.
    messages: dict[str, tuple[str, Usage]] = reading.state.get("messages", {})
    for model, usage in messages.values():
        _add(reading.models, model or "unknown", usage)
    if messages:
        reading.total_of_models()
        if reading.model == "unknown":
            reading.model = None
    reading.turns = reading.turns or len(messages) or None
    if not reading.output:
        reading.output = reading.state.get("said", "")


def _result(event: Mapping[str, Any], reading: Reading) -> None:
    results: list[Mapping[str, Any]] = reading.state.setdefault("results", [])
    same = text_of(event.get("uuid"))
    if same and any(text_of(one.get("uuid")) == same for one in results):
        return  # printed twice
    kept = ("usage", "modelUsage", "total_cost_usd", "num_turns", "session_id", "uuid")
    results.append({name: event[name] for name in kept if name in event})
    reading.finished = True
    if session := text_of(event.get("session_id")):
        reading.session_id = session
    said = event.get("result")
    text = said if isinstance(said, str) else ("" if said is None else one_line(said))
    subtype = text_of(event.get("subtype"))
    # Early versions had no is_error, or said false when they stopped at a limit, without a result.
    failed = truth(event.get("is_error")) or (
        subtype.startswith("error") and ("is_error" not in event or said is None)
    )
    if failed:
        told = [one_line(one) for one in items(event.get("errors"))]
        _failed(event, subtype, "; ".join(filter(None, told)) or one_line(text), reading)
        reading.output = reading.output or reading.state.get("said", "")
        if reading.output == text:
            reading.output = ""  # the error's own words
    else:
        reading.recovered()
        if not text and event.get("structured_output") is not None:
            text = bounded_json(event["structured_output"])
        reading.output = text or reading.state.get("said", "")
    if denied := list(items(event.get("permission_denials"))):
        reading.note("permission_denied", bounded([mapping(one).get("tool_name") for one in denied[:50]]))


def _failed(event: Mapping[str, Any], subtype: str, told: str, reading: Reading) -> None:
    terminal = text_of(event.get("terminal_reason"))
    status = text_of(event.get("api_error_status"))
    if subtype in _ERRORS:
        kind = _ERRORS[subtype]
    elif terminal == "api_error" or status or told.startswith("API Error"):
        kind = "api_error"
    elif "max_turns" in terminal:
        kind = "max_turns"
    else:
        kind = "agent_error"
    if not told:
        told = " ".join(filter(None, (subtype if subtype != "success" else "", terminal, status)))
    reading.fail(told or "the agent says that it failed", kind)


def _totals(results: list[Mapping[str, Any]], reading: Reading) -> None:
    """Sums up over conversations; within one, results report what was used so far."""
    by_session: dict[str, list[Mapping[str, Any]]] = {}
    for one in results:
        by_session.setdefault(text_of(one.get("session_id")), []).append(one)
    usage: list[Usage] = []
    costs: list[float] = []
    turns = 0
    for of_session in by_session.values():
        for name, seen in _model_usages(of_session).items():
            total = running_total([one for one, _ in seen])
            _add(reading.models, name, total, _running_cost([money for _, money in seen]))
        main = [found for one in of_session if (found := _usage(mapping(one.get("usage")))) is not None]
        if main:
            usage.append(running_total(main))
        told = [money for one in of_session if (money := number(one.get("total_cost_usd"))) is not None]
        if (spent := _running_cost(told)) is not None:
            costs.append(spent)
        turns += sum(count(one.get("num_turns")) for one in of_session)
    reading.cost = sum(costs) if costs else None
    reading.own, reading.so_far = (sum(usage[1:], usage[0]) if usage else None), True
    if any(one.usage is not None and one.usage.total for one in reading.models.values()):
        reading.total_of_models()
    elif usage:
        reading.usage = sum(usage[1:], usage[0])
        reading.models = {}
        reading.model = reading.model or reading.state.get("model")
    reading.turns = turns or reading.turns


def _model_usages(results: list[Mapping[str, Any]]) -> dict[str, list[tuple[Usage, float | None]]]:
    found: dict[str, list[tuple[Usage, float | None]]] = {}
    for one in results:
        for name, given in mapping(one.get("modelUsage")).items():
            told = mapping(given)
            read, written = (
                count(told.get("cacheReadInputTokens")),
                count(told.get("cacheCreationInputTokens")),
            )
            usage = Usage(
                input=count(told.get("inputTokens")) + read + written,
                output=count(told.get("outputTokens")),
                cache_read=read,
                cache_write=written,
                cache_write_1h=min(count(told.get("cacheCreationEphemeral1hInputTokens")), written),
                reasoning=min(count(told.get("thinkingTokens")), count(told.get("outputTokens"))),
            )
            found.setdefault(text_of(name) or "unknown", []).append((usage, number(told.get("costUSD"))))
    return found


def _running_cost(told: Sequence[float | None]) -> float | None:
    known = [one for one in told if one is not None]
    if not known:
        return None
    grows = all(before < after for before, after in itertools.pairwise(known))
    return known[-1] if grows else sum(known)


def _usage(told: Mapping[str, Any]) -> Usage | None:
    if not has(told, *_COUNTS):
        return None
    lifetimes = mapping(told.get("cache_creation"))
    parts = [count(lifetimes.get(f"ephemeral_{name}_input_tokens")) for name in ("5m", "1h")]
    read = count(told.get("cache_read_input_tokens"))
    written = count(told.get("cache_creation_input_tokens")) or sum(parts)
    output = count(told.get("output_tokens"))
    thought = count(mapping(told.get("output_tokens_details")).get("thinking_tokens"))
    return Usage(
        input=count(told.get("input_tokens")) + read + written,
        output=output,
        cache_read=read,
        cache_write=written,
        cache_write_1h=min(parts[1], written),
        reasoning=min(thought, output),
    )


def _add(models: dict[str, ModelTotals], name: str, usage: Usage, cost: float | None = None) -> None:
    known = models.setdefault(name, ModelTotals())
    known.usage = usage if known.usage is None else known.usage + usage
    if cost is not None:
        known.cost = (known.cost or 0.0) + cost


def _assistant(event: Mapping[str, Any], reading: Reading) -> None:
    message = mapping(event.get("message"))
    parent = text_of(event.get("parent_tool_use_id"))
    model = text_of(message.get("model"))
    if model.startswith("<"):  # <synthetic>: the program's own words
        model = ""
    if not parent and model:
        reading.state["model"] = reading.model = model
    if (usage := _usage(mapping(message.get("usage")))) is not None and (model or usage.total):
        # Each block of an answer repeats the answer's usage; later ones know better.
        messages: dict[str, tuple[str, Usage]] = reading.state.setdefault("messages", {})
        messages[text_of(message.get("id")) or f"#{len(messages)}"] = (model, usage)
    content = message.get("content")
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    for given in items(content):
        block = mapping(given)
        kind = block.get("type")
        if kind == "text" and not parent and isinstance(block.get("text"), str):
            reading.state["said"] = block["text"]
        elif kind in ("tool_use", "server_tool_use", "mcp_tool_use"):
            reading.tool_started(block.get("name"), block.get("id"), block.get("input"), parent)


def _user(event: Mapping[str, Any], reading: Reading) -> None:
    for given in items(mapping(event.get("message")).get("content")):
        block = mapping(given)
        if block.get("type") not in ("tool_result", "mcp_tool_result"):
            continue
        output = block.get("content")
        if isinstance(output, list) and all(isinstance(mapping(one).get("text"), str) for one in output):
            output = "".join(mapping(one)["text"] for one in output)
        failed = truth(block.get("is_error", False))
        call = reading.tool_ended(block.get("tool_use_id"), output, output or "failed" if failed else None)
        if call is not None and not failed and isinstance(call.arguments, dict):
            reading.file_changed(call.arguments.get(_WRITES.get(call.name, "")))


def _system(event: Mapping[str, Any], reading: Reading) -> None:
    subtype = text_of(event.get("subtype"))
    if subtype == "init":
        if model := text_of(event.get("model")):
            reading.state.setdefault("model", model)
            reading.model = reading.model or model
    elif subtype == "compact_boundary":
        reading.note("compaction", bounded(event.get("compact_metadata")))
    elif subtype == "api_retry":
        told = {name: event[name] for name in ("attempt", "error_status", "error") if name in event}
        reading.note("api_retry", bounded(told))
