"""Puts everything together: ``configure``, ``instrument``, ``flush``, ``shutdown``."""

from __future__ import annotations

import atexit
import logging
import math
import os
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, cast

from otel_agents import endings, runtime, semconv, signals
from otel_agents.budgets import gate
from otel_agents.endings import Ending
from otel_agents.export.result import FlushResult
from otel_agents.runtime import Runtime
from otel_agents.version import __version__

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan, Span
    from opentelemetry.sdk.trace.export import SpanExporter

    from otel_agents.config import Settings
    from otel_agents.export.outbox import Mode, Note, Outbox
    from otel_agents.export.pipeline import Edge
    from otel_agents.export.sender import Sender
    from otel_agents.inflight.keeper import Keeper
    from otel_agents.privacy import Redactor

logger = logging.getLogger(__name__)

_lock = threading.RLock()
_configured: Runtime | None = None
_hooks_registered = False


def configure(
    *,
    redact: Callable[[str, object], object] | None = None,
    instrument_libraries: bool = True,
    **settings: object,
) -> Settings:
    """Starts sending telemetry, as arguments, environment and ``.env`` say. Calling it again changes nothing.

    Where it goes is chosen by what is set: an OTLP endpoint means a Collector; else Langfuse's keys
    mean Langfuse directly, with ``/metrics`` served by this process; else nothing is sent, and one
    warning says so. Works before and after other libraries set a tracer provider.

    Args:
        redact: called with ``(key, value)`` for every value that is exported; its answer is exported
            instead. When it fails, the value is redacted.
        instrument_libraries: also call :func:`instrument`.
        settings: any setting by its name in ``otel_agents.config.Settings``, such as
            ``service_name="orchestrator"`` or ``capture="all"``. They win over the environment.

    Returns:
        The settings in force.

    Raises:
        otel_agents.ConfigError: a setting cannot be used; the message names it and says what to do.
    """
    global _configured
    from otel_agents import config
    from otel_agents.accounting import plans

    with _lock:
        if _configured is not None:
            if settings:
                logger.warning("otel-agents: already configured; call shutdown() before configuring anew")
            return _configured.settings
        config.export_dotenv()
        resolved = config.resolve(settings)
        for warning in resolved.warnings:
            logger.warning("otel-agents: %s", warning)
        known_plans = plans.load(resolved)
        made = _build(resolved, redact)
        runtime.replace(made)
        _configured = made
        gate.apply(resolved)
        plans.announce(known_plans, made)
        _register_process_hooks()
        if resolved.enabled and resolved.handle_signals:
            signals.install(lambda: _end(True), flush)
        if resolved.enabled:
            made.worker.submit(_warm_up)
            if instrument_libraries:
                instrument()
        return resolved


def instrument() -> None:
    """Hooks the HTTP clients that model calls go through, and threads. Calling it again changes nothing.

    Needs no ``configure()``: spans then go to whatever tracer provider is global. Libraries are
    hooked when they are imported; none is imported here. Installed instrumentors of agent frameworks
    are enabled with them. ``OTEL_PYTHON_DISABLED_INSTRUMENTATIONS`` lists what is to be left alone.
    """
    from otel_agents import frameworks, process_metrics, wire
    from otel_agents.instrumentation import instrument_http_clients

    if frameworks.is_disabled("otel_agents"):
        return
    with _lock:
        if not frameworks.is_disabled("threading"):
            from opentelemetry.instrumentation.threading import ThreadingInstrumentor

            threads = ThreadingInstrumentor()
            if not threads.is_instrumented_by_opentelemetry:
                threads.instrument()
        wire.install()
        instrument_http_clients()
        process_metrics.measure_process()
        frameworks.enable_frameworks()


def uninstrument() -> None:
    """Stops watching model calls; those under way are still recorded. Calling it again changes nothing."""
    from otel_agents import wire

    with _lock:
        wire.uninstall()


def configured() -> bool:
    """Whether :func:`configure` is in force."""
    return _configured is not None


def flush(timeout: float = 10.0) -> FlushResult:
    """Sends what is in memory and says what became of it.

    Args:
        timeout: seconds; what has not been sent by then is ``pending`` and is tried again later.
    """
    deadline = time.monotonic() + timeout
    current = runtime.current()
    current.settle()
    result = current.pipeline.flush(timeout) if current.pipeline is not None else FlushResult()
    left = max(deadline - time.monotonic(), 0.1)
    providers = [one for one in (current.logger_provider, current.meter_provider) if one is not None]
    _within(left, *(provider.force_flush for provider in providers))
    if current.scores is not None:
        result = replace(result, scores=current.scores.flush(max(deadline - time.monotonic(), 0.1)))
    return result


def shutdown(timeout: float = 5.0) -> FlushResult:
    """Flushes for at most ``timeout`` seconds and stops. ``configure()`` may be called again afterwards."""
    return _shutdown(timeout)


def _shutdown(timeout: float, before: Callable[[Runtime], None] | None = None) -> FlushResult:
    global _configured
    with signals.put_off(), _lock:
        made = _configured
        if made is None:
            return FlushResult()
        _configured = None
        if before is not None:
            before(made)
        return _stop(made, timeout)


def _end(abruptly: bool = False) -> None:
    """Stops for good, as the process ends.

    Args:
        abruptly: nobody ends what runs any more, so it is told to be abandoned. Else only runs that are
            on disk as under way are.
    """

    def abandon(made: Runtime) -> None:
        if made.pipeline is not None:
            try:
                made.pipeline.abandon(abruptly)
            except Exception:
                logger.debug("otel-agents: could not tell what is abandoned", exc_info=True)

    _shutdown(5.0, abandon)


def _stop(made: Runtime, timeout: float) -> FlushResult:
    from otel_agents.export import last_metrics, providers, upstream

    deadline = time.monotonic() + timeout

    def left() -> float:
        return max(deadline - time.monotonic(), 0.2)

    made.settle()
    result = FlushResult()
    if made.pipeline is not None:
        result = made.pipeline.close(left())
        providers.detach(made.pipeline)
        upstream.uninstall()
    made.worker.stop()
    if made.scores is not None:
        result = replace(result, scores=made.scores.finish(left()))
    # Shutting a provider down exports what it has once more.
    if made.endings:
        for ending in made.endings:
            ending.begin()
        for ending in made.endings:
            ending.wait(left())
    else:
        rest = [one for one in (made.logger_provider, made.meter_provider) if one is not None]
        if made.collect_last and made.meter_provider is not None:
            _within(left(), made.meter_provider.force_flush)
        _within(left(), *(provider.shutdown for provider in rest))
    last_metrics.save_last()
    runtime.replace(None)
    return result


def _within(seconds: float, *functions: Callable[[], object]) -> None:
    """Runs ``functions`` side by side for at most ``seconds``; one that hangs is left behind.

    The SDK's exporters keep to their own timeouts (ten seconds, each), whatever they are asked.
    """
    deadline = time.monotonic() + seconds
    threads = [threading.Thread(target=_quietly, args=(function,), daemon=True) for function in functions]
    try:
        for thread in threads:
            thread.start()
    except RuntimeError:  # too late for threads: the interpreter is at its end
        for function in functions:
            _quietly(function)
        return
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0.0))


def _quietly(function: Callable[[], object]) -> None:
    try:
        function()
    except Exception:
        logger.debug("otel-agents: error while stopping", exc_info=True)


def _warm_up() -> None:
    from otel_agents.accounting import prices

    prices.warm_up()


def _build(settings: Settings, redact: Callable[[str, object], object] | None) -> Runtime:
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

    provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter, schedule_delay_millis=1000))
    # Not made global: apps that log through OpenTelemetry choose their own way for it.
    made.logger_provider = provider


def _add_spans(made: Runtime, resource: Resource, redactor: Redactor) -> None:
    from otel_agents import tenants
    from otel_agents.export import exporters, providers, upstream
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
            edge=_edge(settings, redactor),
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
    made.tracer_provider = providers.install(made.pipeline, resource, exporters.span_target(settings))
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


def _edge(settings: Settings, redactor: Redactor) -> Edge:
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


def _at_exit() -> None:
    _end()
    signals.stay_interrupted()


def _before_fork() -> None:
    from otel_agents.wire import warm

    warm.wait(5.0)
    if _configured is not None:
        _configured.worker.before_fork()
        for one in (_configured.pipeline, _configured.scores):
            if one is not None:
                one.before_fork()


def _after_fork_in_parent() -> None:
    if _configured is not None:
        for one in (_configured.pipeline, _configured.scores):
            if one is not None:
                one.after_fork_in_parent()
        _configured.worker.after_fork_in_parent()


def _after_fork() -> None:
    if _configured is not None:
        _configured.after_fork()


def _register_process_hooks() -> None:
    global _hooks_registered
    if _hooks_registered:
        return
    _hooks_registered = True
    atexit.register(_at_exit)
    endings.at_child_exit(_end)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork
        )
