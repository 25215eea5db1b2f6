"""``inference(...)``: a model call that no hook sees, told by the app itself.

Such as a model in the process, a provider reached over gRPC, or a batch whose usage arrives later.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind

from otel_agents import accounting, runtime, semconv
from otel_agents.budgets import gate
from otel_agents.tracing import messages, spans, util_genai
from otel_agents.tracing.contexts import NO_SCOPE, detach, scope
from otel_agents.tracing.inference_request import (
    Asked,
    positive_number,
    request_attributes,
    short_text,
    short_texts,
)
from otel_agents.tracing.runs import UNSET
from otel_agents.tracing.usage_forms import usage_of
from otel_agents.values.attributes import attributes_of
from otel_agents.wire import claims, warm

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.util.types import AttributeValue


class inference:
    """One model call: a span ``{operation} {model}``, its usage and its cost, in ``with`` or ``async with``.

    A request to a model that a hook sees inside the block is this call and is not counted twice: what
    the hook read is what counts. An instrumentor made with opentelemetry-util-genai makes no span inside.

    Args:
        provider: name of the provider, such as ``openai`` (conventions: ``gen_ai.provider.name``).
        model: the model that is asked for.
        operation: ``chat``, ``text_completion``, ``generate_content`` or ``embeddings``.
        input: prompt or messages; may also be given to :meth:`record`.
        stream: the answer comes in chunks; see :meth:`chunk`.
        parameters: of the request, by their names in the conventions after ``gen_ai.request.``, such
            as ``{"temperature": 0.2, "max_tokens": 500}``.
        prompt_name: of the prompt template that was used.
        prompt_version: of that template.
        server_address: host of the model.
        server_port: port of the model.
        attributes: further span attributes by their full names.

    Attributes:
        span: the call's OpenTelemetry span.
    """

    __slots__ = (
        "_asked",
        "_chunks",
        "_claimed",
        "_context",
        "_cost",
        "_ended",
        "_error",
        "_first_chunk",
        "_input",
        "_inside",
        "_outer",
        "_response_model",
        "_service_tier",
        "_started",
        "_token",
        "_usage",
        "span",
    )

    def __init__(
        self,
        provider: str,
        model: str | None = None,
        operation: str = semconv.OP_CHAT,
        *,
        input: object = UNSET,
        stream: bool = False,
        parameters: Mapping[str, object] | None = None,
        prompt_name: str | None = None,
        prompt_version: object = None,
        server_address: str | None = None,
        server_port: int | None = None,
        attributes: Mapping[str, object] | None = None,
    ) -> None:
        self._asked = Asked.of(
            provider, model, operation, stream, server_address, server_port,
            request_attributes(parameters, prompt_name, prompt_version, attributes),
        )  # fmt: skip
        self._input = input
        self._chunks: list[float] = []
        self._claimed = False
        self._context: Context | None = None
        self._cost: float | None = None
        self._ended = False
        self._error: str | None = None
        self._first_chunk: float | None = None
        self._inside: util_genai.UnderWay | None = None
        self._outer = NO_SCOPE
        self._response_model: str | None = None
        self._service_tier: str | None = None
        self._started = 0.0
        self._token: object = None
        self._usage: accounting.Usage | None = None
        self.span: Span = trace.INVALID_SPAN

    # --- for users -----------------------------------------------------------------------------

    def record(
        self,
        *,
        input: object = UNSET,
        output: object = UNSET,
        usage: object = None,
        cost: float | None = None,
        finish_reasons: str | Sequence[str] | None = None,
        response_model: str | None = None,
        response_id: str | None = None,
        service_tier: str | None = None,
        time_to_first_chunk: float | None = None,
        metadata: Mapping[str, object] | None = None,
        attributes: Mapping[str, object] | None = None,
    ) -> inference:
        """Puts on record what became of the call; what is given later wins. Never raises.

        Args:
            input: prompt or messages. Exported unless capture is ``none``.
            output: answer or messages. Likewise.
            usage: tokens: an ``accounting.Usage``, a mapping like ``{"input": 10, "output": 5,
                "cache_read": 2}`` (input includes the cache, output includes reasoning), or the
                ``usage`` of an OpenAI or Anthropic response.
            cost: US dollars; wins over the price table.
            finish_reasons: one for each choice.
            response_model: the model that answered.
            response_id: the provider's id of the answer.
            service_tier: that was billed.
            time_to_first_chunk: seconds; for streams whose chunks :meth:`chunk` is not told of.
            metadata: shown with the span.
            attributes: further span attributes by their full names.
        """
        try:
            self._usage = usage_of(usage) or self._usage
            self._cost = self._cost if (given := positive_number(cost)) is None else given
            first = positive_number(time_to_first_chunk)
            self._first_chunk = self._first_chunk if first is None else first
            redact = runtime.current().redactor.text
            self._response_model = redact(short_text(response_model)) or self._response_model
            self._service_tier = redact(short_text(service_tier)) or self._service_tier
            if not self.span.is_recording():
                return self
            found: dict[str, AttributeValue] = {}
            if answered := short_text(response_id):
                found[semconv.RESPONSE_ID] = answered
            if reasons := short_texts(finish_reasons):
                found[semconv.RESPONSE_FINISH_REASONS] = reasons
            found.update(spans.metadata(metadata))
            found.update(attributes_of(attributes, spans.content_limit()))
            spans.set_attributes(self.span, found)
            self._content(input, output)
        except Exception:
            spans.note("record a model call")
        return self

    def chunk(self) -> None:
        """Notes that a chunk of a streamed answer has come now."""
        if len(self._chunks) < 100_000:
            self._chunks.append(time.perf_counter())

    def set_error(self, error: BaseException | str, error_type: str | None = None) -> inference:
        """Marks the call as failed without an exception leaving the block."""
        try:
            self._error = spans.set_error(self.span, error, error_type)
        except Exception:
            spans.note("record an error")
        return self

    def __enter__(self) -> inference:
        if gate.armed:
            gate.before_call(otel_context.get_current())
        try:
            self._start()
        except Exception:
            spans.note("start a model call")
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._ended:
            return
        self._ended = True
        if self._token is not None:
            detach(self._token)
        try:
            if exc is not None and spans.is_failure(exc):
                self._error = spans.record_error(self.span, exc)
            self._account(time.perf_counter() - self._started)
        except Exception:
            spans.note("account for a model call")
        finally:
            spans.end_span(self.span)

    async def __aenter__(self) -> inference:
        return self.__enter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(exc_type, exc, traceback)

    # --- inside --------------------------------------------------------------------------------

    def _start(self) -> None:
        asked = self._asked = self._asked.redacted(runtime.current().redactor)
        parent = otel_context.get_current()
        self._outer = scope(parent)
        warm.warm_prices()
        self.span = spans.start_span(
            asked.span_name, kind=SpanKind.CLIENT, attributes=asked.first_attributes(), context=parent
        )
        claims.offer(self.span)
        context = trace.set_span_in_context(self.span, parent)
        self._inside = util_genai.under_way(asked.operation)
        if self._inside is not None:
            context = otel_context.set_value(self._inside.key, self._inside.data, context)
        # Attempts on the wire are this call, which has come by.
        self._context = otel_context.set_value(gate.ADMITTED, True, context) if gate.armed else context
        self._content(self._input, UNSET)
        self._started = time.perf_counter()
        self._token = otel_context.attach(self._context)

    def _content(self, input: object, output: object) -> None:
        if not spans.captures_explicit() or not self.span.is_recording():
            return
        for name, value, role in (
            (semconv.INPUT_MESSAGES, input, "user"),
            (semconv.OUTPUT_MESSAGES, output, "assistant"),
        ):
            if value is not UNSET:
                made = messages.messages_json(value, role, spans.content_limit())
                spans.set_content(self.span, name, *made)

    def _account(self, duration: float) -> None:
        if self._context is None or not claims.claim(self.span):
            return  # a hook saw the call and has counted it
        asked, run = self._asked, self._outer.run
        if self._inside is not None:
            self._usage = self._usage or util_genai.usage_of(self._inside)
            told = runtime.current().redactor.text(util_genai.response_model_of(self._inside))
            self._response_model = self._response_model or told
        if run is not None:
            run.inference_calls += 1
        labels = self._outer.labels
        if version := asked.attributes.get(semconv.PROMPT_VERSION):
            labels = {**labels, "prompt_version": str(version)}
        times = self._chunks
        if times and self._first_chunk is None:
            self._first_chunk = times[0] - self._started
        record = accounting.CallRecord(
            operation=asked.operation,
            provider=asked.provider,
            request_model=asked.model,
            response_model=self._response_model,
            usage=self._usage,
            error_type=self._error,
            duration=duration,
            time_to_first_chunk=self._first_chunk,
            chunk_gaps=[later - earlier for earlier, later in itertools.pairwise(times)],
            stream=asked.stream or bool(times),
            server_address=asked.server_address,
            server_port=asked.server_port,
            service_tier=self._service_tier,
            agent_name=run.name if run is not None else None,
            labels=labels,
            context=self._context,
            cost=self._cost,
        )
        try:
            accounting.price(record)
            found = accounting.span_attributes(record)
            if self._response_model:
                found[semconv.RESPONSE_MODEL] = self._response_model
            if self._first_chunk is not None:
                found[semconv.RESPONSE_TIME_TO_FIRST_CHUNK] = self._first_chunk
            spans.set_attributes(self.span, found)
        finally:
            runtime.current().accountant.submit(record)
