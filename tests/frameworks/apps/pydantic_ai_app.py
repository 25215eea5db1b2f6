"""A pydantic-ai app: a tool, a stream, an agent that asks another, and runs side by side."""

from __future__ import annotations

import asyncio

from pydantic_ai import Agent, RunContext
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

openai = OpenAIProvider(api_key="sk-any")
forecaster = Agent(OpenAIChatModel("gpt-4o-mini", provider=openai), name="forecaster")
agent = Agent(OpenAIChatModel("gpt-4o", provider=openai), name="guide")
chief = Agent(OpenAIResponsesModel("gpt-4o", provider=openai), name="chief")

scout = Agent(AnthropicModel("claude-opus-4-8"), name="scout")


@scout.tool_plain
@agent.tool_plain
def weather(city: str) -> str:
    return f"sunny in {city}"


@chief.tool
async def ask_forecaster(context: RunContext[None], question: str) -> str:
    return (await forecaster.run(question, usage=context.usage)).output


async def stream(agent: Agent[None, str]) -> None:
    async with agent.run_stream("What is it like in Rome?") as answer:
        async for _ in answer.stream_text():
            pass


async def main() -> None:
    await stream(agent)
    await stream(scout)
    await asyncio.gather(*(forecaster.run(f"question {number}") for number in range(3)))


agent.run_sync("What is it like in Oslo?")
scout.run_sync("What is it like in Bonn?")
chief.run_sync("Where shall we go?")
asyncio.run(main())
print("done")
