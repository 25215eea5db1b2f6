"""OpenAI embeddings: ``POST .../embeddings``. The conventions know no content for them, so none is read."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from otel_agents import semconv
from otel_agents.accounting import Usage
from otel_agents.wire import tolerant
from otel_agents.wire.formats import Content, RequestFacts, ResponseFacts
from otel_agents.wire.providers import openai_azure
from otel_agents.wire.providers.openai_errors import take_error
from otel_agents.wire.providers.openai_usage import ChatUsage, chat_usage

DIMENSIONS: Final = "gen_ai.embeddings.dimension.count"
ENCODINGS: Final = "gen_ai.request.encoding_formats"

_EMPTY: Final = msgspec.Raw(b"")

Size = Annotated[int, msgspec.Meta(ge=1, le=2**31)]


class _Request(msgspec.Struct, gc=False):
    model: str | None = None
    input: msgspec.Raw = _EMPTY
    dimensions: Size | None = None
    encoding_format: str | None = None


class _Response(msgspec.Struct, gc=False):
    """The list of vectors is not decoded: it is most of the body and says nothing here."""

    model: str | None = None
    usage: ChatUsage | None = None
    error: msgspec.Raw = _EMPTY


_request = tolerant.Lenient(_Request)
_response = tolerant.Lenient(_Response)


class OpenAIEmbeddings:
    """See the module. On Azure, ``deployment`` is the model that is asked for."""

    name = "openai.embeddings"
    operation = semconv.OP_EMBEDDINGS

    def __init__(self, provider: str = "openai", deployment: str | None = None) -> None:
        self.provider = provider
        self._deployment = deployment

    def at(self, path: str) -> OpenAIEmbeddings:
        """The format for ``path``, which on Azure has the deployment in it."""
        place = openai_azure.place(path)
        return self if place is None else OpenAIEmbeddings(*place)

    def matches(self, path: str) -> bool:
        """``/v1/embeddings`` and whatever a gateway puts before it."""
        return path.endswith("/embeddings")

    def read_request(self, body: bytes) -> RequestFacts | None:
        """Model, dimensions, encoding; None when there is no model or no input."""
        request = _request.read(body)
        model = self._deployment or request.model
        if model is None or tolerant.opens(request.input) not in (b'"', b"["):
            return None
        facts = RequestFacts(model)
        if request.dimensions is not None:
            facts.attributes[DIMENSIONS] = request.dimensions
        if request.encoding_format:
            facts.attributes[ENCODINGS] = [request.encoding_format]
        return facts

    def read_response(self, body: bytes, streamed: bool, request: RequestFacts) -> ResponseFacts:
        """Model and input tokens."""
        response = _response.read(body)
        facts = ResponseFacts(model=response.model)
        if response.usage is not None:
            facts.usage = _input_only(response.usage)
        take_error(facts, response.error)
        return facts

    def input_content(self, body: bytes, limit: int) -> Content:
        """Nothing."""
        return {}

    def output_content(self, body: bytes, streamed: bool, limit: int) -> Content:
        """Nothing."""
        return {}


def _input_only(usage: ChatUsage) -> Usage | None:
    """Some servers give the total only; vectors are no output tokens."""
    if usage.prompt_tokens is None:
        usage.prompt_tokens = usage.total_tokens
    usage.completion_tokens = None
    return chat_usage(usage)
