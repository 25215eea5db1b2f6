"""OpenAI audio: ``POST .../audio/transcriptions`` and ``translations`` (forms), ``.../audio/speech``.

As for images, the operation is ``generate_content``, with the output's type. Newer models report
tokens. Whisper is billed by the second and reports those; the first speech models are billed by
the character, which are counted here since their answer is nothing but sound.
"""

from __future__ import annotations

import base64
from typing import Any, Final

import msgspec

from otel_agents import semconv
from otel_agents.accounting.metered import MeteredUsage
from otel_agents.wire import parts, sse, tolerant
from otel_agents.wire.formats import NOT_FINISHED, Content, RequestFacts, ResponseFacts
from otel_agents.wire.providers import openai_azure, openai_multipart
from otel_agents.wire.providers.openai_errors import take_error
from otel_agents.wire.providers.openai_usage import TokenUsage, last_usage, modalities, token_usage

_LISTENING: Final = ("/audio/transcriptions", "/audio/translations")
_SPEECH: Final = "/audio/speech"
_EMPTY: Final = msgspec.Raw(b"")
#: Models whose input is billed by the character.
_BY_CHARACTER: Final = ("tts-1",)
_DONE: Final = (b'.done"', b'"error"')
_MAGIC: Final = ((b"RIFF", "wav"), (b"ID3", "mpeg"), (b"\xff", "mpeg"), (b"OggS", "ogg"), (b"fLaC", "flac"))


class SpeechFacts(RequestFacts):
    """A request for speech: how many characters are to be read."""

    characters: int = 0


class _Speech(msgspec.Struct, gc=False):
    model: str | None = None
    input: str | None = None
    instructions: str | None = None
    stream_format: str | None = None


class _Answer(msgspec.Struct, gc=False):
    """A transcript, an event of a stream, or an error."""

    type: str | None = None
    text: str | None = None
    usage: TokenUsage | None = None
    error: msgspec.Raw = _EMPTY


_speech = tolerant.Lenient(_Speech)
_answer = tolerant.Lenient(_Answer)


class _Audio:
    operation = semconv.OP_GENERATE_CONTENT

    def __init__(self, provider: str = "openai", deployment: str | None = None) -> None:
        self.provider = provider
        self._deployment = deployment

    def read_response(self, body: bytes, streamed: bool, request: RequestFacts) -> ResponseFacts:
        """Usage, where the answer has any. What is no JSON is the transcript or the sound itself."""
        facts = ResponseFacts()
        if streamed:
            _take_events(facts, body)
        elif body[:16].lstrip().startswith(b"{"):
            _take(facts, _answer.read(body))
        elif body.lstrip()[:15].lower().startswith((b"<!doctype", b"<html")):
            raise ValueError("a web page")
        elif isinstance(request, SpeechFacts) and (request.model or "").startswith(_BY_CHARACTER):
            facts.usage = MeteredUsage(input_characters=request.characters)
        return facts


class OpenAITranscription(_Audio):
    """Speech to text. On Azure, ``deployment`` is the model that is asked for."""

    name = "openai.transcription"

    def at(self, path: str) -> OpenAITranscription:
        """The format for ``path``, which on Azure has the deployment in it."""
        place = openai_azure.place(path)
        return self if place is None else OpenAITranscription(*place)

    def matches(self, path: str) -> bool:
        """``/v1/audio/transcriptions``, ``/v1/audio/translations``."""
        return path.endswith(_LISTENING)

    def read_request(self, body: bytes) -> RequestFacts | None:
        """Model and temperature from the form; None when it has no model or no file."""
        form = openai_multipart.read(body)
        model = self._deployment or form.fields.get("model")
        if not model or not form.files:
            return None
        facts = RequestFacts(model, form.fields.get("stream") == "true")
        facts.attributes[semconv.OUTPUT_TYPE] = "text"
        try:
            temperature = float(form.fields["temperature"])
        except (KeyError, ValueError):
            return facts
        if abs(temperature) < 100:
            facts.attributes[semconv.REQUEST_TEMPERATURE] = temperature
        return facts

    def input_content(self, body: bytes, limit: int) -> Content:
        """Type and size of the sound, and the prompt."""
        form = openai_multipart.read(body)
        said: list[dict[str, Any]] = [
            {
                "type": "blob",
                "mime_type": file.mime_type,
                "modality": "audio",
                "content": "",
                "byte_size": file.size,
            }
            for file in form.files
        ]
        if form.fields.get("prompt"):
            said.append(parts.text(form.fields["prompt"][:limit]))
        return {semconv.INPUT_MESSAGES: [{"role": "user", "parts": said}]}

    def output_content(self, body: bytes, streamed: bool, limit: int) -> Content:
        """The transcript, in whatever form it was asked for."""
        if streamed:
            events = (_read(line) for line in sse.data_lines(body, _DONE[0]))
            said = "".join(event.text or "" for event in events if event is not None)
        elif body[:16].lstrip().startswith(b"{"):
            said = _answer.read(body).text or ""
        else:
            said = body.decode("utf-8", "replace")
        return _said(parts.text(said[:limit])) if said else {}


class OpenAISpeech(_Audio):
    """Text to speech. On Azure, ``deployment`` is the model that is asked for."""

    name = "openai.speech"

    def at(self, path: str) -> OpenAISpeech:
        """The format for ``path``, which on Azure has the deployment in it."""
        place = openai_azure.place(path)
        return self if place is None else OpenAISpeech(*place)

    def matches(self, path: str) -> bool:
        """``/v1/audio/speech``."""
        return path.endswith(_SPEECH)

    def read_request(self, body: bytes) -> RequestFacts | None:
        """Model and length of the text; None when there is none."""
        request = _speech.read(body)
        model = self._deployment or request.model
        if model is None or request.input is None:
            return None
        facts = SpeechFacts(model, request.stream_format == "sse", characters=len(request.input))
        facts.attributes[semconv.OUTPUT_TYPE] = "speech"
        return facts

    def input_content(self, body: bytes, limit: int) -> Content:
        """What is to be read, and how."""
        request = _speech.read(body)
        content: Content = {
            semconv.INPUT_MESSAGES: [{"role": "user", "parts": [parts.text((request.input or "")[:limit])]}]
        }
        if request.instructions:
            content[semconv.SYSTEM_INSTRUCTIONS] = [parts.text(request.instructions[:limit])]
        return content

    def output_content(self, body: bytes, streamed: bool, limit: int) -> Content:
        """The sound, when it is short; of a longer one its size. Nothing of an error or a stream."""
        if streamed or body[:16].lstrip().startswith(b"{"):
            return {}
        kind = next((kind for magic, kind in _MAGIC if body.startswith(magic)), "*")
        part: dict[str, Any] = {"type": "blob", "mime_type": f"audio/{kind}", "modality": "audio"}
        if len(body) * 4 // 3 <= limit:
            return _said({**part, "content": base64.b64encode(body).decode()})
        return _said({**part, "content": "", "byte_size": len(body)})


def _said(part: dict[str, Any]) -> Content:
    return {semconv.OUTPUT_MESSAGES: [{"role": "assistant", "parts": [part]}]}


def _read(line: bytes) -> _Answer | None:
    try:
        return _answer.read(line)
    except ValueError:
        return None


def _take_events(facts: ResponseFacts, body: bytes) -> None:
    """``transcript.text.done`` or ``speech.audio.done`` ends a stream and has the usage."""
    facts.finish_reasons = [NOT_FINISHED]
    for line in (line for wanted in _DONE for line in sse.data_lines(body, wanted)):
        event = _read(line)
        if event is None:
            continue
        if event.type in ("transcript.text.done", "speech.audio.done"):
            facts.finish_reasons = []
        _take(facts, event)
    if facts.usage is None:
        _take(facts, _Answer(usage=last_usage(body)))


def _take(facts: ResponseFacts, answer: _Answer) -> None:
    usage = answer.usage
    if usage is not None:
        if usage.seconds is not None and 0 < usage.seconds < 1e9:
            facts.usage = MeteredUsage(audio_seconds=usage.seconds)
        facts.usage = token_usage(usage) or facts.usage
        facts.attributes.update(modalities(facts.usage))
    take_error(facts, answer.error)
