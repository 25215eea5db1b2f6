"""For tests of apps: the fixture ``agent_spans`` and assertions on what was recorded.

pytest loads this module by itself (entry point ``pytest11``)::

    def test_researcher(agent_spans):
        research("what is new?")
        agent_spans.assert_tree('''
            invoke_agent research
              chat gpt-5-mini
              execute_tool search
        ''')
        assert agent_spans.usage()["input"] == 120

Settings of one test: ``@pytest.mark.agent_spans(capture="explicit")``. Everything is kept in memory and
the process's own OpenTelemetry providers are put back afterwards.

Nothing heavy is imported until the fixture is used, because pytest imports this module in every run.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from otel_agents.testing.trees import Node, assert_no_orphans, assert_tree, nodes, snapshot, tree, usage

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from otel_agents.runtime import Runtime

__all__ = [
    "AgentSpans",
    "MetricTotal",
    "Node",
    "agent_spans",
    "assert_no_orphans",
    "assert_tree",
    "nodes",
    "recording",
    "snapshot",
    "tree",
    "usage",
]


def pytest_configure(config: pytest.Config) -> None:
    """Makes the marker known to ``--strict-markers``."""
    config.addinivalue_line(
        "markers", "agent_spans(**settings): settings of otel_agents for the fixture agent_spans"
    )


@pytest.fixture
def agent_spans(request: pytest.FixtureRequest) -> Iterator[AgentSpans]:
    """Everything that otel_agents records in one test, kept in memory; see :class:`AgentSpans`."""
    marker = request.node.get_closest_marker("agent_spans")
    with recording(**(marker.kwargs if marker is not None else {})) as recorded:
        yield recorded


@contextlib.contextmanager
def recording(**settings: Any) -> Iterator[AgentSpans]:
    """Records in memory for the length of a block; what the fixture does, for other test frameworks.

    Args:
        settings: fields of ``otel_agents.config.Settings``; ``capture`` is ``all`` unless given.
    """
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON

    from otel_agents import runtime
    from otel_agents.config import Settings
    from otel_agents.export.ids import TaskIds
    from otel_agents.inflight.pipeline import LivePipeline
    from otel_agents.tracing.contexts import attributes as inherited

    resource = Resource({"service.name": "test"})
    exporter = InMemorySpanExporter()
    pipeline = LivePipeline(exporter, inherited=inherited, delay=60.0, max_queue=1_000_000)
    tracers = TracerProvider(
        resource=resource, sampler=ALWAYS_ON, shutdown_on_exit=False, id_generator=TaskIds()
    )
    tracers.add_span_processor(pipeline)
    reader = InMemoryMetricReader()
    meters = MeterProvider(metric_readers=[reader], resource=resource, shutdown_on_exit=False)
    logs: Any = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
    loggers = LoggerProvider(resource=resource, shutdown_on_exit=False)
    loggers.add_log_record_processor(SimpleLogRecordProcessor(logs))
    made = runtime.Runtime(
        replace(Settings(), **{"capture": "all", **settings}),
        meter_provider=meters,
        logger_provider=loggers,
        pipeline=pipeline,
    )
    with _global_tracer_provider(tracers), runtime.override(made):
        try:
            yield AgentSpans(made, exporter, reader, logs)
        finally:
            made.settle()
            pipeline.close(timeout=1.0)
            meters.shutdown()
            loggers.shutdown()


@contextlib.contextmanager
def _global_tracer_provider(provider: Any) -> Iterator[None]:
    # OpenTelemetry has no way to take a global provider back; these names have been stable since 1.0.
    from opentelemetry import trace
    from opentelemetry.util._once import Once

    before = trace._TRACER_PROVIDER, trace._TRACER_PROVIDER_SET_ONCE
    once = Once()
    once.do_once(lambda: None)  # as if it had been set the usual way
    trace._TRACER_PROVIDER, trace._TRACER_PROVIDER_SET_ONCE = provider, once
    try:
        yield
    finally:
        trace._TRACER_PROVIDER, trace._TRACER_PROVIDER_SET_ONCE = before


class AgentSpans:
    """What was recorded so far. Iterating gives the ended spans, in the order of their ends."""

    def __init__(
        self, runtime: Runtime, exporter: InMemorySpanExporter, reader: InMemoryMetricReader, logs: Any
    ) -> None:
        self.runtime = runtime
        self._exporter = exporter
        self._reader = reader
        self._logs = logs

    @property
    def spans(self) -> list[ReadableSpan]:
        """The ended spans as a backend would get them, content included."""
        self.runtime.settle()
        if self.runtime.pipeline is not None:
            self.runtime.pipeline.force_flush()
        return list(self._exporter.get_finished_spans())

    def __iter__(self) -> Iterator[ReadableSpan]:
        return iter(self.spans)

    def __len__(self) -> int:
        return len(self.spans)

    def named(self, name: str) -> ReadableSpan:
        """The one span of this name.

        Raises:
            AssertionError: there is none, or there are several.
        """
        found = [span for span in self.spans if span.name == name]
        assert len(found) == 1, f"{len(found)} spans named {name!r} in:\n{self.tree()}"
        return found[0]

    def clear(self) -> None:
        """Forgets the spans and events so far (not the metrics)."""
        _ = self.spans
        self._exporter.clear()
        self._logs.clear()

    def tree(self) -> str:
        """See :func:`tree`."""
        return tree(self)

    def assert_tree(self, expected: str) -> None:
        """See :func:`assert_tree`."""
        assert_tree(self, expected)

    def assert_no_orphans(self) -> None:
        """See :func:`assert_no_orphans`."""
        assert_no_orphans(self)

    def usage(self) -> dict[str, float]:
        """See :func:`usage`."""
        return usage(self)

    def snapshot(self) -> list[dict[str, Any]]:
        """See :func:`snapshot`."""
        return snapshot(self)

    def events(self) -> list[dict[str, Any]]:
        """OpenTelemetry events (log records), such as scores: name, attributes, trace_id, span_id."""
        return [
            {
                "name": one.log_record.event_name,
                "attributes": dict(one.log_record.attributes or {}),
                "trace_id": format(one.log_record.trace_id or 0, "032x"),
                "span_id": format(one.log_record.span_id or 0, "016x"),
            }
            for one in self._logs.get_finished_logs()
        ]

    def metric(self, name: str, attributes: Mapping[str, object] | None = None) -> MetricTotal:
        """What one metric has come to, over all its series that have these attributes."""
        total = MetricTotal(0, 0.0)
        for point in self._points(name):
            if all(point.attributes.get(key) == value for key, value in (attributes or {}).items()):
                added = (point.count, point.sum) if hasattr(point, "count") else (1, point.value)
                total = MetricTotal(total.measurements + added[0], total.sum + added[1])
        return total

    def metric_attributes(self, name: str) -> list[dict[str, Any]]:
        """The attributes of each series of one metric."""
        return [dict(point.attributes) for point in self._points(name)]

    def metrics(self) -> list[Any]:
        """Every metric recorded so far, as the SDK's ``Metric`` objects."""
        self.runtime.settle()
        data = self._reader.get_metrics_data()
        resources = data.resource_metrics if data is not None else ()
        return [
            metric for resource in resources for scope in resource.scope_metrics for metric in scope.metrics
        ]

    def _points(self, name: str) -> Iterator[Any]:
        for metric in self.metrics():
            if metric.name == name:
                yield from metric.data.data_points


class MetricTotal(NamedTuple):
    """``measurements`` of a histogram (of a counter: its series), and the ``sum`` of what was measured."""

    measurements: int
    sum: float
