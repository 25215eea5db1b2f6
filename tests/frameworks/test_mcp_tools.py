"""Tools on MCP servers, which are processes of their own: ``_meta`` carries the context to them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from modelserver.server import ModelServer
from stub_backend import StubBackend
from telemetry import Span, instances, spans
from totals import assert_exact, assert_nothing_said
from trees import missing_parents, outlines, shown
from venvs import Run, python_with


@pytest.fixture(scope="module")
def found(
    run: Run, serve: Callable[..., AbstractContextManager[None]], port: int, backend: StubBackend
) -> list[Span]:
    """What an agent sent that used one tool at a server below it and one at a server that answers HTTP."""
    python = python_with("mcp==2.3.0", "openai==3.54.0")
    with serve(python, "mcp_server.py", port):
        run(python, "mcp_app.py", f"http://127.0.0.1:{port}/mcp")
    return spans(backend)


def test_one_trace_over_processes(found: list[Span], backend: StubBackend, server: ModelServer) -> None:
    assert missing_parents(found) == []
    agents = {one.trace: one for one in found if one.name == "invoke_agent guide"}
    assert len(agents) == 2
    assert [one for one in agents.values() if one.parent] == []
    by_id = {one.id: one for one in found}
    tools = [one for one in found if one.attributes.get("gen_ai.operation.name") == "execute_tool"]
    assert {one.trace for one in tools} == set(agents)
    assert len(tools) == 2
    for tool in tools:
        sent = by_id[tool.parent]
        assert sent.name == "MCP send tools/call weather"
        assert sent.parent == agents[tool.trace].id
        [inside] = [one for one in found if one.is_model_call and one.parent == tool.id]
        assert inside.name == "chat gpt-4o-mini"
    assert_exact(server, backend, calls=6)
    assert len(instances(backend, "gen_ai.client.inference.usage.input_tokens")) == 3


def test_the_tool_is_below_its_agent_in_langfuse(found: list[Span]) -> None:
    tree = """
invoke_agent guide
  chat gpt-4o
  chat gpt-4o
  tools/call weather
    chat gpt-4o-mini
"""
    assert shown(found) == outlines("\n".join([tree, tree]))


def test_no_content_that_was_not_asked_for(found: list[Span], backend: StubBackend) -> None:
    assert_nothing_said(backend)
