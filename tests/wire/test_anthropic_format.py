"""Anthropic Messages read from bytes: the exact facts, also of damaged and unusual bodies."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_agents.accounting import Usage
from otel_agents.accounting.metered import MeteredUsage, shared
from otel_agents.wire.formats import RequestFacts, ResponseFacts
from otel_agents.wire.providers.anthropic_messages import AnthropicMessages

FORMAT = AnthropicMessages()


def usage_of(usage: Any) -> Usage | None:
    return FORMAT.read_response(body(usage=usage), False, ASKED).usage


ASKED = RequestFacts("claude")


def body(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def stream(*events: dict[str, Any]) -> bytes:
    return b"".join(
        f"event: {event['type']}\ndata: {json.dumps(event, separators=(',', ':'))}\n\n".encode()
        for event in events
    )


START = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [],
        "stop_reason": None,
        "usage": {
            "input_tokens": 10,
            "cache_read_input_tokens": 100,
            "cache_creation_input_tokens": 30,
            "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
            "output_tokens": 1,
            "service_tier": "standard",
        },
    },
}
TEXT = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
SAID = {
    "type": "content_block_delta",
    "index": 0,
    "delta": {"type": "text_delta", "text": 'say "message_delta" and "error"'},
}
PING = {"type": "ping"}
DELTA = {
    "type": "message_delta",
    "delta": {"stop_reason": "end_turn", "stop_sequence": None},
    "usage": {"output_tokens": 7, "input_tokens": None, "output_tokens_details": {"thinking_tokens": 3}},
}
STOP = {"type": "message_stop"}
WHOLE = stream(START, PING, TEXT, SAID, {"type": "content_block_stop", "index": 0}, DELTA, STOP)
USAGE = Usage(input=140, output=7, cache_read=100, cache_write=30, cache_write_1h=20, reasoning=3)
FACTS = ResponseFacts(
    id="msg_1", model="claude-x", usage=USAGE, finish_reasons=["end_turn"], service_tier="standard"
)


@pytest.mark.parametrize(
    "rewritten",
    [
        WHOLE,
        WHOLE.replace(b"\n", b"\r\n"),
        WHOLE.replace(b"\n", b"\r"),
        WHOLE.replace(b'":', b'": '),
        WHOLE.replace(b"data: ", b"data:"),
        WHOLE.replace(b',"message":', b'\ndata: ,"message":'),  # one event in two lines
        b": welcome\n\n" + WHOLE,
    ],
)
def test_a_stream_in_any_dress(rewritten: bytes) -> None:
    assert FORMAT.read_response(rewritten, True, ASKED) == FACTS


@given(st.integers(min_value=0, max_value=len(WHOLE)))
def test_a_stream_that_was_cut_anywhere(at: int) -> None:
    facts = FORMAT.read_response(WHOLE[:at], True, ASKED)
    assert facts.finish_reasons in (["error"], ["end_turn"])
    if facts.usage is not None:
        assert facts.usage.input == 140
        assert facts.usage.output in (1, 7)
    if facts.finish_reasons == ["end_turn"]:
        assert facts.usage == USAGE


def test_a_later_delta_replaces_an_earlier() -> None:
    """Also the counts of the input, which grow when the server runs tools."""
    later = {**DELTA, "usage": {"output_tokens": 9, "input_tokens": 50}}
    facts = FORMAT.read_response(stream(START, DELTA, later, STOP), True, ASKED)
    assert facts.usage is not None
    assert (facts.usage.input, facts.usage.output) == (180, 9)


def test_an_error_event() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    facts = FORMAT.read_response(stream(START, TEXT, SAID, error), True, ASKED)
    assert (facts.error_type, facts.error_message) == ("overloaded_error", "Overloaded")
    assert facts.finish_reasons == ["error"]
    assert facts.usage is not None
    assert facts.usage.output == 1


def test_an_error_body() -> None:
    error = {"type": "invalid_request_error", "message": "max_tokens: required"}
    facts = FORMAT.read_response(body(type="error", error=error), False, ASKED)
    assert facts == ResponseFacts(error_type="invalid_request_error", error_message="max_tokens: required")


def test_a_plain_message() -> None:
    facts = FORMAT.read_response(
        body(id="m", model="c", stop_reason="tool_use", usage={"input_tokens": 1, "output_tokens": 2}),
        False,
        ASKED,
    )
    assert facts == ResponseFacts(
        id="m", model="c", usage=Usage(input=1, output=2), finish_reasons=["tool_use"]
    )


@pytest.mark.parametrize("usage", [None, "free", [], {}, {"input_tokens": "many"}])
def test_usage_that_says_nothing(usage: Any) -> None:
    facts = FORMAT.read_response(body(id="m", usage=usage, stop_reason=None), False, ASKED)
    assert facts.usage is None
    assert facts.finish_reasons == ["error"]


def test_compactions_are_billed_on_top() -> None:
    usage = {
        "input_tokens": 10,
        "output_tokens": 5,
        "iterations": [
            {"type": "compaction", "input_tokens": 100, "output_tokens": 20, "cache_read_input_tokens": 40},
            {"type": "message", "input_tokens": 10, "output_tokens": 5},
        ],
    }
    assert usage_of(usage) == Usage(input=150, output=25, cache_read=40)


def test_searches_are_billed_by_the_piece() -> None:
    used = {"web_search_requests": 3, "web_fetch_requests": 1}
    expected = MeteredUsage(input=10, output=5, web_searches=3)
    assert usage_of({"input_tokens": 10, "output_tokens": 5, "server_tool_use": used}) == expected
    streamed = stream(
        START,
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"server_tool_use": used}},
    )
    usage = FORMAT.read_response(streamed, True, ASKED).usage
    assert isinstance(usage, MeteredUsage)
    assert usage.web_searches == 3
    none = {"input_tokens": 10, "output_tokens": 5, "server_tool_use": {"web_search_requests": 0}}
    assert usage_of(none) == Usage(input=10, output=5)


def test_another_models_advice_is_billed_on_top_at_its_price() -> None:
    advice = {"type": "advisor_message", "model": "claude-opus-4-5", "input_tokens": 100, "output_tokens": 20}
    usage = {
        "input_tokens": 10,
        "output_tokens": 5,
        "iterations": [
            {"type": "message", "input_tokens": 4, "output_tokens": 2},
            {**advice, "cache_read_input_tokens": 40},
            {"type": "message", "input_tokens": 6, "output_tokens": 3},
        ],
    }
    found = usage_of(usage)
    assert found == shared(
        (None, Usage(input=10, output=5)), ("claude-opus-4-5", Usage(input=140, output=20, cache_read=40))
    )
    assert (found.input, found.output, found.cache_read) == (150, 25, 40)


def test_a_router_says_what_it_charged() -> None:
    usage = {"input_tokens": 10, "output_tokens": 5, "cost": 0.5, "is_byok": False}
    assert usage_of(usage) == MeteredUsage(input=10, output=5, cost=0.5)


def test_lifetimes_without_their_sum() -> None:
    usage = {"input_tokens": 1, "output_tokens": 1, "cache_creation": {"ephemeral_1h_input_tokens": 8}}
    assert usage_of(usage) == Usage(input=9, output=1, cache_write=8, cache_write_1h=8)


@pytest.mark.parametrize(
    ("path", "matches"),
    [
        ("/v1/messages", True),
        ("/proxy/anthropic/v1/messages", True),
        ("/v1/messages/count_tokens", False),
        ("/v1/messages/batches", False),
        ("/v1/threads/t/messages", False),
    ],
)
def test_paths(path: str, matches: bool) -> None:
    assert FORMAT.matches(path) is matches


def test_json_is_asked_for() -> None:
    schema = {"type": "json_schema", "schema": {}}
    for fields in ({"output_config": {"format": schema, "effort": "max"}}, {"output_format": schema}):
        facts = FORMAT.read_request(body(model="c", messages=[], max_tokens=1, **fields))
        assert facts is not None
        assert facts.attributes["gen_ai.output.type"] == "json"


# --- content -------------------------------------------------------------------------------------
def parts(*blocks: Any, limit: int = 10_000) -> Any:
    found = FORMAT.input_content(body(messages=[{"role": "user", "content": list(blocks)}]), limit)
    (message,) = found["gen_ai.input.messages"]
    return message["parts"]


def source(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "source": fields}


def test_kinds_of_blocks() -> None:
    assert parts(
        {"type": "thinking", "thinking": "Hm", "signature": "x"},
        {"type": "redacted_thinking", "data": "xxxx"},
        source("image", type="url", url="https://a/b.png"),
        source("image", type="file", file_id="f1"),
        source("document", type="base64", media_type="application/pdf", data="QUJD"),
        source("document", type="text", media_type="text/plain", data="words"),
        {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": [1]}},
        {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "r"}]},
        {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "q"}},
        {"type": "web_search_tool_result", "tool_use_id": "s1", "content": [{"url": "u"}]},
        {"type": "hologram", "beam": 1},
    ) == [
        {"type": "reasoning", "content": "Hm"},
        {"type": "reasoning", "content": ""},
        {"type": "uri", "modality": "image", "uri": "https://a/b.png"},
        {"type": "file", "modality": "image", "file_id": "f1"},
        {"type": "blob", "mime_type": "application/pdf", "modality": "document", "content": "QUJD"},
        {"type": "text", "content": "words"},
        {"type": "tool_call", "id": "t1", "name": "f", "arguments": {"a": [1]}},
        {"type": "tool_call_response", "id": "t1", "response": "r"},
        {
            "type": "server_tool_call",
            "id": "s1",
            "name": "web_search",
            "server_tool_call": {"type": "web_search", "arguments": {"query": "q"}},
        },
        {
            "type": "server_tool_call_response",
            "id": "s1",
            "server_tool_call_response": {"type": "web_search", "result": [{"url": "u"}]},
        },
        {"type": "hologram", "beam": 1},
    ]


def test_screenshots_in_tool_results_are_not_copied_when_big() -> None:
    image = source("image", type="base64", media_type="image/png", data="QUJD" * 100_000)
    (result,) = parts({"type": "tool_result", "tool_use_id": "t", "content": [image]})
    (blob,) = result["response"]
    assert blob == {
        "type": "blob",
        "mime_type": "image/png",
        "modality": "image",
        "content": "",
        "byte_size": 300_000,
    }


def test_streamed_and_plain_answers_are_the_same() -> None:
    blocks = [
        {"type": "thinking", "thinking": "Hmm", "signature": "s"},
        {"type": "text", "text": "Hello"},
        {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}},
    ]
    plain = FORMAT.output_content(body(content=blocks, stop_reason="tool_use"), False, 1000)

    def start(index: int, **block: Any) -> dict[str, Any]:
        return {"type": "content_block_start", "index": index, "content_block": block}

    def grow(index: int, **delta: Any) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": index, "delta": delta}

    streamed = stream(
        START,
        start(0, type="thinking", thinking="", signature=""),
        grow(0, type="thinking_delta", thinking="Hm"),
        grow(0, type="thinking_delta", thinking="m"),
        grow(0, type="signature_delta", signature="s"),
        start(1, type="text", text=""),
        grow(1, type="text_delta", text="Hel"),
        grow(1, type="text_delta", text="lo"),
        start(2, type="tool_use", id="t", name="f", input={}),
        grow(2, type="input_json_delta", partial_json='{"a"'),
        grow(2, type="input_json_delta", partial_json=": 1}"),
        start(3, type="server_tool_use", id="s", name="web_search", input={}),
        grow(3, type="input_json_delta", partial_json='{"query": "q"}'),
        {**DELTA, "delta": {"stop_reason": "tool_use"}},
        STOP,
    )
    assert FORMAT.output_content(streamed, True, 1000) == plain


def test_tools_of_the_provider_stay_as_they_are() -> None:
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
    found = FORMAT.input_content(body(messages=[], tools=[search, {"type": "custom", "name": "f"}]), 1000)
    assert found["gen_ai.tool.definitions"] == [search, {"type": "function", "name": "f"}]
