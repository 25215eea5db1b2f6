"""Mistral's conversations: ``POST .../v1/conversations``, ``/{id}`` to go on, ``/{id}/restart``.

OpenAI has such paths too, for conversations in which no model is run: what is asked is under ``inputs``
here and nowhere else. Tokens that connectors put in front of the model are beside the totals, and billed.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

import msgspec

from otel_agents import semconv
from otel_agents.accounting import Usage
from otel_agents.wire import sse, tolerant
from otel_agents.wire.formats import NOT_FINISHED, Content, RequestFacts, ResponseFacts

_PATH: Final = re.compile(r"/v1/conversations(?:/(?P<id>[^/]+)(?:/restart)?)?$")
_EMPTY: Final = msgspec.Raw(b"")
_CALL: Final = ("function.call", "function.call.delta")

Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]  # what OTLP can carry
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _Kind(msgspec.Struct, gc=False):
    type: str | None = None


class _Arguments(msgspec.Struct, gc=False):
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: Whole | None = None
    random_seed: Whole | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    stop: str | list[str] | None = None
    reasoning_effort: str | None = None
    response_format: _Kind | None = None


class _Request(msgspec.Struct, gc=False):
    model: str | None = None
    agent_id: str | None = None
    inputs: msgspec.Raw = _EMPTY
    stream: bool | None = None
    completion_args: _Arguments | None = None


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    connector_tokens: Count | None = None


class _Entry(msgspec.Struct, gc=False):
    type: str | None = None
    model: str | None = None


class _Response(msgspec.Struct, gc=False):
    """A response, an event of a stream, or an error."""

    type: str | None = None
    conversation_id: str | None = None
    model: str | None = None
    outputs: list[_Entry] | None = None
    usage: _Usage | None = None
    message: str | None = None
    code: int | str | None = None


_request = tolerant.Lenient(_Request)
_response = tolerant.Lenient(_Response)


class MistralConversations:
    """See the module."""

    name = "mistral.conversations"
    provider = "mistral_ai"
    operation = semconv.OP_CHAT
    strict = True

    def __init__(self, conversation: str | None = None) -> None:
        self._conversation = conversation

    def matches(self, path: str) -> bool:
        """``/v1/conversations``, ``/v1/conversations/{id}`` and ``/v1/conversations/{id}/restart``."""
        return _PATH.search(path) is not None

    def at(self, path: str) -> MistralConversations:
        """The format for the conversation of ``path``."""
        found = _PATH.search(path)
        return MistralConversations(found["id"] if found is not None else None)

    def read_request(self, body: bytes) -> RequestFacts | None:
        """Model or agent and parameters; None when there are no inputs."""
        request = _request.read(body)
        if tolerant.opens(request.inputs) not in (b'"', b"["):
            return None
        facts = RequestFacts(request.model, request.stream is True)
        given = request.completion_args or _Arguments()
        output = given.response_format.type if given.response_format is not None else None
        known: dict[str, Any] = {
            semconv.CONVERSATION_ID: self._conversation,
            semconv.AGENT_ID: request.agent_id,
            semconv.REQUEST_TEMPERATURE: given.temperature,
            semconv.REQUEST_TOP_P: given.top_p,
            semconv.REQUEST_MAX_TOKENS: given.max_tokens,
            semconv.REQUEST_SEED: given.random_seed,
            semconv.REQUEST_PRESENCE_PENALTY: given.presence_penalty,
            semconv.REQUEST_FREQUENCY_PENALTY: given.frequency_penalty,
            semconv.REQUEST_STOP_SEQUENCES: [given.stop] if isinstance(given.stop, str) else given.stop,
            semconv.REQUEST_REASONING_LEVEL: given.reasoning_effort,
            semconv.OUTPUT_TYPE: "json" if output in ("json_object", "json_schema") else None,
        }
        facts.attributes.update((name, value) for name, value in known.items() if value not in (None, []))
        return facts

    def read_response(self, body: bytes, streamed: bool, request: RequestFacts) -> ResponseFacts:
        """The conversation's id, model, usage and why it ended; the API has no ids of answers."""
        facts = ResponseFacts()
        if streamed:
            called = ended = False
            for event in sse.events((body,)):
                try:
                    said = _response.read(event.data)
                except ValueError:
                    continue  # one garbled event does not spoil the others
                kind = said.type or event.name
                _take(facts, said)
                called = called or kind in _CALL
                ended = ended or kind == "conversation.response.done"
                if kind == "conversation.response.error":
                    facts.error_type = str(said.code or "_OTHER")
                    facts.error_message = said.message
            facts.finish_reasons = [_reason(called) if ended else NOT_FINISHED]
            return facts
        response = _response.read(body)
        _take(facts, response)
        if response.outputs is None:
            facts.error_message = response.message
        else:
            facts.finish_reasons = [_reason(any(entry.type in _CALL for entry in response.outputs))]
        return facts

    def input_content(self, body: bytes, limit: int) -> Content:
        """The entries that were added, instructions and tools."""
        from otel_agents.wire.providers import mistral_entries as entries

        return entries.read_input(body, limit)

    def output_content(self, body: bytes, streamed: bool, limit: int) -> Content:
        """One message with everything that the model produced."""
        from otel_agents.wire.providers import mistral_entries as entries

        return entries.read_streamed(body, limit) if streamed else entries.read_output(body, limit)


def _take(facts: ResponseFacts, said: _Response) -> None:
    if said.conversation_id:
        facts.attributes[semconv.CONVERSATION_ID] = said.conversation_id
    for model in (said.model, *(entry.model for entry in said.outputs or ())):
        facts.model = model or facts.model
    usage = said.usage
    if usage is not None and (usage.prompt_tokens is not None or usage.completion_tokens is not None):
        sent = (usage.prompt_tokens or 0) + (usage.connector_tokens or 0)
        facts.usage = Usage(sent, usage.completion_tokens or 0)


def _reason(called: bool) -> str:
    return "tool_call" if called else "stop"
