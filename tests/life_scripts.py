"""Waits for scripts that run as processes of their own."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from stub_backend import StubBackend

#: What the fixture ``start`` is.
Start = Callable[..., "subprocess.Popen[str]"]


def names(backend: StubBackend) -> list[str]:
    """Names of the spans that arrived, sorted."""
    return sorted(span.name for span in backend.spans())


def ended(process: subprocess.Popen[str], timeout: float = 60.0) -> tuple[int, str]:
    """Exit status and output of a process, once it has ended."""
    output, _ = process.communicate(timeout=timeout)
    return process.returncode, output


def until(process: subprocess.Popen[str], line: str) -> None:
    """Waits until the process has written ``line``."""
    assert process.stdout is not None
    seen = []
    for one in process.stdout:
        seen.append(one)
        if one.strip() == line:
            return
    raise AssertionError(f"ended without {line!r}: {''.join(seen)}")


def counts(backend: StubBackend, name: str) -> dict[str, tuple[int, float]]:
    """How often, and how much in all, by agent: of a histogram; of a counter its value, twice."""
    latest: dict[tuple[str, str], tuple[int, float]] = {}
    for request in backend.requests:
        if not request.path.endswith("/v1/metrics"):
            continue
        for resource in ExportMetricsServiceRequest.FromString(request.body).resource_metrics:
            process = {one.key: one.value.string_value for one in resource.resource.attributes}
            for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
                if metric.name != name:
                    continue
                for point in metric.histogram.data_points or metric.sum.data_points:
                    labels = {one.key: one.value.string_value for one in point.attributes}
                    found = (
                        (point.count, point.sum)
                        if metric.HasField("histogram")
                        else (point.as_int or int(point.as_double),) * 2
                    )
                    latest[(process["service.instance.id"], labels["gen_ai.agent.name"])] = found
    summed: dict[str, tuple[int, float]] = {}
    for (_, agent), (count, total) in latest.items():
        before = summed.get(agent, (0, 0.0))
        summed[agent] = (before[0] + count, before[1] + total)
    return summed
