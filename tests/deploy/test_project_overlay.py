"""The overlay for a second Langfuse project: each span arrives once, with the keys of its project."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from collector_rig import Backend, span, traces
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from parts import require, wait_for
from tiers import OVERLAYS, files, tier

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-5"}


@pytest.fixture
def backend() -> Iterator[Backend]:
    backend = Backend().start()
    yield backend
    backend.stop()


def test_the_processors_are_the_same_in_both() -> None:
    pipelines = yaml.safe_load((OVERLAYS / "projects.yaml").read_text())["service"]["pipelines"]
    base = yaml.safe_load(files()[0].read_text())["service"]["pipelines"]["traces/langfuse"]["processors"]
    for name, own in (("traces/langfuse", "filter/default_project"), ("traces/project", "filter/project")):
        assert [one for one in pipelines[name]["processors"] if one != own] == base


@pytest.mark.collector
def test_each_span_with_its_keys(tmp_path: Path, backend: Backend) -> None:
    extra = {
        "OTELCOL_PROJECT": "a",
        "OTELCOL_PROJECT_ENDPOINT": f"{backend.url}/api/public/otel",
        "OTELCOL_PROJECT_PUBLIC_KEY": "pk-lf-a",
        "OTELCOL_PROJECT_SECRET_KEY": "sk-lf-a",
    }
    sent = traces(
        span("nobody's", "0000000000000001", CHAT),
        span("of a", "0000000000000002", {**CHAT, "otel_agents.project": "a"}),
        span("of another", "0000000000000003", {**CHAT, "otel_agents.project": "b"}),
    )
    with tier(require("collector"), tmp_path / "collector", backend, "projects", **extra) as collector:
        collector.send(sent)
        wait_for(lambda: len(arrived(backend)) == 3, "all three spans")
    assert sorted(arrived(backend)) == [
        ("pk-lf-a:sk-lf-a", "of a"),
        ("pk-lf-test:sk-lf-test", "nobody's"),
        ("pk-lf-test:sk-lf-test", "of another"),
    ]


def arrived(backend: Backend) -> list[tuple[str, str]]:
    """Keys and name of each span."""
    return [
        (base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode(), one.name)
        for request in backend.accepted("/v1/traces")
        for resource in ExportTraceServiceRequest.FromString(request.body).resource_spans
        for scope in resource.scope_spans
        for one in scope.spans
    ]
