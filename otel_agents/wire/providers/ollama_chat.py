"""Ollama's own API: ``POST /api/chat`` and ``POST /api/generate``, which stream NDJSON unless told not to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec

from otel_agents import semconv
from otel_agents.accounting import Usage
from otel_agents.wire import ndjson, parts, tolerant
from otel_agents.wire.formats import NOT_FINISHED, Content, RequestFacts, ResponseFacts

_EMPTY: Final = msgspec.Raw(b"")
#: Marks the last line, which has the counts. The server writes it without a space, proxies may not.
_DONE: Final = (b'"done":true', b'"done": true')

Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]  # what OTLP can carry
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _Options(msgspec.Struct, gc=False):
    num_predict: Whole | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: Whole | None = None
    seed: Whole | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    stop: str | list[str] | None = None


class _Request(msgspec.Struct, gc=False):
    model: str | None = None
    messages: msgspec.Raw = _EMPTY
    prompt: msgspec.Raw = _EMPTY
    stream: bool | None = None
    options: _Options | None = None
    format: msgspec.Raw = _EMPTY
    think: bool | str | None = None


class _Line(msgspec.Struct, gc=False):
    """A line of a stream, or the whole answer."""

    model: str | None = None
    done: bool | None = None
    done_reason: str | None = None
    prompt_eval_count: Count | None = None
    eval_count: Count | None = None
    error: msgspec.Raw = _EMPTY


_request = tolerant.Lenient(_Request)
_line = tolerant.Lenient(_Line)


class OllamaChat:
    """See the module."""

    name = "ollama.chat"
    provider = "ollama"
    operation = semconv.OP_CHAT

    def matches(self, path: str) -> bool:
        """``/api/chat``, and whatever a proxy puts before it."""
        return path.endswith("/api/chat")

    def read_request(self, body: bytes) -> RequestFacts | None:
        """Model and parameters; None when there is no model or no list of messages."""
        request = _request.read(body)
        if request.model is None or tolerant.opens(request.messages) != b"[":
            return None
        return _facts(request)

    def is_stream(self, head: bytes, headers: Mapping[str, str]) -> bool:
        """Lines of JSON, which is what the content type says."""
        return head.lstrip().startswith(b"{") and "ndjson" in headers.get("content-type", "")

    def read_response(self, body: bytes, streamed: bool, request: RequestFacts) -> ResponseFacts:
        """Model, counts and the reason to stop, which are on the last line, or what else was said."""
        facts = ResponseFacts()
        last = _last_line(body)
        if last is None or not _take(facts, last):
            facts = ResponseFacts()
            understood = [_take(facts, line) for line in ndjson.lines(body)]
            if not any(understood):
                raise ValueError("no JSON")
        if not facts.finish_reasons and (streamed or request.stream or facts.error_type is None):
            facts.finish_reasons = [NOT_FINISHED]
        return facts

    def input_content(self, body: bytes, limit: int) -> Content:
        """Messages (system ones among them) and tools."""
        from otel_agents.wire.providers import ollama_content as content

        return content.read_chat(body, limit)

    def output_content(self, body: bytes, streamed: bool, limit: int) -> Content:
        """The answer as one message."""
        from otel_agents.wire.providers import ollama_content as content

        return content.read_answer(body)


class OllamaGenerate(OllamaChat):
    """``/api/generate``: a prompt in, a text out."""

    name = "ollama.generate"
    operation = semconv.OP_TEXT_COMPLETION

    def matches(self, path: str) -> bool:
        """``/api/generate``, and whatever a proxy puts before it."""
        return path.endswith("/api/generate")

    def read_request(self, body: bytes) -> RequestFacts | None:
        """Model and parameters; None when there is no prompt: then a model is only loaded or unloaded."""
        request = _request.read(body)
        if request.model is None or tolerant.opens(request.prompt) != b'"':
            return None
        return _facts(request)

    def input_content(self, body: bytes, limit: int) -> Content:
        """The prompt as a user's message, and the system text."""
        from otel_agents.wire.providers import ollama_content as content

        return content.read_prompt(body, limit)


def _facts(request: _Request) -> RequestFacts:
    facts = RequestFacts(request.model, request.stream is not False)
    attributes = facts.attributes
    options = request.options or _Options()
    known: dict[str, Any] = {
        semconv.REQUEST_MAX_TOKENS: options.num_predict,
        semconv.REQUEST_TEMPERATURE: options.temperature,
        semconv.REQUEST_TOP_P: options.top_p,
        semconv.REQUEST_TOP_K: options.top_k,
        semconv.REQUEST_SEED: options.seed,
        semconv.REQUEST_FREQUENCY_PENALTY: options.frequency_penalty,
        semconv.REQUEST_PRESENCE_PENALTY: options.presence_penalty,
    }
    attributes.update((name, value) for name, value in known.items() if value is not None)
    if options.stop:
        stop = options.stop
        attributes[semconv.REQUEST_STOP_SEQUENCES] = [stop] if isinstance(stop, str) else stop
    if isinstance(request.think, str) and request.think:
        attributes[semconv.REQUEST_REASONING_LEVEL] = request.think
    if tolerant.opens(request.format) == b"{" or bytes(request.format) == b'"json"':
        attributes[semconv.OUTPUT_TYPE] = "json"
    return facts


def _last_line(body: bytes) -> bytes | None:
    for wanted in _DONE:
        line = ndjson.last_line(body, wanted)
        if line is not None:
            return line
    return None


def _take(facts: ResponseFacts, data: bytes) -> bool:
    """Whether ``data`` was an object that says something."""
    try:
        line = _line.read(data)
    except ValueError:
        return False
    facts.model = line.model or facts.model
    if line.done:
        # Versions before 0.1.33 say that they are done and not why.
        facts.finish_reasons = [line.done_reason or "stop"]
        if line.prompt_eval_count is not None or line.eval_count is not None:
            facts.usage = Usage(line.prompt_eval_count or 0, line.eval_count or 0)
    if tolerant.opens(line.error) == b'"':
        facts.error_type = "_OTHER"
        facts.error_message = parts.cut_string(line.error, 2000)
    return True
