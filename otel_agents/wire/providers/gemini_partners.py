"""Models of other publishers at Vertex AI: ``rawPredict`` passes a request on in their own format.

The model is in the path: Anthropic's body has none, Mistral's repeats it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from otel_agents.wire.formats import RequestFacts
from otel_agents.wire.providers.anthropic_messages import AnthropicMessages
from otel_agents.wire.providers.gemini_paths import place
from otel_agents.wire.providers.mistral_chat import MistralChat

_METHODS: Final = ("rawPredict", "streamRawPredict")
_VERTEX: Final = "gcp.vertex_ai"


class VertexAnthropic(AnthropicMessages):
    """Claude at Vertex AI: Anthropic's Messages without the model."""

    name = "gemini.vertex_anthropic"
    provider = _VERTEX

    def __init__(self, model: str | None = None) -> None:
        self._model = model

    def matches(self, path: str) -> bool:
        """``publishers/anthropic/models/{model}:rawPredict``; counting tokens has that form as well."""
        found = place(path) if path.endswith(_METHODS) else None
        if found is None or found.method not in _METHODS:
            return False
        return found.publisher == "anthropic" and found.model != "count-tokens"

    def at(self, path: str) -> VertexAnthropic:
        """The format for the model of ``path``."""
        found = place(path)
        return VertexAnthropic(found.model if found is not None else None)

    def read_request(self, body: bytes) -> RequestFacts | None:
        """Model (of the path) and parameters; None when there are no messages."""
        start, brace, rest = body.partition(b"{")
        if self._model is None or start.strip() or not brace:
            return None
        # Put in front, where a model in the body itself would override it.
        return super().read_request(b'{"model":%b,%b' % (msgspec.json.encode(self._model), rest))


class VertexMistral(MistralChat):
    """Mistral's models at Vertex AI; the model is also in the body."""

    name = "gemini.vertex_mistral"

    def __init__(self, provider: str = _VERTEX, deployment: str | None = None) -> None:
        super().__init__(provider, deployment)

    def matches(self, path: str) -> bool:
        """``publishers/mistralai/models/{model}:rawPredict``."""
        found = place(path) if path.endswith(_METHODS) else None
        return found is not None and found.method in _METHODS and found.publisher == "mistralai"

    def at(self, path: str) -> VertexMistral:
        """The format for the model of ``path``."""
        found = place(path)
        return self if found is None else VertexMistral(deployment=found.model)
