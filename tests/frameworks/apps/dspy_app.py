"""A DSPy program that reasons and uses one tool."""

from __future__ import annotations

import os

import dspy

url = os.environ["OPENAI_BASE_URL"]
dspy.configure(lm=dspy.LM("openai/gpt-4o", api_base=url, api_key="sk-any", cache=False))


def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


guide = dspy.ReAct("question -> answer", tools=[weather], max_iters=2)
guide(question="What is it like in Oslo?")
print("done")
