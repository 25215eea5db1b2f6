"""OpenAI Chat Completions: ``POST .../chat/completions``, which many other providers speak too."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from otel_agents import semconv
from otel_agents.accounting import Usage
from otel_agents.wire import parameters, sse, tolerant
from otel_agents.wire.formats import NOT_FINISHED, Content, RequestFacts, ResponseFacts

_PATH: Final = "/chat/completions"
_EMPTY: Final = msgspec.Raw(b"")

#: Events that say how it ended. Null values (``"usage":null``) are on every chunk and not looked at.
_FINISH: Final = (b'"finish_reason":"', b'"finish_reason": "')
_USAGE: Final = (b'"usage":{', b'"usage": {')
_ERROR: Final = (b'"error":{', b'"error": {', b'"error":"', b'"error": "')


class _Request(msgspec.Struct, gc=False):
    model: Any = None
    messages: msgspec.Raw = _EMPTY
    stream: Any = None
    n: Any = None
    max_tokens: Any = None
    max_completion_tokens: Any = None
    temperature: Any = None
    top_p: Any = None
    frequency_penalty: Any = None
    presence_penalty: Any = None
    seed: Any = None
    stop: Any = None
    reasoning_effort: Any = None
    response_format: msgspec.Raw = _EMPTY
    modalities: Any = None
    service_tier: Any = None


class _Kind(msgspec.Struct, gc=False):
    type: Any = None


class _Response(msgspec.Struct, gc=False):
    """A completion, a chunk of one, or an error. Big or doubtful parts stay raw and are read one by one."""

    id: Any = None
    model: Any = None
    choices: msgspec.Raw = _EMPTY
    usage: msgspec.Raw = _EMPTY
    error: msgspec.Raw = _EMPTY
    service_tier: Any = None
    system_fingerprint: Any = None


class _Choice(msgspec.Struct, gc=False):
    index: Any = None
    finish_reason: Any = None


_request = msgspec.json.Decoder(_Request)
_kind = msgspec.json.Decoder(_Kind)
_response = msgspec.json.Decoder(_Response)
_choices = msgspec.json.Decoder(list[_Choice])


class OpenAIChat:
    """See the module."""

    name = "openai.chat"
    provider = "openai"
    operation = semconv.OP_CHAT

    def matches(self, path: str) -> bool:
        """``/v1/chat/completions`` and whatever a gateway puts before it."""
        return path.endswith(_PATH)

    def read_request(self, body: bytes) -> RequestFacts | None:
        """Model and parameters; None when there is no model or no list of messages."""
        request = tolerant.decode(_request, body)
        if not isinstance(request.model, str) or tolerant.opens(request.messages) != b"[":
            return None
        attributes = parameters.attributes(
            {
                semconv.REQUEST_MAX_TOKENS: parameters.whole(
                    request.max_tokens
                    if request.max_completion_tokens is None
                    else request.max_completion_tokens
                ),
                semconv.REQUEST_TEMPERATURE: parameters.number(request.temperature),
                semconv.REQUEST_TOP_P: parameters.number(request.top_p),
                semconv.REQUEST_FREQUENCY_PENALTY: parameters.number(request.frequency_penalty),
                semconv.REQUEST_PRESENCE_PENALTY: parameters.number(request.presence_penalty),
                semconv.REQUEST_SEED: parameters.whole(request.seed),
                semconv.REQUEST_STOP_SEQUENCES: parameters.strings(request.stop),
                semconv.REQUEST_REASONING_LEVEL: tolerant.text(request.reasoning_effort),
                semconv.OUTPUT_TYPE: _output_type(request),
            }
        )
        attributes[semconv.OPENAI_API_TYPE] = "chat_completions"
        choices = tolerant.count(request.n) or 1
        if choices != 1:
            attributes[semconv.REQUEST_CHOICE_COUNT] = choices
        tier = tolerant.text(request.service_tier)
        if tier is not None and tier != "auto":
            attributes[semconv.OPENAI_REQUEST_SERVICE_TIER] = tier
        return RequestFacts(request.model, request.stream is True, min(choices, 1024), tier, attributes)

    def read_response(self, body: bytes, streamed: bool, request: RequestFacts) -> ResponseFacts:
        """Id, model, usage, finish reasons in the order of the choices, service tier, fingerprint."""
        facts = ResponseFacts()
        reasons: dict[int, str] = {}
        if not streamed:
            response = tolerant.decode(_response, body)
            _take(facts, response)
            _take_reasons(reasons, response)
        elif not _read_ends(body, facts, reasons, request):
            for event in sse.events((body,)):
                _take_event(facts, reasons, event.data)
        if streamed or reasons or facts.error_type is None:
            last = max(max(reasons, default=0), request.choices - 1)
            facts.finish_reasons = [
                reasons.get(index, NOT_FINISHED) or NOT_FINISHED for index in range(last + 1)
            ]
        return facts

    def input_content(self, body: bytes, limit: int) -> Content:
        """Messages (system ones among them) and tools."""
        from otel_agents.wire.providers import openai_chat_content as content

        return content.read_input(body, limit)

    def output_content(self, body: bytes, streamed: bool, limit: int) -> Content:
        """One message for each choice."""
        from otel_agents.wire.providers import openai_chat_content as content

        return content.read_streamed(body, limit) if streamed else content.read_output(body, limit)


def usage_of(raw: msgspec.Raw | bytes) -> Usage | None:
    """Usage as OpenAI counts it, which is the conventions' way: cached tokens are part of the prompt's."""
    try:
        usage = tolerant.mapping(tolerant.decode_any(raw))
    except ValueError:
        return None
    sent, produced = (
        tolerant.count(usage.get("prompt_tokens")),
        tolerant.count(usage.get("completion_tokens")),
    )
    if sent is None and produced is None:
        return None
    prompt = tolerant.mapping(usage.get("prompt_tokens_details"))
    completion = tolerant.mapping(usage.get("completion_tokens_details"))
    return Usage(
        input=sent or 0,
        output=produced or 0,
        cache_read=tolerant.count(prompt.get("cached_tokens")) or 0,
        cache_write=tolerant.count(prompt.get("cache_write_tokens")) or 0,
        reasoning=tolerant.count(completion.get("reasoning_tokens")) or 0,
        input_audio=tolerant.count(prompt.get("audio_tokens")) or 0,
        output_audio=tolerant.count(completion.get("audio_tokens")) or 0,
    )


def _output_type(request: _Request) -> str | None:
    if isinstance(request.modalities, list) and "audio" in request.modalities:
        return "speech"
    if tolerant.opens(request.response_format) != b"{":
        return None
    try:
        kind = tolerant.decode(_kind, request.response_format).type
    except ValueError:
        return None
    if kind in ("json_object", "json_schema"):
        return "json"
    return "text" if kind == "text" else None


def _read_ends(body: bytes, facts: ResponseFacts, reasons: dict[int, str], request: RequestFacts) -> bool:
    """Reads only the events that matter; False when they do not tell the whole story."""
    for line in sse.first_data_lines(body, 5):
        _take_event(facts, reasons, line)
        if facts.id and facts.model:
            break
    for wanted in _FINISH:
        for line in sse.data_lines(body, wanted):
            _take_event(facts, reasons, line)
    for wanted in _USAGE:
        last = sse.last_data_line(body, wanted)
        if last is not None:
            _take_event(facts, reasons, last)
    for wanted in _ERROR:
        for line in sse.data_lines(body, wanted):
            _take_event(facts, reasons, line)
    return sum(map(bool, reasons.values())) >= request.choices and bool(facts.model)


def _take_event(facts: ResponseFacts, reasons: dict[int, str], data: bytes) -> None:
    if not data.startswith(b"{"):
        return  # [DONE], a keep-alive
    try:
        chunk = tolerant.decode(_response, data)
    except ValueError:
        return  # one garbled event does not spoil the others
    _take(facts, chunk)
    _take_reasons(reasons, chunk)


def _take(facts: ResponseFacts, response: _Response) -> None:
    facts.id = facts.id or tolerant.text(response.id)
    facts.model = facts.model or tolerant.text(response.model)
    tier = tolerant.text(response.service_tier)
    if tier is not None:
        facts.service_tier = tier
        facts.attributes[semconv.OPENAI_RESPONSE_SERVICE_TIER] = tier
    fingerprint = tolerant.text(response.system_fingerprint)
    if fingerprint is not None:
        facts.attributes[semconv.OPENAI_SYSTEM_FINGERPRINT] = fingerprint
    if tolerant.opens(response.usage) == b"{":
        facts.usage = usage_of(response.usage) or facts.usage
    if tolerant.opens(response.error) in (b"{", b'"'):
        _take_error(facts, response.error)


def _take_error(facts: ResponseFacts, raw: msgspec.Raw) -> None:
    """``{"message", "type", "code"}``, or just a text as some compatible servers send it."""
    try:
        error = tolerant.decode_any(raw)
    except ValueError:
        return
    if isinstance(error, dict):
        facts.error_message = tolerant.text(error.get("message")) or facts.error_message
        facts.error_type = (
            tolerant.text(error.get("type"))
            or tolerant.text(error.get("code"))
            or facts.error_type
            or "_OTHER"
        )
    elif isinstance(error, str) and error:
        facts.error_message, facts.error_type = error, facts.error_type or "_OTHER"


def _take_reasons(reasons: dict[int, str], response: _Response) -> None:
    if tolerant.opens(response.choices) != b"[":
        return
    try:
        choices = tolerant.decode(_choices, response.choices)
    except ValueError:
        return
    for position, choice in enumerate(choices):
        index = tolerant.count(choice.index)
        index = position if index is None else index
        if isinstance(choice.finish_reason, str) and choice.finish_reason:
            reasons[index] = choice.finish_reason
        elif index < 1024:
            reasons.setdefault(index, "")
