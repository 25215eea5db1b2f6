"""Chat Completions read from bytes: the exact facts, also of damaged and unusual bodies."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_agents.accounting import Usage
from otel_agents.wire.formats import RequestFacts, ResponseFacts
from otel_agents.wire.providers.openai_chat import OpenAIChat

FORMAT = OpenAIChat()


def usage_of(usage: bytes) -> Usage | None:
    return FORMAT.read_response(b'{"usage": %b}' % usage, False, ASKED).usage


ASKED = RequestFacts("gpt-4o")


def body(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def stream(*chunks: Any, end: str = "\n\n", done: bool = True) -> bytes:
    lines = [f"data: {json.dumps(chunk, separators=(',', ':'))}" for chunk in chunks]
    return (end.join([*lines, *(["data: [DONE]"] if done else [])]) + end).encode()


def chunk(*choices: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"id": "c1", "model": "gpt-4o-2024", "usage": None, "choices": list(choices), **fields}


def delta(text: str, reason: str | None = None, index: int = 0) -> dict[str, Any]:
    return {"index": index, "delta": {"content": text}, "finish_reason": reason}


USAGE = {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}


# --- requests ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"[]",
        b"null",
        b"<html>",
        b'{"model": "m"}',
        b'{"messages": []}',
        b'{"model": 3, "messages": []}',
        b'{"model": "m", "messages": "hi"}',
    ],
)
def test_what_is_no_request(wrong: bytes) -> None:
    try:
        assert FORMAT.read_request(wrong) is None
    except ValueError:
        pass


def test_parameters_of_odd_types_are_left_out() -> None:
    facts = FORMAT.read_request(
        body(
            model="m", messages=[], temperature="hot", max_tokens=10**30, n=-1, seed=1.5, stop=5, stream="yes"
        )
    )
    assert facts == RequestFacts("m", False, 1, None, {"openai.api.type": "chat_completions"})


def test_a_request_that_only_python_reads() -> None:
    facts = FORMAT.read_request(b'{"model": "m", "messages": [{"content": "\\ud800"}], "temperature": NaN}')
    assert facts is not None
    assert facts.model == "m"


# --- responses -----------------------------------------------------------------------------------
def test_usage_with_all_its_parts() -> None:
    details = {"cached_tokens": 5, "cache_write_tokens": 2, "audio_tokens": 1}
    completion = {"reasoning_tokens": 3, "audio_tokens": 2}
    raw = body(**USAGE, prompt_tokens_details=details, completion_tokens_details=completion)
    assert usage_of(raw) == Usage(
        input=10, output=4, cache_read=5, cache_write=2, reasoning=3, input_audio=1, output_audio=2
    )


@pytest.mark.parametrize(
    ("model", "output", "reasoning"), [("google/gemini-2.5-flash", 533, 382), ("gpt-4o", 151, 0)]
)
def test_what_gemini_thought_is_only_in_googles_total(model: str, output: int, reasoning: int) -> None:
    usage = {"prompt_tokens": 20, "completion_tokens": 151, "total_tokens": 553}
    facts = FORMAT.read_response(body(model=model, usage=usage), False, ASKED)
    assert facts.usage == Usage(input=20, output=output, reasoning=reasoning)


@pytest.mark.parametrize(
    "raw", [b"{}", b"[]", b"null", b'{"prompt_tokens": "many"}', b'{"prompt_tokens": -1}']
)
def test_usage_that_says_nothing(raw: bytes) -> None:
    assert usage_of(raw) is None


def test_odd_usage_does_not_spoil_the_rest() -> None:
    facts = FORMAT.read_response(body(id="r", model="m", usage="free", choices={"no": "list"}), False, ASKED)
    assert (facts.id, facts.model, facts.usage, facts.finish_reasons) == ("r", "m", None, ["error"])


def test_choices_in_their_order() -> None:
    choices = [{"index": 1, "finish_reason": "length"}, {"index": 0, "finish_reason": "stop"}]
    facts = FORMAT.read_response(body(choices=choices), False, RequestFacts("m", choices=3))
    assert facts.finish_reasons == ["stop", "length", "error"]


def test_not_a_number_inside() -> None:
    facts = FORMAT.read_response(b'{"id": "r", "model": "m", "logprob": NaN, "choices": []}', False, ASKED)
    assert facts.id == "r"


def test_an_error_body() -> None:
    error = {"message": "Slow down", "type": "requests", "code": "rate_limit_exceeded"}
    facts = FORMAT.read_response(body(error=error), False, ASKED)
    assert facts == ResponseFacts(error_type="requests", error_message="Slow down")
    facts = FORMAT.read_response(body(error="no"), False, ASKED)
    assert (facts.error_type, facts.error_message) == ("_OTHER", "no")


# --- streams -------------------------------------------------------------------------------------
WHOLE = stream(
    chunk(delta('a "usage":{"prompt_tokens":99} b')),
    chunk(delta("b", index=1)),
    chunk(delta("", "stop")),
    chunk(delta("", "tool_calls", index=1), service_tier="flex", system_fingerprint="fp"),
    chunk(usage=USAGE),
)
FACTS = ResponseFacts(
    id="c1",
    model="gpt-4o-2024",
    usage=Usage(input=10, output=4),
    finish_reasons=["stop", "tool_calls"],
    service_tier="flex",
    attributes={"openai.response.service_tier": "flex", "openai.response.system_fingerprint": "fp"},
)


@pytest.mark.parametrize(
    "rewritten",
    [
        WHOLE,
        WHOLE.replace(b"\n", b"\r\n"),
        WHOLE.replace(b"\n", b"\r"),
        b"\xef\xbb\xbf" + WHOLE,
        WHOLE.replace(b"data: ", b"data:"),
        WHOLE.replace(b'":', b'": '),
        WHOLE.replace(b"data: {", b": ping\nevent: chunk\nid: 1\ndata: {"),
        WHOLE.replace(b'"choices":', b'\ndata: "choices":'),  # one event in two lines
        WHOLE.replace(b"data: [DONE]", b""),
    ],
)
def test_a_stream_in_any_dress(rewritten: bytes) -> None:
    assert FORMAT.read_response(rewritten, True, RequestFacts("m", choices=2)) == FACTS


@given(st.integers(min_value=0, max_value=len(WHOLE)))
def test_a_stream_that_was_cut_anywhere(at: int) -> None:
    facts = FORMAT.read_response(WHOLE[:at], True, RequestFacts("m", choices=2))
    assert facts.usage in (None, FACTS.usage)
    assert len(facts.finish_reasons) == 2
    for reason, final in zip(facts.finish_reasons, FACTS.finish_reasons, strict=True):
        assert reason in ("error", final)


def test_usage_on_every_chunk_is_a_total_so_far() -> None:
    """As vLLM sends it with ``continuous_usage_stats``."""
    first = {**USAGE, "completion_tokens": 1}
    facts = FORMAT.read_response(
        stream(chunk(delta("a"), usage=first), chunk(delta("", "stop"), usage=USAGE)), True, ASKED
    )
    assert facts.usage == Usage(input=10, output=4)


def test_usage_before_a_cut() -> None:
    facts = FORMAT.read_response(stream(chunk(delta("a"), usage=USAGE), done=False), True, ASKED)
    assert facts.usage == Usage(input=10, output=4)
    assert facts.finish_reasons == ["error"]


def test_an_error_within_a_stream() -> None:
    facts = FORMAT.read_response(
        stream(chunk(delta("a")), {"error": {"message": "Overloaded", "type": "server_error"}}), True, ASKED
    )
    assert (facts.error_type, facts.error_message) == ("server_error", "Overloaded")
    assert facts.finish_reasons == ["error"]


def test_azures_first_chunk_has_no_id() -> None:
    first = {"id": "", "model": "", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]}
    facts = FORMAT.read_response(stream(first, chunk(delta("", "stop"))), True, ASKED)
    assert (facts.id, facts.model, facts.finish_reasons) == ("c1", "gpt-4o-2024", ["stop"])


def test_a_garbled_event_does_not_spoil_the_others() -> None:
    facts = FORMAT.read_response(
        WHOLE.replace(b'{"id":"c1"', b'{"id":c1"', 1), True, RequestFacts("m", choices=2)
    )
    assert facts == FACTS


# --- content -------------------------------------------------------------------------------------
def part(content: Any, limit: int = 10_000) -> Any:
    found = FORMAT.input_content(body(model="m", messages=[{"role": "user", "content": content}]), limit)
    (message,) = found["gen_ai.input.messages"]
    return message["parts"]


def test_kinds_of_parts() -> None:
    assert part("hi") == [{"type": "text", "content": "hi"}]
    assert part(None) == []
    assert part([{"type": "image_url", "image_url": {"url": "https://a/b.png"}}]) == [
        {"type": "uri", "modality": "image", "uri": "https://a/b.png"}
    ]
    assert part([{"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}]) == [
        {"type": "blob", "mime_type": "image/png", "modality": "image", "content": "QUJD"}
    ]
    assert part([{"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}}]) == [
        {"type": "blob", "mime_type": "audio/wav", "modality": "audio", "content": "QUJD"}
    ]
    assert part([{"type": "file", "file": {"file_id": "f1"}}]) == [
        {"type": "file", "modality": "document", "file_id": "f1"}
    ]
    assert part([{"type": "file", "file": {"file_data": "data:application/pdf;base64,QUJD"}}]) == [
        {"type": "blob", "mime_type": "application/pdf", "modality": "document", "content": "QUJD"}
    ]
    assert part([{"type": "hologram", "beam": 1}]) == [{"type": "hologram", "beam": 1}]


def test_big_data_is_not_copied() -> None:
    big = "QUJD" * 100_000
    (blob,) = part([{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{big}"}}])
    assert blob == {
        "type": "blob",
        "mime_type": "image/png",
        "modality": "image",
        "content": "",
        "byte_size": 300_000,
    }


def test_tool_messages_and_reasoning() -> None:
    messages = [
        {
            "role": "assistant",
            "reasoning_content": "Hm",
            "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "not json"}}, "odd"],
        },
        {"role": "assistant", "function_call": {"name": "g", "arguments": ""}},
        {"role": "function", "name": "g", "content": "r"},
        {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "r"}]},
    ]
    found = FORMAT.input_content(body(messages=messages), 1000)["gen_ai.input.messages"]
    assert found == [
        {
            "role": "assistant",
            "parts": [
                {"type": "reasoning", "content": "Hm"},
                {"type": "tool_call", "id": "1", "name": "f", "arguments": "not json"},
                {"type": "tool_call", "id": None, "name": None, "arguments": None},
            ],
        },
        {"role": "assistant", "parts": [{"type": "tool_call", "id": None, "name": "g", "arguments": {}}]},
        {"role": "function", "parts": [{"type": "tool_call_response", "id": "g", "response": "r"}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "1", "response": "r"}]},
    ]


def test_streamed_and_plain_answers_are_the_same() -> None:
    calls = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}]
    said = {"role": "assistant", "content": "Hi", "reasoning_content": "Hm", "tool_calls": calls}
    plain = FORMAT.output_content(
        body(choices=[{"index": 0, "message": said, "finish_reason": "stop"}]), False, 1000
    )
    piece: dict[str, Any] = {"index": 0, "id": "1", "function": {"name": "f", "arguments": '{"a"'}}
    events = stream(
        chunk({"index": 0, "delta": {"role": "assistant", "reasoning_content": "H"}}),
        chunk({"index": 0, "delta": {"reasoning_content": "m", "content": "H"}}),
        chunk({"index": 0, "delta": {"content": "i", "tool_calls": [piece]}}),
        chunk({"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]}}),
        chunk(delta("", "stop")),
    )
    assert FORMAT.output_content(events, True, 1000) == plain


def test_every_output_is_json() -> None:
    found = FORMAT.input_content(b'{"messages": [{"role": "user", "content": "\\ud83d"}]}', 1000)
    msgspec.json.encode(found)
