"""Google's Interactions API: ``POST .../interactions``, plain and streamed, at Google AI and at Vertex AI.

An interaction has a state, as OpenAI's responses have: it goes on from an earlier one, and may be made in
the background. Then it is answered ``in_progress`` and without usage, and what it used is only known to
whoever fetches it.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from otel_agents import semconv
from otel_agents.accounting import Usage
from otel_agents.accounting.metered import MeteredUsage
from otel_agents.wire import sse, tolerant
from otel_agents.wire.formats import NOT_FINISHED, Content, RequestFacts, ResponseFacts
from otel_agents.wire.providers.openai_usage import modalities
from otel_agents.wire.remains import remains

PREVIOUS: Final = "gen_ai.request.previous_response.id"
STATUS: Final = "gen_ai.response.status"

_PATH: Final = "/interactions"
_EMPTY: Final = msgspec.Raw(b"")
_LAST: Final = (b'"usage":{', b'"usage": {')
_UNDER_WAY: Final = ("queued", "in_progress")
#: Status → the conventions' word for why it ended; others are their own.
_REASONS: Final = {
    "completed": "stop", "requires_action": "tool_call", "incomplete": "length", "failed": NOT_FINISHED,
    "cancelled": NOT_FINISHED,
}  # fmt: skip

Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]  # what OTLP can carry
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _Config(msgspec.Struct, gc=False):
    temperature: float | None = None
    top_p: float | None = None
    max_output_tokens: Whole | None = None
    seed: Whole | None = None
    stop_sequences: list[str] | None = None
    thinking_level: str | None = None


class _Request(msgspec.Struct, gc=False):
    model: str | None = None
    agent: str | None = None
    input: msgspec.Raw = _EMPTY
    stream: bool | None = None
    previous_interaction_id: str | None = None
    generation_config: _Config | None = None
    response_mime_type: str | None = None
    service_tier: str | None = None


class _Part(msgspec.Struct, gc=False):
    modality: str | None = None
    tokens: Count | None = None


class Totals(msgspec.Struct, gc=False):
    """``usage`` of an interaction."""

    total_input_tokens: Count | None = None
    total_cached_tokens: Count | None = None
    total_output_tokens: Count | None = None
    total_thought_tokens: Count | None = None
    total_tool_use_tokens: Count | None = None
    input_tokens_by_modality: list[_Part] | None = None
    cached_tokens_by_modality: list[_Part] | None = None
    output_tokens_by_modality: list[_Part] | None = None
    tool_use_tokens_by_modality: list[_Part] | None = None


class _Error(msgspec.Struct, gc=False):
    code: str | int | None = None
    status: str | None = None
    message: str | None = None


class _Interaction(msgspec.Struct, gc=False):
    """An interaction, or an error body."""

    id: str | None = None
    model: str | None = None
    status: str | None = None
    service_tier: str | None = None
    usage: Totals | None = None
    error: _Error | None = None
    errors: list[_Error] | None = None


class _Event(msgspec.Struct, gc=False):
    interaction: _Interaction | None = None
    status: str | None = None
    usage: Totals | None = None
    error: _Error | None = None


_request = tolerant.Lenient(_Request)
_interaction = tolerant.Lenient(_Interaction)
_event = tolerant.Lenient(_Event)


class GeminiInteractions:
    """See the module."""

    name = "gemini.interactions"
    operation = semconv.OP_CHAT

    def __init__(self, provider: str = "gcp.gemini") -> None:
        self.provider = provider

    def at(self, path: str) -> GeminiInteractions:
        """The format for ``path``, which at Vertex AI has the project in it."""
        return GeminiInteractions("gcp.vertex_ai") if "/projects/" in path else self

    def matches(self, path: str) -> bool:
        """``/v1beta/interactions``; cancelling one is another path."""
        return path.endswith(_PATH)

    def read_request(self, body: bytes) -> RequestFacts | None:
        """Model (or the agent's name) and parameters; None when there is no input."""
        request = _request.read(body)
        if tolerant.opens(request.input) not in (b'"', b"[", b"{"):
            return None
        if request.model is None and request.agent is None:
            return None
        facts = RequestFacts(request.model, request.stream is True, 1, request.service_tier)
        config = request.generation_config or _Config()
        known: dict[str, Any] = {
            semconv.AGENT_ID: request.agent,
            semconv.REQUEST_MAX_TOKENS: config.max_output_tokens,
            semconv.REQUEST_TEMPERATURE: config.temperature,
            semconv.REQUEST_TOP_P: config.top_p,
            semconv.REQUEST_SEED: config.seed,
            semconv.REQUEST_STOP_SEQUENCES: config.stop_sequences or None,
            semconv.REQUEST_REASONING_LEVEL: config.thinking_level,
            semconv.OUTPUT_TYPE: "json" if request.response_mime_type == "application/json" else None,
            PREVIOUS: request.previous_interaction_id,
        }
        facts.attributes.update((name, value) for name, value in known.items() if value)
        return facts

    def salvage(self, head: bytes, tail: bytes) -> bytes:
        """What matters of an answer that was too big to keep, such as one with images."""
        return msgspec.json.encode(remains(head, tail, "id", "model", "status", "usage"))

    def read_response(self, body: bytes, streamed: bool, request: RequestFacts) -> ResponseFacts:
        """Id, model, usage, service tier, and a finish reason made of the status."""
        facts = ResponseFacts()
        status: str | None = None
        if not streamed:
            status = _take(facts, _interaction.read(body))
        else:
            for data in _events(body):
                try:
                    event = _event.read(data)
                except ValueError:
                    continue  # one garbled event does not spoil the others
                if event.interaction is not None:
                    status = _take(facts, event.interaction) or status
                facts.usage = usage_of(event.usage) or facts.usage
                status = event.status or status
                _take_error(facts, event.error)
        facts.attributes.update(modalities(facts.usage))
        if status in _UNDER_WAY and not streamed:
            facts.attributes[STATUS] = status
        elif streamed or facts.error_type is None or status is not None:
            ended = status is not None and status not in _UNDER_WAY
            facts.finish_reasons = [_REASONS.get(status or "", status or "") if ended else NOT_FINISHED]
        return facts

    def input_content(self, body: bytes, limit: int) -> Content:
        """What was asked, instructions and tools."""
        from otel_agents.wire.providers import gemini_interactions_content as content

        return content.read_input(body, limit)

    def output_content(self, body: bytes, streamed: bool, limit: int) -> Content:
        """One message with everything that the model produced."""
        from otel_agents.wire.providers import gemini_interactions_content as content

        return content.read_streamed(body, limit) if streamed else content.read_output(body, limit)


def _events(body: bytes) -> list[bytes]:
    """The events that say more than a piece of text."""
    found = (event.data for event in sse.events((body,)))
    wanted = (b'"interaction"', b'"usage"', b'"error"', b'"status"')
    return [data for data in found if data.startswith(b"{") and any(word in data for word in wanted)]


def _take(facts: ResponseFacts, interaction: _Interaction) -> str | None:
    facts.id = interaction.id or facts.id
    facts.model = interaction.model or facts.model
    facts.service_tier = interaction.service_tier or facts.service_tier
    facts.usage = usage_of(interaction.usage) or facts.usage
    for error in (interaction.error, *(interaction.errors or ())):
        _take_error(facts, error)
    return interaction.status


def _take_error(facts: ResponseFacts, error: _Error | None) -> None:
    if error is not None:
        facts.error_type = error.status or (str(error.code) if error.code else "_OTHER")
        facts.error_message = error.message


def usage_of(usage: Totals | None) -> Usage | None:
    """Thoughts and what tools put in front of the model are beside the totals, as in ``usageMetadata``."""
    if usage is None or (usage.total_input_tokens is None and usage.total_output_tokens is None):
        return None
    sent = (usage.total_input_tokens or 0) + (usage.total_tool_use_tokens or 0)
    thought = usage.total_thought_tokens or 0
    found = MeteredUsage(
        input=sent,
        output=(usage.total_output_tokens or 0) + thought,
        cache_read=min(usage.total_cached_tokens or 0, sent),
        reasoning=thought,
        input_audio=_of("audio", usage.input_tokens_by_modality, usage.tool_use_tokens_by_modality),
        output_audio=_of("audio", usage.output_tokens_by_modality),
        cache_audio_read=_of("audio", usage.cached_tokens_by_modality),
        input_image=_of("image", usage.input_tokens_by_modality, usage.tool_use_tokens_by_modality),
        output_image=_of("image", usage.output_tokens_by_modality),
        cache_image_read=_of("image", usage.cached_tokens_by_modality),
    )
    if found.meters():
        return found
    return Usage(*(getattr(found, name) for name in Usage.__struct_fields__))


def _of(modality: str, *counts: list[_Part] | None) -> int:
    return sum(
        part.tokens or 0
        for parts in counts
        for part in parts or ()
        if (part.modality or "").lower() == modality
    )
