"""Images, speech and transcriptions: of the real OpenAI SDK, and forms as clients write them."""

from __future__ import annotations

import io
import json
from typing import Any

import httpx
import httpx2
import openai
import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from modelserver.server import ModelServer
from wire_rig import Wired

from otel_agents.accounting import Usage
from otel_agents.accounting.metered import MeteredUsage
from otel_agents.wire.formats import RequestFacts, ResponseFacts
from otel_agents.wire.providers import openai_multipart as multipart
from otel_agents.wire.providers.openai_audio import OpenAISpeech, OpenAITranscription, SpeechFacts
from otel_agents.wire.providers.openai_images import OpenAIImages

SOUND = b"RIFF\r\n--not the boundary\r\n\r\n" + bytes(range(256)) * 20
ASKED = RequestFacts("m")


@pytest.fixture
def client(server: ModelServer) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="sk-any", max_retries=0)


# --- images --------------------------------------------------------------------------------------
def test_images(wired_all: Wired, server: ModelServer, client: openai.OpenAI) -> None:
    answer = client.images.generate(model="gpt-image-1", prompt="A cat", n=2, quality="low")
    assert answer.usage is not None
    assert wired_all.span().name == "generate_content gpt-image-1"
    assert wired_all.attributes() == {
        "gen_ai.operation.name": "generate_content",
        "gen_ai.output.type": "image",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.choice.count": 2,
        "gen_ai.request.model": "gpt-image-1",
        "gen_ai.usage.cost": pytest.approx(float(server.ledger()["cost"])),
        "gen_ai.usage.image.output_tokens": 544,
        "gen_ai.usage.input_tokens": answer.usage.input_tokens,
        "gen_ai.usage.output_tokens": 544,
        "server.address": "127.0.0.1",
        "server.port": int(server.url.rsplit(":", 1)[1]),
    }
    sent = wired_all.sent()
    assert json.loads(sent["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "A cat"}]}
    ]
    assert answer.data is not None
    picture = {
        "type": "blob",
        "mime_type": "image/png",
        "modality": "image",
        "content": answer.data[0].b64_json,
    }
    assert json.loads(sent["gen_ai.output.messages"]) == [{"role": "assistant", "parts": [picture]}] * 2


def test_a_stream_of_images(wired_all: Wired, server: ModelServer, client: openai.OpenAI) -> None:
    events = list(client.images.generate(model="gpt-image-1", prompt="A cat", stream=True, partial_images=1))
    assert [event.type for event in events] == [
        "image_generation.partial_image",
        "image_generation.completed",
    ]
    attributes = wired_all.attributes()
    assert attributes["gen_ai.usage.image.output_tokens"] == attributes["gen_ai.usage.output_tokens"] == 1056
    assert "gen_ai.response.finish_reasons" not in attributes
    assert attributes["gen_ai.usage.cost"] == pytest.approx(float(server.ledger()["cost"]))
    (message,) = json.loads(wired_all.sent()["gen_ai.output.messages"])
    assert [part["type"] for part in message["parts"]] == ["blob"]  # the finished one only


def test_a_stream_of_images_that_is_left(wired: Wired, client: openai.OpenAI) -> None:
    with client.images.generate(model="gpt-image-1", prompt="A cat", stream=True) as stream:
        next(iter(stream))
    assert wired.attributes()["gen_ai.response.finish_reasons"] == ("error",)
    assert wired.record().usage is None


def test_models_that_are_billed_by_the_image_report_no_usage(wired: Wired, client: openai.OpenAI) -> None:
    client.images.generate(model="dall-e-3", prompt="A cat")
    assert wired.record().usage is None
    assert wired.record().unpriced_reason == "no_usage"


def test_images_that_were_sent() -> None:
    found = OpenAIImages().read_request(
        form(
            {"model": "gpt-image-1", "prompt": "Bluer", "n": "3", "stream": "true"},
            image=("a.png", SOUND, "image/png"),
        )
    )
    assert found == RequestFacts(
        "gpt-image-1", True, 3, attributes={"gen_ai.output.type": "image", "gen_ai.request.choice.count": 3}
    )
    usage = {
        "input_tokens": 300,
        "input_tokens_details": {"text_tokens": 100, "image_tokens": 200},
        "output_tokens": 1000,
    }
    body = json.dumps(
        {"data": [{"url": "https://a/b.png", "revised_prompt": "Very blue"}], "usage": usage}
    ).encode()
    facts = OpenAIImages().read_response(body, False, ASKED)
    assert facts.usage == MeteredUsage(input=300, output=1000, input_image=200, output_image=1000)
    (message,) = OpenAIImages().output_content(body, False, 1000)["gen_ai.output.messages"]
    assert message["parts"] == [
        {"type": "text", "content": "Very blue"},
        {"type": "uri", "modality": "image", "uri": "https://a/b.png"},
    ]


# --- speech --------------------------------------------------------------------------------------
def test_speech_by_the_character(wired_all: Wired, server: ModelServer, client: openai.OpenAI) -> None:
    answer = client.audio.speech.create(
        model="tts-1", input="Grüß Gott", voice="alloy", instructions="Softly"
    )
    attributes = wired_all.attributes()
    assert wired_all.span().name == "generate_content tts-1"
    assert attributes["gen_ai.output.type"] == "speech"
    assert attributes["gen_ai.usage.cost"] == pytest.approx(float(server.ledger()["cost"])) == 9 * 15 / 1e6
    sent = wired_all.sent()
    (message,) = json.loads(sent["gen_ai.output.messages"])
    assert message["parts"][0]["mime_type"] == "audio/wav"
    assert len(message["parts"][0]["content"]) >= len(answer.content)
    assert json.loads(sent["gen_ai.system_instructions"]) == [{"type": "text", "content": "Softly"}]


def test_speech_by_the_token(wired: Wired, server: ModelServer, client: openai.OpenAI) -> None:
    """Its plain answer is sound alone, so nobody can count it; its stream says the usage."""
    client.audio.speech.create(model="gpt-4o-mini-tts", input="Hello", voice="alloy")
    assert wired.record().usage is None
    assert wired.record().unpriced_reason == "no_usage"
    wired.clear()
    server.reset()
    with client.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", input="Hello", voice="alloy", stream_format="sse"
    ) as response:
        response.read()
    assert wired.record().cost == pytest.approx(float(server.ledger()["cost"]))
    assert wired.record().usage is not None


def test_a_long_sound_is_not_kept() -> None:
    (message,) = OpenAISpeech().output_content(b"ID3" + bytes(5000), False, 1000)["gen_ai.output.messages"]
    assert message["parts"] == [
        {"type": "blob", "mime_type": "audio/mpeg", "modality": "audio", "content": "", "byte_size": 5003}
    ]


# --- transcriptions ------------------------------------------------------------------------------
def transcribe(server: ModelServer, **fields: str) -> requests.Response:
    return requests.post(
        f"{server.url}/v1/audio/transcriptions",
        data=fields,
        files={"file": ("a.wav", SOUND, "audio/wav")},
        headers={"authorization": "Bearer sk-any"},
        timeout=20,
    )


def test_a_transcription(wired_all: Wired, server: ModelServer) -> None:
    answer = transcribe(server, model="gpt-4o-transcribe", temperature="0.5", prompt="Names: Ann").json()
    attributes = wired_all.attributes()
    assert wired_all.span().name == "generate_content gpt-4o-transcribe"
    assert attributes["gen_ai.output.type"] == "text"
    assert attributes["gen_ai.request.temperature"] == 0.5
    assert (
        attributes["gen_ai.usage.audio.input_tokens"]
        == answer["usage"]["input_token_details"]["audio_tokens"]
    )
    assert attributes["gen_ai.usage.input_tokens"] == answer["usage"]["input_tokens"]
    assert attributes["gen_ai.usage.cost"] == pytest.approx(float(server.ledger()["cost"]))
    sent = wired_all.sent()
    assert json.loads(sent["gen_ai.input.messages"])[0]["parts"] == [
        {
            "type": "blob",
            "mime_type": "audio/wav",
            "modality": "audio",
            "content": "",
            "byte_size": len(SOUND),
        },
        {"type": "text", "content": "Names: Ann"},
    ]
    assert json.loads(sent["gen_ai.output.messages"])[0]["parts"] == [
        {"type": "text", "content": answer["text"]}
    ]


def test_a_transcription_by_the_second(wired: Wired, server: ModelServer) -> None:
    transcribe(server, model="whisper-1")
    assert wired.record().cost == pytest.approx(float(server.ledger()["cost"]))
    assert isinstance(wired.record().usage, MeteredUsage)


def test_a_transcript_as_a_stream_and_as_plain_text(wired_all: Wired, server: ModelServer) -> None:
    said = transcribe(server, model="gpt-4o-transcribe", response_format="text").text
    assert json.loads(wired_all.sent()["gen_ai.output.messages"])[0]["parts"][0]["content"] == said
    assert "otel_agents.capture.unreadable" not in wired_all.attributes()
    assert wired_all.record().unpriced_reason == "no_usage"
    wired_all.clear()
    server.reset()
    transcribe(server, model="gpt-4o-transcribe", stream="true")
    assert wired_all.attributes()["gen_ai.request.stream"] is True
    assert wired_all.record().cost == pytest.approx(float(server.ledger()["cost"]))
    assert json.loads(wired_all.sent()["gen_ai.output.messages"])[0]["parts"][0]["content"] == said.strip()


# --- forms ---------------------------------------------------------------------------------------
def form(data: dict[str, Any], **files: Any) -> bytes:
    return httpx.Request("POST", "http://x", data=data, files=files).read()


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_the_head_of_a_form_that_is_not_made_yet(library: Any) -> None:
    """What is read of it is what will be sent, and nothing of the file has been touched."""

    class Untouched(io.BytesIO):
        def read(self, *_: Any) -> bytes:
            raise AssertionError("the file was read")

    files = {"file": ("a.wav", Untouched(SOUND), "audio/wav"), "other": ("b", SOUND)}
    request = library.Request("POST", "http://x", data={"model": "whisper-1", "prompt": "x\r\n"}, files=files)
    head = multipart.head(request.stream)
    assert head is not None
    assert len(head) < 1000
    sent = library.Request(
        "POST",
        "http://x",
        data={"model": "whisper-1", "prompt": "x\r\n"},
        files={**files, "file": ("a.wav", SOUND, "audio/wav")},
    ).read()
    assert multipart.read(head) == multipart.read(sent)
    assert OpenAITranscription().read_request(head) == OpenAITranscription().read_request(sent)


def test_other_streams_are_left_alone() -> None:
    def chunks() -> Any:
        yield b"--"

    for content in (b"--x", chunks(), None):
        assert multipart.head(httpx.Request("POST", "http://x", content=content).stream) is None


def test_a_form_as_other_clients_write_it() -> None:
    body = (
        b'--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n'
        b"Content-Type: audio/mpeg\r\n\r\n"
        + SOUND
        + b"\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n"
        + b'Content-Disposition: form-data; name="model"\r\n\r\n'
        + b'whisper-1\r\n--b\r\nContent-Disposition: form-data; name="empty"\r\n\r\n\r\n--b--\r\n'
    )
    found = multipart.read(body)
    assert found.fields == {"model": "whisper-1", "empty": ""}
    assert found.files == [multipart.File("file", "audio/mpeg", len(SOUND))]


@settings(max_examples=60)
@given(st.binary(max_size=60), st.integers(min_value=0, max_value=400))
def test_damaged_forms(garbage: bytes, at: int) -> None:
    whole = form({"model": "whisper-1"}, file=("a.wav", SOUND[:200], "audio/wav"))
    for body in (
        whole[:at],
        whole[:at] + garbage,
        b"--" + garbage,
        whole[:at] + garbage + whole[at:],
        garbage,
    ):
        for read in (
            OpenAITranscription().read_request,
            OpenAIImages().read_request,
            OpenAISpeech().read_request,
        ):
            try:
                read(body)
            except ValueError:
                pass


@settings(max_examples=60)
@given(st.binary(max_size=200))
def test_damaged_answers(garbage: bytes) -> None:
    for read in (OpenAITranscription(), OpenAIImages(), OpenAISpeech()):
        for data in (garbage, b"{" + garbage, b'data: {"type":"x.completed"' + garbage):
            for streamed in (False, True):
                for use in (read.read_response, read.output_content):
                    try:
                        use(data, streamed, ASKED if use == read.read_response else 100)  # type: ignore[operator]
                    except ValueError:
                        pass


def test_answers_that_say_nothing() -> None:
    assert OpenAITranscription().read_response(b'{"text": "Hi"}', False, ASKED) == ResponseFacts()
    with pytest.raises(ValueError, match="web page"):
        OpenAITranscription().read_response(b"<!DOCTYPE html><p>Sign in", False, ASKED)
    facts = OpenAISpeech().read_response(b"ID3", False, SpeechFacts("gpt-4o-mini-tts", characters=5))
    assert facts == ResponseFacts()
    facts = OpenAIImages().read_response(b'{"error": {"message": "No", "code": "moderation"}}', False, ASKED)
    assert (facts.error_type, facts.error_message) == ("moderation", "No")


def test_what_is_left_of_a_big_answer() -> None:
    tail = b'QUJD"}],"usage":{"input_tokens":5,"output_tokens":7,"input_tokens_details":{"text_tokens":5}}}'
    facts = OpenAIImages().read_response(b'event: x\ndata: {"b64_json":"QU\n\n' + tail, True, ASKED)
    assert facts.usage == MeteredUsage(input=5, output=7, output_image=7)
    assert OpenAITranscription().read_response(b"data: {}\n\n" + tail, True, ASKED).usage == Usage(5, 7)
