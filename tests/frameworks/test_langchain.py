"""LangChain and LangGraph by their official instrumentor: chains, agents, graphs, streams."""

from __future__ import annotations

import pytest
from modelserver.server import ModelServer
from stub_backend import StubBackend
from telemetry import Span, spans
from totals import assert_exact, assert_nothing_said
from trees import missing_parents, outlines, shown
from venvs import Run, python_with

PACKAGES = [
    "langchain==1.4.7",
    "langchain-anthropic==1.7.7",
    "langchain-openai==1.7.3",
    "langgraph==1.2.22",
    "opentelemetry-instrumentation-genai-langchain==1.3b0",
]

GUIDE = """
invoke_agent guide
  chat gpt-4o
  chat gpt-4o
  execute_tool weather
"""
SCOUT = """
invoke_agent scout
  chat claude-opus-4-8
  chat claude-opus-4-8
  execute_tool weather
"""


@pytest.fixture(scope="module")
def found(run: Run, backend: StubBackend, server: ModelServer) -> list[Span]:
    for path in ("/v1/chat/completions", "/v1/messages"):
        server.fail_next(1, 429, path=path)  # the SDK tries again: no second span
    run(python_with(*PACKAGES), "langchain_app.py")
    return spans(backend)


def test_each_run_is_one_tree(found: list[Span]) -> None:
    assert missing_parents(found) == []
    chain = """
invoke_workflow RunnableSequence
  chat gpt-4o
"""
    writer = """
invoke_workflow writer
  chat gpt-4o
  chat gpt-4o
"""
    assert shown(found) == outlines("\n".join([chain, GUIDE, GUIDE, SCOUT, writer]))


def test_every_call_is_counted_once(found: list[Span], server: ModelServer, backend: StubBackend) -> None:
    assert server.ledger()["errors"] == {"429": 2}
    assert_exact(server, backend, calls=9)


def test_no_content_that_was_not_asked_for(found: list[Span], backend: StubBackend) -> None:
    assert_nothing_said(backend)
