"""Makes what a configured process needs: one function for each signal.

``setup`` decides when; nothing here starts by being imported.
"""

from __future__ import annotations

import math
import os
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, cast

from otel_agents import forks, semconv
from otel_agents.endings import Ending
from otel_agents.runtime import Runtime
from otel_agents.version import __version__

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan, Span
    from opentelemetry.sdk.trace.export import SpanExporter

    from otel_agents.config import Settings
    from otel_agents.export.outbox import Mode, Outbox
    from otel_agents.export.outcomes import Note
    from otel_agents.export.pipeline import Edge
    from otel_agents.export.sender import Sender
    from otel_agents.inflight.keeper import Keeper
    from otel_agents.privacy import Redactor


def build(settings: Settings, redact: Callable[[str, object], object] | None) -> Runtime:
    """A runtime as the settings say: providers, exporters, the spool, and what ends them.

    Args:
        settings: resolved.
        redact: the user's own callback; see ``configure()``.

    Raises:
        otel_agents.ConfigError: a file of prices cannot be used.
    """
    from otel_agents.accounting import contracts
    from otel_agents.privacy import Redactor

    contracts.use(settings)
    redactor = Redactor.from_settings(settings, callback=redact)
    made = Runtime(settings, redactor=redactor)
    if not settings.enabled:
        return made
    if settings.mode == "disabled" and settings.traces_exporter != "console":
        return made
    resource = make_resource(settings, redactor)
    _add_metrics(made, resource)
    _add_events(made, resource)
    _add_spans(made, resource, redactor)
    rest = (made.logger_provider, made.meter_provider)
    made.endings = [Ending(provider.shutdown) for provider in rest if provider is not None]
    return made


def load(settings: Settings) -> None:
    """Imports what :func:`build` will need, for processes that are forked from this one."""
    from opentelemetry.sdk import _logs, metrics, trace  # noqa: F401
    from opentelemetry.sdk._logs import export  # noqa: F401

    from otel_agents import instruments  # noqa: F401
    from otel_agents.export import exporters, providers  # noqa: F401

    exporters.span_sender(settings)


def make_resource(settings: Settings, redactor: Redactor) -> Resource:
    """What this process is. ``service.instance.id`` is new for every process.

    A user's own ``service.instance.id`` would make two processes one series in Prometheus, so it
    moves to ``otel_agents.service.instance.id``. The resource goes out with every signal and is
    served as ``target_info``, so it is redacted like everything else.
    """
    from opentelemetry.sdk.resources import Resource

    base = Resource.create({"service.name": settings.service_name})
    attributes: dict[str, Any] = {
        semconv.SERVICE_INSTANCE_ID: str(uuid.uuid4()),
        semconv.TELEMETRY_DISTRO_NAME: "otel-agents",
        semconv.TELEMETRY_DISTRO_VERSION: __version__,
    }
    if settings.environment:
        attributes[semconv.DEPLOYMENT_ENVIRONMENT] = settings.environment
    if settings.release:
        attributes.setdefault("service.version", settings.release)
    if own := settings.resource_attributes.get(semconv.SERVICE_INSTANCE_ID):
        attributes["otel_agents.service.instance.id"] = own
    return Resource(redactor.attributes({**base.attributes, **attributes}), base.schema_url)


def _of_this_process(resource: Resource) -> Resource:
    """The resource of a forked child: its parent's, but for what tells processes apart.

    Looking everything up anew takes threads, which there are none of at the end of a child.
    """
    from opentelemetry.sdk.resources import Resource

    changes: dict[str, Any] = {semconv.SERVICE_INSTANCE_ID: str(uuid.uuid4())}
    if "process.pid" in resource.attributes:
        changes["process.pid"] = os.getpid()
    return Resource({**resource.attributes, **changes}, resource.schema_url)


def _add_metrics(made: Runtime, resource: Resource) -> None:
    from opentelemetry import metrics

    made.meter_provider = _meter_provider(made.settings, resource)

    def anew() -> MeterProvider | None:
        from otel_agents import process_metrics

        own = _of_this_process(resource)
        try:
            provider = _meter_provider(made.settings, own)
        except RuntimeError:  # at the end of the interpreter there are no new threads: collected once then
            provider = _meter_provider(made.settings, own, interval=math.inf)
            made.collect_last = True
        process_metrics.measure_again(provider)
        return provider

    made.make_meter_provider = anew
    proxy = isinstance(metrics.get_meter_provider(), metrics._internal._ProxyMeterProvider)
    if made.meter_provider is not None and proxy:
        metrics.set_meter_provider(made.meter_provider)


def _meter_provider(
    settings: Settings, resource: Resource, interval: float | None = None
) -> MeterProvider | None:
    """Pushes by OTLP or is scraped, by mode; None when metrics go nowhere.

    Args:
        settings: where to.
        resource: of this process.
        interval: seconds between two pushes; by default the settings'.
    """
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader

    from otel_agents.export import exporters
    from otel_agents.export.exemplars import KeepsExemplars
    from otel_agents.export.last_metrics import keep_last
    from otel_agents.export.own_process import OwnProcess

    reader: MetricReader
    exporter = exporters.metric_exporter(settings)
    if exporter is not None:
        milliseconds = (settings.metric_interval if interval is None else interval) * 1000
        reader = PeriodicExportingMetricReader(
            OwnProcess(KeepsExemplars(keep_last(exporter, settings))), export_interval_millis=milliseconds
        )
    elif settings.metrics_exporter == "prometheus" or (
        settings.mode == "direct" and settings.metrics_exporter == "otlp"
    ):
        from otel_agents.export import prometheus

        reader = prometheus.start(settings, resource)
    else:
        return None
    return MeterProvider(metric_readers=[reader], resource=resource, shutdown_on_exit=False)


def _add_events(made: Runtime, resource: Resource) -> None:
    from otel_agents.export import exporters

    settings = made.settings
    if settings.mode == "direct":
        from otel_agents.langfuse.scores import ScoreSender

        made.scores = ScoreSender.from_settings(settings)
        if settings.projects:
            from otel_agents import tenants

            others = tenants.settings_of(settings).items()
            senders = {name: ScoreSender.from_settings(one) for name, one in others}
            made.scores = tenants.ProjectScores(made.scores, senders)
        made.scores.start_for_leftovers()
        return
    exporter = exporters.log_exporter(settings)
    if exporter is None:
        return
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

    from otel_agents.export.kept_logs import AtOnce, KeptLogs

    provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
    if isinstance(exporter, KeptLogs) and exporter.durable:
        provider.add_log_record_processor(AtOnce(exporter))
    else:
        batches = BatchLogRecordProcessor(exporter, schedule_delay_millis=1000)
        forks.missed(batches._batch_processor._at_fork_reinit)
        provider.add_log_record_processor(batches)
    # Not made global: apps that log through OpenTelemetry choose their own way for it.
    made.logger_provider = provider


def _add_spans(made: Runtime, resource: Resource, redactor: Redactor) -> None:
    from otel_agents import tenants
    from otel_agents.export import exporters, providers, samplers, upstream
    from otel_agents.inflight.pipeline import LivePipeline
    from otel_agents.tracing.contexts import attributes as inherited

    settings = made.settings
    waiting: dict[str, tuple[int, int, int]] = {}

    def pipeline(settings: Settings, project: str = "", **more: Any) -> LivePipeline | None:
        exporter: SpanExporter | Callable[[Note], Outbox] | None = exporters.span_exporter(settings)
        if exporter is None:
            connect = exporters.span_sender(settings)
            if connect is None:
                return None
            exporter = _outbox(made, settings, connect, project, waiting)
        return (tenants.ProjectPipeline if more else LivePipeline)(
            exporter,
            keeper=_keeper(settings, project),
            inherited=inherited,
            edge=edge(settings, redactor),
            count=lambda outcome, spans, reason: made.worker.submit(
                lambda: made.meters.count_export(outcome, spans, reason)
            ),
            delay=settings.schedule_delay,
            max_queue=settings.max_queue_size,
            max_batch=settings.max_batch_size,
            **more,
        )

    further: dict[str, Any] = {}
    if settings.mode == "direct" and settings.projects and settings.traces_exporter == "otlp":
        named = {name: pipeline(one, name) for name, one in tenants.settings_of(settings).items()}
        further = {"projects": {name: one for name, one in named.items() if one is not None}}
    made.pipeline = pipeline(settings, **further)
    if made.pipeline is None:
        return
    made.tracer_provider = providers.install(
        made.pipeline, resource, exporters.span_target(settings), samplers.given(settings)
    )
    upstream.install()
    made.pipeline.start_for_leftovers()


def _keeper(settings: Settings, project: str) -> Keeper | None:
    """What notes long runs on disk; None where there is no disk, or nobody wants it."""
    from otel_agents.export.leftovers import destination_of, root_of
    from otel_agents.inflight.keeper import Keeper

    destination = destination_of(settings)
    if destination is None or settings.spool_mode == "memory" or not settings.heartbeat:
        return None
    names = settings.projects if settings.mode == "direct" else {}

    def mine(span: Span) -> bool:
        name = (span.attributes or {}).get(semconv.PROJECT)
        return (name if name in names else "") == project

    return Keeper(root_of(settings), destination, settings.heartbeat, mine)


def _outbox(
    made: Runtime,
    settings: Settings,
    connect: Callable[[], Sender],
    project: str,
    waiting: dict[str, tuple[int, int, int]],
) -> Callable[[Note], Outbox]:
    """What makes the place where spans wait for the backend, as the settings say."""
    from otel_agents.export.leftovers import destination_of, root_of
    from otel_agents.export.limits import Limits
    from otel_agents.export.outbox import Outbox

    def tell(queued: int, spooled: int, size: int) -> None:
        waiting[project] = (queued, spooled, size)
        total = [sum(numbers) for numbers in zip(*tuple(waiting.values()), strict=True)]
        made.worker.submit(lambda: made.meters.set_waiting(total[0], total[1], total[2]))

    return lambda note: Outbox(
        connect,
        note,
        mode=cast("Mode", settings.spool_mode),
        root=root_of(settings),
        destination=destination_of(settings),
        limits=Limits.from_settings(settings),
        changed=tell,
    )


def edge(settings: Settings, redactor: Redactor) -> Edge:
    """What a span passes before it leaves: others' in our words and redacted, in direct mode for Langfuse."""
    from otel_agents import frameworks
    from otel_agents.export.foreign import redacted_copy
    from otel_agents.export.hoist import Hoist
    from otel_agents.export.unasked import without_content
    from otel_agents.normalize.engine import normalized
    from otel_agents.privacy.capture import captures

    mode = cast('Literal["on", "keep", "off"]', settings.normalize)
    asked = captures(settings, "messages")
    hoisted = Hoist()

    def redacted(span: ReadableSpan) -> ReadableSpan:
        scope = span.instrumentation_scope
        if scope is not None and scope.name == semconv.SCOPE_NAME:
            return hoisted(span)  # ours is redacted before it is set
        if not asked:
            span = without_content(span, frameworks.scopes)
        return hoisted(redacted_copy(normalized(span, mode), redactor))

    if settings.mode != "direct":
        return redacted

    from otel_agents.langfuse.edge import to_langfuse

    def direct(span: ReadableSpan) -> ReadableSpan | None:
        return to_langfuse(redacted(span))

    return direct
