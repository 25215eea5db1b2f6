"""OpenAI images: ``POST .../images/generations``, ``edits`` and ``variations``, plain and streamed.

The conventions have no operation for them; ``generate_content`` with output type ``image`` is what
they call a model that makes other things than text. Models of the GPT Image family report tokens;
older ones are billed by the piece, report nothing, and count as calls without a known usage.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from otel_agents import semconv
from otel_agents.accounting import Usage
from otel_agents.wire import parts, sse, tolerant
from otel_agents.wire.formats import NOT_FINISHED, Content, RequestFacts, ResponseFacts
from otel_agents.wire.providers import openai_azure, openai_multipart
from otel_agents.wire.providers.openai_errors import take_error
from otel_agents.wire.providers.openai_usage import (
    TokenDetails,
    TokenUsage,
    last_usage,
    modalities,
    token_usage,
)

_PATHS: Final = ("/images/generations", "/images/edits", "/images/variations")
_EMPTY: Final = msgspec.Raw(b"")
_END: Final = (b'.completed"', b'"error"')

Index = Annotated[int, msgspec.Meta(ge=1, lt=1024)]


class _Request(msgspec.Struct, gc=False):
    model: str | None = None
    prompt: msgspec.Raw = _EMPTY
    n: Index | None = None
    stream: bool | None = None


class _Response(msgspec.Struct, gc=False):
    """Images are not decoded here; ``data`` is most of the body."""

    usage: TokenUsage | None = None
    error: msgspec.Raw = _EMPTY
    type: str | None = None


class _Image(msgspec.Struct):
    b64_json: msgspec.Raw = _EMPTY
    url: msgspec.Raw = _EMPTY
    revised_prompt: Any = None


class _Images(msgspec.Struct):
    data: list[_Image] = []
    output_format: Any = None
    type: Any = None
    b64_json: msgspec.Raw = _EMPTY


_request = tolerant.Lenient(_Request)
_response = tolerant.Lenient(_Response)
_images = msgspec.json.Decoder(_Images)


class OpenAIImages:
    """See the module. On Azure, ``deployment`` is the model that is asked for."""

    name = "openai.images"
    operation = semconv.OP_GENERATE_CONTENT

    def __init__(self, provider: str = "openai", deployment: str | None = None) -> None:
        self.provider = provider
        self._deployment = deployment

    def at(self, path: str) -> OpenAIImages:
        """The format for ``path``, which on Azure has the deployment in it."""
        place = openai_azure.place(path)
        return self if place is None else OpenAIImages(*place)

    def matches(self, path: str) -> bool:
        """``/v1/images/generations`` and its like, and whatever a gateway puts before it."""
        return path.endswith(_PATHS)

    def read_request(self, body: bytes) -> RequestFacts | None:
        """Model (there may be none: the API has a default) and number of images; None without a prompt."""
        if openai_multipart.is_form(body):
            form = openai_multipart.read(body)
            if "prompt" not in form.fields and not form.files:
                return None
            model, wanted = form.fields.get("model"), form.fields.get("n", "")
            choices = int(wanted) if wanted.isdigit() and 0 < int(wanted) < 1024 else 1
            stream = form.fields.get("stream") == "true"
        else:
            request = _request.read(body)
            if tolerant.opens(request.prompt) != b'"':
                return None
            model, choices, stream = request.model, request.n or 1, request.stream is True
        facts = RequestFacts(self._deployment or model, stream, choices)
        facts.attributes[semconv.OUTPUT_TYPE] = "image"
        if choices != 1:
            facts.attributes[semconv.REQUEST_CHOICE_COUNT] = choices
        return facts

    def read_response(self, body: bytes, streamed: bool, request: RequestFacts) -> ResponseFacts:
        """Usage with image tokens, where there is any; the API names neither the model nor a reason."""
        facts = ResponseFacts()
        if not streamed:
            _take(facts, _response.read(body))
            return facts
        facts.finish_reasons = [NOT_FINISHED]
        for line in (line for wanted in _END for line in sse.data_lines(body, wanted)):
            try:
                event = _response.read(line)
            except ValueError:
                continue
            if event.type is not None and event.type.endswith(".completed"):
                facts.finish_reasons = []
            _take(facts, event)
        if facts.usage is None:
            _take(facts, _Response(usage=last_usage(body)))
        return facts

    def input_content(self, body: bytes, limit: int) -> Content:
        """The prompt, and of images their size."""
        if openai_multipart.is_form(body):
            form = openai_multipart.read(body)
            said = [parts.text(form.fields["prompt"])] if form.fields.get("prompt") else []
            said += [
                {
                    "type": "blob",
                    "mime_type": file.mime_type,
                    "modality": "image",
                    "content": "",
                    "byte_size": file.size,
                }
                for file in form.files
            ]
        else:
            said = [parts.text(parts.cut_string(_request.read(body).prompt, limit))]
        return {semconv.INPUT_MESSAGES: [{"role": "user", "parts": said}]}

    def output_content(self, body: bytes, streamed: bool, limit: int) -> Content:
        """One message for each image."""
        images = [body] if not streamed else list(sse.data_lines(body, _END[0]))
        messages = [message for image in images for message in _messages(image, limit)]
        return {semconv.OUTPUT_MESSAGES: messages} if messages else {}


def _take(facts: ResponseFacts, response: _Response) -> None:
    if response.usage is not None:
        facts.usage = _usage(response.usage) or facts.usage
        facts.attributes.update(modalities(facts.usage))
    take_error(facts, response.error)


def _usage(usage: TokenUsage) -> Usage | None:
    """Without details, all output is images: streams do not say more, and there was nothing else once."""
    if usage.output_tokens_details is None and usage.output_tokens:
        usage.output_tokens_details = TokenDetails(image_tokens=usage.output_tokens)
    return token_usage(usage)


def _messages(body: bytes, limit: int) -> list[dict[str, Any]]:
    found = tolerant.decode(_images, body)
    images = found.data or ([_Image(b64_json=found.b64_json)] if tolerant.size(found.b64_json) else [])
    mime_type = f"image/{tolerant.text(found.output_format) or '*'}"
    messages = []
    for image in images:
        said = [parts.text(image.revised_prompt)] if tolerant.text(image.revised_prompt) else []
        if tolerant.opens(image.b64_json) == b'"':
            said.append({**parts.blob(mime_type, image.b64_json, limit), "modality": "image"})
        if tolerant.opens(image.url) == b'"':
            said.append(parts.link(image.url, limit, "image"))
        messages.append({"role": "assistant", "parts": said})
    return messages
