"""An agent whose tools are on MCP servers: one is a process of its own, one answers by HTTP.

    python mcp_app.py URL

URL is the second server's. The server's tool calls a model too.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from mcp import Client, StdioServerParameters, stdio_client
from openai import AsyncOpenAI

import otel_agents

SERVER = str(Path(__file__).with_name("mcp_server.py"))


@otel_agents.agent("guide")
async def guide(question: str, tools: Client, model: AsyncOpenAI) -> str:
    messages: list[Any] = [{"role": "user", "content": question}]
    offered: list[Any] = [
        {"type": "function", "function": {"name": one.name, "parameters": one.input_schema}}
        for one in (await tools.list_tools()).tools
    ]
    while True:
        asked = await model.chat.completions.create(model="gpt-4o", messages=messages, tools=offered)
        message = asked.choices[0].message
        if not message.tool_calls:
            return message.content or ""
        messages.append(message.model_dump(exclude_none=True))
        for call in message.tool_calls:
            result = await tools.call_tool(call.function.name, json.loads(call.function.arguments))
            text = str(result.content[0].text)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": text})


async def main() -> None:
    own = StdioServerParameters(
        command=sys.executable,
        args=["-m", "otel_agents.cli", "run", SERVER, "stdio"],
        env=dict(os.environ),
    )
    async with AsyncOpenAI(api_key="sk-any") as model:
        async with Client(stdio_client(own)) as tools:
            await guide("What is it like in Oslo?", tools, model)
        async with Client(sys.argv[1]) as tools:
            await guide("What is it like in Rome?", tools, model)


asyncio.run(main())
print("done")
