"""An AutoGen agent with one tool."""

from __future__ import annotations

import asyncio

from autogen_agentchat.agents import AssistantAgent
from autogen_ext.models.openai import OpenAIChatCompletionClient


async def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


async def main() -> None:
    model = OpenAIChatCompletionClient(model="gpt-4o", api_key="sk-any")
    guide = AssistantAgent("guide", model_client=model, tools=[weather], reflect_on_tool_use=True)
    await guide.run(task="What is it like in Oslo?")
    await model.close()


asyncio.run(main())
print("done")
