"""OpenAI Chat Completions: ``POST .../chat/completions``, which many other providers speak too."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from otel_agents import semconv
from otel_agents.wire import sse, tolerant
from otel_agents.wire.formats import NOT_FINISHED, Content, RequestFacts, ResponseFacts
from otel_agents.wire.providers import openai_azure
from otel_agents.wire.providers.openai_errors import take_error
from otel_agents.wire.providers.openai_usage import ChatUsage, chat_usage, modalities

_PATH: Final = "/chat/completions"
_EMPTY: Final = msgspec.Raw(b"")

#: Events that say how it ended. Null values (``"usage":null``) are on every chunk and not looked at.
_FINISH: Final = (b'"finish_reason":"', b'"finish_reason": "')
_USAGE: Final = (b'"usage":{', b'"usage": {')

_MAX_CHOICES: Final = 1024

Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]  # what OTLP can carry
Index = Annotated[int, msgspec.Meta(ge=0, lt=_MAX_CHOICES)]


class _Kind(msgspec.Struct, gc=False):
    type: str | None = None


class _Request(msgspec.Struct, gc=False):
    model: str | None = None
    messages: msgspec.Raw = _EMPTY
    stream: bool | None = None
    n: Index | None = None
    max_tokens: Whole | None = None
    max_completion_tokens: Whole | None = None
    temperature: float | None = None
    top_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: Whole | None = None
    stop: str | list[str] | None = None
    reasoning_effort: str | None = None
    response_format: _Kind | None = None
    modalities: list[str] | None = None
    service_tier: str | None = None


class _Choice(msgspec.Struct, gc=False):
    index: Index | None = None
    finish_reason: str | None = None
    usage: ChatUsage | None = None  # Moonshot, in streams


class _Groq(msgspec.Struct, gc=False):
    usage: ChatUsage | None = None


class _Response(msgspec.Struct, gc=False):
    """A completion, a chunk of one, or an error."""

    id: str | None = None
    model: str | None = None
    choices: list[_Choice] | None = None
    usage: ChatUsage | None = None
    x_groq: _Groq | None = None
    error: msgspec.Raw = _EMPTY
    service_tier: str | None = None
    system_fingerprint: str | None = None


_request = tolerant.Lenient(_Request)
_response = tolerant.Lenient(_Response)


class OpenAIChat:
    """See the module. On Azure, ``deployment`` is the model that is asked for."""

    name = "openai.chat"
    operation = semconv.OP_CHAT

    def __init__(self, provider: str = "openai", deployment: str | None = None) -> None:
        self.provider = provider
        self._deployment = deployment

    def at(self, path: str) -> OpenAIChat:
        """The format for ``path``, which on Azure has the deployment in it."""
        place = openai_azure.place(path)
        return self if place is None else OpenAIChat(*place)

    def matches(self, path: str) -> bool:
        """``/v1/chat/completions`` and whatever a gateway puts before it."""
        return path.endswith(_PATH)

    def read_request(self, body: bytes) -> RequestFacts | None:
        """Model and parameters; None when there is no model or no list of messages."""
        request = _request.read(body)
        model = self._deployment or request.model
        if model is None or tolerant.opens(request.messages) != b"[":
            return None
        facts = RequestFacts(model, request.stream is True, request.n or 1, request.service_tier)
        attributes = facts.attributes
        attributes[semconv.OPENAI_API_TYPE] = "chat_completions"
        limit = request.max_tokens if request.max_completion_tokens is None else request.max_completion_tokens
        if limit is not None:
            attributes[semconv.REQUEST_MAX_TOKENS] = limit
        if request.temperature is not None:
            attributes[semconv.REQUEST_TEMPERATURE] = request.temperature
        if request.top_p is not None:
            attributes[semconv.REQUEST_TOP_P] = request.top_p
        if request.frequency_penalty is not None:
            attributes[semconv.REQUEST_FREQUENCY_PENALTY] = request.frequency_penalty
        if request.presence_penalty is not None:
            attributes[semconv.REQUEST_PRESENCE_PENALTY] = request.presence_penalty
        if request.seed is not None:
            attributes[semconv.REQUEST_SEED] = request.seed
        if request.stop:
            stop = request.stop
            attributes[semconv.REQUEST_STOP_SEQUENCES] = [stop] if isinstance(stop, str) else stop
        if request.reasoning_effort:
            attributes[semconv.REQUEST_REASONING_LEVEL] = request.reasoning_effort
        if facts.choices != 1:
            attributes[semconv.REQUEST_CHOICE_COUNT] = facts.choices
        if request.service_tier and request.service_tier != "auto":
            attributes[semconv.OPENAI_REQUEST_SERVICE_TIER] = request.service_tier
        output = _output_type(request)
        if output is not None:
            attributes[semconv.OUTPUT_TYPE] = output
        return facts

    def read_response(self, body: bytes, streamed: bool, request: RequestFacts) -> ResponseFacts:
        """Id, model, usage, finish reasons in the order of the choices, service tier, fingerprint."""
        facts = ResponseFacts()
        reasons: dict[int, str] = {}
        if not streamed:
            _take(facts, reasons, _response.read(body))
        elif not _read_ends(body, facts, reasons, request):
            for event in sse.events((body,)):
                _take_event(facts, reasons, event.data)
        if streamed or reasons or facts.error_type is None:
            last = max(max(reasons, default=0), request.choices - 1)
            facts.finish_reasons = [reasons.get(index) or NOT_FINISHED for index in range(last + 1)]
        return facts

    def input_content(self, body: bytes, limit: int) -> Content:
        """Messages (system ones among them) and tools."""
        from otel_agents.wire.providers import openai_chat_content as content

        return content.read_input(body, limit)

    def output_content(self, body: bytes, streamed: bool, limit: int) -> Content:
        """One message for each choice."""
        from otel_agents.wire.providers import openai_chat_content as content

        return content.read_streamed(body, limit) if streamed else content.read_output(body, limit)


def _output_type(request: _Request) -> str | None:
    if request.modalities and "audio" in request.modalities:
        return "speech"
    kind = request.response_format.type if request.response_format is not None else None
    if kind in ("json_object", "json_schema"):
        return "json"
    return "text" if kind == "text" else None


def _read_ends(body: bytes, facts: ResponseFacts, reasons: dict[int, str], request: RequestFacts) -> bool:
    """Reads only the events at both ends that matter; False when they do not tell the whole story.

    A stream of 500 chunks is looked at in a tenth of the time that parsing it would take. One that
    has no finish reason, because it was cut or reports an error, is left to the parser.
    """
    for line in sse.first_data_lines(body, 5):
        _take_event(facts, reasons, line)
        if facts.id and facts.model:
            break
    if request.choices > 1:
        for wanted in _FINISH:
            for line in sse.data_lines(body, wanted):
                _take_event(facts, reasons, line)
    else:
        _take_last(facts, reasons, body, _FINISH)
    _take_last(facts, reasons, body, _USAGE)
    return sum(map(bool, reasons.values())) >= request.choices and bool(facts.model)


def _take_last(
    facts: ResponseFacts, reasons: dict[int, str], body: bytes, spellings: tuple[bytes, ...]
) -> None:
    for wanted in spellings:
        line = sse.last_data_line(body, wanted)
        if line is not None:
            _take_event(facts, reasons, line)
            return


def _take_event(facts: ResponseFacts, reasons: dict[int, str], data: bytes) -> None:
    if not data.startswith(b"{"):
        return  # [DONE], a keep-alive
    try:
        _take(facts, reasons, _response.read(data))
    except ValueError:
        pass  # one garbled event does not spoil the others


def _take(facts: ResponseFacts, reasons: dict[int, str], response: _Response) -> None:
    facts.id = facts.id or response.id or None
    facts.model = facts.model or response.model or None
    if response.service_tier:
        facts.service_tier = response.service_tier
        facts.attributes[semconv.OPENAI_RESPONSE_SERVICE_TIER] = response.service_tier
    if response.system_fingerprint:
        facts.attributes[semconv.OPENAI_SYSTEM_FINGERPRINT] = response.system_fingerprint
    usage = response.usage or (response.x_groq.usage if response.x_groq is not None else None)
    if usage is not None:
        _take_usage(facts, usage)
    if response.choices is not None:
        for position, choice in enumerate(response.choices):
            index = position if choice.index is None else choice.index
            if choice.usage is not None:
                _take_usage(facts, choice.usage)
            if choice.finish_reason:
                reasons[index] = choice.finish_reason
            else:
                reasons.setdefault(index, "")
    if response.error is not _EMPTY:
        take_error(facts, response.error)


def _take_usage(facts: ResponseFacts, usage: ChatUsage) -> None:
    facts.usage = chat_usage(usage, facts.model) or facts.usage
    if usage.prompt_tokens_details is not None or usage.completion_tokens_details is not None:
        facts.attributes.update(modalities(facts.usage))
