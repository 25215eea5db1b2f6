"""The scripted server as OpenAI's SDK sees it."""

from __future__ import annotations

import json
from typing import Any

import openai as sdk
import pytest
from modelserver import ModelServer
from openai import AsyncOpenAI, OpenAI

HELLO: Any = [{"role": "user", "content": "Hello there"}]
SOURCE = "Review of app.py\n\ndef load(path):\n    return open(path).read()\n\ndef main():\n    load('x')\n"
READ_FILE: Any = {
    "type": "function",
    "function": {
        "name": "read_file",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"path": {"type": "string"}},
            "required": ["path"],
            "additionalProperties": False,
        },
    },
}


def test_an_answer_is_billed_as_reported(models: ModelServer, openai: OpenAI) -> None:
    answer = openai.chat.completions.create(model="gpt-4o-mini", messages=HELLO)
    assert answer.choices[0].finish_reason == "stop"
    text = "You asked: Hello there. Here is a short, scripted answer."
    assert answer.choices[0].message.content == text
    assert answer.model == "gpt-4o-mini-2024-07-18"
    assert answer.service_tier == "default"
    assert answer.system_fingerprint
    assert answer.usage is not None
    # "<user>Hello there" is 17 characters, 5 tokens, and the frame is 3; the answer has 57.
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (8, 15)
    ledger = models.ledger()
    assert ledger["records"][0]["response_id"] == answer.id
    assert ledger["records"][0]["request_id"] == answer._request_id
    assert (ledger["calls"], ledger["input"], ledger["output"]) == (1, 8, 15)
    # 8 * 0.15 / 1e6 + 15 * 0.60 / 1e6
    assert ledger["cost"] == "0.0000102"


def test_the_same_question_gets_the_same_answer(openai: OpenAI) -> None:
    messages: Any = [{"role": "user", "content": SOURCE}]
    answers = {
        openai.chat.completions.create(model="gpt-5.2", messages=messages).choices[0].message.content
        for _ in range(3)
    }
    assert len(answers) == 1
    assert "(line " in str(answers)


def test_a_stream_has_the_text_of_the_plain_answer_and_usage_at_its_end(openai: OpenAI) -> None:
    plain = openai.chat.completions.create(model="gpt-4o", messages=HELLO)
    chunks = list(
        openai.chat.completions.create(
            model="gpt-4o", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    )
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == (
        plain.choices[0].message.content
    )
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage == plain.usage
    assert {chunk.usage for chunk in chunks[:-1]} == {None}
    assert len({chunk.id for chunk in chunks}) == 1


def test_a_stream_without_include_usage_is_billed_and_marked_unreported(
    models: ModelServer, openai: OpenAI
) -> None:
    chunks = list(openai.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True))
    assert all(chunk.usage is None for chunk in chunks)
    ledger = models.ledger()
    assert (ledger["calls"], ledger["unreported"]["calls"], ledger["partial"]["calls"]) == (1, 1, 0)
    assert ledger["unreported"]["output"] == ledger["output"] == 15


def test_hidden_reasoning_is_part_of_the_output(models: ModelServer, openai: OpenAI) -> None:
    answer = openai.chat.completions.create(model="gpt-5.4-mini", messages=HELLO)
    assert answer.usage is not None
    assert answer.usage.completion_tokens_details is not None
    reasoning = answer.usage.completion_tokens_details.reasoning_tokens
    assert reasoning is not None
    assert reasoning >= 64
    assert reasoning % 64 == 0
    assert answer.usage.completion_tokens == reasoning + 15
    assert models.ledger()["reasoning"] == reasoning
    quiet = openai.chat.completions.create(model="gpt-5.4-mini", messages=HELLO, reasoning_effort="none")
    assert quiet.usage is not None
    assert quiet.usage.completion_tokens == 15


def test_a_repeated_prefix_comes_from_the_cache(openai: OpenAI) -> None:
    def ask(question: str) -> Any:
        system = "Be brief. " * 600  # 6000 characters: 11 whole steps of 128 tokens
        messages: Any = [{"role": "system", "content": system}, {"role": "user", "content": question}]
        return openai.chat.completions.create(model="gpt-4o", messages=messages).usage

    assert ask("one?").prompt_tokens_details.cached_tokens == 0
    again = ask("two?")
    assert again.prompt_tokens_details.cached_tokens == 11 * 128
    assert again.prompt_tokens > 11 * 128


def test_models_with_a_write_price_bill_what_enters_the_cache(models: ModelServer, openai: OpenAI) -> None:
    messages: Any = [{"role": "user", "content": "x" * 8000}]
    for _ in range(2):
        openai.chat.completions.create(model="gpt-5.6-terra", messages=messages, reasoning_effort="none")
    first, second = models.ledger()["records"]
    assert (first["cache_read"], first["cache_write"]) == (0, 15 * 128)
    assert (second["cache_read"], second["cache_write"]) == (15 * 128, 0)


def test_a_tool_is_called_and_its_result_used(openai: OpenAI) -> None:
    messages: Any = [{"role": "user", "content": SOURCE}]
    first = openai.chat.completions.create(model="gpt-4.1", messages=messages, tools=[READ_FILE])
    assert first.choices[0].finish_reason == "tool_calls"
    assert first.choices[0].message.tool_calls
    call: Any = first.choices[0].message.tool_calls[0]
    assert json.loads(call.function.arguments) == {"path": "app.py"}
    messages += [
        first.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "def load(path): ..."},
    ]
    second = openai.chat.completions.create(model="gpt-4.1", messages=messages, tools=[READ_FILE])
    assert second.choices[0].finish_reason == "stop"
    assert "Review of app.py" in str(second.choices[0].message.content)


def test_a_streamed_tool_call_arrives_in_parts(openai: OpenAI) -> None:
    messages: Any = [{"role": "user", "content": SOURCE}]
    with openai.chat.completions.stream(model="gpt-4.1", messages=messages, tools=[READ_FILE]) as stream:
        kinds = [event.type for event in stream]
        completion = stream.get_final_completion()
    assert kinds.count("tool_calls.function.arguments.delta") > 1
    assert completion.choices[0].message.tool_calls
    assert completion.choices[0].message.tool_calls[0].function.arguments == '{"path": "app.py"}'


def test_several_choices_are_answered_and_billed(openai: OpenAI) -> None:
    answer = openai.chat.completions.create(model="gpt-4o", messages=HELLO, n=3)
    texts = [choice.message.content for choice in answer.choices]
    assert len(set(texts)) == 3
    assert answer.usage is not None
    assert answer.usage.completion_tokens == sum(-(-len(str(text)) // 4) for text in texts)


def test_json_follows_the_schema(openai: OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "count": {"type": "integer"}, "tags": {"type": "array"}},
        "required": ["name", "count", "tags"],
    }
    wanted: Any = {"type": "json_schema", "json_schema": {"name": "thing", "schema": schema}}
    answer = openai.chat.completions.create(model="gpt-4o", messages=HELLO, response_format=wanted)
    parsed = json.loads(str(answer.choices[0].message.content))
    assert set(parsed) == {"name", "count", "tags"}
    assert isinstance(parsed["count"], int)


def test_the_limit_ends_the_answer(openai: OpenAI) -> None:
    answer = openai.chat.completions.create(model="gpt-4o", messages=HELLO, max_tokens=5)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 5


async def test_async_plain_and_streaming(models: ModelServer, async_openai: AsyncOpenAI) -> None:
    plain = await async_openai.chat.completions.create(model="gpt-4o", messages=HELLO)
    stream = await async_openai.chat.completions.create(
        model="gpt-4o", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert chunks[-1].usage == plain.usage
    assert models.ledger()["calls"] == 2


def test_embeddings_and_models(models: ModelServer, openai: OpenAI) -> None:
    reply = openai.embeddings.create(model="text-embedding-3-small", input=["Hello", "Hello", "there!"])
    assert reply.usage.prompt_tokens == 2 + 2 + 2
    assert reply.data[0].embedding == reply.data[1].embedding != reply.data[2].embedding
    assert models.ledger()["records"][0]["operation"] == "embeddings"
    assert "gpt-5.4-mini" in {model.id for model in openai.models.list()}


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, sdk.BadRequestError),
        (401, sdk.AuthenticationError),
        (404, sdk.NotFoundError),
        (429, sdk.RateLimitError),
        (500, sdk.InternalServerError),
        (503, sdk.InternalServerError),
    ],
)
def test_errors_look_like_the_providers(
    models: ModelServer, openai: OpenAI, status: int, error: type[sdk.APIStatusError]
) -> None:
    models.fail_next(1, status)
    with pytest.raises(error) as caught:
        openai.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert set(caught.value.body or ()) == {"message", "type", "param", "code"}  # type: ignore[call-overload]
    assert str(caught.value.request_id).startswith("req_")
    assert models.ledger()["errors"] == {str(status): 1}
    assert models.ledger()["calls"] == 0


def test_the_sdk_retries_and_the_ledger_tells_the_attempts_apart(models: ModelServer, openai: OpenAI) -> None:
    models.script("429", "500")
    openai.with_options(max_retries=2).chat.completions.create(model="gpt-4o", messages=HELLO)
    ledger = models.ledger()
    assert ledger["errors"] == {"429": 1, "500": 1}
    assert ledger["records"][0]["retry_count"] == 2


def test_what_the_api_would_refuse_is_refused(models: ModelServer, openai: OpenAI) -> None:
    with pytest.raises(sdk.BadRequestError, match="messages"):
        openai.chat.completions.create(model="gpt-4o", messages=[])
    with pytest.raises(sdk.NotFoundError, match="no-such-model"):
        openai.chat.completions.create(model="no-such-model", messages=HELLO)
    with pytest.raises(sdk.NotFoundError):
        openai.chat.completions.create(model="claude-sonnet-5-5", messages=HELLO)
    with pytest.raises(sdk.AuthenticationError):
        openai.with_options(api_key="sk-invalid").chat.completions.create(model="gpt-4o", messages=HELLO)
    with pytest.raises(sdk.BadRequestError, match="no scenario 'nonsense'"):
        openai.chat.completions.create(model="gpt-4o#nonsense", messages=HELLO)
    assert models.ledger()["calls"] == 0
