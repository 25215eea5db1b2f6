"""Embeddings of Ollama's own API: ``POST /api/embed``, and the older ``/api/embeddings``."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from otel_agents import semconv
from otel_agents.accounting import Usage
from otel_agents.wire import parts, tolerant
from otel_agents.wire.formats import Content, RequestFacts, ResponseFacts
from otel_agents.wire.providers.openai_embeddings import DIMENSIONS
from otel_agents.wire.remains import remains

_EMPTY: Final = msgspec.Raw(b"")

Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _Request(msgspec.Struct, gc=False):
    model: str | None = None
    input: msgspec.Raw = _EMPTY
    prompt: msgspec.Raw = _EMPTY
    dimensions: Count | None = None


class _Response(msgspec.Struct, gc=False):
    model: str | None = None
    prompt_eval_count: Count | None = None
    error: msgspec.Raw = _EMPTY


_request = tolerant.Lenient(_Request)
_response = tolerant.Lenient(_Response)


class OllamaEmbed:
    """See the module."""

    name = "ollama.embed"
    provider = "ollama"
    operation = semconv.OP_EMBEDDINGS

    def matches(self, path: str) -> bool:
        """``/api/embed`` and ``/api/embeddings``."""
        return path.endswith(("/api/embed", "/api/embeddings"))

    def read_request(self, body: bytes) -> RequestFacts | None:
        """The model; None when there is none, or nothing to embed."""
        request = _request.read(body)
        wanted = request.input if tolerant.size(request.input) else request.prompt
        if request.model is None or tolerant.opens(wanted) not in (b'"', b"["):
            return None
        facts = RequestFacts(request.model, choices=0)
        if request.dimensions is not None:
            facts.attributes[DIMENSIONS] = request.dimensions
        return facts

    def salvage(self, head: bytes, tail: bytes) -> bytes:
        """What matters of an answer that was too big to keep."""
        return msgspec.json.encode(remains(head, tail, "model", "prompt_eval_count"))

    def read_response(self, body: bytes, streamed: bool, request: RequestFacts) -> ResponseFacts:
        """Model and count; the older path has neither."""
        response = _response.read(body)
        facts = ResponseFacts(model=response.model)
        if response.prompt_eval_count is not None:
            facts.usage = Usage(response.prompt_eval_count)
        if tolerant.opens(response.error) == b'"':
            facts.error_type = "_OTHER"
            facts.error_message = parts.cut_string(response.error, 2000)
        return facts

    def input_content(self, body: bytes, limit: int) -> Content:
        """Nothing: the conventions have no content for embeddings."""
        return {}

    def output_content(self, body: bytes, streamed: bool, limit: int) -> Content:
        """Nothing."""
        return {}
