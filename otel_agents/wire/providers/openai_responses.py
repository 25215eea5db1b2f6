"""OpenAI Responses: ``POST .../responses`` and ``.../responses/compact``, plain, streamed, in the background.

A response made in the background is answered ``queued`` and without usage; what becomes of that is
the business of ``openai_background``.

The other endpoints below ``/responses`` (cancel, input_items, input_tokens) run no model.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from otel_agents import semconv
from otel_agents.accounting import Usage
from otel_agents.accounting.metered import shared
from otel_agents.wire import sse, tolerant
from otel_agents.wire.formats import NOT_FINISHED, Content, RequestFacts, ResponseFacts
from otel_agents.wire.providers import openai_azure
from otel_agents.wire.providers.openai_errors import take_error
from otel_agents.wire.providers.openai_usage import TokenUsage, last_usage, modalities, token_usage

PREVIOUS_RESPONSE_ID: Final = "gen_ai.request.previous_response.id"
RESPONSE_STATUS: Final = "gen_ai.response.status"
COMPACTED: Final = "gen_ai.conversation.compacted"

_PATHS: Final = ("/responses", "/responses/compact")
_EMPTY: Final = msgspec.Raw(b"")
#: The events that carry the whole response; the last of them says how it ended.
_WHOLE: Final = (b'"response":{', b'"response": {')
_ENDS: Final = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")
_UNDER_WAY: Final = ("queued", "in_progress")
_REASONS: Final = {"max_output_tokens": "length", "max_tokens": "length"}
#: The model that draws where the tool names none.
_DRAWS: Final = "gpt-image-2.6-sunburst"
_ITEMS_FOR_THE_APP: Final = ("function_call", "custom_tool_call")

Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]  # what OTLP can carry
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _Reasoning(msgspec.Struct, gc=False):
    effort: str | None = None


class _Kind(msgspec.Struct, gc=False):
    type: str | None = None


class _Text(msgspec.Struct, gc=False):
    format: _Kind | None = None


class _Id(msgspec.Struct, gc=False):
    id: str | None = None


class _Request(msgspec.Struct, gc=False):
    model: str | None = None
    input: msgspec.Raw = _EMPTY
    prompt: _Id | None = None
    previous_response_id: str | None = None
    conversation: str | _Id | None = None
    stream: bool | None = None
    max_output_tokens: Whole | None = None
    temperature: float | None = None
    top_p: float | None = None
    reasoning: _Reasoning | None = None
    text: _Text | None = None
    service_tier: str | None = None


class _Incomplete(msgspec.Struct, gc=False):
    reason: str | None = None


class _Searches(msgspec.Struct, gc=False):
    num_requests: Count | None = None


class _ToolUsage(msgspec.Struct, gc=False):
    web_search: _Searches | None = None
    image_gen: TokenUsage | None = None


class _Tool(msgspec.Struct, gc=False):
    type: str | None = None
    model: str | None = None


class _Response(msgspec.Struct, gc=False):
    """A response, or an error body."""

    id: str | None = None
    model: str | None = None
    status: str | None = None
    output: list[_Kind] | None = None
    tools: list[_Tool] | None = None
    usage: TokenUsage | None = None
    tool_usage: _ToolUsage | None = None
    incomplete_details: _Incomplete | None = None
    service_tier: str | None = None
    conversation: _Id | None = None
    error: msgspec.Raw = _EMPTY


class _Event(msgspec.Struct, gc=False):
    """An event that matters here: one with the response, or an error."""

    type: str | None = None
    response: _Response | None = None
    error: msgspec.Raw = _EMPTY
    message: str | None = None
    code: str | None = None


_request = tolerant.Lenient(_Request)
_response = tolerant.Lenient(_Response)
_event = tolerant.Lenient(_Event)


class OpenAIResponses:
    """See the module. On Azure, ``deployment`` is the model that is asked for."""

    name = "openai.responses"
    operation = semconv.OP_CHAT

    def __init__(self, provider: str = "openai", deployment: str | None = None) -> None:
        self.provider = provider
        self._deployment = deployment

    def at(self, path: str) -> OpenAIResponses:
        """The format for ``path``, which on Azure may have a deployment in it."""
        place = openai_azure.place(path)
        return self if place is None else OpenAIResponses(*place)

    def matches(self, path: str) -> bool:
        """``/v1/responses`` and whatever a gateway puts before it."""
        return path.endswith(_PATHS)

    def read_request(self, body: bytes) -> RequestFacts | None:
        """Model and parameters; None when there is neither an input nor anything to go on from."""
        request = _request.read(body)
        if not (
            tolerant.opens(request.input) in (b'"', b"[")
            or request.prompt is not None
            or request.previous_response_id is not None
            or request.conversation is not None
        ):
            return None
        model = self._deployment or request.model
        if model is None and request.prompt is None:
            return None
        facts = RequestFacts(model, request.stream is True, 1, request.service_tier)
        facts.attributes = _parameters(request)
        return facts

    def read_response(self, body: bytes, streamed: bool, request: RequestFacts) -> ResponseFacts:
        """Id, model, usage, finish reason, service tier; of a stream, as its last event has them."""
        facts = ResponseFacts()
        if not streamed:
            _take(facts, _response.read(body))
        elif not _read_end(body, facts):
            _read_all(body, facts)
        if RESPONSE_STATUS in facts.attributes and facts.id and semconv.OPENAI_API_TYPE in request.attributes:
            from otel_agents.wire.providers import openai_background

            openai_background.expect(facts.id, request)
        return facts

    def input_content(self, body: bytes, limit: int) -> Content:
        """Input items as messages, instructions and tools."""
        from otel_agents.wire.providers import openai_responses_content as content

        return content.read_input(body, limit)

    def output_content(self, body: bytes, streamed: bool, limit: int) -> Content:
        """One message with everything that the model produced."""
        from otel_agents.wire.providers import openai_responses_content as content

        return content.read_streamed(body, limit) if streamed else content.read_output(body, limit)


def _parameters(request: _Request) -> dict[str, Any]:
    attributes: dict[str, Any] = {semconv.OPENAI_API_TYPE: "responses"}
    if request.max_output_tokens is not None:
        attributes[semconv.REQUEST_MAX_TOKENS] = request.max_output_tokens
    if request.temperature is not None:
        attributes[semconv.REQUEST_TEMPERATURE] = request.temperature
    if request.top_p is not None:
        attributes[semconv.REQUEST_TOP_P] = request.top_p
    if request.reasoning is not None and request.reasoning.effort:
        attributes[semconv.REQUEST_REASONING_LEVEL] = request.reasoning.effort
    if request.previous_response_id:
        attributes[PREVIOUS_RESPONSE_ID] = request.previous_response_id
    conversation = request.conversation
    found = conversation.id if isinstance(conversation, _Id) else conversation
    if found:
        attributes[semconv.CONVERSATION_ID] = found
    if request.service_tier and request.service_tier != "auto":
        attributes[semconv.OPENAI_REQUEST_SERVICE_TIER] = request.service_tier
    kind = request.text.format.type if request.text is not None and request.text.format is not None else None
    if kind in ("json_object", "json_schema"):
        attributes[semconv.OUTPUT_TYPE] = "json"
    elif kind == "text":
        attributes[semconv.OUTPUT_TYPE] = "text"
    return attributes


def _read_end(body: bytes, facts: ResponseFacts) -> bool:
    """Reads only the last event; False when that is not the end of a response."""
    for wanted in _WHOLE:
        line = sse.last_data_line(body, wanted)
        if line is not None:
            try:
                event = _event.read(line)
            except ValueError:
                return False
            if event.type in _ENDS and event.response is not None:
                _take(facts, event.response)
                return True
            return False
    return False


def _read_all(body: bytes, facts: ResponseFacts) -> None:
    """Reads every event of a stream that was cut, reports an error, or is written unusually."""
    ended = False
    for found in sse.events((body,)):
        if not found.data.startswith(b"{"):
            continue
        try:
            event = _event.read(found.data)
        except ValueError:
            continue  # one garbled event does not spoil the others
        if event.type == "error":
            take_error(facts, event.error)
            facts.error_message = event.message or facts.error_message
            facts.error_type = event.code or facts.error_type or "_OTHER"
        elif event.response is not None:
            _take(facts, event.response)
            ended = ended or event.type in _ENDS
    if facts.usage is None:
        # The last event may be too big to have been kept whole.
        usage = last_usage(body)
        facts.usage = token_usage(usage) if usage is not None else None
    if not ended:
        facts.finish_reasons = [NOT_FINISHED]


def _take(facts: ResponseFacts, response: _Response) -> None:
    facts.id = response.id or facts.id
    facts.model = response.model or facts.model
    if response.service_tier:
        facts.service_tier = response.service_tier
        facts.attributes[semconv.OPENAI_RESPONSE_SERVICE_TIER] = response.service_tier
    if response.conversation is not None and response.conversation.id:
        facts.attributes[semconv.CONVERSATION_ID] = response.conversation.id
    if response.usage is not None:
        facts.usage = _usage(response, response.usage) or facts.usage
        facts.attributes.update(modalities(facts.usage))
    take_error(facts, response.error)
    kinds = [item.type for item in response.output or ()]
    if "compaction" in kinds:
        facts.attributes[COMPACTED] = True
    if response.status in _UNDER_WAY:
        facts.attributes[RESPONSE_STATUS] = response.status
        facts.finish_reasons = []
    else:
        facts.attributes.pop(RESPONSE_STATUS, None)
        reason = _finish_reason(response, kinds, facts)
        facts.finish_reasons = [reason] if reason else []


def _usage(response: _Response, said: TokenUsage) -> Usage | None:
    """The usage with what tools of the provider's used: searches, and the tokens of a model that draws."""
    tools = response.tool_usage
    if tools is None:
        return token_usage(said)
    searches = tools.web_search.num_requests if tools.web_search is not None else None
    own = token_usage(said, searches or 0)
    drawn = token_usage(tools.image_gen) if tools.image_gen is not None else None
    if own is None or drawn is None or not drawn.total:
        return own
    named = [tool.model for tool in response.tools or () if tool.type == "image_generation"]
    return shared((None, own), (next(filter(None, named), _DRAWS), drawn))


def _finish_reason(response: _Response, kinds: list[str | None], facts: ResponseFacts) -> str | None:
    """The API has a status instead; these are the conventions' words for it."""
    if response.status == "completed":
        return "tool_call" if any(kind in _ITEMS_FOR_THE_APP for kind in kinds) else "stop"
    if response.status == "incomplete":
        details = response.incomplete_details
        reason = details.reason if details is not None else None
        return _REASONS.get(reason, reason) if reason else NOT_FINISHED
    if response.status is None:
        # A compaction, which has none; an error body; or a big response of which only parts were kept.
        return None if response.usage is not None or facts.error_type is not None else NOT_FINISHED
    return NOT_FINISHED
