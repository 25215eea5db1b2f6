"""One span and one count, sent as an app sends them, and waited for at the other end.

The span is an event without a duration, which makes no task in Langfuse and costs nothing. The count is
what any app counts of a span that was delivered, in a process of its own.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from otel_agents import metrics, semconv
from otel_agents.doctor.prometheus import Prometheus
from otel_agents.doctor.web import Unreachable
from otel_agents.export.prometheus_names import metric_name

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan

    from otel_agents.config import Settings
    from otel_agents.doctor.subject import Subject
    from otel_agents.langfuse.reading import LangfuseReader

_NAME: Final = "otel-agents doctor"
_STEP: Final = 0.2
#: The count's series: what an app counts of a span that was delivered.
SERIES: Final = metric_name(metrics.EXPORT_SPANS.name, metrics.EXPORT_SPANS.unit, metrics.EXPORT_SPANS.kind)


@dataclass(slots=True)
class Probe:
    """What was sent, and where it was seen.

    Attributes:
        trace_id: of the span, 32 hex digits.
        instance: ``service.instance.id`` of this process.
        span_sent: seconds until the span was acknowledged; None when it was not.
        span_problem: why not.
        metric_sent: the same of the count.
        metric_problem: why not.
        span_seen: seconds from then until Langfuse showed it.
        metric_seen: seconds from then until Prometheus had it.
        renamed: Prometheus has it under ``exported_instance``.
        read_problem: why Langfuse could not be looked at, the last time.
    """

    trace_id: str = ""
    instance: str = ""
    span_sent: float | None = None
    span_problem: str = ""
    metric_sent: float | None = None
    metric_problem: str = ""
    span_seen: float | None = None
    metric_seen: float | None = None
    renamed: bool = False
    read_problem: str = ""


def send(settings: Settings, spans: bool, counts: bool) -> Probe:
    """Sends the span and the count. Never raises."""
    from otel_agents.assembly import make_resource
    from otel_agents.privacy import Redactor

    resource = make_resource(settings, Redactor.from_settings(settings))
    probe = Probe(instance=str(resource.attributes[semconv.SERVICE_INSTANCE_ID]))
    if spans:
        span = _span(resource)
        assert span.context is not None
        probe.trace_id = format(span.context.trace_id, "032x")
        probe.span_sent, probe.span_problem = _timed(lambda: _export_span(settings, span))
    if counts:
        probe.metric_sent, probe.metric_problem = _timed(lambda: _export_count(settings, resource))
    return probe


def wait(
    subject: Subject,
    probe: Probe,
    timeout: float,
    prometheus: bool,
    open_reader: Callable[[], LangfuseReader] | None,
) -> None:
    """Looks for both at the other end until they are there or ``timeout`` seconds are over."""
    started = time.monotonic()
    deadline = started + timeout
    server = Prometheus(subject.prometheus) if prometheus and probe.metric_sent is not None else None
    reader = open_reader() if open_reader is not None and probe.span_sent is not None else None
    try:
        while True:
            if reader is not None and probe.span_seen is None:
                _look_in_langfuse(reader, probe, started)
            if server is not None and probe.metric_seen is None:
                _look_in_prometheus(server, probe, started)
            span_done = reader is None or probe.span_seen is not None
            metric_done = server is None or probe.metric_seen is not None or probe.renamed
            if (span_done and metric_done) or time.monotonic() >= deadline:
                return
            time.sleep(_STEP)
    finally:
        if reader is not None:
            reader.close()


def _look_in_langfuse(reader: LangfuseReader, probe: Probe, started: float) -> None:
    from otel_agents.langfuse.unavailable import LangfuseUnavailable

    now = datetime.now(UTC)
    day = timedelta(days=1)  # clocks may differ
    same_trace = {"type": "string", "column": "traceId", "operator": "=", "value": probe.trace_id}
    try:
        found = any(
            reader.observations(since=now - day, until=now + day, filters=[same_trace], fields=("core",))
        )
        probe.read_problem = ""
    except LangfuseUnavailable as error:
        probe.read_problem = str(error)
        return
    if found:
        probe.span_seen = time.monotonic() - started


def _look_in_prometheus(server: Prometheus, probe: Probe, started: float) -> None:
    try:
        if server.values(f'{SERIES}{{instance="{probe.instance}"}}'):
            probe.metric_seen = time.monotonic() - started
        elif server.values(f'{SERIES}{{exported_instance="{probe.instance}"}}'):
            probe.renamed = True
    except Unreachable:
        pass


def _span(resource: Resource) -> ReadableSpan:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON

    provider = TracerProvider(resource=resource, shutdown_on_exit=False, sampler=ALWAYS_ON)
    now = time.time_ns()
    span = provider.get_tracer(semconv.SCOPE_NAME).start_span(
        _NAME,
        attributes={semconv.EVENT_NAME: "doctor", semconv.APP_ROOT: True},
        start_time=now,
    )
    span.end(now)
    return span  # type: ignore[return-value]


def _export_span(settings: Settings, span: ReadableSpan) -> None:
    from otel_agents.export import entries, exporters

    if settings.mode == "direct":
        from otel_agents.langfuse.edge import to_langfuse

        mapped = to_langfuse(span)
        assert mapped is not None
        span = mapped
    connect = exporters.span_sender(settings)
    if connect is None:
        raise _NotSent(f"OTEL_TRACES_EXPORTER is {settings.traces_exporter}")
    sender = connect()
    try:
        answer = sender.send(entries.encode([span], lambda count, reason: None))
    finally:
        sender.close()
    if answer.kind != "taken":
        raise _NotSent(": ".join(part for part in (answer.reason, answer.message) if part))


def _export_count(settings: Settings, resource: Resource) -> None:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricExportResult

    from otel_agents.export import exporters

    exporter = exporters.metric_exporter(settings)
    if exporter is None:
        raise _NotSent("OTEL_METRICS_EXPORTER is not otlp")
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader], resource=resource, shutdown_on_exit=False)
    one = metrics.EXPORT_SPANS
    counter = provider.get_meter(semconv.SCOPE_NAME).create_counter(one.name, one.unit, one.description)
    counter.add(1, {"outcome": "delivered"})
    found = reader.get_metrics_data()
    assert found is not None
    try:
        if exporter.export(found) is not MetricExportResult.SUCCESS:
            raise _NotSent("")
    finally:
        exporter.shutdown()
        provider.shutdown()


class _NotSent(Exception):
    pass


def _timed(work: Callable[[], None]) -> tuple[float | None, str]:
    """Seconds that ``work`` took, or None and why it failed, as the exporter has logged it."""
    started = time.monotonic()
    with _heard() as said:
        try:
            work()
        except _NotSent as error:
            return None, str(error) or (said[-1] if said else "the exporter does not say why")
        except Exception as error:
            return None, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return time.monotonic() - started, ""


@contextmanager
def _heard() -> Iterator[list[str]]:
    """What the OpenTelemetry SDK logs inside the block, instead of its way to standard error."""
    said: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(" ".join(record.getMessage().split())[:300])

    log = logging.getLogger("opentelemetry")
    listener: Any = Listener()
    before = log.propagate
    log.addHandler(listener)
    log.propagate = False
    try:
        yield said
    finally:
        log.removeHandler(listener)
        log.propagate = before
