"""Google's formats read from bytes: the exact facts, also of damaged and unusual bodies."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_agents.accounting import Usage
from otel_agents.accounting.metered import MeteredUsage
from otel_agents.wire import reading
from otel_agents.wire.capture import Body
from otel_agents.wire.formats import RequestFacts, ResponseFacts, WireFormat
from otel_agents.wire.providers.gemini_array import documents
from otel_agents.wire.recognise import format_of

PLAIN = "/v1beta/models/gemini-2.5-flash:generateContent"
STREAM = "/v1beta/models/gemini-2.5-flash:streamGenerateContent"
VERTEX = "/v1/projects/p/locations/us-central1/publishers/google/models/gemini-2.5-pro:generateContent"
ASKED = RequestFacts("gemini-2.5-flash", True)


def at(path: str) -> WireFormat:
    found = format_of(path)
    assert found is not None
    return found


def body(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def text_chunk(text: str, reason: str | None = None, **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
    if reason:
        candidate["finishReason"] = reason
    return {"candidates": [candidate], "modelVersion": "gemini-2.5-flash", "responseId": "r1", **more}


COUNTS = {
    "promptTokenCount": 100,
    "cachedContentTokenCount": 64,
    "candidatesTokenCount": 20,
    "thoughtsTokenCount": 30,
    "toolUsePromptTokenCount": 8,
    "totalTokenCount": 158,
    "promptTokensDetails": [
        {"modality": "TEXT", "tokenCount": 90},
        {"modality": "AUDIO", "tokenCount": 10},
    ],
    "toolUsePromptTokensDetails": [{"modality": "AUDIO", "tokenCount": 3}],
    "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 4}],
    "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 5}],
}
USAGE = Usage(
    input=108,
    output=50,
    cache_read=64,
    reasoning=30,
    input_audio=13,
    output_audio=5,
    cache_audio_read=4,
)
CHUNKS = [
    text_chunk('{"finishReason":"MAX_TOKENS"} ', usageMetadata={"promptTokenCount": 100}),
    text_chunk("wörld", usageMetadata={"promptTokenCount": 100, "candidatesTokenCount": 3}),
    text_chunk("", "STOP", usageMetadata=COUNTS),
]
EVENTS = b"".join(
    b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\r\n\r\n" for chunk in CHUNKS
)
ARRAY = ("[" + ",\r\n".join(json.dumps(chunk, indent=2) for chunk in CHUNKS) + "\n]").encode()
FACTS = ResponseFacts(
    id="r1",
    model="gemini-2.5-flash",
    usage=USAGE,
    finish_reasons=["STOP"],
    attributes={
        "gen_ai.usage.audio.input_tokens": 13,
        "gen_ai.usage.audio.output_tokens": 5,
        "gen_ai.usage.audio.cache_read.input_tokens": 4,
    },
)


@pytest.mark.parametrize(
    ("path", "name", "provider", "model"),
    [
        (PLAIN, "gemini.generate", "gcp.gemini", "gemini-2.5-flash"),
        (STREAM.replace(":", "%3A"), "gemini.generate", "gcp.gemini", "gemini-2.5-flash"),
        (VERTEX, "gemini.generate", "gcp.vertex_ai", "gemini-2.5-pro"),
        ("/v1beta/tunedModels/mine:generateContent", "gemini.generate", "gcp.gemini", "tunedModels/mine"),
        (
            "/v1/projects/p/locations/l/endpoints/12:generateContent",
            "gemini.generate",
            "gcp.vertex_ai",
            "endpoints/12",
        ),
    ],
)
def test_paths(path: str, name: str, provider: str, model: str) -> None:
    found = at(path)
    facts = found.read_request(body(contents=[]))
    assert facts is not None
    assert (found.name, found.provider, facts.model) == (name, provider, model)


@pytest.mark.parametrize(
    "path",
    [
        "/v1beta/models/gemini-2.5-flash:countTokens",
        "/v1beta/models/gemini-2.5-flash",
        "/v1beta/models/imagen-4:predict",
        "/v1/projects/p/locations/l/publishers/anthropic/models/count-tokens:rawPredict",
        "/:generateContent",
    ],
)
def test_paths_of_other_things(path: str) -> None:
    assert format_of(path) is None


@pytest.mark.parametrize("wrong", [b"", b"[]", b"null", b"<html>", b"{}", b'{"contents": "hi"}', b"\xff{"])
def test_what_is_no_request(wrong: bytes) -> None:
    try:
        assert at(PLAIN).read_request(wrong) is None
    except ValueError:
        pass


def test_both_spellings() -> None:
    camel = body(
        contents=[],
        generationConfig={"topP": 0.5, "maxOutputTokens": 9, "thinkingConfig": {"thinkingLevel": "HIGH"}},
    )
    snake = body(
        contents=[],
        generation_config={
            "top_p": 0.5,
            "max_output_tokens": 9,
            "thinking_config": {"thinking_level": "HIGH"},
        },
    )
    facts = at(PLAIN).read_request(camel)
    assert facts == at(PLAIN).read_request(snake)
    assert facts is not None
    assert facts.attributes == {
        "gen_ai.request.max_tokens": 9,
        "gen_ai.request.top_p": 0.5,
        "gen_ai.request.reasoning.level": "HIGH",
    }


@pytest.mark.parametrize(
    "rewritten",
    [
        EVENTS,
        EVENTS.replace(b"\r\n", b"\n"),
        b"\xef\xbb\xbf" + EVENTS,
        EVENTS.replace(b'": ', b'":'),
        EVENTS.replace(b"data: {", b": ping\r\ndata: {"),
        EVENTS.replace(b'data: {"candidates"', b'data: {"oops" "candidates"', 1) + b"",
        ARRAY,
        json.dumps(CHUNKS).encode(),
        json.dumps(CHUNKS, separators=(",", ":")).encode(),
    ],
)
def test_a_stream_in_any_dress(rewritten: bytes) -> None:
    streamed = not rewritten.startswith(b"[")
    assert at(STREAM).read_response(rewritten, streamed, ASKED) == FACTS


@given(st.sampled_from([EVENTS, ARRAY]), st.integers(min_value=0, max_value=len(ARRAY)))
def test_a_stream_that_was_cut_anywhere(whole: bytes, cut: int) -> None:
    form = at(STREAM)
    body = Body(whole[:cut])
    facts, readable, streamed = reading.read(form, ASKED, body, {"content-type": "text/event-stream"}, False)
    assert facts.finish_reasons in (["error"], ["STOP"])
    assert facts.usage is None or facts.usage.input in (100, 108)
    if cut >= len(whole):
        assert facts == FACTS
    if readable:
        form.output_content(readable, streamed, 1000)


@given(st.integers(min_value=1, max_value=len(ARRAY) - 1), st.integers(min_value=0, max_value=300))
def test_an_array_with_a_gap(start: int, size: int) -> None:
    """What is whole is read; nothing is made up."""
    known = [json.loads(item) for item in documents(ARRAY)]
    assert known == CHUNKS
    for item in documents(ARRAY[:start] + b"\n\n" + ARRAY[start + size :]):
        assert isinstance(json.loads(item), dict)


@given(st.binary(max_size=200))
def test_garbage(data: bytes) -> None:
    for path in (PLAIN, STREAM, PLAIN.replace("generateContent", "embedContent")):
        form = at(path)
        for prefix in (b"", b"[", b"{", b"data: {"):
            facts, _, _ = reading.read(form, ASKED, Body(prefix + data), {}, True)
            assert facts.usage is None


def test_a_refused_prompt() -> None:
    answer = body(promptFeedback={"blockReason": "PROHIBITED_CONTENT"}, usageMetadata={"promptTokenCount": 7})
    facts = at(PLAIN).read_response(answer, False, RequestFacts("m", choices=2))
    assert facts.finish_reasons == ["PROHIBITED_CONTENT"]
    assert facts.usage == Usage(input=7)


def test_an_error_within_a_stream() -> None:
    error = {"error": {"code": 503, "message": "Overloaded", "status": "UNAVAILABLE"}}
    events = b"data: %b\n\ndata: %b\n\n" % (body(**CHUNKS[0]), body(**error))
    facts = at(STREAM).read_response(events, True, ASKED)
    assert (facts.error_type, facts.error_message) == ("UNAVAILABLE", "Overloaded")
    assert facts.finish_reasons == ["error"]
    facts = at(STREAM).read_response(json.dumps([error]).encode(), False, ASKED)
    assert facts.error_type == "UNAVAILABLE"


def test_only_thoughts() -> None:
    """The limit was reached before an answer began: there is no count of candidates."""
    answer = body(
        candidates=[{"finishReason": "MAX_TOKENS"}],
        usageMetadata={"promptTokenCount": 5, "thoughtsTokenCount": 40},
    )
    facts = at(PLAIN).read_response(answer, False, ASKED)
    assert facts.usage == Usage(input=5, output=40, reasoning=40)
    assert facts.finish_reasons == ["MAX_TOKENS"]


def test_images_are_told_apart() -> None:
    counts = {
        "promptTokenCount": 300,
        "candidatesTokenCount": 1290,
        "promptTokensDetails": [{"modality": "IMAGE", "tokenCount": 258}],
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}],
    }
    facts = at(PLAIN).read_response(body(usageMetadata=counts), False, ASKED)
    assert facts.usage == MeteredUsage(300, 1290, input_image=258, output_image=1290)


def test_a_body_too_big_to_keep() -> None:
    big = {"inlineData": {"mimeType": "image/png", "data": "QUJD" * 50_000}}
    answer = body(
        candidates=[{"content": {"parts": [big]}, "finishReason": "STOP", "index": 0}],
        usageMetadata=COUNTS,
        modelVersion="gemini-2.5-flash",
        responseId="r1",
    )
    facts, readable, _ = reading.read(at(PLAIN), ASKED, Body(answer[:5000], answer[-3000:]), {}, True)
    assert facts == FACTS
    assert readable == b""
    chunks = [text_chunk("x" * 9000), *CHUNKS]
    array = ("[" + ",\r\n".join(json.dumps(chunk) for chunk in chunks) + "\n]").encode()
    facts, _, streamed = reading.read(at(STREAM), ASKED, Body(array[:500], array[-4000:]), {}, True)
    assert streamed
    assert facts.usage == USAGE


def test_predictions_of_vertex() -> None:
    form = at("/v1/projects/p/locations/l/publishers/google/models/text-embedding-005:predict")
    asked = form.read_request(body(instances=[{"content": "a"}], parameters={"outputDimensionality": 64}))
    assert asked == RequestFacts(
        "text-embedding-005", choices=0, attributes={"gen_ai.embeddings.dimension.count": 64}
    )
    predictions = [
        {"embeddings": {"values": [0.1], "statistics": {"token_count": count}}} for count in (4, 5.0)
    ]
    assert form.read_response(body(predictions=predictions), False, asked) == ResponseFacts(usage=Usage(9))


# --- content -------------------------------------------------------------------------------------
def part(value: dict[str, Any], limit: int = 10_000) -> Any:
    found = at(PLAIN).input_content(body(contents=[{"parts": [value]}]), limit)
    (message,) = found["gen_ai.input.messages"]
    assert message["role"] == "user"
    (read,) = message["parts"]
    return read


def test_kinds_of_parts() -> None:
    assert part({"text": "hi"}) == {"type": "text", "content": "hi"}
    assert part({"text": "hm", "thought": True}) == {"type": "reasoning", "content": "hm"}
    assert part({"inline_data": {"mime_type": "audio/wav", "data": "QUJD"}}) == {
        "type": "blob",
        "mime_type": "audio/wav",
        "modality": "audio",
        "content": "QUJD",
    }
    assert part({"fileData": {"mimeType": "video/mp4", "fileUri": "gs://b/v.mp4"}}) == {
        "type": "uri",
        "mime_type": "video/mp4",
        "modality": "video",
        "uri": "gs://b/v.mp4",
    }
    assert part({"functionResponse": {"name": "f", "response": {"a": 1}}}) == {
        "type": "tool_call_response",
        "id": "f",
        "response": {"a": 1},
    }
    assert part({"executableCode": {"language": "PYTHON", "code": "1+1"}}) == {
        "type": "server_tool_call",
        "id": None,
        "name": "code_execution",
        "server_tool_call": {"type": "code_execution", "language": "PYTHON", "code": "1+1"},
    }
    assert part({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}}) == {
        "type": "server_tool_call_response",
        "id": None,
        "server_tool_call_response": {"type": "code_execution", "outcome": "OUTCOME_OK", "output": "2"},
    }
    assert part({"hologram": 1}) == {"type": "generic", "hologram": 1}
    blob = part({"inlineData": {"mimeType": "image/png", "data": "QUJD" * 100_000}})
    assert (blob["content"], blob["byte_size"]) == ("", 300_000)


def test_arguments_that_come_in_pieces() -> None:
    """As Vertex AI streams them when asked to."""
    calls: list[dict[str, Any]] = [
        {"name": "f", "id": "1", "willContinue": True},
        {"partialArgs": [{"jsonPath": "$.word", "stringValue": "sp"}], "willContinue": True},
        {"partialArgs": [{"jsonPath": "$.word", "stringValue": "an"}], "willContinue": True},
        {"partialArgs": [{"jsonPath": "$.n", "numberValue": 2}], "willContinue": False},
    ]
    chunks = [{"candidates": [{"content": {"parts": [{"functionCall": call}]}}]} for call in calls]
    found = at(STREAM).output_content(json.dumps(chunks).encode(), True, 1000)
    (message,) = found["gen_ai.output.messages"]
    assert message["parts"] == [
        {"type": "tool_call", "id": "1", "name": "f", "arguments": {"word": "span", "n": 2}}
    ]


def test_candidates_of_a_stream() -> None:
    chunks = []
    for index in (1, 0):
        for text in ("a", "b"):
            candidate = {"content": {"parts": [{"text": f"{text}{index}"}]}, "index": index}
            chunks.append({"candidates": [candidate]})
    found = at(STREAM).output_content(json.dumps(chunks).encode(), True, 1000)["gen_ai.output.messages"]
    assert [message["parts"] for message in found] == [
        [{"type": "text", "content": "a0b0"}],
        [{"type": "text", "content": "a1b1"}],
    ]
