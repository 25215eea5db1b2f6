"""What the model says to a request, and what that costs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from modelserver import answers
from modelserver.caching import CacheUse, count
from modelserver.exchange import Exchange
from modelserver.prices import Bill, answering_name, find
from modelserver.prompt import Answer, Prompt, ToolCall
from modelserver.state import State


def compose(state: State, exchange: Exchange) -> None:
    """Fills ``exchange.answers``, ``.model`` and ``.bill``."""
    prompt, flags, reply = exchange.prompt, exchange.scenario.flags, exchange.scenario.reply
    if "thinking" in flags:
        prompt.thinking = True
    exchange.model = answering_name(prompt.model)
    exchange.answers = [answers.answer(prompt, index) for index in range(prompt.choices)]
    for answer in exchange.answers:
        _bend(answer, prompt, flags, reply)
    visible = sum(_tokens(answer) for answer in exchange.answers)
    thought = sum(count(answer.thinking) for answer in exchange.answers)
    if exchange.provider == "openai":
        # Hidden, and billed in steps of 64.
        thought = -(-thought // 64) * 64
    use = _cached(state, exchange)
    exchange.bill = replace(
        Bill(
            prompt.tokens,
            max(visible + thought, 1),
            use.read,
            use.write,
            use.write_1h,
            thought,
            web_searches=int(prompt.web_search),
        ),
        **reply.get("usage", {}),
    )


def _cached(state: State, exchange: Exchange) -> CacheUse:
    prompt = exchange.prompt
    if exchange.provider == "anthropic":
        return state.cache.breakpoints(prompt.model, prompt.segments)
    entry = find(prompt.model)
    writes = entry is not None and entry.rates.cache_write is not None
    return state.cache.automatic(prompt.model, prompt.segments, writes)


def _bend(answer: Answer, prompt: Prompt, flags: Mapping[str, str], reply: Mapping[str, Any]) -> None:
    """What the scenario or the script wants instead."""
    if "text" in flags or "text" in reply:
        answer.text, answer.tool_calls, answer.finish = reply.get("text", flags.get("text", "")), [], "stop"
    if "prose" in flags:
        answer.text, answer.tool_calls = "I would say it is quite good, all in all.", []
    if "empty" in flags:
        answer.text, answer.tool_calls, answer.finish = "", [], "stop"
    if "refusal" in flags:
        answer.text, answer.tool_calls, answer.finish = "I can't help with that.", [], "refusal"
    for name in ("content_filter", "length"):
        if name in flags:
            answer.text, answer.finish = answer.text[:40], name
    calls = reply.get("tool_calls")
    if "tool" in flags and not answer.tool_calls:
        calls = [
            {"name": prompt.tools[0].name if prompt.tools else "lookup", "arguments": {"query": "example"}}
        ]
    if calls:
        answer.text, answer.finish = reply.get("text", ""), "tool"
        answer.tool_calls = [ToolCall(call["name"], _arguments(call["arguments"])) for call in calls]
    answer.thinking = reply.get("thinking", answer.thinking)
    answer.finish = reply.get("finish", answer.finish)


def _arguments(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _tokens(answer: Answer) -> int:
    return count(answer.text) + sum(count(call.name + call.arguments) + 4 for call in answer.tool_calls)
