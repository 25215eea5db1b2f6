"""Decisions: ``POST .../decisions``, questions about an input that a model answers without writing a text.

OpenAI has a list of questions and the counts of its other APIs; Google has questions by name, and the
counts and contents of its Interactions API.
"""

from __future__ import annotations

from typing import Final

import msgspec

from otel_agents import semconv
from otel_agents.wire import parts, tolerant
from otel_agents.wire.formats import Content, RequestFacts, ResponseFacts
from otel_agents.wire.providers import gemini_interactions, openai_usage
from otel_agents.wire.providers.openai_errors import take_error

_PATH: Final = "/decisions"
_EMPTY: Final = msgspec.Raw(b"")


class _Request(msgspec.Struct):
    model: str | None = None
    input: msgspec.Raw = _EMPTY
    questions: msgspec.Raw = _EMPTY


class _Response(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    answers: msgspec.Raw = _EMPTY
    usage: msgspec.Raw = _EMPTY
    error: msgspec.Raw = _EMPTY


_request = tolerant.Lenient(_Request)
_response = tolerant.Lenient(_Response)
_openai_usage = tolerant.Lenient(openai_usage.TokenUsage)
_google_usage = tolerant.Lenient(gemini_interactions.Totals)


class OpenAIDecisions:
    """See the module."""

    name = "openai.decisions"
    provider = "openai"
    operation = semconv.OP_CHAT
    strict = True

    def matches(self, path: str) -> bool:
        """``/v1/decisions``, and whatever a gateway puts before it."""
        return path.endswith(_PATH)

    def read_request(self, body: bytes) -> RequestFacts | None:
        """The model; None when there is none, or no input, or no questions."""
        request = _request.read(body)
        asked = tolerant.opens(request.questions) in (b"[", b"{") and tolerant.size(request.input) > 0
        return RequestFacts(request.model) if asked and request.model is not None else None

    def read_response(self, body: bytes, streamed: bool, request: RequestFacts) -> ResponseFacts:
        """Model and usage. There is nothing that could have been cut short, so no finish reason."""
        response = _response.read(body)
        facts = ResponseFacts(response.id, response.model)
        if tolerant.opens(response.usage) == b"{":
            facts.usage = openai_usage.token_usage(_openai_usage.read(response.usage))
            facts.usage = facts.usage or gemini_interactions.usage_of(_google_usage.read(response.usage))
        facts.attributes.update(openai_usage.modalities(facts.usage))
        take_error(facts, response.error)
        return facts

    def input_content(self, body: bytes, limit: int) -> Content:
        """The input, with the questions as a message of their own."""
        from otel_agents.wire.providers import gemini_interactions_content, openai_responses_content

        request = _request.read(body)
        if tolerant.opens(request.questions) == b"{":
            content = gemini_interactions_content.read_input(body, limit)
        else:
            content = openai_responses_content.read_input(body, limit)
        questions = tolerant.encode(parts.anything(request.questions, limit))
        asked = {"role": "user", "parts": [parts.text(questions)]}
        content[semconv.INPUT_MESSAGES] = [*content.get(semconv.INPUT_MESSAGES, ()), asked]
        return content

    def output_content(self, body: bytes, streamed: bool, limit: int) -> Content:
        """The answers, as JSON."""
        answers = _response.read(body).answers
        if not tolerant.size(answers):
            return {}
        said = parts.text(tolerant.encode(parts.anything(answers, limit)))
        return {semconv.OUTPUT_MESSAGES: [{"role": "assistant", "parts": [said]}]}
