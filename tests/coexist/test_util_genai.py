"""opentelemetry-util-genai marks the context of an inference; what is inside of it is that inference."""

from __future__ import annotations

import pytest
from modelserver.server import ModelServer
from stub_backend import StubBackend
from telemetry import by_scenario, counted, spans
from venvs import Run, python_with


def test_an_inference_that_is_under_way(run: Run, backend: StubBackend, server: ModelServer) -> None:
    python = python_with("openai==3.54.0", "opentelemetry-instrumentation-genai-openai==1.3b0")
    printed = run(python, "util_genai_app.py", server.url, OTEL_EXPORTER_OTLP_ENDPOINT=backend.url)
    assert printed == "dropped=0 pending=0\n"
    arrived = spans(backend)
    found = {
        name: sorted((one.scope.rpartition(".")[2], "gen_ai.usage.cost" in one.attributes) for one in calls)
        for name, calls in by_scenario(arrived).items()
    }
    assert found == {
        "around": [("handler", True)],
        "with a span between": [("handler", True)],
        # The tool's call is one of its own; the inference that only contains it has no usage to tell.
        "a tool inside": [("handler", False), ("otel_agents", True)],
        "an official instrumentor inside ours": [("otel_agents", True)],
        "by a way that no hook sees": [("otel_agents", True)],
        "embeddings": [("otel_agents", True)],
    }
    # Not made and then taken for a repetition: not made.
    assert not [one for one in arrived if "otel_agents.duplicate_of" in one.attributes]
    ledger = server.ledger()
    assert ledger["calls"] == 4
    assert counted(backend, "gen_ai.client.inference.usage.input_tokens") == ledger["input"] + 70 + 7
    assert counted(backend, "gen_ai.client.inference.usage.output_tokens") == ledger["output"] + 30
    assert counted(backend, "otel_agents.cost") == pytest.approx(
        float(ledger["cost"]) + 70 * 2.5e-6 + 30 * 10e-6 + 7 * 0.02e-6
    )
