"""The SDK's own runner: spans of others in the same process, rewritten before they are redacted and sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_agents.assembly import edge
from otel_agents.config import resolve
from otel_agents.normalize.dialects import DIALECTS
from otel_agents.normalize.kinds import at_end, at_start, model_call
from otel_agents.privacy import Redactor

SECRET = "sk-proj-abcdefghijklmnopqrstuvwxyz"
CALL = {
    "openinference.span.kind": "LLM",
    "llm.model_name": "gpt-4o",
    "llm.provider": "openai",
    "llm.token_count.prompt": 14,
    "llm.token_count.completion": 16,
    "llm.input_messages.0.message.role": "user",
    "llm.input_messages.0.message.content": f"my key is {SECRET}",
}


def sent(
    given: Mapping[str, Any], scope: str = "openinference.instrumentation.openai", **settings: Any
) -> Any:
    """The span that leaves, or None."""
    kept = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    provider.get_tracer(scope).start_span("ChatCompletion", attributes=given).end()
    resolved = resolve({"mode": "collector", "otlp_endpoint": "http://127.0.0.1:1", **settings})
    [span] = kept.get_finished_spans()
    return edge(resolved, Redactor.from_settings(resolved))(span)


def test_towards_a_collector() -> None:
    found = sent(CALL).attributes
    assert found["gen_ai.operation.name"] == "chat"
    assert found["gen_ai.usage.input_tokens"] == 14
    assert found["otel_agents.normalized"] == "openinference"
    assert not [key for key in found if key.startswith("llm.input_messages")]


def test_what_was_carried_over_is_redacted() -> None:
    for mode in ("on", "keep", "off"):
        assert SECRET not in str(dict(sent(CALL, normalize=mode).attributes))
    assert "my key is [redacted]" in sent(CALL).attributes["gen_ai.input.messages"]


def test_towards_langfuse() -> None:
    keys = {"langfuse_public_key": "pk-lf-any", "langfuse_secret_key": "sk-lf-any"}
    found = sent(CALL, mode="direct", otlp_endpoint=None, **keys).attributes
    assert found["langfuse.observation.type"] == "generation"
    assert found["langfuse.observation.usage_details"] == '{"input":14,"output":16,"total":30}'
    assert "my key is" in found["langfuse.observation.input"]


@pytest.mark.parametrize(("mode", "names"), [("keep", {"llm", "gen_ai"}), ("off", {"llm"})])
def test_the_setting(mode: str, names: set[str]) -> None:
    found = sent(CALL, normalize=mode).attributes
    assert {key.split(".")[0] for key in found if key.startswith(("llm", "gen_ai"))} == names


def test_spans_of_ours_and_duplicates_are_left_alone() -> None:
    assert dict(sent(CALL, scope="otel_agents").attributes) == CALL
    twice = {**CALL, "otel_agents.duplicate_of": "00f067aa0ba902b7"}
    assert "gen_ai.operation.name" not in sent(twice).attributes


def test_every_dialect_is_documented() -> None:
    from pathlib import Path

    text = (Path(__file__).parents[2] / "docs" / "dialects.md").read_text()
    assert [one.name for one in DIALECTS if not one.everywhere and f"`{one.name}`" not in text] == []


@pytest.mark.parametrize(
    ("given", "operation"),
    [
        ({"gen_ai.operation.name": "chat"}, "chat"),
        ({"gen_ai.operation.name": "chat.completions"}, "chat"),  # Semantic Kernel
        ({"gen_ai.operation.name": "text.streaming_completions"}, "text_completion"),
        ({"openinference.span.kind": "llm"}, "chat"),
        ({"request_data": "{}", "gen_ai.request.model": "gpt-4o"}, "chat"),  # Logfire 3
        ({"llm.request.type": "embedding"}, "embeddings"),
        ({"gen_ai.operation.name": "execute_tool"}, None),
        ({"openinference.span.kind": "tool"}, None),
        ({"request_data": "{}"}, None),
        ({}, None),
    ],
)
def test_what_the_tables_make_a_call_is_known_as_one(given: dict[str, Any], operation: str | None) -> None:
    """Or the hook on the wire would make a second span of it, and both would count."""
    assert model_call(given) == operation


@pytest.mark.parametrize(
    ("name", "given", "operation"),
    [
        ("agent run", {"agent_name": "a", "model_name": "m"}, "invoke_agent"),
        ("running tool", {"gen_ai.tool.name": "t"}, "execute_tool"),
        ("running 2 tools", {"tools": ["t", "u"]}, "invoke_workflow"),
        ("chat m", {"gen_ai.operation.name": "chat"}, "chat"),
        ("anything", {}, None),
    ],
)
def test_early_pydantic_ai_has_its_place_from_the_start(
    name: str, given: dict[str, Any], operation: str | None
) -> None:
    """What is below needs to know which span around it Langfuse will see."""
    span = TracerProvider(shutdown_on_exit=False).get_tracer("pydantic-ai").start_span(name, attributes=given)
    at_start(span)  # type: ignore[arg-type]
    assert (span.attributes or {}).get("gen_ai.operation.name") == operation  # type: ignore[attr-defined]


def test_what_decorators_say_late_is_known_when_the_span_ends() -> None:
    """So that it gets its place in Langfuse: its nearest ancestor there, or that it is the topmost one."""
    for kind, operation in (
        ("workflow", "invoke_workflow"),
        ("agent", "invoke_agent"),
        ("tool", "execute_tool"),
    ):
        assert at_end({"traceloop.span.kind": kind}) == {"gen_ai.operation.name": operation}
    assert at_end({"traceloop.span.kind": "agent", "gen_ai.operation.name": "chat"}) == {}
    assert at_end({"http.method": "GET"}) == {}
