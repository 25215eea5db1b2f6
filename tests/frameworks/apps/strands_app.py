"""A Strands agent with one tool."""

from __future__ import annotations

import os

from strands import Agent, tool
from strands.models.openai import OpenAIModel


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


model = OpenAIModel(
    client_args={"api_key": "sk-any", "base_url": os.environ["OPENAI_BASE_URL"]}, model_id="gpt-4o"
)
guide = Agent(name="guide", model=model, tools=[weather], callback_handler=None)
guide("What is it like in Oslo?")
print("done")
