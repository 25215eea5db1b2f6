"""Agent frameworks: their structure comes from the maintained instrumentors, the counting from the wire."""

from __future__ import annotations

import pytest
from modelserver.server import ModelServer
from stub_backend import StubBackend
from telemetry import Span, counted, spans
from venvs import Run, python_with

#: crewai is not here: it pins opentelemetry-api below what we need, so pip falls back to its 0.10.
CASES = {
    "langgraph": [
        "langchain==1.4.7",
        "langchain-openai==1.7.3",
        "langgraph==1.2.22",
        "opentelemetry-instrumentation-genai-langchain==1.3b0",
    ],
    "openai-agents": ["openai-agents==0.24.0", "opentelemetry-instrumentation-genai-openai-agents==1.3b0"],
    "pydantic-ai": ["pydantic-ai-slim[openai]==2.68.0"],
    "llama-index": [
        "llama-index-core==0.14.25",
        "llama-index-llms-openai==0.8.3",
        "openinference-instrumentation-llama-index==4.6.1",
    ],
}

#: What the tool call of the script asks, so that no content shows by accident.
CITY = "Rome-and-no-other-city"


def agent_of_one_tool(run: Run, server: ModelServer, backend: StubBackend, framework: str) -> list[Span]:
    server.script(
        {"tool_calls": [{"name": "weather", "arguments": {"city": CITY}}]}, {"text": "It is sunny."}
    )
    printed = run(python_with(*CASES[framework]), "framework_app.py", framework, server.url)
    assert printed == "It is sunny.\ndropped=0 pending=0\n"
    return spans(backend)


@pytest.mark.parametrize("framework", ["langgraph", "openai-agents", "pydantic-ai"])
def test_structure_and_exact_totals(
    run: Run, backend: StubBackend, server: ModelServer, framework: str
) -> None:
    found = agent_of_one_tool(run, server, backend, framework)
    by_operation: dict[str, list[Span]] = {}
    for one in found:
        by_operation.setdefault(str(one.attributes.get("gen_ai.operation.name")), []).append(one)
    [agent] = by_operation["invoke_agent"]
    [tool] = by_operation["execute_tool"]
    chats = by_operation["chat"]
    assert agent.attributes["gen_ai.agent.name"] == "forecaster"
    assert tool.attributes["gen_ai.tool.name"] == "weather"
    assert {one.trace for one in found} == {agent.trace}
    assert [one.parent for one in (tool, *chats)] == [agent.id] * 3
    ledger = server.ledger()
    assert len(chats) == ledger["calls"] == 2
    for attribute, counter, billed in (
        ("gen_ai.usage.input_tokens", "gen_ai.client.inference.usage.input_tokens", ledger["input"]),
        ("gen_ai.usage.output_tokens", "gen_ai.client.inference.usage.output_tokens", ledger["output"]),
        ("gen_ai.usage.cost", "otel_agents.cost", float(ledger["cost"])),
    ):
        assert sum(one.attributes[attribute] for one in chats) == pytest.approx(billed)
        assert counted(backend, counter) == pytest.approx(billed)
    # Usage on other spans would be counted again by whoever sums up a trace.
    assert not [one for one in (agent, tool) if "gen_ai.usage.input_tokens" in one.attributes]


@pytest.mark.parametrize("framework", ["langgraph", "openai-agents", "pydantic-ai", "llama-index"])
def test_no_content_that_was_not_asked_for(
    run: Run, backend: StubBackend, server: ModelServer, framework: str
) -> None:
    agent_of_one_tool(run, server, backend, framework)
    assert not [one for one in backend.requests if CITY.encode() in one.body]


@pytest.mark.xfail(
    strict=True,
    reason=(
        "OpenInference's LlamaIndex spans say what they are only when they end, and not in the conventions' "
        "words: they are not recognised while the call is under way, nor shown as agents in Langfuse"
    ),
)
def test_llama_index(run: Run, backend: StubBackend, server: ModelServer) -> None:
    found = agent_of_one_tool(run, server, backend, "llama-index")
    assert len([one for one in found if one.is_model_call]) == server.ledger()["calls"]
    assert [one for one in found if one.attributes.get("gen_ai.operation.name") == "invoke_agent"]
