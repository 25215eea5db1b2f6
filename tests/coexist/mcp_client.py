"""An agent whose tool is on an MCP server in another process.

python mcp_client.py URL
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import otel_agents

otel_agents.configure(service_name="client", schedule_delay=0.05)

from mcp import Client, StdioServerParameters  # noqa: E402
from mcp.client.stdio import stdio_client  # noqa: E402

parameters = StdioServerParameters(
    command=sys.executable,
    args=[str(Path(__file__).with_name("mcp_server.py"))],
    env={**os.environ, "MODEL_URL": sys.argv[1]},
)


@otel_agents.agent("forecaster")
async def forecast() -> None:
    async with Client(stdio_client(parameters)) as client:
        result = await client.call_tool("weather", {"city": "Rome"})
        print(result.content[0].text)


asyncio.run(forecast())
result = otel_agents.flush(10)
print(f"dropped={result.dropped} pending={result.pending}")
