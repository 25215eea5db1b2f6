"""A LangChain and LangGraph app: a chain, an agent with a tool, a graph with two model calls, streams."""

from __future__ import annotations

import asyncio
from typing import TypedDict

from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph

model = ChatOpenAI(model="gpt-4o", api_key="sk-any", stream_usage=True)


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


class State(TypedDict):
    question: str
    draft: str
    answer: str


def draft(state: State) -> dict[str, str]:
    return {"draft": str(model.invoke(state["question"]).content)}


async def polish(state: State) -> dict[str, str]:
    return {"answer": str((await model.ainvoke(state["draft"])).content)}


graph = StateGraph(State)
graph.add_node("draft", draft)
graph.add_node("polish", polish)
graph.add_edge(START, "draft")
graph.add_edge("draft", "polish")
graph.add_edge("polish", END)
writer = graph.compile(name="writer")

chain = ChatPromptTemplate.from_messages([("system", "Be brief."), ("user", "{question}")]) | model
guide = create_agent(model, tools=[weather], name="guide")
scout = create_agent(ChatAnthropic(model="claude-opus-4-8"), tools=[weather], name="scout")


async def main() -> None:
    async for _ in guide.astream(
        {"messages": [("user", "What is it like in Rome?")]}, stream_mode="messages"
    ):
        pass
    await scout.ainvoke({"messages": [("user", "What is it like in Bonn?")]})
    await writer.ainvoke({"question": "What is there to see?"})


chain.invoke({"question": "Where shall we go?"})
guide.invoke({"messages": [("user", "What is it like in Oslo?")]})
asyncio.run(main())
print("done")
