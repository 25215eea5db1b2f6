"""The scripted server as Anthropic's SDK sees it."""

from __future__ import annotations

from typing import Any

import anthropic as sdk
import httpx
import pytest
from anthropic import Anthropic, AsyncAnthropic
from modelserver import ModelServer

MODEL = "claude-sonnet-5-5"
HELLO: Any = [{"role": "user", "content": "Hello there"}]
SOURCE: Any = [{"role": "user", "content": "Security review of app.py\n\ndef load(path):\n    return path\n"}]
READ_FILE: Any = {
    "name": "read_file",
    "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
}


def test_an_answer_is_billed_as_reported(models: ModelServer, anthropic: Anthropic) -> None:
    message = anthropic.messages.create(model=MODEL, max_tokens=100, messages=HELLO)
    assert message.stop_reason == "end_turn"
    assert message.content[0].type == "text"
    assert (message.usage.input_tokens, message.usage.output_tokens) == (8, 15)
    ledger = models.ledger()
    assert ledger["records"][0]["request_id"] == message._request_id
    # 8 * 2 / 1e6 + 15 * 10 / 1e6
    assert ledger["cost"] == "0.000166"


def test_a_stream_tells_what_the_plain_answer_tells(anthropic: Anthropic) -> None:
    plain = anthropic.messages.create(model=MODEL, max_tokens=100, messages=HELLO)
    with anthropic.messages.stream(model=MODEL, max_tokens=100, messages=HELLO) as stream:
        streamed = stream.get_final_message()
    assert streamed.content[0].text == plain.content[0].text  # type: ignore[union-attr]
    assert streamed.usage == plain.usage
    assert streamed.stop_reason == plain.stop_reason


def test_the_events_come_in_the_apis_order(models: ModelServer) -> None:
    body = {"model": MODEL, "max_tokens": 100, "messages": HELLO, "stream": True}
    headers = {"x-api-key": "sk-test", "anthropic-version": "2023-06-01"}
    reply = httpx.post(f"{models.url}/v1/messages", json=body, headers=headers)
    kinds = [line.removeprefix("event: ") for line in reply.text.splitlines() if line.startswith("event: ")]
    assert kinds[:3] == ["message_start", "content_block_start", "ping"]
    assert set(kinds[3:-3]) == {"content_block_delta"}
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]


def test_thinking_is_shown_and_is_part_of_the_output(models: ModelServer, anthropic: Anthropic) -> None:
    with anthropic.messages.stream(
        model=MODEL, max_tokens=4000, messages=SOURCE, thinking={"type": "adaptive"}
    ) as stream:
        message = stream.get_final_message()
    thought, text = message.content
    assert thought.type == "thinking"
    assert thought.signature
    assert text.type == "text"
    tokens = -(-len(thought.thinking) // 4)
    assert message.usage.output_tokens_details is not None
    assert message.usage.output_tokens_details.thinking_tokens == tokens
    assert message.usage.output_tokens == tokens - (-len(text.text) // 4)
    assert models.ledger()["reasoning"] == tokens


def test_a_tool_is_called_and_its_result_used(anthropic: Anthropic) -> None:
    messages = list(SOURCE)
    with anthropic.messages.stream(
        model=MODEL, max_tokens=500, messages=messages, tools=[READ_FILE]
    ) as stream:
        first = stream.get_final_message()
    assert first.stop_reason == "tool_use"
    call = first.content[0]
    assert call.type == "tool_use"
    assert call.input == {"path": "app.py"}
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "def load(path): ..."}
    messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    second = anthropic.messages.create(model=MODEL, max_tokens=500, messages=messages, tools=[READ_FILE])
    assert second.stop_reason == "end_turn"
    assert "app.py" in second.content[0].text  # type: ignore[union-attr]


def test_cache_breakpoints_are_written_then_read(models: ModelServer, anthropic: Anthropic) -> None:
    hour: Any = {"type": "text", "text": "R" * 6000, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    minutes: Any = {"type": "text", "text": "Q" * 2000, "cache_control": {"type": "ephemeral"}}
    ask: Any = {
        "model": MODEL,
        "max_tokens": 100,
        "system": [hour],
        "messages": [{"role": "user", "content": [minutes, {"type": "text", "text": "And?"}]}],
    }
    first = anthropic.messages.create(**ask).usage
    assert first.cache_creation is not None
    # "<user>" stands before each block of the user's turn: 2006 characters are 502 tokens.
    assert first.cache_creation.ephemeral_1h_input_tokens == 1500
    assert first.cache_creation.ephemeral_5m_input_tokens == 502
    assert (first.cache_creation_input_tokens, first.cache_read_input_tokens) == (2002, 0)
    second = anthropic.messages.create(**ask).usage
    assert (second.cache_creation_input_tokens, second.cache_read_input_tokens) == (0, 2002)
    assert first.input_tokens == second.input_tokens == 3 + 3
    ledger = models.ledger()
    assert ledger["input"] == 2 * (6 + 2002)
    assert (ledger["cache_write"], ledger["cache_write_1h"], ledger["cache_read"]) == (2002, 1500, 2002)
    # Both calls: 6 plain at 2 and the answer at 10; first 1500 at 4 and 502 at 2.5, then 2002 at 0.1.
    output = first.output_tokens + second.output_tokens
    assert float(ledger["cost"]) == pytest.approx(
        (12 * 2 + output * 10 + 1500 * 4 + 502 * 2.5 + 2002 * 0.1) / 1e6, abs=1e-12
    )


def test_automatic_caching_marks_the_last_block(anthropic: Anthropic) -> None:
    messages: Any = [{"role": "user", "content": "Z" * 8000}]
    cached: Any = {"type": "ephemeral"}
    usage = anthropic.messages.create(
        model=MODEL, max_tokens=10, messages=messages, cache_control=cached
    ).usage
    assert usage.cache_creation_input_tokens == 2002
    assert usage.input_tokens == 3


def test_short_prompts_are_not_cached(anthropic: Anthropic) -> None:
    block: Any = {"type": "text", "text": "short", "cache_control": {"type": "ephemeral"}}
    messages: Any = [{"role": "user", "content": [block]}]
    usage = anthropic.messages.create(model=MODEL, max_tokens=10, messages=messages).usage
    assert (usage.cache_creation_input_tokens, usage.cache_read_input_tokens) == (0, 0)


async def test_async_plain_and_streaming(models: ModelServer, async_anthropic: AsyncAnthropic) -> None:
    plain = await async_anthropic.messages.create(model=MODEL, max_tokens=100, messages=HELLO)
    stream = await async_anthropic.messages.create(model=MODEL, max_tokens=100, messages=HELLO, stream=True)
    events = [event async for event in stream]
    assert events[0].type == "message_start"
    assert events[-1].type == "message_stop"
    assert [e.usage.output_tokens for e in events if e.type == "message_delta"] == [plain.usage.output_tokens]
    assert models.ledger()["calls"] == 2


def test_counting_tokens_is_free(models: ModelServer, anthropic: Anthropic) -> None:
    counted = anthropic.messages.count_tokens(model=MODEL, messages=HELLO).input_tokens
    assert models.ledger()["calls"] == 0
    assert anthropic.messages.create(model=MODEL, max_tokens=9, messages=HELLO).usage.input_tokens == counted


def test_models_are_listed(anthropic: Anthropic) -> None:
    assert MODEL in {model.id for model in anthropic.models.list()}


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, sdk.BadRequestError, "invalid_request_error"),
        (401, sdk.AuthenticationError, "authentication_error"),
        (429, sdk.RateLimitError, "rate_limit_error"),
        (500, sdk.InternalServerError, "api_error"),
        (529, sdk.APIStatusError, "overloaded_error"),
    ],
)
def test_errors_look_like_the_providers(
    models: ModelServer, anthropic: Anthropic, status: int, error: type[sdk.APIStatusError], kind: str
) -> None:
    models.fail_next(1, status)
    with pytest.raises(error) as caught:
        anthropic.messages.create(model=MODEL, max_tokens=10, messages=HELLO)
    body: Any = caught.value.body
    assert body["type"] == "error"
    assert body["error"]["type"] == kind
    assert body["request_id"] == caught.value.request_id
    assert models.ledger()["errors"] == {str(status): 1}


def test_a_request_without_key_version_or_limit_is_refused(models: ModelServer) -> None:
    url = f"{models.url}/v1/messages"
    body = {"model": MODEL, "messages": HELLO}
    assert httpx.post(url, json=body).status_code == 401
    assert httpx.post(url, json=body, headers={"x-api-key": "k"}).status_code == 400
    both = {"x-api-key": "k", "anthropic-version": "2023-06-01"}
    refused = httpx.post(url, json=body, headers=both)
    assert (refused.status_code, refused.json()["error"]["message"]) == (400, "max_tokens: Field required")
    assert httpx.post(url, content=b"{", headers=both).status_code == 400
