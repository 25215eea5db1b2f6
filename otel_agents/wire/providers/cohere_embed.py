"""Cohere's embeddings: ``POST /v2/embed``, and ``/v1/embed``, whose answers are alike."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from otel_agents import semconv
from otel_agents.accounting import Usage
from otel_agents.accounting.metered import MeteredUsage
from otel_agents.wire import parts, tolerant
from otel_agents.wire.formats import Content, RequestFacts, ResponseFacts
from otel_agents.wire.providers.openai_embeddings import DIMENSIONS, ENCODINGS
from otel_agents.wire.remains import remains

_EMPTY: Final = msgspec.Raw(b"")

Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _Request(msgspec.Struct, gc=False):
    model: str | None = None
    texts: msgspec.Raw = _EMPTY
    images: msgspec.Raw = _EMPTY
    inputs: msgspec.Raw = _EMPTY
    output_dimension: Count | None = None
    embedding_types: list[str] | None = None


class _Billed(msgspec.Struct, gc=False):
    input_tokens: Any = None
    text_tokens: Any = None
    image_tokens: Any = None


class _Meta(msgspec.Struct, gc=False):
    billed_units: _Billed | None = None


class _Response(msgspec.Struct, gc=False):
    id: str | None = None
    meta: _Meta | None = None
    message: msgspec.Raw = _EMPTY


_request = tolerant.Lenient(_Request)
_response = tolerant.Lenient(_Response)


class CohereEmbed:
    """See the module."""

    name = "cohere.embed"
    provider = "cohere"
    operation = semconv.OP_EMBEDDINGS

    def matches(self, path: str) -> bool:
        """``/v2/embed`` and ``/v1/embed``."""
        return path.endswith(("/v2/embed", "/v1/embed"))

    def read_request(self, body: bytes) -> RequestFacts | None:
        """The model; None when there is none, or nothing to embed."""
        request = _request.read(body)
        given = (request.texts, request.images, request.inputs)
        if request.model is None or not any(tolerant.opens(raw) == b"[" for raw in given):
            return None
        facts = RequestFacts(request.model, choices=0)
        if request.output_dimension is not None:
            facts.attributes[DIMENSIONS] = request.output_dimension
        if request.embedding_types:
            facts.attributes[ENCODINGS] = request.embedding_types
        return facts

    def salvage(self, head: bytes, tail: bytes) -> bytes:
        """What matters of an answer that was too big to keep."""
        return msgspec.json.encode(remains(head, tail, "id", "meta"))

    def read_response(self, body: bytes, streamed: bool, request: RequestFacts) -> ResponseFacts:
        """Id and billed tokens."""
        response = _response.read(body)
        facts = ResponseFacts(id=response.id)
        if response.meta is not None and response.meta.billed_units is not None:
            facts.usage = _usage(response.meta.billed_units)
        if tolerant.opens(response.message) == b'"':
            facts.error_type, facts.error_message = "_OTHER", parts.cut_string(response.message, 2000)
        return facts

    def input_content(self, body: bytes, limit: int) -> Content:
        """Nothing: the conventions have no content for embeddings."""
        return {}

    def output_content(self, body: bytes, streamed: bool, limit: int) -> Content:
        """Nothing."""
        return {}


def _usage(billed: _Billed) -> Usage | None:
    """Text and image tokens together; older models only say ``input_tokens``, newer ones all three."""
    counts = [tolerant.count(value) for value in (billed.input_tokens, billed.text_tokens)]
    images = tolerant.count(billed.image_tokens) or 0
    if not images and all(count is None for count in counts):
        return None
    total = max(counts[0] or 0, (counts[1] or 0) + images)
    return MeteredUsage(total, input_image=images) if images else Usage(total)
