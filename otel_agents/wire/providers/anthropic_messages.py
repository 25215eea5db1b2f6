"""Anthropic Messages: ``POST .../v1/messages``, also the beta (the same path with ``?beta=true``)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Final

import msgspec

from otel_agents import semconv
from otel_agents.accounting import Usage
from otel_agents.accounting.metered import MeteredUsage, shared
from otel_agents.wire import sse, tolerant
from otel_agents.wire.formats import NOT_FINISHED, Content, RequestFacts, ResponseFacts
from otel_agents.wire.providers.openai_usage import Costs, reported_cost

_PATH: Final = "/v1/messages"  # exactly its end: /v1/messages/count_tokens and /batches are other things
_EMPTY: Final = msgspec.Raw(b"")

#: Marks the event at the end of a stream that has the usage and the stop reason.
_LAST: Final = b'"message_delta"'

Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]  # what OTLP can carry
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _Format(msgspec.Struct, gc=False):
    type: str | None = None


class _OutputConfig(msgspec.Struct, gc=False):
    effort: str | None = None
    format: _Format | None = None


class _Request(msgspec.Struct, gc=False):
    model: str | None = None
    messages: msgspec.Raw = _EMPTY
    stream: bool | None = None
    max_tokens: Whole | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: Whole | None = None
    stop_sequences: list[str] | None = None
    output_config: _OutputConfig | None = None
    output_format: _Format | None = None


class _Lifetimes(msgspec.Struct, gc=False):
    ephemeral_5m_input_tokens: Count | None = None
    ephemeral_1h_input_tokens: Count | None = None


class _OutputDetails(msgspec.Struct, gc=False):
    thinking_tokens: Count | None = None


class _Searches(msgspec.Struct, gc=False):
    web_search_requests: Count | None = None


class _Iteration(msgspec.Struct, gc=False):
    type: str | None = None
    model: str | None = None
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    cache_creation_input_tokens: Count | None = None
    cache_creation: _Lifetimes | None = None


class _Usage(Costs, gc=False):  # OpenRouter says the cost here, too
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    cache_creation_input_tokens: Count | None = None
    cache_creation: _Lifetimes | None = None
    output_tokens_details: _OutputDetails | None = None
    iterations: list[_Iteration] | None = None
    server_tool_use: _Searches | None = None
    service_tier: str | None = None


class _Error(msgspec.Struct, gc=False):
    type: str | None = None
    message: str | None = None


class _Message(msgspec.Struct, gc=False):
    """A message, an error body, or the message inside a ``message_start`` event."""

    id: str | None = None
    model: str | None = None
    stop_reason: str | None = None
    usage: _Usage | None = None
    error: _Error | None = None


class _Delta(msgspec.Struct, gc=False):
    stop_reason: str | None = None


class _Event(msgspec.Struct, gc=False):
    type: str | None = None
    message: _Message | None = None
    delta: _Delta | None = None
    usage: _Usage | None = None
    error: _Error | None = None


_request = tolerant.Lenient(_Request)
_message = tolerant.Lenient(_Message)
_event = tolerant.Lenient(_Event)


class AnthropicMessages:
    """See the module."""

    name = "anthropic.messages"
    provider = "anthropic"
    operation = semconv.OP_CHAT

    def matches(self, path: str) -> bool:
        """``/v1/messages`` and whatever a gateway puts before it."""
        return path.endswith(_PATH)

    def read_request(self, body: bytes) -> RequestFacts | None:
        """Model and parameters; None when there is no model or no list of messages."""
        request = _request.read(body)
        if request.model is None or tolerant.opens(request.messages) != b"[":
            return None
        facts = RequestFacts(request.model, request.stream is True)
        attributes = facts.attributes
        if request.max_tokens is not None:
            attributes[semconv.REQUEST_MAX_TOKENS] = request.max_tokens
        if request.temperature is not None:
            attributes[semconv.REQUEST_TEMPERATURE] = request.temperature
        if request.top_p is not None:
            attributes[semconv.REQUEST_TOP_P] = request.top_p
        if request.top_k is not None:
            attributes[semconv.REQUEST_TOP_K] = request.top_k
        if request.stop_sequences:
            attributes[semconv.REQUEST_STOP_SEQUENCES] = request.stop_sequences
        config = request.output_config
        if config is not None and config.effort:
            attributes[semconv.REQUEST_REASONING_LEVEL] = config.effort
        # `output_format` is the older form of `output_config.format`.
        output = request.output_format or (config.format if config is not None else None)
        if output is not None and output.type == "json_schema":
            attributes[semconv.OUTPUT_TYPE] = "json"
        return facts

    def read_response(self, body: bytes, streamed: bool, request: RequestFacts) -> ResponseFacts:
        """Id, model, usage, stop reason, service tier, and the error of an error event."""
        facts = ResponseFacts()
        if not streamed:
            message = _message.read(body)
            reason = _take_message(facts, message)
            _take_error(facts, message.error)
            usage = message.usage or _Usage()
        else:
            usage = _Usage()
            reason = _take_events(facts, usage, _ends(body))
            if reason is None or facts.id is None:
                # Unusual layout, cut short, or an error: then whatever there is is looked at.
                reason = _take_events(facts, usage, (event.data for event in sse.events((body,)))) or reason
        facts.usage = _usage(usage)
        facts.service_tier = usage.service_tier
        if streamed or facts.error_type is None:
            facts.finish_reasons = [reason or NOT_FINISHED]
        return facts

    def input_content(self, body: bytes, limit: int) -> Content:
        """Messages, system instructions and tools."""
        from otel_agents.wire.providers import anthropic_content as content

        return content.read_input(body, limit)

    def output_content(self, body: bytes, streamed: bool, limit: int) -> Content:
        """The answer as one message."""
        from otel_agents.wire.providers import anthropic_content as content

        return content.read_streamed(body, limit) if streamed else content.read_output(body, limit)


def _usage(usage: _Usage) -> Usage | None:
    """Anthropic's counts turned into the conventions': ``input_tokens`` excludes the cache, ours includes it.

    What ``iterations`` have of compactions and of another model's advice is billed and left out of the
    totals, so it is added.
    """
    if usage.input_tokens is None and usage.output_tokens is None:
        return None
    details = usage.output_tokens_details
    thinking = details.thinking_tokens if details is not None else None
    total = _tokens(usage, thinking or 0)
    advice: list[tuple[str | None, Usage]] = []
    for iteration in usage.iterations or ():
        if iteration.type == "compaction":
            total += _tokens(iteration, 0)
        elif iteration.type == "advisor_message":
            advice.append((iteration.model, _tokens(iteration, 0)))
    searches = usage.server_tool_use.web_search_requests if usage.server_tool_use is not None else None
    cost = reported_cost(usage)
    if searches or cost is not None:
        total = MeteredUsage(**msgspec.structs.asdict(total), web_searches=searches or 0, cost=cost)
    return shared((None, total), *advice) if advice else total


def _tokens(usage: _Usage | _Iteration, thinking: int) -> Usage:
    read = usage.cache_read_input_tokens or 0
    written = usage.cache_creation_input_tokens or 0
    hour = 0
    if usage.cache_creation is not None:
        hour = usage.cache_creation.ephemeral_1h_input_tokens or 0
        written = max(written, hour + (usage.cache_creation.ephemeral_5m_input_tokens or 0))
    return Usage(
        input=(usage.input_tokens or 0) + read + written,
        output=usage.output_tokens or 0,
        cache_read=read,
        cache_write=written,
        cache_write_1h=hour,
        reasoning=thinking,
    )


def _ends(body: bytes) -> Iterator[bytes]:
    """The first event and the last ``message_delta``, whose counts are totals."""
    yield from sse.first_data_lines(body, 1)
    last = sse.last_data_line(body, _LAST)
    if last is not None:
        yield last


def _take_events(facts: ResponseFacts, usage: _Usage, lines: Iterable[bytes]) -> str | None:
    reason: str | None = None
    for line in lines:
        try:
            event = _event.read(line)
        except ValueError:
            continue  # one garbled event does not spoil the others
        if event.type == "message_start" and event.message is not None:
            reason = _take_message(facts, event.message) or reason
            _take_usage(usage, event.message.usage)
        elif event.type == "message_delta":
            if event.delta is not None:
                reason = event.delta.stop_reason or reason
            _take_usage(usage, event.usage)
        elif event.type == "error":
            _take_error(facts, event.error)
    return reason


def _take_message(facts: ResponseFacts, message: _Message) -> str | None:
    facts.id = message.id or facts.id
    facts.model = message.model or facts.model
    return message.stop_reason


def _take_usage(usage: _Usage, later: _Usage | None) -> None:
    """Counts of later events are totals so far and replace earlier ones; absent and null ones do not."""
    if later is not None:
        for name in _Usage.__struct_fields__:
            value = getattr(later, name)
            if value is not None:
                setattr(usage, name, value)


def _take_error(facts: ResponseFacts, error: _Error | None) -> None:
    if error is not None:
        facts.error_type = error.type or "_OTHER"
        facts.error_message = error.message
