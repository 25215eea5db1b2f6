"""An MCP server with one tool that asks the model; started by the client, over its standard streams."""

from __future__ import annotations

import os

import otel_agents

otel_agents.configure(service_name="server", schedule_delay=0.05)

import openai  # noqa: E402
from mcp.server.mcpserver import MCPServer  # noqa: E402

server = MCPServer("weather")
client = openai.OpenAI(base_url=os.environ["MODEL_URL"] + "/v1", api_key="sk-any", max_retries=0)


@server.tool()
def weather(city: str) -> str:
    """The weather in a city."""
    asked = [{"role": "user", "content": f"weather in {city}?"}]
    client.chat.completions.create(model="gpt-4o", messages=asked)  # type: ignore[arg-type]
    otel_agents.flush(5)
    return "sunny"


server.run("stdio")
