"""The agents: one function each, with the providers' own SDKs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Any

import repository
from anthropic import AsyncAnthropic
from anthropic.types import CacheControlEphemeralParam
from openai import AsyncOpenAI, OpenAI
from tasks import Task

CLAUDE_MODEL = os.environ.get("ORCHESTRATOR_CLAUDE_MODEL", "claude-sonnet-5-5")
GPT_MODEL = os.environ.get("ORCHESTRATOR_GPT_MODEL", "gpt-5.6-terra")
MINI_MODEL = os.environ.get("ORCHESTRATOR_MINI_MODEL", "gpt-5.4-mini")
#: How often a model may ask for tools before it has to answer.
_ROUNDS = 4
_GUIDELINES = Path(__file__).with_name("guidelines.md")


class NoAnswer(Exception):
    """The agent gave no answer: it refused, ran out of rounds, or said nothing."""


@cache
def guidelines(root: Path) -> str:
    """The system prompt; the same for all tasks, so that providers can cache it."""
    return f"{_GUIDELINES.read_text(encoding='utf-8')}\n## Files\n\n{repository.overview(root)}\n"


@cache
def anthropic() -> AsyncAnthropic:
    return AsyncAnthropic()


@cache
def openai() -> AsyncOpenAI:
    return AsyncOpenAI()


async def claude(task: Task, prompt: str) -> str:
    """Streams, calls tools, thinks about security, and marks what is worth caching."""
    tools = [
        {"name": tool["name"], "description": tool["description"], "input_schema": tool["parameters"]}
        for tool in repository.schemas()
    ]
    cached: CacheControlEphemeralParam = {"type": "ephemeral"}
    for_an_hour: CacheControlEphemeralParam = {"type": "ephemeral", "ttl": "1h"}
    question = {"type": "text", "text": prompt, "cache_control": cached}
    messages: list[dict[str, Any]] = [{"role": "user", "content": [question]}]
    thinking = {"thinking": {"type": "adaptive"}} if task.type == "security" else {}
    for _ in range(_ROUNDS):
        async with anthropic().messages.stream(
            model=CLAUDE_MODEL,
            max_tokens=4096,
            # The guidelines outlive a run, the question only a few rounds.
            system=[{"type": "text", "text": guidelines(task.root), "cache_control": for_an_hour}],
            tools=tools,  # type: ignore[arg-type]
            messages=messages,  # type: ignore[arg-type]
            **thinking,  # type: ignore[arg-type]
        ) as stream:
            message = await stream.get_final_message()
        if message.stop_reason != "tool_use":
            return _said("".join(block.text for block in message.content if block.type == "text"))
        results = [
            {
                "type": "tool_result",
                "tool_use_id": block.id,
                "content": repository.call(block.name, dict(block.input), task.root),
            }
            for block in message.content
            if block.type == "tool_use"
        ]
        messages += [{"role": "assistant", "content": message.content}, {"role": "user", "content": results}]
    raise NoAnswer(f"still asking for tools after {_ROUNDS} rounds")


async def gpt(task: Task, prompt: str) -> str:
    """Streams and calls tools; the parts of a tool call arrive in many chunks."""
    tools = [{"type": "function", "function": tool | {"strict": True}} for tool in repository.schemas()]
    messages: list[Any] = [
        {"role": "system", "content": guidelines(task.root)},
        {"role": "user", "content": prompt},
    ]
    for _ in range(_ROUNDS):
        async with openai().chat.completions.stream(
            model=GPT_MODEL,
            messages=messages,
            tools=tools,  # type: ignore[arg-type]
            stream_options={"include_usage": True},
        ) as stream:
            completion = await stream.get_final_completion()
        message = completion.choices[0].message
        if not message.tool_calls:
            return _said(message.content)
        messages.append(message.model_dump(exclude_none=True, exclude={"parsed"}))
        for asked in message.tool_calls:
            result = repository.call(asked.function.name, asked.function.arguments, task.root)
            messages.append({"role": "tool", "tool_call_id": asked.id, "content": result})
    raise NoAnswer(f"still asking for tools after {_ROUNDS} rounds")


def _mini(task: Task, prompt: str) -> str:
    """One plain call with the synchronous client, no tools: cheap, and good enough for summaries."""
    with OpenAI() as client:
        completion = client.chat.completions.create(
            model=MINI_MODEL,
            messages=[
                {"role": "system", "content": guidelines(task.root)},
                {"role": "user", "content": prompt},
            ],
            reasoning_effort="low",
        )
    return _said(completion.choices[0].message.content)


async def mini(task: Task, prompt: str) -> str:
    """The synchronous agent in a thread, as older code often is."""
    return await asyncio.to_thread(_mini, task, prompt)


AGENTS: dict[str, Callable[[Task, str], Awaitable[str]]] = {"claude": claude, "gpt": gpt, "mini": mini}


def _said(text: str | None) -> str:
    if not text or not text.strip():
        raise NoAnswer("an empty answer")
    return text
