"""Google's embeddings: ``embedContent``, ``batchEmbedContents``, and ``predict`` of Vertex's embedders."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from otel_agents import semconv
from otel_agents.accounting import Usage
from otel_agents.wire import tolerant
from otel_agents.wire.formats import Content, RequestFacts, ResponseFacts
from otel_agents.wire.providers import gemini_usage
from otel_agents.wire.providers.gemini_paths import Place, place
from otel_agents.wire.providers.gemini_usage import UsageMetadata
from otel_agents.wire.providers.openai_embeddings import DIMENSIONS
from otel_agents.wire.remains import remains

_METHODS: Final = ("embedContent", "batchEmbedContents", "predict")
_EMBEDDERS: Final = ("embedding", "gecko")
_EMPTY: Final = msgspec.Raw(b"")

Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _Config(msgspec.Struct, gc=False, rename="camel"):
    """Where ``outputDimensionality`` may be: in the request, its items, or an object of parameters."""

    output_dimensionality: Count | None = None
    embed_content_config: _Config | None = None


class _Request(msgspec.Struct, gc=False, rename="camel"):
    content: msgspec.Raw = _EMPTY
    requests: list[_Config] | None = None
    instances: msgspec.Raw = _EMPTY
    parameters: _Config | None = None
    output_dimensionality: Count | None = None
    embed_content_config: _Config | None = None


class _Statistics(msgspec.Struct, gc=False):
    token_count: float | None = None


class _Embeddings(msgspec.Struct, gc=False):
    statistics: _Statistics | None = None


class _Prediction(msgspec.Struct, gc=False):
    embeddings: _Embeddings | None = None


class _Error(msgspec.Struct, gc=False):
    status: str | None = None
    message: str | None = None


class _Response(msgspec.Struct, gc=False, rename="camel"):
    usage_metadata: UsageMetadata | None = None
    predictions: list[_Prediction] | None = None
    error: _Error | None = None


_request = tolerant.Lenient(_Request)
_response = tolerant.Lenient(_Response)


class GeminiEmbed:
    """See the module. ``at`` is where a request goes; without it the format only finds its paths."""

    operation = semconv.OP_EMBEDDINGS

    def __init__(self, at: Place | None = None) -> None:
        self.name = "gemini.embed"
        self.provider = "gcp.gemini" if at is None else at.provider
        self._place = at

    def matches(self, path: str) -> bool:
        """The two methods, and ``predict`` where the model's name says that it embeds."""
        found = place(path) if path.endswith(_METHODS) else None
        if found is None or found.method not in _METHODS:
            return False
        return found.method != "predict" or any(word in found.model for word in _EMBEDDERS)

    def at(self, path: str) -> GeminiEmbed:
        """The format for the model of ``path``."""
        return GeminiEmbed(place(path))

    def read_request(self, body: bytes) -> RequestFacts | None:
        """The model (of the path); None when there is nothing to embed."""
        if self._place is None:
            return None
        request = _request.read(body)
        given = tolerant.opens(request.content) == b"{" or tolerant.opens(request.instances) == b"["
        if not given and request.requests is None:
            return None
        facts = RequestFacts(self._place.model, choices=0)
        size = _size(request)
        if size is not None:
            facts.attributes[DIMENSIONS] = size
        return facts

    def salvage(self, head: bytes, tail: bytes) -> bytes:
        """What matters of an answer that was too big to keep; the counts of ``predict`` are lost."""
        return msgspec.json.encode(remains(head, tail, "usageMetadata"))

    def read_response(self, body: bytes, streamed: bool, request: RequestFacts) -> ResponseFacts:
        """Tokens, which older models do not report at Google AI."""
        response = _response.read(body)
        facts = ResponseFacts()
        if response.usage_metadata is not None:
            facts.usage = gemini_usage.convert(response.usage_metadata)
        elif response.predictions:
            facts.usage = _predicted(response.predictions)
        if response.error is not None:
            facts.error_type = response.error.status or "_OTHER"
            facts.error_message = response.error.message
        return facts

    def input_content(self, body: bytes, limit: int) -> Content:
        """Nothing: the conventions have no content for embeddings."""
        return {}

    def output_content(self, body: bytes, streamed: bool, limit: int) -> Content:
        """Nothing."""
        return {}


def _size(request: _Request) -> int | None:
    first = request.requests[0] if request.requests else None
    for holder in (request, request.embed_content_config, request.parameters, first):
        if holder is not None:
            inner = holder.embed_content_config if isinstance(holder, _Config) else None
            size = holder.output_dimensionality or (inner.output_dimensionality if inner else None)
            if size is not None:
                return size
    return None


def _predicted(predictions: list[_Prediction]) -> Usage | None:
    """The sum over all texts; each says its own count."""
    counts = [
        tolerant.count(prediction.embeddings.statistics.token_count)
        for prediction in predictions
        if prediction.embeddings is not None and prediction.embeddings.statistics is not None
    ]
    known = [count for count in counts if count is not None]
    return Usage(sum(known)) if known else None
