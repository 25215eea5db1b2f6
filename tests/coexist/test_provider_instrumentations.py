"""Others instrument the provider's SDK, we see the wire: each call is one span, each token counted once."""

from __future__ import annotations

import pytest
from modelserver.server import ModelServer
from stub_backend import StubBackend
from telemetry import by_scenario, counted, spans
from venvs import Run, python_with

OPENAI = "openai==3.54.0"
ANTHROPIC = "anthropic==2.12.0"

#: Name, order, packages. All of them fit beside our own pins.
CASES = [
    ("anthropic-native", "after", [ANTHROPIC]),
    ("genai-openai", "after", [OPENAI, "opentelemetry-instrumentation-genai-openai==1.3b0"]),
    ("genai-anthropic", "after", [ANTHROPIC, "opentelemetry-instrumentation-genai-anthropic==1.3b0"]),
    ("openinference", "after", [OPENAI, "openinference-instrumentation-openai==0.1.66"]),
    ("openinference", "before", [OPENAI, "openinference-instrumentation-openai==0.1.66"]),
    ("openllmetry", "after", [OPENAI, "opentelemetry-instrumentation-openai==0.62.4"]),
    ("logfire", "after", [OPENAI, "logfire==5.2.0"]),
    ("logfire", "before", [OPENAI, "logfire==5.2.0"]),
    ("langfuse", "after", [OPENAI]),
    ("langfuse", "before", [OPENAI]),
]


@pytest.mark.parametrize(("who", "order", "packages"), CASES, ids=[f"{one[0]}-{one[1]}" for one in CASES])
def test_one_span_and_exact_totals(
    run: Run, backend: StubBackend, server: ModelServer, who: str, order: str, packages: list[str]
) -> None:
    python = python_with(*packages)
    # Not from the environment, where Logfire would find it too and export on its own.
    arguments = ("app.py", who, order, server.url, backend.url)
    assert run(python, *arguments, OTEL_EXPORTER_OTLP_ENDPOINT="") == "dropped=0 pending=0\n"
    found = by_scenario(spans(backend))
    expected = {"plain": 1, "stream": 1, "async": 1, "async stream": 1, "together": 3, "": 1}
    if "anthropic" not in who:
        expected["slow stream"] = 1
    assert {name: len(calls) for name, calls in found.items()} == expected
    calls = [call for below in found.values() for call in below]
    ledger = server.ledger()
    assert ledger["calls"] == len(calls)
    for attribute, counter, billed in (
        ("gen_ai.usage.input_tokens", "gen_ai.client.inference.usage.input_tokens", ledger["input"]),
        ("gen_ai.usage.output_tokens", "gen_ai.client.inference.usage.output_tokens", ledger["output"]),
        ("gen_ai.usage.cost", "otel_agents.cost", float(ledger["cost"])),
    ):
        told = [call.attributes.get(attribute) for call in calls]
        assert None not in told, (attribute, calls)
        assert sum(told) == pytest.approx(billed), attribute
        assert counted(backend, counter) == pytest.approx(billed), counter
    # Whoever made the span, everybody knows it for a model call, and for the topmost one that counts.
    assert {call.attributes.get("gen_ai.operation.name") for call in calls} == {"chat"}
    assert all(call.attributes.get("otel_agents.app_root") or not call.parent for call in calls)
    # None had to be made where there was one.
    assert {call.scope.partition(".")[0] for call in calls}.isdisjoint({"otel_agents"})


@pytest.mark.xfail(
    strict=True,
    reason="Logfire exports to OTEL_EXPORTER_OTLP_ENDPOINT itself: its spans arrive twice, once unmerged",
)
def test_logfire_that_exports_to_the_same_collector(
    run: Run, backend: StubBackend, server: ModelServer
) -> None:
    python = python_with(OPENAI, "logfire==5.2.0")
    assert run(python, "app.py", "logfire", "after", server.url) == "dropped=0 pending=0\n"
    assert len(by_scenario(spans(backend))["plain"]) == 1
