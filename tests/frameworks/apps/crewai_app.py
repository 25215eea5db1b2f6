"""A crew of one agent with one tool."""

from __future__ import annotations

import os

from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool


@tool("weather")
def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


model = LLM(model="openai/gpt-4o", base_url=os.environ["OPENAI_BASE_URL"], api_key="sk-any")
guide = Agent(role="guide", goal="know the weather", backstory="a guide", tools=[weather], llm=model)
task = Task(description="What is it like in Oslo?", expected_output="one word", agent=guide)
Crew(agents=[guide], tasks=[task]).kickoff()
print("done")
