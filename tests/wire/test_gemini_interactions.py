"""Google's Interactions API, as its own SDK calls it: exact facts, messages, streams, background, errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from google import genai
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st
from scripted_server import Answer, Scripted, scripted
from wire_rig import Wired

from otel_agents import semconv
from otel_agents.accounting import Usage
from otel_agents.accounting.metered import MeteredUsage
from otel_agents.wire.formats import RequestFacts
from otel_agents.wire.providers.gemini_interactions import GeminiInteractions
from otel_agents.wire.recognise import format_of, recognise

FORMAT = GeminiInteractions()
ASKED = RequestFacts("gemini-2.5-flash")
SAID = {
    "total_input_tokens": 100,
    "total_cached_tokens": 20,
    "total_output_tokens": 10,
    "total_thought_tokens": 5,
    "total_tool_use_tokens": 30,
    "total_tokens": 145,
}
USED = Usage(input=130, output=15, cache_read=20, reasoning=5)
STEPS: list[Any] = [
    {"type": "thought", "summary": [{"type": "text", "text": "Hm."}], "signature": "c2ln"},
    {"type": "google_search_call", "id": "g1", "arguments": {"queries": ["q"]}},
    {"type": "google_search_result", "call_id": "g1", "result": [{"search_suggestions": "s"}]},
    {"type": "function_call", "id": "c1", "name": "look", "arguments": {"at": "it"}},
    {"type": "model_output", "content": [{"type": "text", "text": "Hello"}]},
]
DONE: dict[str, Any] = {
    "id": "int_1", "object": "interaction", "model": "gemini-2.5-flash", "status": "completed",
    "steps": STEPS, "usage": SAID,
}  # fmt: skip
PARTS = [
    {"type": "reasoning", "content": "Hm."},
    {
        "type": "server_tool_call", "id": "g1", "name": "google_search",
        "server_tool_call": {"type": "google_search", "arguments": {"queries": ["q"]}},
    },
    {
        "type": "server_tool_call_response", "id": "g1",
        "server_tool_call_response": {"type": "google_search", "result": [{"search_suggestions": "s"}]},
    },
    {"type": "tool_call", "id": "c1", "name": "look", "arguments": {"at": "it"}},
    {"type": "text", "content": "Hello"},
]  # fmt: skip
STREAM: list[Any] = [
    {"event_type": "interaction.created", "interaction": {**DONE, "status": "in_progress", "steps": []}},
    {"event_type": "step.start", "index": 0, "step": {"type": "thought"}},
    {
        "event_type": "step.delta", "index": 0,
        "delta": {"type": "thought_summary", "content": {"type": "text", "text": "Hm."}},
    },
    {"event_type": "step.start", "index": 1, "step": STEPS[1]},
    {"event_type": "step.start", "index": 2, "step": STEPS[2]},
    {"event_type": "step.start", "index": 3, "step": {**STEPS[3], "arguments": {}}},
    {"event_type": "step.delta", "index": 3, "delta": {"type": "arguments_delta", "arguments": '{"at":'}},
    {"event_type": "step.delta", "index": 3, "delta": {"type": "arguments_delta", "arguments": ' "it"}'}},
    {"event_type": "step.start", "index": 4, "step": {"type": "model_output"}},
    {"event_type": "step.delta", "index": 4, "delta": {"type": "text", "text": "Hel"}},
    {"event_type": "step.delta", "index": 4, "delta": {"type": "text", "text": "lo"}},
    {"event_type": "step.stop", "index": 4},
    {"event_type": "interaction.completed", "interaction": {**DONE, "steps": []}},
]  # fmt: skip
STREAM[0]["interaction"].pop("usage")


def sse(*events: Any) -> bytes:
    return b"".join(f"data: {json.dumps(event, separators=(',', ':'))}\n\n".encode() for event in events)


def answered(said: Any, status: int = 200) -> Answer:
    return Answer([json.dumps(said).encode()], status, {"content-type": "application/json"})


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as server:
        yield server


@pytest.fixture
def client(wired_all: Wired, server: Scripted) -> genai.Client:
    return genai.Client(api_key="any", http_options=types.HttpOptions(base_url=server.url))


# --- through the SDK -----------------------------------------------------------------------------
def test_a_call(wired_all: Wired, server: Scripted, client: genai.Client) -> None:
    server.answer(answered(DONE))
    answer = client.interactions.create(
        model="gemini-2.5-flash",
        input=[
            {"type": "user_input", "content": [
                {"type": "text", "text": "Look"},
                {"type": "image", "data": "aGk=", "mime_type": "image/png"},
            ]},
            {"type": "function_result", "call_id": "c0", "name": "look", "result": "nothing"},
        ],
        system_instruction="Be kind.",
        tools=[{"type": "function", "name": "look", "parameters": {"type": "object"}}],
        generation_config={"temperature": 0.5, "max_output_tokens": 50, "thinking_level": "low"},
        previous_interaction_id="int_0",
    )  # fmt: skip
    assert answer.output_text == "Hello"
    sent = wired_all.sent()
    cost = sent["gen_ai.usage.cost"]
    assert cost == pytest.approx((110 * 0.3 + 20 * 0.03 + 15 * 2.5) / 1e6)
    contents = (
        semconv.INPUT_MESSAGES, semconv.OUTPUT_MESSAGES, semconv.SYSTEM_INSTRUCTIONS,
        semconv.TOOL_DEFINITIONS,
    )  # fmt: skip
    said = {name: json.loads(sent[name]) for name in contents}
    assert said[semconv.INPUT_MESSAGES] == [
        {"role": "user", "parts": [
            {"type": "text", "content": "Look"},
            {"type": "blob", "mime_type": "image/png", "modality": "image", "content": "aGk="},
        ]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c0", "response": "nothing"}]},
    ]  # fmt: skip
    assert said[semconv.OUTPUT_MESSAGES] == [{"role": "assistant", "parts": PARTS}]
    assert said[semconv.SYSTEM_INSTRUCTIONS] == [{"type": "text", "content": "Be kind."}]
    assert said[semconv.TOOL_DEFINITIONS] == [
        {"name": "look", "type": "function", "parameters": {"type": "object"}}
    ]
    assert {name: value for name, value in sent.items() if name not in contents} == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "gcp.gemini",
        "gen_ai.request.max_tokens": 50,
        "gen_ai.request.model": "gemini-2.5-flash",
        "gen_ai.request.previous_response.id": "int_0",
        "gen_ai.request.reasoning.level": "low",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.id": "int_1",
        "gen_ai.response.model": "gemini-2.5-flash",
        "gen_ai.usage.cache_read.input_tokens": 20,
        "gen_ai.usage.cost": cost,
        "gen_ai.usage.input_tokens": 130,
        "gen_ai.usage.output_tokens": 15,
        "gen_ai.usage.reasoning.output_tokens": 5,
        "server.address": "127.0.0.1",
        "server.port": int(server.url.rpartition(":")[2]),
    }
    assert wired_all.record().usage == USED


def test_a_stream(wired_all: Wired, server: Scripted, client: genai.Client) -> None:
    server.answer(Answer([sse(*STREAM)], headers={"content-type": "text/event-stream"}))
    for _ in client.interactions.create(model="gemini-2.5-flash", input="Hi", stream=True):
        pass
    sent = wired_all.sent()
    assert json.loads(sent[semconv.OUTPUT_MESSAGES]) == [{"role": "assistant", "parts": PARTS}]
    assert sent["gen_ai.response.finish_reasons"] == ("stop",)
    assert sent["gen_ai.request.stream"] is True
    assert wired_all.record().usage == USED


async def test_the_async_client(wired_all: Wired, server: Scripted, client: genai.Client) -> None:
    server.answer(answered({**DONE, "status": "requires_action"}))
    await client.aio.interactions.create(model="gemini-2.5-flash", input="Hi")
    assert wired_all.record().usage == USED
    assert wired_all.sent()["gen_ai.response.finish_reasons"] == ("tool_call",)


def test_in_the_background(wired_all: Wired, server: Scripted, client: genai.Client) -> None:
    server.answer(answered({"id": "int_2", "status": "in_progress", "agent": "deep-research"}))
    client.interactions.create(agent="deep-research", input="Hi", background=True)
    sent = wired_all.sent()
    assert (sent["gen_ai.agent.id"], sent["gen_ai.response.status"]) == ("deep-research", "in_progress")
    assert "gen_ai.response.finish_reasons" not in sent
    assert wired_all.record().usage is None


def test_an_error(wired_all: Wired, server: Scripted, client: genai.Client) -> None:
    error = {"code": 400, "message": "No", "status": "INVALID_ARGUMENT"}
    server.answer(answered({"error": error}, 400))
    with pytest.raises(Exception, match="No"):
        client.interactions.create(model="gemini-2.5-flash", input="Hi")
    assert wired_all.span().status.description == "No"
    assert wired_all.record().error_type == "400"


# --- bytes ---------------------------------------------------------------------------------------
@given(st.integers(0, len(sse(*STREAM)) - 3))
def test_a_stream_that_was_cut_anywhere(at: int) -> None:
    facts = FORMAT.read_response(sse(*STREAM)[:at], True, ASKED)
    assert facts.finish_reasons == ["error"]
    FORMAT.output_content(sse(*STREAM)[:at], True, 1000)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("completed", "stop"),
        ("incomplete", "length"),
        ("failed", "error"),
        ("budget_exceeded", "budget_exceeded"),
    ],
)
def test_why_it_ended(status: str, reason: str) -> None:
    facts = FORMAT.read_response(json.dumps({**DONE, "status": status}).encode(), False, ASKED)
    assert facts.finish_reasons == [reason]


def test_other_modalities() -> None:
    usage = {
        **SAID,
        "input_tokens_by_modality": [{"modality": "audio", "tokens": 60}, {"modality": "text", "tokens": 40}],
        "output_tokens_by_modality": [{"modality": "image", "tokens": 8}],
    }
    facts = FORMAT.read_response(json.dumps({**DONE, "usage": usage}).encode(), False, ASKED)
    assert facts.usage == MeteredUsage(
        input=130, output=15, cache_read=20, reasoning=5, input_audio=60, output_image=8
    )
    assert facts.attributes == {"gen_ai.usage.audio.input_tokens": 60, "gen_ai.usage.image.output_tokens": 8}


@pytest.mark.parametrize(
    ("path", "provider"),
    [
        ("/v1beta/interactions", "gcp.gemini"),
        ("/v1beta1/projects/p/locations/global/interactions", "gcp.vertex_ai"),
        ("/v1beta/interactions/int_1/cancel", None),
        ("/v1beta/interactions/int_1", None),
    ],
)
def test_paths(path: str, provider: str | None) -> None:
    found = format_of(path)
    assert (found.provider if found is not None else None) == provider


@pytest.mark.parametrize("body", [b'{"type": 1, "token": "t"}', b'{"model": "m"}', b'{"input": "x"}', b"[]"])
def test_an_unknown_service_with_such_a_path_is_not_watched(body: bytes) -> None:
    found = format_of("/api/interactions")
    assert found is not None
    assert recognise(found, "example.com", 443, body, {}) is None
