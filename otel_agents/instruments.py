"""Records what happened on the metrics of the catalogue, every label bounded.

The methods may be called from any thread; the package calls them on its worker thread, off the caller's
path. ``context`` carries the span that exemplars point at.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from otel_agents import metrics, semconv
from otel_agents.export.histograms import record_many

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.metrics import Meter

    from otel_agents.accounting import CallRecord, Usage
    from otel_agents.metrics import Definition

#: Value that a label takes once it has had ``label_limit`` different ones.
OVERFLOW: Final = "other"
#: Most series of one metric; what OpenTelemetry's specification has for its cardinality limit.
SERIES_LIMIT: Final = 2000
#: Seconds to which :data:`metrics.COLLECTED` is told.
_TOLD_TO: Final = 15
#: Labels with few values, all of them ours. They keep their value where the others become ``other``, so that
#: shares of errors and of outcomes stay right.
_FEW_VALUES: Final = frozenset(
    {semconv.OPERATION_NAME, semconv.TOKEN_MODALITY, "status", "state", "outcome", "reason", "quantity"}
)

AttributeMap = dict[str, str | int]


class LabelCap:
    """Lets each label take at most ``limit`` different values; later ones become ``other``."""

    __slots__ = ("_limit", "_seen", "overflows")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._seen: dict[str, set[str]] = {}
        #: Labels, and how often one of their values came too late, since somebody last looked.
        self.overflows: dict[str, int] = {}

    def __call__(self, label: str, value: str) -> str:
        seen = self._seen.setdefault(label, set())
        if value in seen:
            return value
        if len(seen) >= self._limit:
            self.overflows[label] = self.overflows.get(label, 0) + 1
            return OVERFLOW
        seen.add(value)
        return value


class SeriesCap:
    """Lets each metric have at most ``limit`` series: labels multiply, each within its own limit.

    Every further combination is counted under ``other`` for all labels, so that totals stay exact.
    """

    __slots__ = ("_limit", "_seen", "overflows")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._seen: dict[Definition, set[frozenset[tuple[str, str | int]]]] = {}
        #: How often a combination came too late, since somebody last looked.
        self.overflows = 0

    def __call__(self, definition: Definition, labels: Mapping[str, str | int]) -> Mapping[str, str | int]:
        seen = self._seen.setdefault(definition, set())
        combination = frozenset(labels.items())
        if combination in seen:
            return labels
        if len(seen) >= self._limit:
            self.overflows += 1
            return {name: value if name in _FEW_VALUES else OVERFLOW for name, value in labels.items()}
        seen.add(combination)
        return labels


class Instruments:
    """All instruments of one meter, made from the catalogue.

    Args:
        meter: makes them.
        label_limit: most values of one label.
        series_limit: most series of one metric (and a few more for the rest).
        older: whether calls are counted by their older names as well.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        meter: Meter,
        label_limit: int,
        series_limit: int = SERIES_LIMIT,
        older: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._older = older
        self._cap = LabelCap(label_limit)
        self._within = SeriesCap(series_limit)
        self._record: dict[Definition, Any] = {
            one: _instrument(meter, one) for one in metrics.CATALOGUE if one is not metrics.COLLECTED
        }
        _tell_time(meter, clock)

    def add(
        self,
        definition: Definition,
        value: float,
        labels: Mapping[str, str | int],
        context: Context | None = None,
    ) -> None:
        """Adds ``value`` to a counter, records it in a histogram, or sets a gauge to it.

        The values of labels are taken as they are; :meth:`count` bounds them first.
        """
        self._record[definition](value, self._within(definition, labels), context)

    def count(
        self,
        definition: Definition,
        value: float,
        labels: Mapping[str, str | None],
        context: Context | None = None,
    ) -> None:
        """As :meth:`add`, with every label bounded and labels without a value left out."""
        bounded = {name: self._cap(name, given) for name, given in labels.items() if given}
        self.add(definition, value, bounded, context)
        self._count_overflows()

    def _count_overflows(self) -> None:
        while self._cap.overflows:
            label, times = self._cap.overflows.popitem()
            self.add(metrics.LABEL_OVERFLOW, times, {"label": label})
        if self._within.overflows:
            times, self._within.overflows = self._within.overflows, 0
            self.add(metrics.LABEL_OVERFLOW, times, {"label": "(combinations)"})

    def record_call(self, record: CallRecord) -> None:
        """Counts one model call: duration, tokens, cost."""
        labels = self._call_labels(record)
        context = record.context
        embeddings = record.operation == semconv.OP_EMBEDDINGS
        if not record.reported:
            timed = self._with_error(labels, record.error_type)
            duration = metrics.EMBEDDINGS_DURATION if embeddings else metrics.CALL_DURATION
            self.add(duration, record.duration, timed, context)
            if self._older:
                self.add(metrics.OLDER_DURATION, record.duration, timed, context)
        if record.time_to_first_chunk is not None and record.stream:
            self.add(metrics.CALL_FIRST_CHUNK, record.time_to_first_chunk, labels, context)
            if record.chunk_gaps:
                bounded = self._within(metrics.CALL_PER_CHUNK, labels)
                record_many(self._record[metrics.CALL_PER_CHUNK], record.chunk_gaps, bounded, context)
        if record.usage is not None:
            self._record_usage(record.usage, labels, context)
            if not record.reported:
                self._record_size(record.usage, labels, context, embeddings)
        if record.cost is not None:
            self.add(metrics.COST, record.cost, labels, context)
        elif record.unpriced_reason is not None:
            self.add(metrics.UNPRICED_CALLS, 1, {**labels, "reason": record.unpriced_reason}, context)
        self._count_overflows()

    def _record_usage(self, usage: Usage, labels: AttributeMap, context: Context | None) -> None:
        for definition, total, audio in (
            (metrics.INPUT_TOKENS, usage.input, usage.input_audio),
            (metrics.OUTPUT_TOKENS, usage.output, usage.output_audio),
            (metrics.CACHE_READ_TOKENS, usage.cache_read, usage.cache_audio_read),
            (metrics.CACHE_WRITE_TOKENS, usage.cache_write, 0),
            (metrics.REASONING_TOKENS, usage.reasoning, 0),
        ):
            # A provider that breaks down says which part is audio; the rest is of a kind it leaves open.
            if total - audio > 0:
                self.add(definition, total - audio, {**labels, semconv.TOKEN_MODALITY: "unknown"}, context)
            if audio > 0:
                self.add(definition, audio, {**labels, semconv.TOKEN_MODALITY: "audio"}, context)
        if usage.unsplit:
            self.add(metrics.UNSPLIT_TOKENS, usage.unsplit, labels, context)

    def _record_size(
        self, usage: Usage, labels: AttributeMap, context: Context | None, embeddings: bool
    ) -> None:
        if usage.unsplit:
            return
        if self._older:
            sides = {"input": usage.input} if embeddings else {"input": usage.input, "output": usage.output}
            for side, tokens in sides.items():
                self.add(metrics.OLDER_TOKENS, tokens, {**labels, semconv.TOKEN_TYPE: side}, context)
        if embeddings:
            self.add(metrics.EMBEDDINGS_INPUT, usage.input, labels, context)
        else:
            self.add(metrics.CALL_INPUT, usage.input, labels, context)
            self.add(metrics.CALL_OUTPUT, usage.output, labels, context)

    def record_agent(
        self,
        name: str | None,
        operation: str,
        duration: float,
        inference_calls: int,
        tool_calls: int,
        error_type: str | None,
        labels: Mapping[str, str],
        context: Context | None,
    ) -> None:
        """Counts one agent or workflow run: duration in seconds and its own calls (not its sub-agents')."""
        base: AttributeMap = {semconv.OPERATION_NAME: operation, **self._user_labels(labels)}
        if name:
            base[semconv.AGENT_NAME] = self._cap(semconv.AGENT_NAME, name)
        timed = self._with_error(base, error_type)
        self.add(metrics.AGENT_DURATION, duration, timed, context)
        self.add(metrics.AGENT_CALLS, inference_calls, base, context)
        self.add(metrics.AGENT_TOOLS, tool_calls, base, context)

    def record_tool(
        self,
        name: str,
        agent: str | None,
        tool_type: str | None,
        duration: float,
        error_type: str | None,
        labels: Mapping[str, str],
        context: Context | None,
    ) -> None:
        """Counts one tool call; ``duration`` in seconds."""
        base: AttributeMap = {
            semconv.TOOL_NAME: self._cap(semconv.TOOL_NAME, name),
            **self._user_labels(labels),
        }
        if agent:
            base[semconv.AGENT_NAME] = self._cap(semconv.AGENT_NAME, agent)
        if tool_type:
            base[semconv.TOOL_TYPE] = self._cap(semconv.TOOL_TYPE, tool_type)
        if error_type:
            base[semconv.ERROR_TYPE] = self._cap(semconv.ERROR_TYPE, error_type)
        self.add(metrics.TOOL_DURATION, duration, base, context)

    def record_score(
        self, name: str, value: float, agent: str | None, labels: Mapping[str, str], context: Context | None
    ) -> None:
        """Counts one numeric or boolean score."""
        base: AttributeMap = {
            semconv.EVALUATION_NAME: self._cap(semconv.EVALUATION_NAME, name),
            **self._user_labels(labels),
        }
        if agent:
            base[semconv.AGENT_NAME] = self._cap(semconv.AGENT_NAME, agent)
        self.add(metrics.SCORE, value, base, context)

    def count_export(self, outcome: str, spans: int, reason: str | None = None) -> None:
        """Counts spans that were ``delivered``, ``spooled``, ``dropped`` or ``quarantined``, and why."""
        labels = {"outcome": outcome, "reason": reason} if reason else {"outcome": outcome}
        self.add(metrics.EXPORT_SPANS, spans, labels)

    def set_waiting(self, queued: int, spooled: int, size: int) -> None:
        """Says how many spans wait now, in memory and on disk, and how many bytes those on disk take."""
        self.add(metrics.EXPORT_QUEUE, queued, {})
        self.add(metrics.SPOOL_SPANS, spooled, {})
        self.add(metrics.SPOOL_BYTES, size, {})

    def _call_labels(self, record: CallRecord) -> AttributeMap:
        labels: AttributeMap = {
            semconv.OPERATION_NAME: record.operation,
            semconv.PROVIDER_NAME: self._cap(semconv.PROVIDER_NAME, record.provider),
            **self._user_labels(record.labels),
        }
        if record.request_model:
            labels[semconv.REQUEST_MODEL] = self._cap(semconv.REQUEST_MODEL, record.request_model)
        if record.response_model:
            labels[semconv.RESPONSE_MODEL] = self._cap(semconv.RESPONSE_MODEL, record.response_model)
        if record.agent_name:
            labels[semconv.AGENT_NAME] = self._cap(semconv.AGENT_NAME, record.agent_name)
        if record.server_address:
            labels[semconv.SERVER_ADDRESS] = self._cap(semconv.SERVER_ADDRESS, record.server_address)
            port = record.server_port
            if port is not None and self._cap(semconv.SERVER_PORT, str(port)) != OVERFLOW:
                labels[semconv.SERVER_PORT] = port
        return labels

    def _with_error(self, labels: AttributeMap, error_type: str | None) -> AttributeMap:
        if not error_type:
            return labels
        return {**labels, semconv.ERROR_TYPE: self._cap(semconv.ERROR_TYPE, error_type)}

    def _user_labels(self, labels: Mapping[str, str]) -> AttributeMap:
        return {name: self._cap(name, value) for name, value in labels.items()}


def _tell_time(meter: Meter, clock: Callable[[], float]) -> None:
    """The one metric that nobody records: it is asked for whenever metrics are collected."""
    from opentelemetry.metrics import CallbackOptions, Observation

    def now(_: CallbackOptions) -> list[Observation]:
        # Not to the second: a snapshot on disk that says the same need not be written again.
        return [Observation(math.floor(clock() / _TOLD_TO) * _TOLD_TO)]

    one = metrics.COLLECTED
    meter.create_observable_gauge(one.name, [now], unit=one.unit, description=one.description)


def _instrument(meter: Meter, one: Definition) -> Any:
    """What records a value on the instrument that ``one`` describes."""
    if one.kind == "counter":
        return meter.create_counter(one.name, unit=one.unit, description=one.description).add
    if one.kind == "gauge":
        return meter.create_gauge(one.name, unit=one.unit, description=one.description).set
    return meter.create_histogram(
        one.name,
        unit=one.unit,
        description=one.description,
        explicit_bucket_boundaries_advisory=list(one.buckets),
    ).record
