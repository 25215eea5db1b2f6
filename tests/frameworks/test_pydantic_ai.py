"""pydantic-ai traces itself, over OpenAI's and Anthropic's SDKs: agents, tools, delegation, streams."""

from __future__ import annotations

import pytest
from modelserver.server import ModelServer
from stub_backend import StubBackend
from telemetry import Span, spans
from totals import assert_exact, assert_nothing_said
from trees import missing_parents, outlines, shown
from venvs import Run, python_with

PACKAGES = ["pydantic-ai-slim[openai,anthropic]==2.68.0"]

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
    run(python_with(*PACKAGES), "pydantic_ai_app.py")
    return spans(backend)


def test_each_run_is_one_tree(found: list[Span]) -> None:
    assert missing_parents(found) == []
    chief = """
invoke_agent chief
  chat gpt-4o
  chat gpt-4o
  execute_tool ask_forecaster
    invoke_agent forecaster
      chat gpt-4o-mini
"""
    forecaster = """
invoke_agent forecaster
  chat gpt-4o-mini
"""
    assert shown(found) == outlines("\n".join([GUIDE, GUIDE, SCOUT, SCOUT, chief, *3 * [forecaster]]))


def test_every_call_is_counted_once(found: list[Span], server: ModelServer, backend: StubBackend) -> None:
    assert server.ledger()["errors"] == {"429": 2}
    assert_exact(server, backend, calls=14)


def test_its_own_spans_are_the_only_ones_of_calls(found: list[Span]) -> None:
    assert {one.scope for one in found if one.is_model_call} == {"pydantic-ai"}


def test_no_content_that_was_not_asked_for(found: list[Span], backend: StubBackend) -> None:
    assert_nothing_said(backend)
