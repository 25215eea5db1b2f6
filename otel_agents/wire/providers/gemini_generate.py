"""Gemini's ``generateContent`` and ``streamGenerateContent``, at Google AI and at Vertex AI.

The path says the model and whether the answer is streamed; a stream is server-sent events with
``?alt=sse`` and one JSON array without.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Final

import msgspec

from otel_agents import semconv
from otel_agents.wire import sse, tolerant
from otel_agents.wire.formats import NOT_FINISHED, Content, RequestFacts, ResponseFacts
from otel_agents.wire.providers import gemini_array as array
from otel_agents.wire.providers import gemini_usage
from otel_agents.wire.providers.gemini_paths import Place, place
from otel_agents.wire.providers.gemini_usage import UsageMetadata
from otel_agents.wire.providers.openai_usage import modalities
from otel_agents.wire.remains import remains

_METHODS: Final = ("generateContent", "streamGenerateContent")
_EMPTY: Final = msgspec.Raw(b"")
_MAX_CANDIDATES: Final = 1024

Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]  # what OTLP can carry
Index = Annotated[int, msgspec.Meta(ge=0, lt=_MAX_CANDIDATES)]


class _Thinking(msgspec.Struct, gc=False):
    """In both spellings: Google's own SDK mixes them within one request."""

    camel: str | None = msgspec.field(default=None, name="thinkingLevel")
    snake: str | None = msgspec.field(default=None, name="thinking_level")


class _Config(msgspec.Struct, gc=False, rename="camel"):
    temperature: float | None = None
    top_p: float | None = None
    top_k: float | None = None
    candidate_count: Index | None = None
    max_output_tokens: Whole | None = None
    stop_sequences: list[str] | None = None
    response_mime_type: str | None = None
    response_modalities: list[str] | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: Whole | None = None
    thinking_config: _Thinking | None = None


class _Request(msgspec.Struct, gc=False, rename="camel"):
    contents: msgspec.Raw = _EMPTY
    generation_config: _Config | None = None
    service_tier: str | None = None
    respelled: dict[str, Any] | None = msgspec.field(default=None, name="generation_config")


class _Candidate(msgspec.Struct, gc=False, rename="camel"):
    index: Index | None = None
    finish_reason: str | None = None


class _Feedback(msgspec.Struct, gc=False, rename="camel"):
    block_reason: str | None = None


class _Error(msgspec.Struct, gc=False):
    status: str | None = None
    message: str | None = None


class _Response(msgspec.Struct, gc=False, rename="camel"):
    """An answer, a chunk of one, or an error."""

    response_id: str | None = None
    model_version: str | None = None
    candidates: list[_Candidate] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: UsageMetadata | None = None
    error: _Error | None = None


_request = tolerant.Lenient(_Request)
_config = tolerant.Lenient(_Config)
_response = tolerant.Lenient(_Response)


class GeminiGenerate:
    """See the module. ``at`` is where a request goes; without it the format only finds its paths."""

    operation = semconv.OP_GENERATE_CONTENT

    def __init__(self, at: Place | None = None) -> None:
        self.name = "gemini.generate"
        self.provider = "gcp.gemini" if at is None else at.provider
        self._place = at

    def matches(self, path: str) -> bool:
        """``.../{model}:generateContent`` and ``.../{model}:streamGenerateContent``."""
        found = place(path) if path.endswith(_METHODS) else None
        return found is not None and found.method in _METHODS

    def at(self, path: str) -> GeminiGenerate:
        """The format for the model of ``path``."""
        return GeminiGenerate(place(path))

    def read_request(self, body: bytes) -> RequestFacts | None:
        """Model (of the path) and parameters; None when there are no contents."""
        if self._place is None:
            return None
        request = _request.read(body)
        if tolerant.opens(request.contents) not in (b"[", b"{"):
            return None
        config = request.generation_config or _respelled(request.respelled) or _Config()
        choices = config.candidate_count or 1
        streamed = self._place.method == "streamGenerateContent"
        facts = RequestFacts(self._place.model, streamed, choices, request.service_tier)
        attributes = facts.attributes
        known: dict[str, Any] = {
            semconv.REQUEST_MAX_TOKENS: config.max_output_tokens,
            semconv.REQUEST_TEMPERATURE: config.temperature,
            semconv.REQUEST_TOP_P: config.top_p,
            semconv.REQUEST_TOP_K: _whole(config.top_k),
            semconv.REQUEST_SEED: config.seed,
            semconv.REQUEST_FREQUENCY_PENALTY: config.frequency_penalty,
            semconv.REQUEST_PRESENCE_PENALTY: config.presence_penalty,
            semconv.REQUEST_STOP_SEQUENCES: config.stop_sequences or None,
            semconv.REQUEST_CHOICE_COUNT: choices if choices != 1 else None,
            semconv.OUTPUT_TYPE: _output_type(config),
        }
        if config.thinking_config is not None:
            level = config.thinking_config.camel or config.thinking_config.snake
            known[semconv.REQUEST_REASONING_LEVEL] = level or None
        attributes.update((name, value) for name, value in known.items() if value is not None)
        return facts

    def is_stream(self, head: bytes, headers: Mapping[str, str]) -> bool:
        """The array form counts as a stream too."""
        return array.is_array(head)

    def salvage(self, head: bytes, tail: bytes) -> bytes:
        """What matters of an answer that was too big to keep, such as one with images."""
        found = remains(head, tail, "responseId", "modelVersion", "usageMetadata", "finishReason")
        found["candidates"] = [{"finishReason": found.pop("finishReason", None)}]
        return msgspec.json.encode(found)

    def read_response(self, body: bytes, streamed: bool, request: RequestFacts) -> ResponseFacts:
        """Id, model, usage, and the finish reasons in the order of the candidates."""
        reading = _Reading()
        if array.is_array(body):
            understood = [reading.take(document) for document in array.documents(body)]
            if not any(understood) and body.strip() != b"[]":
                raise ValueError("no items")
            streamed = True
        elif not streamed:
            reading.add(_response.read(body))
        elif request.choices > 1 or not reading.ends(body):
            reading = _Reading()
            for event in sse.events((body,)):
                reading.take(event.data)
        return reading.facts(streamed, request)

    def input_content(self, body: bytes, limit: int) -> Content:
        """Messages, system instructions and tools."""
        from otel_agents.wire.providers import gemini_content as content

        return content.read_input(body, limit)

    def output_content(self, body: bytes, streamed: bool, limit: int) -> Content:
        """One message for each candidate."""
        from otel_agents.wire.providers import gemini_content as content

        return content.read_output(_chunks(body, streamed), limit)


class _Reading:
    """What the chunks of an answer said so far; one that is not streamed is a single chunk."""

    __slots__ = ("_facts", "_reasons", "_usage")

    def __init__(self) -> None:
        self._facts = ResponseFacts()
        self._reasons: dict[int, str] = {}
        self._usage = UsageMetadata()

    def ends(self, body: bytes) -> bool:
        """Reads only the events at both ends; False when they do not tell the whole story."""
        lines = [
            *sse.first_data_lines(body, 1),
            sse.last_data_line(body, b'"usageMetadata"'),
            sse.last_data_line(body, b'"finishReason"'),
        ]
        self._take_all(line for line in dict.fromkeys(lines) if line is not None)
        return bool(self._reasons.get(0)) and self._usage.prompt_token_count is not None

    def _take_all(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            self.take(line)

    def take(self, data: bytes) -> bool:
        """Reads a chunk, if it is one."""
        if not data.startswith(b"{"):
            return False
        try:
            self.add(_response.read(data))
        except ValueError:
            return False  # one garbled chunk does not spoil the others
        return True

    def add(self, chunk: _Response) -> None:
        facts = self._facts
        facts.id = facts.id or chunk.response_id or None
        facts.model = facts.model or chunk.model_version or None
        if chunk.usage_metadata is not None:
            gemini_usage.merge(self._usage, chunk.usage_metadata)
        for position, candidate in enumerate(chunk.candidates or ()):
            index = position if candidate.index is None else candidate.index
            self._reasons[index] = candidate.finish_reason or self._reasons.get(index, "")
        if chunk.prompt_feedback is not None and chunk.prompt_feedback.block_reason:
            # A prompt that is refused gets no candidates; this is what ended the call.
            self._reasons.setdefault(0, chunk.prompt_feedback.block_reason)
        if chunk.error is not None:
            facts.error_type = chunk.error.status or "_OTHER"
            facts.error_message = chunk.error.message

    def facts(self, streamed: bool, request: RequestFacts) -> ResponseFacts:
        facts, reasons = self._facts, self._reasons
        facts.usage = gemini_usage.convert(self._usage)
        facts.attributes.update(modalities(facts.usage))
        facts.service_tier = self._usage.service_tier
        if streamed or reasons or facts.error_type is None:
            last = max(max(reasons, default=0), 0 if _refused(reasons) else request.choices - 1)
            facts.finish_reasons = [reasons.get(index) or NOT_FINISHED for index in range(last + 1)]
        return facts


def _respelled(config: dict[str, Any] | None) -> _Config | None:
    """The API takes all names with underscores too, which people who write JSON by hand prefer."""
    if config is None:
        return None
    return _config.read(msgspec.json.encode({_camel(name): value for name, value in config.items()}))


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


def _refused(reasons: Mapping[int, str]) -> bool:
    return len(reasons) == 1 and bool(reasons.get(0))


def _chunks(body: bytes, streamed: bool) -> Iterator[bytes]:
    if array.is_array(body):
        yield from array.documents(body)
    elif streamed:
        yield from (event.data for event in sse.events((body,)))
    else:
        yield body


def _whole(value: float | None) -> int | float | None:
    """The API takes and the SDK sends 40.0 for 40."""
    return int(value) if value is not None and value.is_integer() else value


def _output_type(config: _Config) -> str | None:
    wanted = [modality.upper() for modality in config.response_modalities or ()]
    if "AUDIO" in wanted:
        return "speech"
    if "IMAGE" in wanted:
        return "image"
    kind = config.response_mime_type
    if kind == "application/json":
        return "json"
    return "text" if kind == "text/plain" else None
