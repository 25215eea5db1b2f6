"""An MCP server with one tool that asks a model. ``stdio``, or the port to answer HTTP at."""

from __future__ import annotations

import sys

from mcp.server import MCPServer
from openai import AsyncOpenAI

server = MCPServer("weather")


@server.tool()
async def weather(city: str) -> str:
    """The weather in a city."""
    async with AsyncOpenAI(api_key="sk-any") as client:
        messages = [{"role": "user", "content": f"Guess the weather in {city}."}]
        answer = await client.chat.completions.create(model="gpt-4o-mini", messages=messages)
    return answer.choices[0].message.content or ""


if sys.argv[1] == "stdio":
    server.run("stdio")
else:
    server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
