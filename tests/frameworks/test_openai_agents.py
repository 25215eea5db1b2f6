"""The OpenAI Agents SDK by its official instrumentor, which leaves model calls to the wire."""

from __future__ import annotations

import pytest
from modelserver.server import ModelServer
from stub_backend import StubBackend
from telemetry import Span, spans
from totals import assert_exact, assert_nothing_said
from trees import missing_parents, outlines, shown
from venvs import Run, python_with

PACKAGES = ["openai-agents==0.24.0", "opentelemetry-instrumentation-genai-openai-agents==1.3b0"]


@pytest.fixture(scope="module")
def found(run: Run, backend: StubBackend, server: ModelServer) -> list[Span]:
    for path in ("/v1/responses", "/v1/chat/completions"):
        server.fail_next(1, 429, path=path)  # the SDK tries again: no second span
    run(python_with(*PACKAGES), "openai_agents_app.py")
    return spans(backend)


def test_each_run_is_one_tree(found: list[Span]) -> None:
    assert missing_parents(found) == []
    assert shown(found) == outlines("""
        invoke_workflow Agent workflow
          invoke_agent guide
            chat gpt-4o
            chat gpt-4o
            execute_tool weather

        invoke_workflow Agent workflow
          invoke_agent guide
            chat gpt-4o
          invoke_agent triage
            chat gpt-4o-mini

        invoke_workflow Agent workflow
          invoke_agent chatter
            chat gpt-4o
            chat gpt-4o
            execute_tool weather

        invoke_workflow Agent workflow
          invoke_agent guide
            chat gpt-4o
            chat gpt-4o
            execute_tool weather
    """)


def test_every_call_is_counted_once(found: list[Span], server: ModelServer, backend: StubBackend) -> None:
    assert server.ledger()["errors"] == {"429": 2}
    assert_exact(server, backend, calls=8)


def test_no_content_that_was_not_asked_for(found: list[Span], backend: StubBackend) -> None:
    assert_nothing_said(backend)
