"""Amazon Bedrock's InvokeModel and InvokeModelWithResponseStream, whose bodies are the model's own.

``POST /model/{id}/invoke`` and ``.../invoke-with-response-stream``. Whose words a body speaks is told
by the body itself, because an inference profile's ARN does not name the model: Anthropic's, OpenAI's
(gpt-oss, Mistral, Qwen, Jamba ...) and Nova's are read by the formats that know them, plain prompts
by ``bedrock_text``. Counts that the body lacks are in the headers or in the last event of a stream.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec

from otel_agents import semconv
from otel_agents.accounting import Usage
from otel_agents.wire import eventstream, salvage, tolerant
from otel_agents.wire.formats import Content, RequestFacts, ResponseFacts
from otel_agents.wire.providers import bedrock_converse as converse
from otel_agents.wire.providers import bedrock_paths, bedrock_text
from otel_agents.wire.providers.anthropic_messages import AnthropicMessages
from otel_agents.wire.providers.openai_chat import OpenAIChat

_STREAM: Final = "invoke-with-response-stream"
_ACTIONS: Final = ("invoke", _STREAM)
_EMPTY: Final = msgspec.Raw(b"")
_METRICS: Final = b'"amazon-bedrock-invocationMetrics"'
_HEADER: Final = "x-amzn-bedrock-"

Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _Shape(msgspec.Struct, gc=False):
    messages: msgspec.Raw = _EMPTY
    anthropic_version: msgspec.Raw = _EMPTY
    inferenceConfig: msgspec.Raw = _EMPTY
    schemaVersion: msgspec.Raw = _EMPTY


class _Piece(msgspec.Struct, gc=False, rename={"said": "bytes"}):
    said: bytes = b""  # base64 in the JSON
    message: str | None = None


class _Counts(msgspec.Struct, gc=False):
    inputTokenCount: Count | None = None
    outputTokenCount: Count | None = None
    cacheReadInputTokenCount: Count | None = None
    cacheWriteInputTokenCount: Count | None = None


class _Metrics(msgspec.Struct, gc=False, rename={"metrics": "amazon-bedrock-invocationMetrics"}):
    metrics: _Counts | None = None


_shape = tolerant.Lenient(_Shape)
_piece = tolerant.Lenient(_Piece)
_metrics = tolerant.Lenient(_Metrics)


class BedrockInvoke:
    """See the module. One object for each call: it remembers whose words the request spoke."""

    name = "bedrock.invoke"
    provider = "aws.bedrock"

    def __init__(self, model: str | None = None, stream: bool = False) -> None:
        embeds = model is not None and "embed" in model
        self.operation = semconv.OP_EMBEDDINGS if embeds else semconv.OP_CHAT
        self._model = model
        self._stream = stream
        self._speaks = ""

    def at(self, path: str) -> BedrockInvoke:
        """The format for the model in ``path``."""
        return BedrockInvoke(bedrock_paths.model(path), path.endswith(_STREAM))

    def matches(self, path: str) -> bool:
        """``/model/{id}/invoke`` and ``/model/{id}/invoke-with-response-stream``, whatever is before it."""
        return bedrock_paths.action(path) in _ACTIONS

    def read_request(self, body: bytes) -> RequestFacts | None:
        """Parameters; None when the body is none of a known model."""
        self._speaks = self._language(body)
        facts: RequestFacts | None
        if self._speaks == "anthropic":
            facts = AnthropicMessages().read_request(self._with_model(body))
        elif self._speaks == "openai":
            facts = OpenAIChat(self.provider, self._model).read_request(body)
            if facts is not None:
                facts.attributes.pop(semconv.OPENAI_API_TYPE, None)
        elif self._speaks == "nova":
            facts = converse.read_request(body, self._model, self._stream)
        else:
            facts = bedrock_text.read_request(body)
            if facts is not None and self.operation != semconv.OP_EMBEDDINGS:
                self.operation = semconv.OP_TEXT_COMPLETION
        if facts is not None:
            facts.model = self._model
            facts.stream = self._stream
        return facts

    def read_response(self, body: bytes, streamed: bool, request: RequestFacts) -> ResponseFacts:
        """What the model's own format says, and the service's counts where that says none."""
        if not streamed:
            return self._read_whole(body, request)
        pieces, error = _pieces(body)
        if self._speaks == "anthropic":
            facts = AnthropicMessages().read_response(_sse(pieces), True, request)
        elif self._speaks == "openai":
            facts = OpenAIChat(self.provider).read_response(_sse(pieces), True, request)
        elif self._speaks == "nova":
            facts = converse.read_events(("", piece, False) for piece in pieces)
        else:
            facts = bedrock_text.read_pieces(pieces)
        facts.usage = facts.usage or _counted(pieces)
        if error is not None:
            facts.error_type, facts.error_message = error
        return facts

    def _read_whole(self, body: bytes, request: RequestFacts) -> ResponseFacts:
        if self._speaks == "anthropic":
            facts = AnthropicMessages().read_response(body, False, request)
        elif self._speaks == "openai":
            facts = OpenAIChat(self.provider).read_response(body, False, request)
        elif self._speaks == "nova":
            facts = converse.read_response(body)
        else:
            facts = bedrock_text.read_pieces([body])
        if facts.usage is None and facts.error_message is None:
            # Errors are the service's and look the same whatever the model.
            facts.error_message = converse.read_response(body).error_message
        if self.operation == semconv.OP_EMBEDDINGS:
            facts.finish_reasons = []
        return facts

    def salvage(self, head: bytes, tail: bytes) -> bytes:
        """What is left of an answer that was too big to keep."""
        return converse.essentials(head, tail) if self._speaks == "nova" else salvage.essentials(head, tail)

    def read_headers(self, facts: ResponseFacts, headers: Mapping[str, str]) -> None:
        """The service's counts, if the body had none, its tier and the id of the request."""
        converse.take_request_id(facts, headers)
        facts.service_tier = facts.service_tier or headers.get(f"{_HEADER}service-tier")
        if facts.usage is None:
            given = [headers.get(f"{_HEADER}{name}-token-count", "") for name in _COUNTED]
            facts.usage = _usage(*(int(count) if count.isdecimal() else None for count in given))

    def input_content(self, body: bytes, limit: int) -> Content:
        """Messages or prompt of the request."""
        speaks = self._speaks or self._language(body)
        if speaks == "anthropic":
            return AnthropicMessages().input_content(body, limit)
        if speaks == "openai":
            return OpenAIChat().input_content(body, limit)
        if speaks == "nova":
            return converse.BedrockConverse().input_content(body, limit)
        return bedrock_text.read_input(body, limit)

    def output_content(self, body: bytes, streamed: bool, limit: int) -> Content:
        """The answer as one message."""
        pieces = _pieces(body)[0] if streamed else [body]
        whole = _sse(pieces) if streamed else body
        if self._speaks == "anthropic":
            return AnthropicMessages().output_content(whole, streamed, limit)
        if self._speaks == "openai":
            return OpenAIChat().output_content(whole, streamed, limit)
        if self._speaks == "nova":
            from otel_agents.wire.providers import bedrock_content as content

            if not streamed:
                return content.read_output(body, limit)
            return content.read_events((("", piece) for piece in pieces), limit)
        return bedrock_text.read_output(pieces, limit)

    def _language(self, body: bytes) -> str:
        shape = _shape.read(body)
        if tolerant.opens(shape.messages) != b"[":
            return "text"
        if tolerant.size(shape.anthropic_version):
            return "anthropic"
        if tolerant.size(shape.inferenceConfig) or tolerant.size(shape.schemaVersion):
            return "nova"
        return "nova" if "amazon.nova" in (self._model or "") else "openai"

    def _with_model(self, body: bytes) -> bytes:
        """The same body as Anthropic itself takes it: with the model in it."""
        return b'{"model":%b,%b' % (msgspec.json.encode(self._model or "unknown"), body.lstrip()[1:])


_COUNTED: Final = ("input", "output", "cache-read-input", "cache-write-input")


def _pieces(body: bytes) -> tuple[list[bytes], tuple[str, str | None] | None]:
    """The model's own events, and type and message of the exception that ended the stream."""
    found: list[bytes] = []
    error: tuple[str, str | None] | None = None
    for frame in eventstream.frames((body,)):
        try:
            piece = _piece.read(frame.payload)
        except ValueError:
            continue
        if piece.said:
            found.append(piece.said)
        elif frame.is_exception:
            error = (frame.kind or "_OTHER", piece.message)
    return found, error


def _sse(pieces: list[bytes]) -> bytes:
    """The events as their maker's own API sends them. Line ends in JSON are only for the eye."""
    return b"".join(b"data: %b\n\n" % piece.replace(b"\n", b" ") for piece in pieces)


def _counted(pieces: list[bytes]) -> Usage | None:
    """The counts that the service adds to the last event."""
    for piece in reversed(pieces):
        if _METRICS in piece:
            try:
                counts = _metrics.read(piece).metrics
            except ValueError:
                continue
            if counts is not None:
                return _usage(
                    counts.inputTokenCount,
                    counts.outputTokenCount,
                    counts.cacheReadInputTokenCount,
                    counts.cacheWriteInputTokenCount,
                )
    return None


def _usage(given: int | None, made: int | None, read: int | None, written: int | None) -> Usage | None:
    """The service's counts; those of the input exclude the cache."""
    if given is None and made is None:
        return None
    read, written = read or 0, written or 0
    return Usage(input=(given or 0) + read + written, output=made or 0, cache_read=read, cache_write=written)
