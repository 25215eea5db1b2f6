"""The Responses API read from bytes: exact facts and messages, also of damaged and unusual bodies."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_agents.accounting import Usage
from otel_agents.accounting.metered import MeteredUsage, shared
from otel_agents.wire import reading
from otel_agents.wire.capture import Capture
from otel_agents.wire.formats import RequestFacts, ResponseFacts
from otel_agents.wire.providers.openai_responses import OpenAIResponses

FORMAT = OpenAIResponses()
ASKED = RequestFacts("gpt-5")


def body(**fields: Any) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()


def event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: ".encode() + body(type=kind, **fields) + b"\n\n"


def facts_of(**fields: Any) -> ResponseFacts:
    return FORMAT.read_response(body(**fields), False, ASKED)


USAGE = {
    "input_tokens": 10,
    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
    "output_tokens": 20,
    "output_tokens_details": {"reasoning_tokens": 5},
    "total_tokens": 30,
}
COUNTED = Usage(input=10, output=20, cache_read=4, cache_write=2, reasoning=5)
THOUGHT = {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}]}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": 'Grüße, "response":{ 😀', "annotations": []}],
}
CALL = {"id": "fc_1", "type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"a": 1}'}
SEARCH = {
    "id": "ws_1",
    "type": "web_search_call",
    "status": "completed",
    "action": {"type": "search", "query": "q"},
}
DONE = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "error": None,
    "model": "gpt-5-2025-08-07",
    "output": [THOUGHT, SEARCH, MESSAGE, CALL],
    "service_tier": "flex",
    "usage": USAGE,
}
FACTS = ResponseFacts(
    id="resp_1",
    model="gpt-5-2025-08-07",
    usage=COUNTED,
    finish_reasons=["tool_call"],
    service_tier="flex",
    attributes={"openai.response.service_tier": "flex"},
)
SAID = [
    {
        "role": "assistant",
        "parts": [
            {"type": "reasoning", "content": "Hm"},
            {
                "type": "server_tool_call",
                "id": "ws_1",
                "name": "web_search",
                "server_tool_call": {"type": "web_search", "action": {"type": "search", "query": "q"}},
            },
            {"type": "text", "content": 'Grüße, "response":{ 😀'},
            {"type": "tool_call", "id": "c1", "name": "look", "arguments": {"a": 1}},
        ],
    }
]
STARTED = {**DONE, "status": "in_progress", "output": [], "usage": None}
STREAM = b"".join(
    [
        event("response.created", response=STARTED),
        event("response.in_progress", response=STARTED),
        event("response.output_item.added", output_index=0, item={**THOUGHT, "summary": []}),
        event("response.reasoning_summary_text.delta", output_index=0, summary_index=0, delta="H"),
        event("response.reasoning_summary_text.delta", output_index=0, summary_index=0, delta="m"),
        event("response.output_item.done", output_index=0, item=THOUGHT),
        event("response.output_item.done", output_index=1, item=SEARCH),
        event("response.output_item.added", output_index=2, item={**MESSAGE, "content": []}),
        event("response.output_text.delta", output_index=2, content_index=0, delta='Grüße, "response":{'),
        event("response.output_text.delta", output_index=2, content_index=0, delta=" 😀"),
        event("response.output_item.done", output_index=2, item=MESSAGE),
        event("response.output_item.added", output_index=3, item={**CALL, "arguments": ""}),
        event("response.function_call_arguments.delta", output_index=3, delta='{"a"'),
        event("response.function_call_arguments.delta", output_index=3, delta=": 1}"),
        event("response.output_item.done", output_index=3, item=CALL),
        event("response.completed", response=DONE),
    ]
)


# --- requests ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "wrong",
    [b"", b"[]", b"null", b"<html>", b'{"model": "m"}', b'{"input": "hi"}', b'{"model": 3, "input": "hi"}',
     b'{"model": "m", "input": 5}'],
)  # fmt: skip
def test_what_is_no_request(wrong: bytes) -> None:
    try:
        assert FORMAT.read_request(wrong) is None
    except ValueError:
        pass


def test_parameters() -> None:
    facts = FORMAT.read_request(
        body(
            model="gpt-5", input=[], stream=True, max_output_tokens=7, temperature=1, top_p=0.5,
            reasoning={"effort": "low"}, previous_response_id="resp_0", conversation={"id": "conv_1"},
            service_tier="flex", text={"format": {"type": "json_schema", "name": "n", "schema": {}}},
        )
    )  # fmt: skip
    assert facts == RequestFacts(
        "gpt-5",
        True,
        1,
        "flex",
        {
            "openai.api.type": "responses",
            "gen_ai.request.max_tokens": 7,
            "gen_ai.request.temperature": 1.0,
            "gen_ai.request.top_p": 0.5,
            "gen_ai.request.reasoning.level": "low",
            "gen_ai.request.previous_response.id": "resp_0",
            "gen_ai.conversation.id": "conv_1",
            "openai.request.service_tier": "flex",
            "gen_ai.output.type": "json",
        },
    )


def test_odd_parameters_are_left_out() -> None:
    facts = FORMAT.read_request(
        body(model="m", input="x", temperature="hot", reasoning=5, conversation=[], stream=1)
    )
    assert facts == RequestFacts("m", attributes={"openai.api.type": "responses"})


def test_a_stored_prompt_needs_no_model_and_no_input() -> None:
    assert FORMAT.read_request(body(prompt={"id": "pmpt_1"})) is not None
    assert FORMAT.read_request(body(model="m", previous_response_id="resp_0")) is not None


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/v1/responses", True),
        ("/openai/v1/responses", True),
        ("/v1/responses/compact", True),
        ("/v1/responses/resp_1/cancel", False),
        ("/v1/responses/input_tokens", False),
        ("/v1/responses/resp_1", False),
    ],
)
def test_paths(path: str, wanted: bool) -> None:
    assert FORMAT.matches(path) is wanted


# --- responses -----------------------------------------------------------------------------------
def test_a_whole_response() -> None:
    assert facts_of(**DONE) == FACTS
    assert FORMAT.output_content(body(**DONE), False, 1000) == {"gen_ai.output.messages": SAID}


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({"output": [MESSAGE]}, ["stop"]),
        ({"output": None}, ["stop"]),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, ["length"]),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, ["content_filter"]),
        ({"status": "incomplete"}, ["error"]),
        ({"status": "failed"}, ["error"]),
        ({"status": "cancelled"}, ["error"]),
        ({"status": None}, []),
        ({"status": 5, "usage": None}, ["error"]),
    ],
)
def test_how_it_ended(changes: dict[str, Any], reasons: list[str]) -> None:
    assert facts_of(**{**DONE, **changes}).finish_reasons == reasons


def test_what_is_only_queued_has_not_ended() -> None:
    facts = facts_of(**{**STARTED, "status": "queued"})
    assert facts.attributes["gen_ai.response.status"] == "queued"
    assert (facts.finish_reasons, facts.usage, facts.error_type) == ([], None, None)


def test_a_failed_response() -> None:
    failed = {
        **DONE,
        "status": "failed",
        "usage": None,
        "error": {"code": "server_error", "message": "Sorry"},
    }
    for facts in (
        facts_of(**failed),
        FORMAT.read_response(event("response.failed", response=failed), True, ASKED),
    ):
        assert (facts.error_type, facts.error_message) == ("server_error", "Sorry")
        assert facts.finish_reasons == ["error"]


def test_a_refused_request() -> None:
    facts = facts_of(error={"message": "Slow down", "type": "requests", "code": "rate_limit_exceeded"})
    assert facts == ResponseFacts(error_type="requests", error_message="Slow down")


def test_searches_that_are_billed() -> None:
    used = {"web_search": {"num_requests": 3}}
    assert facts_of(**{**DONE, "tool_usage": used}).usage == MeteredUsage(
        input=10, output=20, cache_read=4, cache_write=2, reasoning=5, web_searches=3
    )


def test_a_model_that_draws_is_billed_beside_the_one_that_asked_it() -> None:
    drawn = {
        "input_tokens": 50, "input_tokens_details": {"image_tokens": 40, "text_tokens": 10},
        "output_tokens": 300, "output_tokens_details": {"image_tokens": 300, "text_tokens": 0},
    }  # fmt: skip
    tools = [{"type": "function", "name": "f"}, {"type": "image_generation", "model": "gpt-image-2"}]
    usage = facts_of(**{**DONE, "tool_usage": {"image_gen": drawn}, "tools": tools}).usage
    own = Usage(input=10, output=20, cache_read=4, cache_write=2, reasoning=5)
    image = MeteredUsage(input=50, output=300, input_image=40, output_image=300)
    assert usage == shared((None, own), ("gpt-image-2", image))
    assert (usage.input, usage.output, usage.output_image) == (60, 320, 300)
    assert (
        facts_of(**{**DONE, "tool_usage": {"image_gen": {"input_tokens": 0, "output_tokens": 0}}}).usage
        == own
    )


def test_a_compaction() -> None:
    facts = facts_of(
        id="resp_2", object="response.compaction", output=[{"type": "compaction", "id": "cmp_1"}], usage=USAGE
    )
    assert (facts.id, facts.usage, facts.finish_reasons) == ("resp_2", COUNTED, [])
    assert facts.attributes == {"gen_ai.conversation.compacted": True}


# --- streams -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "rewritten",
    [
        STREAM,
        STREAM.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + STREAM,
        STREAM.replace(b"data: ", b"data:"),
        STREAM.replace(b'"response":{"id', b'"response": {"id'),
        STREAM.replace(b'"response":{"id', b'\ndata: "response":{"id'),  # one event in two lines
        STREAM.replace(b'{"type":"response.created"', b'{"type":response.created"', 1),  # garbled
        STREAM + b"data: [DONE]\n\n",
        STREAM.rstrip(b"\n"),
    ],
)
def test_a_stream_in_any_dress(rewritten: bytes) -> None:
    assert FORMAT.read_response(rewritten, True, ASKED) == FACTS
    assert FORMAT.output_content(rewritten, True, 1000) == {"gen_ai.output.messages": SAID}


@given(st.lists(st.integers(min_value=0, max_value=len(STREAM)), max_size=12))
def test_every_split_of_the_bytes_reads_the_same(cuts: list[int]) -> None:
    capture = Capture()
    ends = [*sorted(cuts), len(STREAM)]
    for start, end in zip([0, *ends], ends, strict=False):
        capture.chunks.append(STREAM[start:end])
    facts, readable, streamed = reading.read(
        FORMAT, ASKED, capture.body({}), {"content-type": "text/event-stream"}, True
    )
    assert (facts, streamed) == (FACTS, True)
    assert FORMAT.output_content(readable, streamed, 1000) == {"gen_ai.output.messages": SAID}


@given(st.integers(min_value=0, max_value=len(STREAM) - 3))
def test_a_stream_that_was_cut_anywhere(at: int) -> None:
    facts = FORMAT.read_response(STREAM[:at], True, ASKED)
    assert facts.finish_reasons == ["error"]
    assert facts.usage in (None, COUNTED)
    assert facts.id in (None, "resp_1")
    for message in FORMAT.output_content(STREAM[:at], True, 1000).get("gen_ai.output.messages", ()):
        said = "".join(part["content"] for part in message["parts"] if part["type"] == "text")
        assert 'Grüße, "response":{ 😀'.startswith(said)


def test_what_came_before_a_cut() -> None:
    at = STREAM.index(b'"delta":": 1}"')
    (message,) = FORMAT.output_content(STREAM[:at], True, 1000)["gen_ai.output.messages"]
    assert message["parts"][:3] == SAID[0]["parts"][:3]  # type: ignore[index]
    assert message["parts"][3] == {"type": "tool_call", "id": "c1", "name": "look", "arguments": '{"a"'}


def test_deltas_without_the_item_that_they_belong_to() -> None:
    found = FORMAT.output_content(event("response.output_text.delta", output_index=0, delta="Hi"), True, 100)
    assert found == {
        "gen_ai.output.messages": [{"role": "assistant", "parts": [{"type": "text", "content": "Hi"}]}]
    }


def test_a_last_event_without_the_output() -> None:
    """As servers send it that keep nothing: the items before it are the answer."""
    bare = STREAM.replace(body(**DONE), body(**{**DONE, "output": []}))
    assert bare != STREAM
    assert FORMAT.output_content(bare, True, 1000) == {"gen_ai.output.messages": SAID}


def test_an_error_event() -> None:
    error = event("error", code="server_error", message="Overloaded", param=None)
    facts = FORMAT.read_response(STREAM[: STREAM.index(b"event: response.output_item")] + error, True, ASKED)
    assert (facts.id, facts.error_type, facts.error_message) == ("resp_1", "server_error", "Overloaded")
    assert facts.finish_reasons == ["error"]


def test_a_tool_whose_schema_has_a_response() -> None:
    listed = {
        "type": "mcp_list_tools",
        "id": "m",
        "server_label": "s",
        "tools": [{"input_schema": {"response": {}}}],
    }
    cut = STREAM[: STREAM.index(b"event: response.completed")]
    facts = FORMAT.read_response(
        cut + event("response.output_item.done", output_index=4, item=listed), True, ASKED
    )
    assert (facts.id, facts.finish_reasons) == ("resp_1", ["error"])


def test_usage_in_a_last_event_of_which_only_the_end_was_kept() -> None:
    image = {"type": "image_generation_call", "id": "ig", "status": "completed", "result": "QUJD" * 1000}
    whole = STREAM.replace(body(**DONE), body(**{**DONE, "output": [image]}))
    head, tail = whole[: whole.index(b"event: response.output_item.done")], whole[-400:]
    facts = FORMAT.read_response(head + b"\n\n" + tail, True, ASKED)
    assert (facts.id, facts.usage) == ("resp_1", COUNTED)


@settings(max_examples=60)
@given(st.binary(max_size=200))
def test_garbage(garbage: bytes) -> None:
    for data in (garbage, STREAM[:300] + garbage, b"data: {" + garbage):
        for streamed in (True, False):
            for read in (
                lambda data=data, streamed=streamed: FORMAT.read_response(data, streamed, ASKED),
                lambda data=data, streamed=streamed: FORMAT.output_content(data, streamed, 100),
                lambda data=data: FORMAT.input_content(data, 100),
                lambda data=data: FORMAT.read_request(data),
            ):
                try:
                    read()
                except ValueError:
                    pass


# --- content -------------------------------------------------------------------------------------
def messages_of(*items: Any) -> Any:
    return FORMAT.input_content(body(model="m", input=list(items)), 10_000)["gen_ai.input.messages"]


def test_a_text_is_a_message_and_instructions_are_the_systems() -> None:
    found = FORMAT.input_content(body(model="m", input="Hi", instructions="Be brief"), 100)
    assert found == {
        "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}],
        "gen_ai.system_instructions": [{"type": "text", "content": "Be brief"}],
    }


def test_a_conversation() -> None:
    found = messages_of(
        {"role": "developer", "content": "Be brief"},
        {"role": "user", "content": [{"type": "input_text", "text": "What?"}]},
        THOUGHT,
        CALL,
        {"type": "function_call_output", "call_id": "c1", "output": "one"},
        {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "two"}]},
        {"type": "custom_tool_call", "call_id": "c3", "name": "sql", "input": "SELECT 1"},
        {"type": "custom_tool_call_output", "call_id": "c3", "output": "1"},
        {**MESSAGE, "content": [{"type": "refusal", "refusal": "No"}]},
    )
    assert found == [
        {"role": "developer", "parts": [{"type": "text", "content": "Be brief"}]},
        {"role": "user", "parts": [{"type": "text", "content": "What?"}]},
        {
            "role": "assistant",
            "parts": [
                {"type": "reasoning", "content": "Hm"},
                {"type": "tool_call", "id": "c1", "name": "look", "arguments": {"a": 1}},
            ],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "one"}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c2", "response": "two"}]},
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "c3", "name": "sql", "arguments": "SELECT 1"}],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c3", "response": "1"}]},
        {"role": "assistant", "parts": [{"type": "refusal", "content": "No"}]},
    ]


def test_images_files_and_sound() -> None:
    ((message),) = messages_of(
        {
            "role": "user",
            "content": [
                {"type": "input_image", "image_url": "https://a/b.png"},
                {"type": "input_image", "image_url": "data:image/png;base64,QUJD"},
                {"type": "input_image", "file_id": "f1"},
                {"type": "input_file", "file_data": "data:application/pdf;base64,QUJD"},
                {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}},
                {"type": "hologram", "beam": 1},
                "odd",
            ],
        }
    )
    assert message["parts"] == [
        {"type": "uri", "modality": "image", "uri": "https://a/b.png"},
        {"type": "blob", "mime_type": "image/png", "modality": "image", "content": "QUJD"},
        {"type": "file", "modality": "image", "file_id": "f1"},
        {"type": "blob", "mime_type": "application/pdf", "modality": "document", "content": "QUJD"},
        {"type": "blob", "mime_type": "audio/wav", "modality": "audio", "content": "QUJD"},
        {"type": "hologram", "beam": 1},
        {"type": "generic"},
    ]


@pytest.mark.parametrize(
    ("item", "parts"),
    [
        (
            {
                "type": "code_interpreter_call",
                "id": "ci",
                "code": "1+1",
                "container_id": "c",
                "outputs": [{"logs": "2"}],
            },
            [
                ("server_tool_call", {"type": "code_interpreter", "code": "1+1", "container_id": "c"}),
                ("server_tool_call_response", {"type": "code_interpreter", "outputs": [{"logs": "2"}]}),
            ],
        ),
        (
            {
                "type": "mcp_call",
                "id": "m",
                "name": "ask",
                "server_label": "s",
                "arguments": '{"q":1}',
                "output": "yes",
            },
            [
                ("server_tool_call", {"type": "mcp", "arguments": {"q": 1}}),
                ("server_tool_call_response", {"type": "mcp", "output": "yes"}),
            ],
        ),
        (
            {"type": "file_search_call", "id": "fs", "queries": ["q"], "results": None},
            [("server_tool_call", {"type": "file_search", "queries": ["q"]})],
        ),
    ],
)
def test_tools_that_the_provider_runs(item: dict[str, Any], parts: list[tuple[str, Any]]) -> None:
    (message,) = FORMAT.output_content(body(output=[item]), False, 1000)["gen_ai.output.messages"]
    assert [(part["type"], part[part["type"]]) for part in message["parts"]] == parts
    assert {part["id"] for part in message["parts"]} == {item["id"]}


def test_a_picture_that_the_provider_drew() -> None:
    item = {"type": "image_generation_call", "id": "ig", "status": "completed", "result": "QUJD" * 100_000}
    (message,) = FORMAT.output_content(body(output=[item]), False, 1000)["gen_ai.output.messages"]
    call, picture = message["parts"]
    assert call["server_tool_call"] == {"type": "image_generation"}
    assert picture == {
        "type": "blob", "mime_type": "image/*", "modality": "image", "content": "", "byte_size": 300_000,
    }  # fmt: skip


def test_tools_of_the_providers_design_that_the_app_runs() -> None:
    found = messages_of(
        {
            "type": "local_shell_call",
            "id": "x",
            "call_id": "c",
            "action": {"command": ["ls"]},
            "status": "completed",
        },
        {"type": "local_shell_call_output", "call_id": "c", "output": "a.txt"},
        {"type": "compaction", "id": "cmp", "encrypted_content": "secret"},
        {"type": "item_reference", "id": "rs_9"},
    )
    assert [part for message in found for part in message["parts"]] == [
        {"type": "tool_call", "id": "c", "name": "local_shell", "arguments": {"action": {"command": ["ls"]}}},
        {"type": "tool_call_response", "id": "c", "response": "a.txt"},
        {"type": "compaction", "id": "cmp"},
        {"type": "item_reference", "id": "rs_9"},
    ]


def test_tools() -> None:
    tools = [
        {
            "type": "function",
            "name": "f",
            "description": "d",
            "parameters": {"type": "object"},
            "strict": True,
        },
        {"type": "web_search"},
        {
            "type": "mcp",
            "server_label": "s",
            "server_url": "https://m",
            "authorization": "key",
            "headers": {"k": "v"},
        },
    ]
    found = FORMAT.input_content(body(model="m", input="x", tools=tools), 1000)["gen_ai.tool.definitions"]
    assert found == [
        {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}},
        {"type": "web_search", "name": "web_search"},
        {"type": "mcp", "name": "s", "server_label": "s", "server_url": "https://m"},
    ]


def test_every_output_is_json() -> None:
    msgspec.json.encode(FORMAT.input_content(b'{"model": "m", "input": "\\ud83d"}', 1000))
