"""One agent with one tool, in other frameworks: one tree, one observation a call, exact totals.

Each has an environment of its own, up to 850 MB large, so most run only with
OTEL_AGENTS_MORE_FRAMEWORKS=1. Google's ADK is not here: 2.x asks for opentelemetry-sdk 1.44 at most (2.13.0:
``>=1.39,<=1.44``), we for 1.45 at least.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from typing import Any

import pytest
from modelserver.server import ModelServer
from stub_backend import StubBackend
from telemetry import spans
from totals import assert_exact, assert_nothing_said
from trees import missing_parents, outlines, shown
from venvs import Run, python_with

#: Made anew for each run.
_ID = re.compile(r"_[0-9a-f]{8}-[0-9a-f-]{27}")

OSLO = {"name": "weather", "arguments": {"city": "Oslo"}}


@dataclass(frozen=True)
class Framework:
    """What it needs, what its model answers, its tree and whether it is also part of a usual run."""

    name: str
    packages: tuple[str, ...]
    tree: str
    answers: tuple[dict[str, Any], ...] = ({"tool_calls": [OSLO]}, {"text": "It is sunny."})
    always: bool = False


def fields(**texts: str) -> dict[str, str]:
    """An answer as DSPy's chat adapter reads it."""
    parts = [f"[[ ## {name} ## ]]\n{text}" for name, text in {**texts, "completed": ""}.items()]
    return {"text": "\n\n".join(parts)}


FRAMEWORKS = [
    Framework(
        "agno",
        ("agno==3.1.10", "openai==3.54.0", "opentelemetry-instrumentation-genai-agno==1.3b0"),
        """
        invoke_agent guide
          chat gpt-4o
          chat gpt-4o
          execute_tool weather
        """,
        always=True,
    ),
    Framework(
        "smolagents",
        ("smolagents[openai]==1.26.0", "openinference-instrumentation-smolagents==0.1.43"),
        """
        guide.run
          Step 1
            OpenAIModel.generate
            SimpleTool
          Step 2
            FinalAnswerTool
            OpenAIModel.generate
        """,
        (
            {"tool_calls": [OSLO]},
            {"tool_calls": [{"name": "final_answer", "arguments": {"answer": "sunny"}}]},
        ),
        always=True,
    ),
    Framework(
        "dspy",
        ("dspy==3.4.1", "openinference-instrumentation-dspy==0.1.48"),
        """
        ReAct.forward
          ChainOfThought.forward
            Predict.forward
              Predict(StringSignature).forward
                ChatAdapter.__call__
                  LM.__call__
          Predict.forward
            Predict(StringSignature).forward
              ChatAdapter.__call__
                LM.__call__
          Predict.forward
            Predict(StringSignature).forward
              ChatAdapter.__call__
                LM.__call__
          finish.__call__
          weather.__call__
        """,
        (
            fields(next_thought="ask", next_tool_name="weather", next_tool_args='{"city": "Oslo"}'),
            fields(next_thought="enough", next_tool_name="finish", next_tool_args="{}"),
            fields(reasoning="it was said", answer="sunny"),
        ),
    ),
    Framework(
        "strands",
        ("strands-agents[openai]==1.62.0",),
        """
        invoke_agent guide
          execute_event_loop_cycle
            chat
          execute_event_loop_cycle
            chat
            execute_tool weather
        """,
    ),
    Framework(
        "autogen",
        (
            "autogen-agentchat==0.7.5",
            "autogen-ext[openai]==0.7.5",
            "openinference-instrumentation-autogen-agentchat==0.1.22",
        ),
        """
        create_agent guide

        invoke_agent guide
          guide.on_messages_stream
            OpenAIChatCompletionClient.create
            OpenAIChatCompletionClient.create
            guide.weather
              execute_tool weather
        """,
    ),
    Framework(
        "crewai",
        ("crewai==1.15.30", "openinference-instrumentation-crewai==1.1.21"),
        """
        Crew_<id>.kickoff
          guide._execute_core
            chat gpt-4o
            chat gpt-4o
            weather.run
        """,
    ),
]


@pytest.mark.parametrize("framework", FRAMEWORKS, ids=[one.name for one in FRAMEWORKS])
def test_one_tree_and_exact_totals(
    run: Run, backend: StubBackend, server: ModelServer, framework: Framework
) -> None:
    if not framework.always and os.environ.get("OTEL_AGENTS_MORE_FRAMEWORKS") != "1":
        pytest.skip("its environment is large; OTEL_AGENTS_MORE_FRAMEWORKS=1 runs it")
    backend.requests.clear()
    server.reset()
    server.script(*framework.answers)
    run(python_with(*framework.packages), f"{framework.name}_app.py")
    found = [replace(one, name=_ID.sub("_<id>", one.name)) for one in spans(backend)]
    assert missing_parents(found) == []
    assert shown(found) == outlines(framework.tree)
    assert_exact(server, backend, calls=len(framework.answers))
    assert_nothing_said(backend)
