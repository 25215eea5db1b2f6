"""Stands in for an agent that is not installed: prints what the real program prints.

``python stand_in.py claude -p --output-format stream-json --verbose "Review of setup.py ..."``

Which task it gets decides what it says, so that every run goes the same way: some answers are thin, one
agent in five fails in its own manner.
"""

from __future__ import annotations

import hashlib
import json
import sys
import uuid
from collections.abc import Callable, Iterator
from typing import Any

Events = Iterator[dict[str, Any]]


def _luck(agent: str, task: str) -> int:
    """0 to 9, always the same for an agent and a task."""
    return hashlib.sha256(f"{agent} {task}".encode()).digest()[0] % 10


def _answer(task: str, thin: bool) -> str:
    if thin:
        return f"{task}: looks fine to me."
    points = (
        "line 12: name the error that is caught",
        "line 40: close the file",
        "line 71: test the empty list",
    )
    return f"{task}\n" + "\n".join(f"{number}. {point}" for number, point in enumerate(points, 1))


def _claude(task: str, answer: str, tokens: int, fails: bool) -> Events:
    session = str(uuid.uuid4())
    yield {"type": "system", "subtype": "init", "session_id": session, "model": "claude-sonnet-4-5"}
    use = {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"file_path": task}}
    yield {"type": "assistant", "session_id": session, "message": {"id": "m1", "content": [use]}}
    done = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "..."}
    yield {"type": "user", "session_id": session, "message": {"content": [done]}}
    cost = (tokens * 3 + tokens * 0.3 + 300 * 15) / 1e6
    used = {"inputTokens": tokens, "outputTokens": 300, "cacheReadInputTokens": tokens, "costUSD": cost}
    usage = {"input_tokens": tokens, "output_tokens": 300, "cache_read_input_tokens": tokens}
    yield {
        "type": "result", "subtype": "success", "is_error": fails, "session_id": session, "num_turns": 2,
        "result": "API Error: 529 overloaded" if fails else answer, "total_cost_usd": cost, "usage": usage,
        "terminal_reason": "api_error" if fails else "completed", "modelUsage": {"claude-sonnet-4-5": used},
    }  # fmt: skip


def _gemini(task: str, answer: str, tokens: int, fails: bool) -> Events:
    yield {"type": "init", "session_id": str(uuid.uuid4()), "model": "gemini-2.5-flash"}
    yield {"type": "tool_use", "tool_name": "read_file", "tool_id": "1", "parameters": {"path": task}}
    yield {"type": "tool_result", "tool_id": "1", "status": "success", "output": "..."}
    if not fails:
        yield {"type": "message", "role": "assistant", "content": answer, "delta": True}
    model = {
        "total_tokens": tokens + 290,
        "input_tokens": tokens,
        "output_tokens": 250,
        "cached": tokens // 2,
    }
    stats = {**model, "models": {"gemini-2.5-flash": model}}
    error = {"error": {"type": "ApiError", "message": "quota exceeded", "code": 429}} if fails else {}
    yield {"type": "result", "status": "error" if fails else "success", "stats": stats, **error}


def _copilot(task: str, answer: str, tokens: int, fails: bool) -> Events:
    call = {"toolCallId": "1", "toolName": "view"}
    yield {"type": "assistant.turn_start", "data": {"turnId": "0"}}
    yield {"type": "tool.execution_start", "data": {**call, "arguments": {"path": task}}}
    yield {"type": "tool.execution_complete", "data": {**call, "success": True, "result": {"content": "..."}}}
    if fails:
        yield {"type": "session.error", "data": {"message": "rate limited", "statusCode": 429}}
    else:
        yield {"type": "assistant.message", "data": {"content": answer, "model": "gpt-4o"}}
    yield {
        "type": "result", "sessionId": str(uuid.uuid4()), "exitCode": int(fails),
        "usage": {"premiumRequests": 1, "codeChanges": {"linesAdded": 0, "linesRemoved": 0}},
    }  # fmt: skip


def _codex(task: str, answer: str, tokens: int, fails: bool) -> Events:
    yield {"type": "thread.started", "thread_id": str(uuid.uuid4())}
    yield {"type": "turn.started"}
    item = {"id": "1", "type": "command_execution", "command": f"cat {task}", "exit_code": 0}
    yield {"type": "item.completed", "item": {**item, "status": "completed", "aggregated_output": "..."}}
    if fails:
        yield {"type": "turn.failed", "error": {"message": "stream disconnected before completion"}}
        return
    yield {"type": "item.completed", "item": {"id": "2", "type": "agent_message", "text": answer}}
    usage = {"input_tokens": tokens, "cached_input_tokens": tokens // 4, "output_tokens": 280}
    yield {"type": "turn.completed", "usage": {**usage, "reasoning_output_tokens": 60}}


_AGENTS: dict[str, Callable[[str, str, int, bool], Events]] = {
    "claude": _claude, "gemini": _gemini, "copilot": _copilot, "codex": _codex,
}  # fmt: skip


def main() -> int:
    """Exit status: that of the real program."""
    agent, *words = sys.argv[1:]
    prompt = (words[-1] if words else "").removeprefix("--prompt=")
    if len(prompt) < 20:  # an option: the prompt is on standard input
        prompt = sys.stdin.read()
    task = prompt.splitlines()[0] if prompt else "nothing"
    luck = _luck(agent, task)
    fails = luck in (3, 7)
    for event in _AGENTS[agent](task, _answer(task, thin=luck in (1, 5, 8)), 400 + len(prompt) // 4, fails):
        print(json.dumps(event), flush=True)
    return int(fails)


if __name__ == "__main__":
    sys.exit(main())
