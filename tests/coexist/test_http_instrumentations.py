"""OpenTelemetry's instrumentors of requests and urllib3 wrap the methods that we hook, before or after us."""

from __future__ import annotations

import pytest
from modelserver.server import ModelServer
from stub_backend import StubBackend
from telemetry import spans
from venvs import Run, python_with

PACKAGES = (
    "requests==2.34.0",
    "opentelemetry-instrumentation-requests==0.66b1",
    "opentelemetry-instrumentation-urllib3==0.66b1",
)


@pytest.mark.parametrize("order", ["before", "after", "again"])
def test_a_model_call_has_no_http_span_around_it(
    run: Run, backend: StubBackend, server: ModelServer, order: str
) -> None:
    printed = run(
        python_with(*PACKAGES), "http_app.py", order, server.url, OTEL_EXPORTER_OTLP_ENDPOINT=backend.url
    )
    assert printed == "dropped=0 pending=0\n"
    found = [(one.name, one.scope.rpartition(".")[2], one.parent) for one in spans(backend)]
    requests, urllib3 = ("GET", "requests", ""), ("GET", "urllib3", "")
    assert [one for one in found if one[0] != "GET"] == [("chat gpt-4o", "otel_agents", "")] * 2
    # requests goes through urllib3, which is quiet then.
    assert [one for one in found if one[0] == "GET"] == [requests, urllib3]
    # The provider is not told of our trace.
    calls = [one for one in server.requests if one.path == "/v1/chat/completions"]
    assert [one for one in calls if "traceparent" in one.headers] == []
    assert len(calls) == 2
