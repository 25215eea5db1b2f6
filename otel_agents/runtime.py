"""The one mutable place: what is configured now, and how the rest of the package reaches it.

``current()`` always answers. Before ``configure()`` it is a passive runtime: spans and metrics go
to whatever providers are global, nothing of ours exports anything.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from opentelemetry import trace

from otel_agents import semconv
from otel_agents.budgets import gate
from otel_agents.export.worker import Worker
from otel_agents.tracing.scopes import count_call, scope
from otel_agents.version import __version__

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.util.types import AttributeValue

    from otel_agents.accounting import CallRecord
    from otel_agents.config import Settings
    from otel_agents.endings import Ending
    from otel_agents.inflight.pipeline import LivePipeline
    from otel_agents.instruments import Instruments
    from otel_agents.langfuse.scores import ScoreSender
    from otel_agents.metrics import Definition
    from otel_agents.privacy import Redactor
    from otel_agents.tenants import ProjectScores

logger = logging.getLogger(__name__)


class Accountant:
    """Takes records of finished model calls and has them counted off the caller's path."""

    __slots__ = ("_runtime",)

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def submit(self, record: CallRecord) -> None:
        """Counts the call, priced if it is not yet, whether or not its span is sampled."""
        if not record.reported:
            run = scope(record.context).run
            if run is not None:
                count_call(run, record.usage.total if record.usage is not None else None, record.cost)
        if gate.armed:
            gate.charge(record)
        self._runtime.worker.submit(self._count, record)

    def _count(self, record: CallRecord) -> None:
        from otel_agents.accounting import price

        if record.cost is None and record.unpriced_reason is None:
            price(record)
        self._runtime.meters.record_call(record)


class QueuedInstruments:
    """The instruments' front for callers: every record is queued, so that it costs an append."""

    __slots__ = ("_runtime",)

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def count(
        self,
        definition: Definition,
        value: float,
        labels: Mapping[str, str | None],
        context: Context | None = None,
    ) -> None:
        """See :meth:`otel_agents.instruments.Instruments.count`."""
        self._runtime.worker.submit(lambda: self._runtime.meters.count(definition, value, labels, context))

    def record_agent(self, *values: Any) -> None:
        """See :meth:`otel_agents.instruments.Instruments.record_agent`."""
        self._runtime.worker.submit(lambda: self._runtime.meters.record_agent(*values))

    def record_tool(self, *values: Any) -> None:
        """See :meth:`otel_agents.instruments.Instruments.record_tool`."""
        self._runtime.worker.submit(lambda: self._runtime.meters.record_tool(*values))

    def record_score(self, *values: Any) -> None:
        """See :meth:`otel_agents.instruments.Instruments.record_score`."""
        self._runtime.worker.submit(lambda: self._runtime.meters.record_score(*values))


class Runtime:
    """Settings and the providers, exporters and threads that were made from them.

    Args:
        settings: what was resolved.
        redactor: the privacy policy made from the settings.
        tracer_provider: a private provider, when the global one cannot take our processor;
            None means the global one.
        meter_provider: ours; None means the global one.
        logger_provider: ours; None means the global one.
        pipeline: our span processor, when we export.
        scores: sends scores to Langfuse, in direct mode.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        redactor: Redactor | None = None,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        logger_provider: LoggerProvider | None = None,
        pipeline: LivePipeline | None = None,
        scores: ScoreSender | ProjectScores | None = None,
    ) -> None:
        self.settings = settings
        self.tracer_provider = tracer_provider
        self.meter_provider = meter_provider
        self.logger_provider = logger_provider
        self.pipeline = pipeline
        self.scores = scores
        self.worker = Worker()
        self.accountant = Accountant(self)
        self.instruments = QueuedInstruments(self)
        self._redactor = redactor
        self._meters: Instruments | None = None
        self._meters_lock = threading.Lock()
        self._tracer: tuple[object, trace.Tracer] | None = None
        #: Makes the meter provider anew, for a forked child; set by ``setup``.
        self.make_meter_provider: Callable[[], MeterProvider | None] | None = None
        self._forked = False
        #: The meter provider has no thread of its own, which would collect once more at its end.
        self.collect_last = False
        #: What shuts the providers down; made by ``setup``.
        self.endings: list[Ending] = []

    @property
    def redactor(self) -> Redactor:
        """The privacy policy; made on first use."""
        if self._redactor is None:
            from otel_agents.privacy import Redactor

            self._redactor = Redactor.from_settings(self.settings)
        return self._redactor

    @property
    def meters(self) -> Instruments:
        """The instruments themselves; to be used on the worker's thread."""
        if self._meters is None:
            with self._meters_lock:
                if self._meters is None:
                    from opentelemetry import metrics

                    from otel_agents.instruments import Instruments

                    if self._forked and self.make_meter_provider is not None:
                        self.meter_provider = self.make_meter_provider()
                    provider = self.meter_provider or metrics.get_meter_provider()
                    meter = provider.get_meter(semconv.SCOPE_NAME, __version__)
                    limits = (self.settings.label_limit, self.settings.series_limit)
                    self._meters = Instruments(meter, *limits, older=self.settings.older_metrics)
        return self._meters

    def tracer(self) -> trace.Tracer:
        """A tracer of the provider that is global now (or of our private one)."""
        provider = self.tracer_provider or trace.get_tracer_provider()
        cached = self._tracer
        if cached is not None and cached[0] is provider:
            return cached[1]
        tracer = provider.get_tracer(semconv.SCOPE_NAME, __version__)
        self._tracer = (provider, tracer)
        return tracer

    def defer(self, span: trace.Span, complete: Callable[[], Mapping[str, AttributeValue]]) -> None:
        """Has ``complete()`` make attributes for the exported copy of ``span``, off the caller's path.

        Without an exporter of ours there is no such copy and nothing happens; apps with exporters
        of their own set ``OTEL_AGENTS_EAGER_CONTENT=true``. What ``complete`` returns must be
        redacted already.
        """
        if self.pipeline is not None:
            self.pipeline.defer(span.get_span_context().span_id, complete)

    def emit_event(
        self, name: str, attributes: Mapping[str, AttributeValue], context: Context | None = None
    ) -> None:
        """Emits an OpenTelemetry event (a log record with an event name).

        In direct mode an evaluation result becomes a Langfuse score at once, because Langfuse has
        no endpoint for logs.
        """
        if self.scores is not None and name == semconv.EVENT_EVALUATION_RESULT:
            import time

            from otel_agents.tenants import ProjectScores

            span_context = trace.get_current_span(context).get_span_context()
            sender = self.scores
            if isinstance(sender, ProjectScores):
                sender = sender.of(scope(context).attributes.get(semconv.PROJECT))
            sender.submit(
                attributes,
                format(span_context.trace_id, "032x") if span_context.is_valid else None,
                format(span_context.span_id, "016x") if span_context.is_valid else None,
                time.time_ns(),
            )
            return
        from opentelemetry._logs import SeverityNumber, get_logger_provider

        provider = self.logger_provider or get_logger_provider()
        provider.get_logger(semconv.SCOPE_NAME, __version__).emit(
            event_name=name,
            attributes=dict(attributes),
            context=context,
            severity_number=SeverityNumber.INFO,
        )

    def settle(self) -> None:
        """Has everything counted that is over, or is over now that somebody looks.

        Failed model calls stay open for a while, because another attempt may follow; this ends them.
        """
        self.worker.hurry()
        self.worker.drain()

    def after_fork(self) -> None:
        """Makes a forked child's copy fit for use: no inherited queue or counts, no dead threads.

        The child's own meter provider is made when it counts for the first time, because a fork
        hook is no place to start threads.
        """
        self._forked = True
        self.endings = []  # their threads are the parent's
        self._meters = None
        self.meter_provider = None
        self._meters_lock = threading.Lock()
        self.worker.after_fork()
        if self.scores is not None:
            self.scores.after_fork()
        if self.pipeline is not None:
            self.pipeline.after_fork()


_current: Runtime | None = None
_lock = threading.Lock()
#: Puts the runtime in force that was configured where it was not to start yet.
_prepared: Callable[[], object] | None = None
_starting = threading.RLock()


def current() -> Runtime:
    """The runtime in force; a passive one before ``configure()``."""
    return _current or _passive()


def prepare(start: Callable[[], object] | None) -> None:
    """Has ``start`` called once: when somebody asks for the runtime, or by :func:`begin`."""
    global _prepared
    _prepared = start


def prepared() -> bool:
    """Whether the runtime is configured, but not in force."""
    return _prepared is not None


def begin() -> None:
    """Puts the runtime in force that was prepared, if there is one."""
    global _prepared
    with _starting:
        start, _prepared = _prepared, None
        if start is not None:
            start()


def _passive() -> Runtime:
    global _current
    begin()
    with _lock:
        if _current is None:
            from otel_agents import config

            try:
                settings = config.resolve()
            except config.ConfigError as error:
                # A decorator must not raise in the user's app; configure() says it properly.
                logger.warning("otel-agents: %s", error)
                settings = config.resolve(environ={}, dotenv=False)
            _current = Runtime(settings)
        return _current


def replace(runtime: Runtime | None) -> Runtime | None:
    """Puts ``runtime`` in force (None: a new passive one on next use) and returns the one before."""
    global _current
    with _lock:
        before, _current = _current, runtime
        return before


@contextlib.contextmanager
def override(runtime: Runtime) -> Iterator[Runtime]:
    """Puts ``runtime`` in force for the length of a block; for tests."""
    before = replace(runtime)
    try:
        yield runtime
    finally:
        runtime.worker.stop()
        replace(before)
