"""Models on Bedrock that take a prompt or texts: Llama, Mistral's older ones, Cohere, Titan, embeddings."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from otel_agents import semconv
from otel_agents.accounting import Usage
from otel_agents.wire import parts, tolerant
from otel_agents.wire.formats import NOT_FINISHED, Content, RequestFacts, ResponseFacts

_EMPTY: Final = msgspec.Raw(b"")

Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]  # what OTLP can carry
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]

#: Where requests have what is asked, in the order of precedence. Titan's and Nova's embeddings and
#: images are told by their task.
_ASKED: Final = ("prompt", "inputText", "message", "texts", "inputs", "images", "inputImage", "taskType")


class _TitanConfig(msgspec.Struct, gc=False):
    maxTokenCount: Whole | None = None
    temperature: float | None = None
    topP: float | None = None
    stopSequences: list[str] | None = None


class _Request(msgspec.Struct, gc=False):
    prompt: msgspec.Raw = _EMPTY
    inputText: msgspec.Raw = _EMPTY
    message: msgspec.Raw = _EMPTY
    texts: msgspec.Raw = _EMPTY
    inputs: msgspec.Raw = _EMPTY
    images: msgspec.Raw = _EMPTY
    inputImage: msgspec.Raw = _EMPTY
    taskType: msgspec.Raw = _EMPTY
    preamble: msgspec.Raw = _EMPTY
    chat_history: msgspec.Raw = _EMPTY
    max_gen_len: Whole | None = None
    max_tokens: Whole | None = None
    max_tokens_to_sample: Whole | None = None
    temperature: float | None = None
    top_p: float | None = None
    p: float | None = None
    top_k: Whole | None = None
    k: Whole | None = None
    stop: list[str] | None = None
    stop_sequences: list[str] | None = None
    textGenerationConfig: _TitanConfig | None = None


class _Said(msgspec.Struct, gc=False):
    """One answer of several: Titan's ``results``, Mistral's ``outputs``, Cohere's ``generations`` ..."""

    tokenCount: Count | None = None
    outputText: Any = None
    text: Any = None
    completionReason: str | None = None
    stop_reason: str | None = None
    finish_reason: str | None = None


class _Billed(msgspec.Struct, gc=False):
    input_tokens: float | None = None
    output_tokens: float | None = None


class _Meta(msgspec.Struct, gc=False):
    billed_units: _Billed | None = None


class _Whole(msgspec.Struct, gc=False):
    """What the last event of Cohere's streams carries."""

    response_id: str | None = None
    meta: _Meta | None = None


class _Response(msgspec.Struct, gc=False):
    id: str | None = None
    response_id: str | None = None
    generation: Any = None  # Llama
    prompt_token_count: Count | None = None
    generation_token_count: Count | None = None
    completion: Any = None  # Claude before messages
    text: Any = None  # Cohere
    outputText: Any = None  # Titan
    inputTextTokenCount: Count | None = None
    totalOutputTextTokenCount: Count | None = None
    results: list[_Said] | None = None
    outputs: list[_Said] | None = None
    generations: list[_Said] | None = None
    choices: list[_Said] | None = None  # DeepSeek
    completionReason: str | None = None
    stop_reason: str | None = None
    finish_reason: str | None = None
    meta: _Meta | None = None
    response: _Whole | None = None


_request = tolerant.Lenient(_Request)
_response = tolerant.Lenient(_Response)


def read_request(body: bytes) -> RequestFacts | None:
    """Parameters; None when nothing is asked in a known way.

    Raises:
        ValueError: not a JSON object.
    """
    request = _request.read(body)
    if not any(tolerant.size(getattr(request, name)) for name in _ASKED):
        return None
    titan = request.textGenerationConfig or _TitanConfig()
    facts = RequestFacts()
    for name, *values in (
        (
            semconv.REQUEST_MAX_TOKENS,
            request.max_gen_len,
            request.max_tokens,
            request.max_tokens_to_sample,
            titan.maxTokenCount,
        ),
        (semconv.REQUEST_TEMPERATURE, request.temperature, titan.temperature),
        (semconv.REQUEST_TOP_P, request.top_p, request.p, titan.topP),
        (semconv.REQUEST_TOP_K, request.top_k, request.k),
        (
            semconv.REQUEST_STOP_SEQUENCES,
            request.stop or None,
            request.stop_sequences or None,
            titan.stopSequences or None,
        ),
    ):
        value = next((value for value in values if value is not None), None)
        if value is not None:
            facts.attributes[name] = value
    return facts


def read_pieces(pieces: list[bytes]) -> ResponseFacts:
    """What a response says that came in these pieces; a whole one is one piece.

    Raises:
        ValueError: the only piece is no JSON object.
    """
    facts = ResponseFacts()
    given: int | None = None
    made: int | None = None
    reasons: list[str] = []
    answered = False
    for body in pieces:
        try:
            piece = _response.read(body)
        except ValueError:
            if len(pieces) == 1:
                raise
            continue
        answered = answered or any(text is not None for text in _texts(piece))
        reasons = _reasons(piece) or reasons
        last = piece.response or _Whole()
        facts.id = piece.response_id or last.response_id or piece.id or facts.id
        meta = piece.meta or last.meta
        billed = (meta.billed_units if meta is not None else None) or _Billed()
        results = [said.tokenCount for said in piece.results or () if said.tokenCount is not None]
        given = _first(piece.prompt_token_count, piece.inputTextTokenCount, billed.input_tokens, given)
        made = _first(
            piece.generation_token_count,
            piece.totalOutputTextTokenCount,
            sum(results) if results else None,
            billed.output_tokens,
            made,
        )
    if given is not None or made is not None:
        facts.usage = Usage(input=given or 0, output=made or 0)
    if answered or reasons:
        facts.finish_reasons = reasons or [NOT_FINISHED]
    return facts


def read_input(body: bytes, limit: int) -> Content:
    """What was asked, as one message of the user, after those that came before it (Cohere)."""
    request = _request.read(body)
    messages: list[dict[str, Any]] = []
    history = parts.anything(request.chat_history, limit) if tolerant.size(request.chat_history) else None
    for turn in history if isinstance(history, list) else ():
        before = tolerant.mapping(turn)
        role = "assistant" if str(before.get("role")).upper() == "CHATBOT" else "user"
        messages.append({"role": role, "parts": [parts.text(str(before.get("message", "")))]})
    asked = next((raw for name in _ASKED[:4] if tolerant.size(raw := getattr(request, name))), None)
    if asked is not None:
        texts = parts.items(asked) or [asked]
        messages.append(
            {"role": "user", "parts": [parts.text(parts.cut_string(raw, limit)) for raw in texts]}
        )
    content: Content = {semconv.INPUT_MESSAGES: messages} if messages else {}
    preamble = parts.cut_string(request.preamble, limit)
    if preamble:
        content[semconv.SYSTEM_INSTRUCTIONS] = [parts.text(preamble)]
    return content


def read_output(pieces: list[bytes], limit: int) -> Content:
    """One message for each answer."""
    said: dict[int, list[str]] = {}
    reasons: list[str] = []
    for body in pieces:
        try:
            piece = _response.read(body)
        except ValueError:
            continue
        reasons = _reasons(piece) or reasons
        for index, text in enumerate(_texts(piece)):
            if isinstance(text, str):
                said.setdefault(index, []).append(text)
    messages: list[dict[str, Any]] = []
    for index, texts in sorted(said.items()):
        whole = "".join(texts)
        message: dict[str, Any] = {"role": "assistant", "parts": [parts.text(whole[:limit])]}
        if index < len(reasons):
            message["finish_reason"] = reasons[index]
        messages.append(message)
    return {semconv.OUTPUT_MESSAGES: messages} if messages else {}


def _texts(piece: _Response) -> list[Any]:
    several = piece.results or piece.outputs or piece.generations or piece.choices
    if several:
        return [said.text if said.outputText is None else said.outputText for said in several]
    texts = (piece.generation, piece.completion, piece.text, piece.outputText)
    return [text for text in texts if text is not None][:1]


def _reasons(piece: _Response) -> list[str]:
    several = piece.results or piece.outputs or piece.generations or piece.choices
    if several:
        found = [said.completionReason or said.stop_reason or said.finish_reason for said in several]
        return [reason or NOT_FINISHED for reason in found] if any(found) else []
    reason = piece.stop_reason or piece.finish_reason or piece.completionReason
    return [reason] if reason else []


def _first(*values: float | None) -> int | None:
    found = next((value for value in values if value is not None), None)
    return tolerant.count(found)
