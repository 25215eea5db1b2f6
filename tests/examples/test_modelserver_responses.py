"""The scripted server's Responses, images, audio and batches as OpenAI's SDK sees them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import openai as sdk
import pytest
from modelserver import ModelServer
from openai import AzureOpenAI, OpenAI

LOOKUP: Any = {
    "type": "function",
    "name": "lookup",
    "strict": False,
    "parameters": {"type": "object", "properties": {"word": {"type": "string"}}},
}


def test_a_response_is_billed_as_reported(models: ModelServer, openai: OpenAI) -> None:
    answer = openai.responses.create(model="gpt-5.2", input="Hello there", instructions="Be brief")
    assert answer.status == "completed"
    assert answer.output_text == "You asked: Hello there. Here is a short, scripted answer."
    assert [item.type for item in answer.output] == ["reasoning", "message"]
    usage = answer.usage
    assert usage is not None
    assert usage.output_tokens == usage.output_tokens_details.reasoning_tokens + 15
    (record,) = models.ledger()["records"]
    assert (record["input"], record["output"]) == (usage.input_tokens, usage.output_tokens)
    assert (record["response_id"], record["path"]) == (answer.id, "/v1/responses")


def test_a_stream_ends_with_the_plain_answer(openai: OpenAI) -> None:
    asked: dict[str, Any] = {
        "model": "gpt-5.2",
        "input": "Hello",
        "reasoning": {"summary": "auto"},
        "tools": [LOOKUP, {"type": "web_search"}],
        "tool_choice": "required",
    }
    with openai.responses.stream(**asked) as stream:
        events = list(stream)
    final: Any = events[-1]
    kinds = [event.type for event in events]
    assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")
    assert [event.sequence_number for event in events] == list(range(len(events)))
    done: list[Any] = [event for event in events if event.type == "response.output_item.done"]
    assert [event.item.id for event in done] == [item.id for item in final.response.output]
    assert [item.type for item in final.response.output] == ["reasoning", "web_search_call", "function_call"]
    arguments = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
    assert "".join(arguments) == final.response.output[2].arguments


def test_a_conversation_goes_on(openai: OpenAI) -> None:
    first = openai.responses.create(model="gpt-4.1", input="x" * 400)
    second = openai.responses.create(model="gpt-4.1", input="And?", previous_response_id=first.id)
    assert first.usage is not None
    assert second.usage is not None
    assert second.usage.input_tokens > first.usage.input_tokens
    with pytest.raises(sdk.BadRequestError, match="not found"):
        openai.responses.create(model="gpt-4.1", input="And?", previous_response_id="resp_no")


def test_a_tool_result_is_used(openai: OpenAI) -> None:
    call: Any = openai.responses.create(
        model="gpt-4.1", input="What is a span?", tools=[LOOKUP], tool_choice="required"
    ).output[0]
    said: list[Any] = [
        {"role": "user", "content": "What is a span?"},
        call.model_dump(exclude_none=True),
        {"type": "function_call_output", "call_id": call.call_id, "output": "A bridge"},
    ]
    answer = openai.responses.create(model="gpt-4.1", input=said, tools=[LOOKUP], tool_choice="none")
    assert "A bridge" in answer.output_text


def test_a_background_run_is_billed_once(models: ModelServer, openai: OpenAI) -> None:
    accepted = openai.responses.create(model="gpt-4.1", input="Think", background=True)
    assert (accepted.status, accepted.usage, accepted.output) == ("queued", None, [])
    assert models.ledger()["unreported"]["calls"] == 1
    seen = [openai.responses.retrieve(accepted.id) for _ in range(3)]
    assert [answer.status for answer in seen] == ["in_progress", "completed", "completed"]
    ledger = models.ledger()
    assert (ledger["calls"], ledger["unreported"]["calls"]) == (1, 0)
    assert seen[1].usage is not None
    assert seen[1].usage.input_tokens == ledger["input"]
    assert [event.type for event in openai.responses.retrieve(accepted.id, stream=True)][
        -1
    ] == "response.completed"
    assert models.ledger()["calls"] == 1


@pytest.mark.parametrize(
    ("scenario", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")]
)
def test_an_answer_that_stops_early(openai: OpenAI, scenario: str, reason: str) -> None:
    answer = openai.responses.create(model=f"gpt-4.1#{scenario}", input="Hi")
    assert answer.status == "incomplete"
    assert answer.incomplete_details is not None
    assert answer.incomplete_details.reason == reason


def test_searches_are_billed_by_the_piece(models: ModelServer, openai: OpenAI) -> None:
    plain = openai.responses.create(model="gpt-4.1", input="Hi")
    before = Decimal(models.ledger()["cost"])
    models.reset()
    openai.responses.create(model="gpt-4.1", input="Hi", tools=[{"type": "web_search"}])
    assert plain.usage is not None
    tools = -(-len('[{"type":"web_search"}]') // 4)  # input too
    assert Decimal(models.ledger()["cost"]) == before + Decimal("0.01") + tools * Decimal("0.000002")


def test_images_and_sound(models: ModelServer, openai: OpenAI) -> None:
    picture = openai.images.generate(model="gpt-image-1", prompt="A cat", quality="low", n=2)
    assert picture.usage is not None
    assert picture.usage.output_tokens == 544
    assert picture.data is not None
    assert picture.data[0].b64_json
    heard: Any = openai.audio.transcriptions.create(model="gpt-4o-transcribe", file=("a.wav", b"x" * 640))
    assert heard.text == "A recording of 640 bytes."
    assert heard.usage.input_token_details.audio_tokens == 11
    assert openai.audio.speech.create(model="tts-1", input="Hello", voice="alloy").content.startswith(b"RIFF")
    ledger = models.ledger()
    # 5 * 5 + 544 * 40; 2 * 2.5 + 11 * 6 + 7 * 10; 5 characters * 15; by the million
    costs = [Decimal(record["cost"]) for record in ledger["records"]]
    assert costs == [Decimal("0.021785"), Decimal("0.000141"), Decimal("0.000075")]


def test_a_batch_is_accepted_and_not_billed(models: ModelServer, openai: OpenAI) -> None:
    batch = openai.batches.create(
        input_file_id="file-1", endpoint="/v1/chat/completions", completion_window="24h"
    )
    assert batch.status == "validating"
    assert models.ledger()["calls"] == 0


def test_a_deployment_at_azure(models: ModelServer) -> None:
    client = AzureOpenAI(azure_endpoint=models.url, api_key="any", api_version="2024-10-21", max_retries=0)
    answer = client.chat.completions.create(
        model="prod-gpt-4o-mini", messages=[{"role": "user", "content": "Hi"}]
    )
    assert answer.model == "gpt-4o-mini-2024-07-18"
