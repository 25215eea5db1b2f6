"""MCP's own tracing carries the context in ``_meta``: a tool on a server is in the trace of its agent."""

from __future__ import annotations

from modelserver.server import ModelServer
from stub_backend import StubBackend
from telemetry import Span, counted, spans
from venvs import Run, python_with


def test_client_and_server_are_one_trace(run: Run, backend: StubBackend, server: ModelServer) -> None:
    python = python_with("mcp==2.3.0", "openai==3.54.0")
    assert run(python, "mcp_client.py", server.url) == "sunny\ndropped=0 pending=0\n"
    found = spans(backend)

    def only(operation: str) -> Span:
        [one] = [one for one in found if one.attributes.get("gen_ai.operation.name") == operation]
        return one

    agent, tool, chat = only("invoke_agent"), only("execute_tool"), only("chat")
    assert {agent.trace, tool.trace, chat.trace} == {agent.trace}
    by_id = {one.id: one for one in found}
    above = chat
    chain = []
    while above.parent:
        above = by_id[above.parent]
        chain.append(above.id)
    assert chain.index(tool.id) < chain.index(agent.id)
    ledger = server.ledger()
    assert ledger["calls"] == 1
    assert counted(backend, "gen_ai.client.inference.usage.input_tokens") == ledger["input"]
