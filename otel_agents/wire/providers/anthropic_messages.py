"""Anthropic Messages: ``POST .../v1/messages``, also the beta (the same path with ``?beta=true``)."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from otel_agents import semconv
from otel_agents.accounting import Usage
from otel_agents.wire import parameters, sse, tolerant
from otel_agents.wire.formats import NOT_FINISHED, Content, RequestFacts, ResponseFacts

_PATH: Final = "/v1/messages"  # exactly its end: /v1/messages/count_tokens and /batches are other things
_EMPTY: Final = msgspec.Raw(b"")

#: The few events of a stream that say more than a piece of text.
_TELLING: Final = (b'"message_start"', b'"message_delta"')
_ERROR: Final = b'"error"'


class _Request(msgspec.Struct, gc=False):
    model: Any = None
    messages: msgspec.Raw = _EMPTY
    stream: Any = None
    max_tokens: Any = None
    temperature: Any = None
    top_p: Any = None
    top_k: Any = None
    stop_sequences: Any = None
    service_tier: Any = None
    output_config: msgspec.Raw = _EMPTY
    output_format: msgspec.Raw = _EMPTY


class _Format(msgspec.Struct, gc=False):
    type: Any = None


class _OutputConfig(msgspec.Struct, gc=False):
    effort: Any = None
    format: msgspec.Raw = _EMPTY


class _Message(msgspec.Struct, gc=False):
    """A message, an error body, or the message inside a ``message_start`` event."""

    type: Any = None
    id: Any = None
    model: Any = None
    stop_reason: Any = None
    usage: msgspec.Raw = _EMPTY
    error: msgspec.Raw = _EMPTY


class _Delta(msgspec.Struct, gc=False):
    stop_reason: Any = None


class _Event(msgspec.Struct, gc=False):
    type: Any = None
    message: msgspec.Raw = _EMPTY
    delta: msgspec.Raw = _EMPTY
    usage: msgspec.Raw = _EMPTY
    error: msgspec.Raw = _EMPTY


_request = msgspec.json.Decoder(_Request)
_format = msgspec.json.Decoder(_Format)
_output_config = msgspec.json.Decoder(_OutputConfig)
_message = msgspec.json.Decoder(_Message)
_delta = msgspec.json.Decoder(_Delta)
_event = msgspec.json.Decoder(_Event)


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
        request = tolerant.decode(_request, body)
        if not isinstance(request.model, str) or tolerant.opens(request.messages) != b"[":
            return None
        effort, json_asked = _output(request)
        attributes = parameters.attributes(
            {
                semconv.REQUEST_MAX_TOKENS: parameters.whole(request.max_tokens),
                semconv.REQUEST_TEMPERATURE: parameters.number(request.temperature),
                semconv.REQUEST_TOP_P: parameters.number(request.top_p),
                semconv.REQUEST_TOP_K: parameters.whole(request.top_k),
                semconv.REQUEST_STOP_SEQUENCES: parameters.strings(request.stop_sequences),
                semconv.REQUEST_REASONING_LEVEL: effort,
                semconv.OUTPUT_TYPE: "json" if json_asked else None,
            }
        )
        return RequestFacts(request.model, request.stream is True, 1, None, attributes)

    def read_response(self, body: bytes, streamed: bool, request: RequestFacts) -> ResponseFacts:
        """Id, model, usage, stop reason, service tier, and the error of an error event."""
        facts = ResponseFacts()
        usage: dict[str, Any] = {}
        reason: str | None = None
        if not streamed:
            message = tolerant.decode(_message, body)
            reason = _take_message(facts, usage, message)
            _take_error(facts, message.error)
        else:
            ends = list(_ends(body))
            reason = _take_events(facts, usage, ends)
            if reason is None or facts.id is None:
                # Unusual layout, or cut short: then whatever there is is looked at.
                reason = _take_events(facts, usage, (event.data for event in sse.events((body,)))) or reason
        facts.usage = usage_of(usage)
        facts.service_tier = tolerant.text(usage.get("service_tier"))
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


def usage_of(usage: dict[str, Any]) -> Usage | None:
    """Anthropic's counts turned into the conventions': ``input_tokens`` excludes the cache, ours includes it.

    The tokens of compactions (``iterations``) are billed and left out of the totals, so they are added.
    """
    sent, produced = tolerant.count(usage.get("input_tokens")), tolerant.count(usage.get("output_tokens"))
    if sent is None and produced is None:
        return None
    read = tolerant.count(usage.get("cache_read_input_tokens")) or 0
    written = tolerant.count(usage.get("cache_creation_input_tokens")) or 0
    lifetimes = tolerant.mapping(usage.get("cache_creation"))
    hour = tolerant.count(lifetimes.get("ephemeral_1h_input_tokens")) or 0
    written = max(written, hour + (tolerant.count(lifetimes.get("ephemeral_5m_input_tokens")) or 0))
    details = tolerant.mapping(usage.get("output_tokens_details"))
    total = Usage(
        input=(sent or 0) + read + written,
        output=produced or 0,
        cache_read=read,
        cache_write=written,
        cache_write_1h=hour,
        reasoning=tolerant.count(details.get("thinking_tokens")) or 0,
    )
    iterations = usage.get("iterations")
    for iteration in iterations if isinstance(iterations, list) else ():
        if isinstance(iteration, dict) and iteration.get("type") == "compaction":
            part = usage_of({name: value for name, value in iteration.items() if name != "iterations"})
            total = total if part is None else total + part
    return total


def _output(request: _Request) -> tuple[str | None, bool]:
    """The effort asked for, and whether JSON was (``output_format`` is the older form)."""
    effort: str | None = None
    formats = [request.output_format]
    try:
        if tolerant.opens(request.output_config) == b"{":
            config = tolerant.decode(_output_config, request.output_config)
            effort = tolerant.text(config.effort)
            formats.append(config.format)
        asked = [tolerant.decode(_format, raw).type for raw in formats if tolerant.opens(raw) == b"{"]
    except ValueError:
        return effort, False
    return effort, "json_schema" in asked


def _ends(body: bytes) -> list[bytes]:
    lines = [line for wanted in _TELLING for line in sse.data_lines(body, wanted)]
    return lines + list(sse.data_lines(body, _ERROR))


def _take_events(facts: ResponseFacts, usage: dict[str, Any], lines: Any) -> str | None:
    reason: str | None = None
    for line in lines:
        try:
            event = tolerant.decode(_event, line)
            if event.type == "message_start" and tolerant.opens(event.message) == b"{":
                reason = _take_message(facts, usage, tolerant.decode(_message, event.message)) or reason
            elif event.type == "message_delta":
                if tolerant.opens(event.delta) == b"{":
                    reason = tolerant.text(tolerant.decode(_delta, event.delta).stop_reason) or reason
                _take_usage(usage, event.usage)
            elif event.type == "error":
                _take_error(facts, event.error)
        except ValueError:
            continue  # one garbled event does not spoil the others
    return reason


def _take_message(facts: ResponseFacts, usage: dict[str, Any], message: _Message) -> str | None:
    facts.id = tolerant.text(message.id) or facts.id
    facts.model = tolerant.text(message.model) or facts.model
    _take_usage(usage, message.usage)
    return tolerant.text(message.stop_reason)


def _take_usage(usage: dict[str, Any], raw: msgspec.Raw) -> None:
    """Counts of later events are totals so far and replace earlier ones; absent and null ones do not."""
    if tolerant.opens(raw) != b"{":
        return
    try:
        later = tolerant.mapping(tolerant.decode_any(raw))
    except ValueError:
        return
    usage.update((name, value) for name, value in later.items() if value is not None)


def _take_error(facts: ResponseFacts, raw: msgspec.Raw) -> None:
    if tolerant.opens(raw) != b"{":
        return
    error = tolerant.mapping(tolerant.decode_any(raw))
    facts.error_type = tolerant.text(error.get("type")) or "_OTHER"
    facts.error_message = tolerant.text(error.get("message"))
