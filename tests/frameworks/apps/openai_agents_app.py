"""An app of the OpenAI Agents SDK: a tool, a handoff, a stream, Responses and Chat Completions."""

from __future__ import annotations

import asyncio

from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool, set_default_openai_client
from openai import AsyncOpenAI


@function_tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


guide = Agent(name="guide", model="gpt-4o", tools=[weather])
triage = Agent(name="triage", model="gpt-4o-mini", handoffs=[guide])


async def stream() -> None:
    async for _ in Runner.run_streamed(guide, "What is it like in Bonn?").stream_events():
        pass


async def main() -> None:
    async with AsyncOpenAI(api_key="sk-any") as client:  # none in the environment: its own traces stay here
        set_default_openai_client(client, use_for_tracing=False)
        await Runner.run(guide, "What is it like in Oslo?")
        await Runner.run(triage, "Where shall we go?")
        chat = OpenAIChatCompletionsModel("gpt-4o", client)
        await Runner.run(Agent(name="chatter", model=chat, tools=[weather]), "What is it like in Rome?")
        await stream()


asyncio.run(main())
print("done")
