"""What a wire format is, and which ones there are.

A format knows one HTTP API: how its requests look, and how model, usage and messages are read from
the bytes of request and response. It knows nothing of HTTP clients, spans or prices. Formats of
other packages are found through entry points of the group ``otel_agents.wire_formats``; each is a
:class:`WireFormat` or a function without arguments that makes one.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

import msgspec

from otel_agents.accounting import Usage

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue

logger = logging.getLogger(__name__)

ENTRY_POINTS: Final = "otel_agents.wire_formats"

#: Finish reason of an answer that was expected to say one and did not (conventions, 1.1).
NOT_FINISHED: Final = "error"


class RequestFacts(msgspec.Struct):
    """What a request says of itself, read before it is sent.

    ``attributes`` are span attributes beyond model and stream; ``choices`` is how many answers
    were asked for.
    """

    model: str | None = None
    stream: bool = False
    choices: int = 1
    service_tier: str | None = None
    attributes: dict[str, AttributeValue] = msgspec.field(default_factory=dict)


class ResponseFacts(msgspec.Struct):
    """What a response says, read once it is over; everything may be missing.

    ``unreadable`` names what kept it from being read: ``malformed_json``, ``html``, ``empty`` ...
    ``error_type`` and ``error_message`` are of an error that the body reports.
    """

    id: str | None = None
    model: str | None = None
    usage: Usage | None = None
    finish_reasons: list[str] = msgspec.field(default_factory=list)
    service_tier: str | None = None
    error_type: str | None = None
    error_message: str | None = None
    unreadable: str | None = None
    attributes: dict[str, AttributeValue] = msgspec.field(default_factory=dict)


#: Content by attribute name (``gen_ai.input.messages`` ...), as lists in the conventions' schema.
Content = dict[str, list[Any]]


@runtime_checkable
class WireFormat(Protocol):
    """One HTTP API of one kind of provider. Every method may raise ValueError for what it cannot read.

    Some formats have more methods, which are asked for when they are there: ``at(path)`` (see
    ``recognise``), ``is_stream(head, headers)`` for streams that are no server-sent events, and
    ``salvage(head, tail)``, a small body made of both ends of one that was too big (see ``reading``).
    ``strict = True`` says that others have calls of another kind at such paths, also hosts that are known:
    a request of another shape is none of the format's then.

    Attributes:
        name: unique, such as ``openai.chat``.
        provider: value of ``gen_ai.provider.name`` when the host does not tell.
        operation: value of ``gen_ai.operation.name``.
    """

    name: str
    provider: str
    operation: str

    def matches(self, path: str) -> bool:
        """Whether a POST to ``path`` (no query) may be a call of this kind.

        A format that depends on the path (the model is in it) also has ``at(path) -> WireFormat``.
        """
        ...

    def read_request(self, body: bytes) -> RequestFacts | None:
        """Model and parameters; None when the body has another shape. Runs before the request is sent."""
        ...

    def read_response(self, body: bytes, streamed: bool, request: RequestFacts) -> ResponseFacts:
        """Id, model, usage, finish reasons of a (decompressed) body, also of one that was cut short.

        ``streamed``: the body is an event stream. Runs on the caller's thread: cheap, no content.
        """
        ...

    def input_content(self, body: bytes, limit: int) -> Content:
        """Messages, instructions and tools of a request; values beyond ``limit`` characters may be cut."""
        ...

    def output_content(self, body: bytes, streamed: bool, limit: int) -> Content:
        """Messages of a response, assembled from its events when it was streamed."""
        ...


_formats: tuple[WireFormat, ...] | None = None


def formats() -> tuple[WireFormat, ...]:
    """All formats: those of other packages first, so that they can take precedence over ours."""
    global _formats
    if _formats is None:
        from otel_agents.wire.providers.anthropic_messages import AnthropicMessages
        from otel_agents.wire.providers.bedrock_converse import BedrockConverse
        from otel_agents.wire.providers.bedrock_invoke import BedrockInvoke
        from otel_agents.wire.providers.cohere_chat import CohereChat
        from otel_agents.wire.providers.cohere_embed import CohereEmbed
        from otel_agents.wire.providers.gemini_embed import GeminiEmbed
        from otel_agents.wire.providers.gemini_generate import GeminiGenerate
        from otel_agents.wire.providers.gemini_interactions import GeminiInteractions
        from otel_agents.wire.providers.gemini_partners import VertexAnthropic, VertexMistral
        from otel_agents.wire.providers.mistral_chat import MistralAgents, MistralFim
        from otel_agents.wire.providers.mistral_conversations import MistralConversations
        from otel_agents.wire.providers.ollama_chat import OllamaChat, OllamaGenerate
        from otel_agents.wire.providers.ollama_embed import OllamaEmbed
        from otel_agents.wire.providers.openai_audio import OpenAISpeech, OpenAITranscription
        from otel_agents.wire.providers.openai_chat import OpenAIChat
        from otel_agents.wire.providers.openai_completions import OpenAICompletions
        from otel_agents.wire.providers.openai_decisions import OpenAIDecisions
        from otel_agents.wire.providers.openai_embeddings import OpenAIEmbeddings
        from otel_agents.wire.providers.openai_images import OpenAIImages
        from otel_agents.wire.providers.openai_responses import OpenAIResponses

        _formats = (
            *_from_entry_points(),
            OpenAIChat(),
            AnthropicMessages(),
            BedrockConverse(),
            BedrockInvoke(),
            GeminiGenerate(),
            GeminiEmbed(),
            GeminiInteractions(),
            VertexAnthropic(),
            VertexMistral(),
            MistralFim(),
            MistralAgents(),
            MistralConversations(),
            CohereChat(),
            CohereEmbed(),
            OllamaChat(),
            OllamaGenerate(),
            OllamaEmbed(),
            OpenAIResponses(),
            OpenAIDecisions(),
            OpenAIEmbeddings(),
            OpenAICompletions(),
            OpenAIImages(),
            OpenAITranscription(),
            OpenAISpeech(),
        )
    return _formats


def dialect(wire_format: WireFormat, provider: str | None) -> WireFormat:
    """The format as ``provider`` speaks it: Mistral's chat has OpenAI's path and words of its own."""
    if not _dialects:
        from otel_agents.wire.providers.mistral_chat import MistralChat

        _dialects["openai.chat", "mistral_ai"] = MistralChat()
    return _dialects.get((wire_format.name, provider or ""), wire_format)


_dialects: dict[tuple[str, str], WireFormat] = {}


def register(wire_format: WireFormat) -> None:
    """Adds a format in front of the others; one of the same name is replaced."""
    global _formats
    _formats = (wire_format, *(known for known in formats() if known.name != wire_format.name))


def _from_entry_points() -> list[WireFormat]:
    from importlib.metadata import entry_points

    found: list[WireFormat] = []
    for entry in entry_points(group=ENTRY_POINTS):
        try:
            loaded = entry.load()
            made = loaded() if callable(loaded) else loaded
            if not isinstance(made, WireFormat):
                raise TypeError(f"{made!r} is not a WireFormat")
            found.append(made)
        except Exception:
            logger.warning("otel-agents: could not load the wire format %r", entry.name, exc_info=True)
    return found
