"""A smolagents agent with one tool."""

from __future__ import annotations

import os

from smolagents import OpenAIServerModel, ToolCallingAgent, tool
from smolagents.monitoring import LogLevel


@tool
def weather(city: str) -> str:
    """The weather in a city.

    Args:
        city: its name
    """
    return f"sunny in {city}"


model = OpenAIServerModel("gpt-4o", api_base=os.environ["OPENAI_BASE_URL"], api_key="sk-any")
guide = ToolCallingAgent(
    tools=[weather], model=model, name="guide", max_steps=2, verbosity_level=LogLevel.OFF
)
guide.run("What is it like in Oslo?")
print("done")
