"""Amazon Bedrock's Converse and ConverseStream: ``POST /model/{id}/converse`` and ``converse-stream``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final

import msgspec

from otel_agents import semconv
from otel_agents.accounting import Usage
from otel_agents.wire import eventstream, salvage, tolerant
from otel_agents.wire.formats import NOT_FINISHED, Content, RequestFacts, ResponseFacts
from otel_agents.wire.providers import bedrock_paths

_STREAM: Final = "converse-stream"
_ACTIONS: Final = ("converse", _STREAM)
_EMPTY: Final = msgspec.Raw(b"")
_END: Final = re.compile(rb"messageStop|metadata|exception|error")
_REASON: Final = re.compile(rb'"stopReason"\s*:\s*"[^"\\]{1,100}"')
REQUEST_ID: Final = "aws.request_id"

Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]  # what OTLP can carry
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _Inference(msgspec.Struct, gc=False):
    maxTokens: Whole | None = None
    temperature: float | None = None
    topP: float | None = None
    topK: Whole | None = None  # Nova's own API has it here
    stopSequences: list[str] | None = None


class _Type(msgspec.Struct, gc=False):
    type: str | None = None


class _OutputConfig(msgspec.Struct, gc=False):
    textFormat: _Type | None = None
    effort: str | None = None


class _Request(msgspec.Struct, gc=False):
    messages: msgspec.Raw = _EMPTY
    inferenceConfig: _Inference | None = None
    outputConfig: _OutputConfig | None = None
    serviceTier: _Type | None = None


class _CacheDetail(msgspec.Struct, gc=False):
    ttl: str | None = None
    inputTokens: Count | None = None


class _Usage(msgspec.Struct, gc=False):
    inputTokens: Count | None = None
    outputTokens: Count | None = None
    cacheReadInputTokens: Count | None = None
    cacheReadInputTokenCount: Count | None = None  # as Nova's own API says it
    cacheWriteInputTokens: Count | None = None
    cacheWriteInputTokenCount: Count | None = None
    cacheDetails: list[_CacheDetail] | None = None


class _Router(msgspec.Struct, gc=False):
    invokedModelId: str | None = None


class _Trace(msgspec.Struct, gc=False):
    promptRouter: _Router | None = None


class _Stop(msgspec.Struct, gc=False):
    stopReason: str | None = None


class _Response(msgspec.Struct, gc=False):
    """A response, an error body, or the payload of an event: fields of all three are never mixed up."""

    stopReason: str | None = None
    usage: _Usage | None = None
    trace: _Trace | None = None
    serviceTier: _Type | None = None
    message: msgspec.Raw = _EMPTY
    messageStop: _Stop | None = None  # these two: events of Nova's own stream
    metadata: msgspec.Raw = _EMPTY


_request = tolerant.Lenient(_Request)
_response = tolerant.Lenient(_Response)


class BedrockConverse:
    """See the module. ``model`` is the id in the path, ``stream`` whether that asks for a stream."""

    name = "bedrock.converse"
    provider = "aws.bedrock"
    operation = semconv.OP_CHAT

    def __init__(self, model: str | None = None, stream: bool = False) -> None:
        self._model = model
        self._stream = stream

    def at(self, path: str) -> BedrockConverse:
        """The format for the model in ``path``."""
        return BedrockConverse(bedrock_paths.model(path), path.endswith(_STREAM))

    def matches(self, path: str) -> bool:
        """``/model/{id}/converse`` and ``/model/{id}/converse-stream``, whatever is before it."""
        return bedrock_paths.action(path) in _ACTIONS

    def read_request(self, body: bytes) -> RequestFacts | None:
        """Parameters; None when there is no list of messages."""
        facts = read_request(body, self._model, self._stream)
        # Prompts of the prompt management (an ARN in place of the model) come without messages.
        if facts is None and (self._model or "").startswith("arn:"):
            facts = RequestFacts(self._model, self._stream)
        return facts

    def read_response(self, body: bytes, streamed: bool, request: RequestFacts) -> ResponseFacts:
        """Usage, stop reason, service tier, and the model that a prompt router chose."""
        if not streamed:
            return read_response(body)
        # Looked at before anything is decoded: most events are pieces of text.
        ends = (event for event in _events(body) if _END.search(event.head))
        return read_events((event.kind, event.payload, event.is_exception) for event in ends)

    def salvage(self, head: bytes, tail: bytes) -> bytes:
        """What is left of an answer with an image that was too big to keep."""
        return essentials(head, tail)

    def read_headers(self, facts: ResponseFacts, headers: Mapping[str, str]) -> None:
        """The id under which AWS finds the request."""
        take_request_id(facts, headers)

    def input_content(self, body: bytes, limit: int) -> Content:
        """Messages, system prompt and tools."""
        from otel_agents.wire.providers import bedrock_content as content

        return content.read_input(body, limit)

    def output_content(self, body: bytes, streamed: bool, limit: int) -> Content:
        """The answer as one message."""
        from otel_agents.wire.providers import bedrock_content as content

        if not streamed:
            return content.read_output(body, limit)
        return content.read_events(((event.kind, event.payload) for event in _events(body)), limit)


def _events(body: bytes) -> Iterable[eventstream.Frame]:
    return eventstream.frames((body,))


def read_request(body: bytes, model: str | None, stream: bool) -> RequestFacts | None:
    """What a request in this shape says; None when it has no list of messages.

    Raises:
        ValueError: not a JSON object.
    """
    request = _request.read(body)
    if tolerant.opens(request.messages) != b"[":
        return None
    facts = RequestFacts(model, stream)
    attributes = facts.attributes
    config = request.inferenceConfig
    if config is not None:
        for name, value in (
            (semconv.REQUEST_MAX_TOKENS, config.maxTokens),
            (semconv.REQUEST_TEMPERATURE, config.temperature),
            (semconv.REQUEST_TOP_P, config.topP),
            (semconv.REQUEST_TOP_K, config.topK),
            (semconv.REQUEST_STOP_SEQUENCES, config.stopSequences or None),
        ):
            if value is not None:
                attributes[name] = value
    output = request.outputConfig
    if output is not None and output.effort:
        attributes[semconv.REQUEST_REASONING_LEVEL] = output.effort
    if output is not None and output.textFormat is not None and output.textFormat.type == "json_schema":
        attributes[semconv.OUTPUT_TYPE] = "json"
    if request.serviceTier is not None:
        facts.service_tier = request.serviceTier.type
    return facts


def read_response(body: bytes) -> ResponseFacts:
    """What a response in this shape says, or an error body.

    Raises:
        ValueError: not a JSON object.
    """
    facts = ResponseFacts()
    response = _response.read(body)
    _take(facts, response)
    if response.stopReason is None and response.usage is None:
        facts.error_message = text_of(response.message)
    if facts.error_message is None:
        facts.finish_reasons = [response.stopReason or NOT_FINISHED]
    return facts


def read_events(events: Iterable[tuple[str, bytes, bool]]) -> ResponseFacts:
    """What a stream says: kind, payload and whether it is an exception, of each event.

    Events of Nova's own stream have no kind; what they are is the one key of their payload.
    """
    facts = ResponseFacts()
    reason: str | None = None
    for kind, payload, failed in events:
        if not failed and kind not in ("messageStop", "metadata", ""):
            continue
        try:
            event = _response.read(payload)
        except ValueError:
            continue  # one garbled event does not spoil the others
        if failed:
            facts.error_type = kind or "_OTHER"
            facts.error_message = text_of(event.message)
            continue
        if tolerant.size(event.metadata):
            _take(facts, _response.read(event.metadata))
        stop = event.messageStop.stopReason if event.messageStop is not None else event.stopReason
        reason = stop or reason
        _take(facts, event)
    facts.finish_reasons = [reason or NOT_FINISHED]
    return facts


def essentials(head: bytes, tail: bytes) -> bytes:
    """A small body with the usage and the stop reason found at both ends of a big one."""
    found = salvage.essentials(head, tail)
    reason = _REASON.search(tail) or _REASON.search(head[:65_536])
    return b"{%b,%b" % (reason.group(0), found[1:]) if reason and found != b"{}" else found


def text_of(raw: msgspec.Raw) -> str | None:
    """A text that another kind of body has an object in place of."""
    if tolerant.opens(raw) != b'"':
        return None
    value: Any = tolerant.decode_any(raw)
    return tolerant.text(value)


def take_request_id(facts: ResponseFacts, headers: Mapping[str, str]) -> None:
    """Notes the header that every answer of AWS has."""
    request_id = headers.get("x-amzn-requestid")
    if request_id:
        facts.attributes[REQUEST_ID] = request_id


def _take(facts: ResponseFacts, response: _Response) -> None:
    if response.usage is not None:
        facts.usage = _usage(response.usage) or facts.usage
    if response.serviceTier is not None:
        facts.service_tier = response.serviceTier.type or facts.service_tier
    if response.trace is not None and response.trace.promptRouter is not None:
        facts.model = response.trace.promptRouter.invokedModelId or facts.model


def _usage(usage: _Usage) -> Usage | None:
    """Bedrock's counts turned into the conventions': ``inputTokens`` excludes the cache, ours includes it."""
    if usage.inputTokens is None and usage.outputTokens is None:
        return None
    read = usage.cacheReadInputTokens or usage.cacheReadInputTokenCount or 0
    written = usage.cacheWriteInputTokens or usage.cacheWriteInputTokenCount or 0
    hour = sum(
        detail.inputTokens or 0 for detail in usage.cacheDetails or () if (detail.ttl or "").lower() == "1h"
    )
    return Usage(
        input=(usage.inputTokens or 0) + read + written,
        output=usage.outputTokens or 0,
        cache_read=read,
        cache_write=written,
        cache_write_1h=min(hour, written),
    )
