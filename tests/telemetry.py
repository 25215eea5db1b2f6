"""What arrived at the stub: model calls as spans tell of them, and tokens as counters tell of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from stub_backend import StubBackend

#: Whoever reads it, such a span is a model call.
KINDS = {
    "gen_ai.operation.name": {"chat", "text_completion", "generate_content", "embeddings"},
    "openinference.span.kind": {"LLM", "EMBEDDING"},
    "langfuse.observation.type": {"generation", "embedding"},
    "llm.request.type": {"chat", "completion", "embedding"},
}


@dataclass(frozen=True, slots=True)
class Span:
    """One span: ``scenario`` is the name of the app's span that it is below, or its own."""

    name: str
    scope: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, Any]

    @property
    def is_model_call(self) -> bool:
        return any(self.attributes.get(name) in values for name, values in KINDS.items())


def spans(backend: StubBackend) -> list[Span]:
    """Every span received."""
    return [
        Span(
            span.name,
            scope.scope.name,
            span.trace_id.hex(),
            span.span_id.hex(),
            span.parent_span_id.hex(),
            {one.key: _value(one.value) for one in span.attributes},
        )
        for request in backend._trace_requests()
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def by_scenario(found: list[Span]) -> dict[str, list[Span]]:
    """Model calls by the name of the app's span (``scope`` app) in their trace; "" where it has none."""
    names = {one.trace: one.name for one in found if one.scope == "app"}
    grouped: dict[str, list[Span]] = {name: [] for name in names.values()}
    for one in found:
        if one.is_model_call:
            grouped.setdefault(names.get(one.trace, ""), []).append(one)
    return grouped


def counted(backend: StubBackend, name: str) -> float:
    """Sum over all series of the counter ``name``, as last received."""
    return sum(point for _, point in _points(backend, name))


def instances(backend: StubBackend, name: str) -> set[str]:
    """Processes (``service.instance.id``) that counted in ``name``."""
    return {dict(labels)["process"] for labels, value in _points(backend, name) if value}


def _points(backend: StubBackend, name: str) -> Iterator[tuple[Any, float]]:
    latest: dict[Any, float] = {}
    for request in backend.requests:
        if not request.path.endswith("/v1/metrics"):
            continue
        for resource in ExportMetricsServiceRequest.FromString(request.body).resource_metrics:
            process = {one.key: one.value.string_value for one in resource.resource.attributes}
            for scope in resource.scope_metrics:
                if scope.scope.name != "otel_agents":
                    continue
                for metric in scope.metrics:
                    if metric.name == name:
                        for point in metric.sum.data_points:
                            labels = {one.key: str(_value(one.value)) for one in point.attributes}
                            labels["process"] = process["service.instance.id"]
                            latest[tuple(sorted(labels.items()))] = point.as_double or float(point.as_int)
    yield from latest.items()


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return tuple(_value(one) for one in value.array_value.values)
    return getattr(value, kind) if kind else None
