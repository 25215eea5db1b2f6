"""An Agno agent with one tool."""

from __future__ import annotations

from agno.agent import Agent
from agno.models.openai import OpenAIChat


def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


guide = Agent(name="guide", model=OpenAIChat(id="gpt-4o", api_key="sk-any"), tools=[weather], telemetry=False)
guide.run("What is it like in Oslo?")
print("done")
