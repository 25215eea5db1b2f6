"""Mistral's chat, fill-in-the-middle and agents: OpenAI's Chat Completions with words of their own.

The chat has OpenAI's path, so it is known by its host (see ``formats.dialects``). Cached tokens are
in ``prompt_tokens_details``, as at OpenAI.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from otel_agents import semconv
from otel_agents.wire import tolerant
from otel_agents.wire.formats import Content, RequestFacts, ResponseFacts
from otel_agents.wire.providers.openai_chat import OpenAIChat

_EMPTY: Final = msgspec.Raw(b"")
_MISTRAL: Final = "mistral_ai"
#: Attributes that say something of OpenAI's own API.
_OPENAI: Final = (
    semconv.OPENAI_API_TYPE,
    semconv.OPENAI_REQUEST_SERVICE_TIER,
    semconv.OPENAI_RESPONSE_SERVICE_TIER,
    semconv.OPENAI_SYSTEM_FINGERPRINT,
)

Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]  # what OTLP can carry


class _Request(msgspec.Struct, gc=False):
    """What :class:`OpenAIChat` does not look for."""

    prompt: msgspec.Raw = _EMPTY
    messages: msgspec.Raw = _EMPTY
    agent_id: str | None = None
    random_seed: Whole | None = None
    top_k: Whole | None = None


_request = tolerant.Lenient(_Request)


class MistralChat(OpenAIChat):
    """``/v1/chat/completions`` at Mistral."""

    name = "mistral.chat"

    def __init__(self, provider: str = _MISTRAL, deployment: str | None = None) -> None:
        super().__init__(provider, deployment)

    def at(self, path: str) -> MistralChat:
        """The same format: no path of Mistral's has a model in it."""
        return self

    def read_request(self, body: bytes) -> RequestFacts | None:
        """Model and parameters; None when there is no model or no list of messages."""
        facts = super().read_request(body)
        return None if facts is None else _completed(facts, _request.read(body))

    def read_response(self, body: bytes, streamed: bool, request: RequestFacts) -> ResponseFacts:
        """Id, model, usage and finish reasons."""
        facts = super().read_response(body, streamed, request)
        for name in _OPENAI:
            facts.attributes.pop(name, None)
        return facts

    def input_content(self, body: bytes, limit: int) -> Content:
        """Messages (system ones among them) and tools."""
        from otel_agents.wire.providers import mistral_content as content

        return content.own(super().input_content(body, limit))

    def output_content(self, body: bytes, streamed: bool, limit: int) -> Content:
        """One message for each choice."""
        from otel_agents.wire.providers import mistral_content as content

        if streamed:
            body = content.flattened(body)
        return content.own(super().output_content(body, streamed, limit))


class MistralAgents(MistralChat):
    """``/v1/agents/completions``: the agent knows its model, and the response says it."""

    name = "mistral.agents"

    def matches(self, path: str) -> bool:
        """``/v1/agents/completions``."""
        return path.endswith("/agents/completions")

    def read_request(self, body: bytes) -> RequestFacts | None:
        """The agent's id and parameters; None when there is no agent or no list of messages."""
        more = _request.read(body)
        start, brace, rest = body.partition(b"{")
        if more.agent_id is None or start.strip() or not brace:
            return None
        facts = OpenAIChat.read_request(self, b'{"model":"",%b' % rest)
        if facts is None:
            return None
        facts.model = None
        facts.attributes[semconv.AGENT_ID] = more.agent_id
        return _completed(facts, more)


class MistralFim(MistralChat):
    """``/v1/fim/completions``: code before and after in, the code between out, as in a chat."""

    name = "mistral.fim"
    operation = semconv.OP_TEXT_COMPLETION

    def matches(self, path: str) -> bool:
        """``/v1/fim/completions``."""
        return path.endswith("/fim/completions")

    def read_request(self, body: bytes) -> RequestFacts | None:
        """Model and parameters; None when there is no model or no prompt."""
        more = _request.read(body)
        start, brace, rest = body.partition(b"{")
        if tolerant.opens(more.prompt) != b'"' or start.strip() or not brace:
            return None
        # The parameters are those of a chat, which has messages.
        facts = OpenAIChat.read_request(self, b'{"messages":[],%b' % rest)
        return None if facts is None else _completed(facts, more)

    def input_content(self, body: bytes, limit: int) -> Content:
        """The code before and after as a user's message."""
        from otel_agents.wire.providers import mistral_content as content

        return content.read_fim(body, limit)


def _completed(facts: RequestFacts, more: _Request) -> RequestFacts:
    for name in _OPENAI:
        facts.attributes.pop(name, None)
    if more.random_seed is not None:
        facts.attributes[semconv.REQUEST_SEED] = more.random_seed
    if more.top_k is not None:
        facts.attributes[semconv.REQUEST_TOP_K] = more.top_k
    return facts
