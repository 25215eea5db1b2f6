"""Agents with one tool, in the words of each framework; none of them is instrumented by the app.

python framework_app.py FRAMEWORK URL
"""

from __future__ import annotations

import asyncio
import sys

import otel_agents

framework, url = sys.argv[1:3]
otel_agents.configure(service_name="frameworks", schedule_delay=0.05)
BASE = f"{url}/v1"


def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


if framework == "langgraph":
    from langchain.agents import create_agent
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model="gpt-4o", base_url=BASE, api_key="sk-any")
    agent = create_agent(model, tools=[tool(weather)], name="forecaster")
    print(agent.invoke({"messages": [("user", "weather in Rome?")]})["messages"][-1].content)

elif framework == "openai-agents":
    from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool
    from openai import AsyncOpenAI

    client = AsyncOpenAI(base_url=BASE, api_key="sk-any")
    chat = OpenAIChatCompletionsModel(model="gpt-4o", openai_client=client)
    forecaster = Agent(name="forecaster", model=chat, tools=[function_tool(weather)])
    print(Runner.run_sync(forecaster, "weather in Rome?").final_output)

elif framework == "pydantic-ai":
    from pydantic_ai import Agent as PydanticAgent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    chat_model = OpenAIChatModel("gpt-4o", provider=OpenAIProvider(base_url=BASE, api_key="sk-any"))
    print(PydanticAgent(chat_model, tools=[weather], name="forecaster").run_sync("weather in Rome?").output)

elif framework == "llama-index":
    from llama_index.core.agent.workflow import FunctionAgent
    from llama_index.llms.openai import OpenAI

    llm = OpenAI(model="gpt-4o", api_base=BASE, api_key="sk-any")

    async def ask() -> None:
        print(await FunctionAgent(name="forecaster", llm=llm, tools=[weather]).run("weather in Rome?"))

    asyncio.run(ask())

result = otel_agents.flush(10)
print(f"dropped={result.dropped} pending={result.pending}")
