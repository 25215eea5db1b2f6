"""opentelemetry-util-genai marks the context of an inference; what is inside of it is that inference."""

from __future__ import annotations

from modelserver.server import ModelServer
from stub_backend import StubBackend
from telemetry import by_scenario, counted, spans
from venvs import Run, python_with


def test_an_inference_that_is_under_way(run: Run, backend: StubBackend, server: ModelServer) -> None:
    python = python_with("openai==3.54.0", "opentelemetry-instrumentation-genai-openai==1.3b0")
    printed = run(python, "util_genai_app.py", server.url, OTEL_EXPORTER_OTLP_ENDPOINT=backend.url)
    assert printed == "dropped=0 pending=0\n"
    found = {
        name: [(one.scope.rpartition(".")[2], "gen_ai.usage.cost" in one.attributes) for one in calls]
        for name, calls in by_scenario(spans(backend)).items()
    }
    assert found == {
        "around": [("handler", True)],
        "with a span between": [("handler", True)],
        # The tool's call is one of its own; the inference that only contains it has no usage to tell.
        "a tool inside": [("otel_agents", True), ("handler", False)],
        "an official instrumentor inside ours": [("otel_agents", True)],
    }
    ledger = server.ledger()
    assert ledger["calls"] == 4
    assert counted(backend, "gen_ai.client.inference.usage.input_tokens") == ledger["input"]
    assert counted(backend, "otel_agents.cost") == float(ledger["cost"])
