"""The only place where an instrument is defined.

Names, units and buckets: OpenTelemetry GenAI conventions v0.1.0; ours live under ``otel_agents.``.
Every label value is bounded (:class:`LabelCap`): no ids, no users, no prompts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from otel_agents import semconv

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.metrics import Counter, Histogram, Meter

    from otel_agents.accounting import CallRecord, Usage

#: Seconds, for single calls: 10 ms to 82 s.
DURATION_BUCKETS: Final = (
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
)  # fmt: skip
#: Seconds, for agent runs: the conventions' buckets, widened to two hours.
AGENT_BUCKETS: Final = (
    0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6, 900.0, 1800.0, 3600.0, 7200.0,
)  # fmt: skip
TOKEN_BUCKETS: Final = tuple(float(4**power) for power in range(14))
CALL_BUCKETS: Final = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
SCORE_BUCKETS: Final = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0, 2.0, 5.0, 10.0, 100.0)

#: Value that a label takes once it has had ``label_limit`` different ones.
OVERFLOW: Final = "other"

AttributeMap = dict[str, str | int]


class LabelCap:
    """Lets each label take at most ``limit`` different values; later ones become ``other``."""

    __slots__ = ("_limit", "_seen")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._seen: dict[str, set[str]] = {}

    def __call__(self, label: str, value: str) -> str:
        seen = self._seen.setdefault(label, set())
        if value in seen:
            return value
        if len(seen) >= self._limit:
            return OVERFLOW
        seen.add(value)
        return value


class Instruments:
    """All instruments of one meter, and what is recorded on them.

    The ``record_*`` methods may be called from any thread; the package calls them on its worker
    thread, off the caller's path. ``context`` carries the span that exemplars point at.
    """

    def __init__(self, meter: Meter, label_limit: int) -> None:
        self._cap = LabelCap(label_limit)

        def counter(name: str, unit: str, description: str) -> Counter:
            return meter.create_counter(name, unit=unit, description=description)

        def histogram(name: str, unit: str, description: str, buckets: tuple[float, ...]) -> Histogram:
            return meter.create_histogram(
                name, unit=unit, description=description, explicit_bucket_boundaries_advisory=buckets
            )

        inference = "gen_ai.client.inference"
        self.duration = histogram(f"{inference}.duration", "s", "Model call", DURATION_BUCKETS)
        self.first_chunk = histogram(
            f"{inference}.time_to_first_chunk",
            "s",
            "Time until the first chunk of a stream",
            DURATION_BUCKETS,
        )
        self.per_chunk = histogram(
            f"{inference}.time_per_output_chunk",
            "s",
            "Time between later chunks of a stream",
            DURATION_BUCKETS,
        )
        usage = f"{inference}.usage"
        self.input_tokens = counter(f"{usage}.input_tokens", "{token}", "Input, cache included")
        self.output_tokens = counter(f"{usage}.output_tokens", "{token}", "Output tokens, reasoning included")
        self.cache_read = counter(
            f"{usage}.cache_read.input_tokens", "{token}", "Input tokens read from cache"
        )
        self.cache_write = counter(
            f"{usage}.cache_write.input_tokens", "{token}", "Input tokens written to cache"
        )
        self.reasoning = counter(
            f"{usage}.reasoning.output_tokens", "{token}", "Output tokens spent on reasoning"
        )
        operation = f"{inference}.operation"
        self.call_input = histogram(
            f"{operation}.input_tokens", "{token}", "Input tokens of a call", TOKEN_BUCKETS
        )
        self.call_output = histogram(
            f"{operation}.output_tokens", "{token}", "Output tokens of a call", TOKEN_BUCKETS
        )
        embeddings = "gen_ai.client.embeddings"
        self.embeddings_duration = histogram(
            f"{embeddings}.duration", "s", "Duration of an embeddings call", DURATION_BUCKETS
        )
        self.embeddings_input = histogram(
            f"{embeddings}.operation.input_tokens",
            "{token}",
            "Input tokens of an embeddings call",
            TOKEN_BUCKETS,
        )
        self.agent_duration = histogram(
            "gen_ai.invoke_agent.duration", "s", "Duration of an agent or workflow run", AGENT_BUCKETS
        )
        self.agent_calls = histogram(
            "gen_ai.invoke_agent.inference_calls",
            "{inference_call}",
            "Model calls of an agent run",
            CALL_BUCKETS,
        )
        self.agent_tools = histogram(
            "gen_ai.invoke_agent.tool_calls", "{tool_call}", "Tool calls of an agent run", CALL_BUCKETS
        )
        self.tool_duration = histogram(
            "gen_ai.execute_tool.duration", "s", "Duration of a tool call", DURATION_BUCKETS
        )
        self.cost = counter("otel_agents.cost", "{USD}", "Cost of model calls in US dollars")
        self.unpriced = counter(
            "otel_agents.unpriced_calls", "{call}", "Model calls without a cost, by reason"
        )
        self.score = histogram(
            "otel_agents.evaluation.score", "1", "Scores given to agents' work", SCORE_BUCKETS
        )
        self.exported = counter("otel_agents.export.spans", "{span}", "Spans by what became of them")

    def record_call(self, record: CallRecord) -> None:
        """Counts one model call: duration, tokens, cost."""
        labels = self._call_labels(record)
        context = record.context
        embeddings = record.operation == semconv.OP_EMBEDDINGS
        timed = self._with_error(labels, record.error_type)
        duration = self.embeddings_duration if embeddings else self.duration
        duration.record(record.duration, timed, context)
        if record.time_to_first_chunk is not None and record.stream:
            self.first_chunk.record(record.time_to_first_chunk, labels, context)
            for gap in record.chunk_gaps:
                self.per_chunk.record(gap, labels, context)
        if record.usage is not None:
            self._record_usage(record.usage, labels, context, embeddings)
        if record.cost is not None:
            self.cost.add(record.cost, labels, context)
        elif record.unpriced_reason is not None:
            self.unpriced.add(1, {**labels, "reason": record.unpriced_reason}, context)

    def _record_usage(
        self, usage: Usage, labels: AttributeMap, context: Context | None, embeddings: bool
    ) -> None:
        for counter, total, audio in (
            (self.input_tokens, usage.input, usage.input_audio),
            (self.output_tokens, usage.output, usage.output_audio),
            (self.cache_read, usage.cache_read, usage.cache_audio_read),
            (self.cache_write, usage.cache_write, 0),
            (self.reasoning, usage.reasoning, 0),
        ):
            # A provider that breaks down says which part is audio; the rest is of a kind it leaves open.
            if total - audio > 0:
                counter.add(total - audio, {**labels, semconv.TOKEN_MODALITY: "unknown"}, context)
            if audio > 0:
                counter.add(audio, {**labels, semconv.TOKEN_MODALITY: "audio"}, context)
        if embeddings:
            self.embeddings_input.record(usage.input, labels, context)
        else:
            self.call_input.record(usage.input, labels, context)
            self.call_output.record(usage.output, labels, context)

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
        self.agent_duration.record(duration, timed, context)
        self.agent_calls.record(inference_calls, base, context)
        self.agent_tools.record(tool_calls, base, context)

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
        self.tool_duration.record(duration, base, context)

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
        self.score.record(value, base, context)

    def count_export(self, outcome: str, spans: int, reason: str | None = None) -> None:
        """Counts spans that were ``delivered``, ``spooled`` or ``dropped`` (with a reason)."""
        labels = {"outcome": outcome, "reason": reason} if reason else {"outcome": outcome}
        self.exported.add(spans, labels)

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
            if record.server_port is not None:
                labels[semconv.SERVER_PORT] = record.server_port
        return labels

    def _with_error(self, labels: AttributeMap, error_type: str | None) -> AttributeMap:
        if not error_type:
            return labels
        return {**labels, semconv.ERROR_TYPE: self._cap(semconv.ERROR_TYPE, error_type)}

    def _user_labels(self, labels: Mapping[str, str]) -> AttributeMap:
        return {name: self._cap(name, value) for name, value in labels.items()}
