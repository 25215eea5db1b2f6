"""Cohere's chat, version 2: ``POST /v2/chat``."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from otel_agents import semconv
from otel_agents.accounting import Usage
from otel_agents.wire import parts, sse, tolerant
from otel_agents.wire.formats import NOT_FINISHED, Content, RequestFacts, ResponseFacts

_PATH: Final = "/v2/chat"
_EMPTY: Final = msgspec.Raw(b"")
#: Marks the event at the end of a stream, which has the usage and the reason to stop.
_LAST: Final = b'"message-end"'

Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]  # what OTLP can carry


class _Kind(msgspec.Struct, gc=False):
    type: str | None = None


class _Request(msgspec.Struct, gc=False):
    model: str | None = None
    messages: msgspec.Raw = _EMPTY
    stream: bool | None = None
    max_tokens: Whole | None = None
    temperature: float | None = None
    p: float | None = None
    k: Whole | None = None
    seed: Whole | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    stop_sequences: list[str] | None = None
    response_format: _Kind | None = None


class Tokens(msgspec.Struct, gc=False):
    """A pair of counts. Cohere declares them as floating point numbers."""

    input_tokens: Any = None
    output_tokens: Any = None


class ChatUsage(msgspec.Struct, gc=False):
    """``usage``: what is billed, and what went through the model (with Cohere's own instructions)."""

    billed_units: Tokens | None = None
    tokens: Tokens | None = None
    cached_tokens: Any = None


class _Delta(msgspec.Struct, gc=False):
    finish_reason: str | None = None
    usage: ChatUsage | None = None
    error: msgspec.Raw = _EMPTY


class _Response(msgspec.Struct, gc=False):
    """An answer, an event of a stream, or an error (then ``message`` is its text)."""

    id: str | None = None
    type: str | None = None
    finish_reason: str | None = None
    usage: ChatUsage | None = None
    message: msgspec.Raw = _EMPTY
    delta: _Delta | None = None


_request = tolerant.Lenient(_Request)
_response = tolerant.Lenient(_Response)


class CohereChat:
    """See the module."""

    name = "cohere.chat"
    provider = "cohere"
    operation = semconv.OP_CHAT

    def matches(self, path: str) -> bool:
        """``/v2/chat``, and whatever a gateway puts before it."""
        return path.endswith(_PATH)

    def read_request(self, body: bytes) -> RequestFacts | None:
        """Model and parameters; None when there is no model or no list of messages."""
        request = _request.read(body)
        if request.model is None or tolerant.opens(request.messages) != b"[":
            return None
        facts = RequestFacts(request.model, request.stream is True)
        attributes = facts.attributes
        known: dict[str, Any] = {
            semconv.REQUEST_MAX_TOKENS: request.max_tokens,
            semconv.REQUEST_TEMPERATURE: request.temperature,
            semconv.REQUEST_TOP_P: request.p,
            semconv.REQUEST_TOP_K: request.k,
            semconv.REQUEST_SEED: request.seed,
            semconv.REQUEST_FREQUENCY_PENALTY: request.frequency_penalty,
            semconv.REQUEST_PRESENCE_PENALTY: request.presence_penalty,
        }
        attributes.update((name, value) for name, value in known.items() if value is not None)
        if request.stop_sequences:
            attributes[semconv.REQUEST_STOP_SEQUENCES] = request.stop_sequences
        if request.response_format is not None and request.response_format.type == "json_object":
            attributes[semconv.OUTPUT_TYPE] = "json"
        return facts

    def read_response(self, body: bytes, streamed: bool, request: RequestFacts) -> ResponseFacts:
        """Id, usage and the reason to stop. Cohere does not say which model answered."""
        facts = ResponseFacts()
        if not streamed:
            response = _response.read(body)
            facts.id = response.id
            _take_end(facts, response.finish_reason, response.usage)
            if tolerant.opens(response.message) == b'"':
                facts.error_type, facts.error_message = "_OTHER", parts.cut_string(response.message, 2000)
        else:
            for line in sse.first_data_lines(body, 1):
                _take_event(facts, line)
            last = sse.last_data_line(body, _LAST)
            if last is not None:
                _take_event(facts, last)
            if not facts.finish_reasons or facts.id is None:
                for event in sse.events((body,)):
                    _take_event(facts, event.data)
        if not facts.finish_reasons and (streamed or facts.error_type is None):
            facts.finish_reasons = [NOT_FINISHED]
        return facts

    def input_content(self, body: bytes, limit: int) -> Content:
        """Messages (system ones among them) and tools."""
        from otel_agents.wire.providers import cohere_content as content

        return content.read_input(body, limit)

    def output_content(self, body: bytes, streamed: bool, limit: int) -> Content:
        """The answer as one message."""
        from otel_agents.wire.providers import cohere_content as content

        return content.read_streamed(body, limit) if streamed else content.read_output(body, limit)


def chat_usage(usage: ChatUsage) -> Usage | None:
    """The billed counts where there are some (so the conventions), else the reported ones."""
    billed = usage.billed_units or Tokens()
    reported = usage.tokens or Tokens()
    sent, produced = tolerant.count(billed.input_tokens), tolerant.count(billed.output_tokens)
    if sent is None and produced is None:
        sent, produced = tolerant.count(reported.input_tokens), tolerant.count(reported.output_tokens)
    if sent is None and produced is None:
        return None
    # The cache also holds Cohere's own instructions, which are not billed.
    cached = min(tolerant.count(usage.cached_tokens) or 0, sent or 0)
    return Usage(sent or 0, produced or 0, cached)


def _take_event(facts: ResponseFacts, data: bytes) -> None:
    if not data.startswith(b"{"):
        return
    try:
        event = _response.read(data)
    except ValueError:
        return  # one garbled event does not spoil the others
    if event.type == "message-start":
        facts.id = event.id or facts.id
    elif event.type == "message-end":
        facts.id = facts.id or event.id
        delta = event.delta or _Delta()
        _take_end(facts, delta.finish_reason, delta.usage)
        if tolerant.opens(delta.error) == b'"':
            facts.error_type, facts.error_message = "_OTHER", parts.cut_string(delta.error, 2000)
    elif event.type is None and tolerant.opens(event.message) == b'"':
        facts.error_type, facts.error_message = "_OTHER", parts.cut_string(event.message, 2000)


def _take_end(facts: ResponseFacts, reason: str | None, usage: ChatUsage | None) -> None:
    if reason:
        facts.finish_reasons = [reason]
    if usage is not None:
        facts.usage = chat_usage(usage) or facts.usage
