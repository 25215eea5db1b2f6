"""OpenAI Completions: ``POST .../completions``, of old models and of servers that complete code."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from otel_agents import semconv
from otel_agents.wire import parts, sse, tolerant
from otel_agents.wire.formats import Content, RequestFacts
from otel_agents.wire.providers import openai_azure
from otel_agents.wire.providers.openai_chat import OpenAIChat

_EMPTY: Final = msgspec.Raw(b"")

Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]  # what OTLP can carry
Index = Annotated[int, msgspec.Meta(ge=1, lt=1024)]


class _Request(msgspec.Struct, gc=False):
    model: str | None = None
    prompt: msgspec.Raw = _EMPTY
    stream: bool | None = None
    n: Index | None = None
    max_tokens: Whole | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: Whole | None = None


class _Choice(msgspec.Struct):
    index: Any = None
    text: Any = None
    finish_reason: Any = None


class _Response(msgspec.Struct):
    choices: list[_Choice] = []


_request = tolerant.Lenient(_Request)
_response = msgspec.json.Decoder(_Response)


class OpenAICompletions(OpenAIChat):
    """Answers have the shape of a chat's, apart from the text, and are read as those are."""

    name = "openai.completions"
    operation = semconv.OP_TEXT_COMPLETION

    def at(self, path: str) -> OpenAICompletions:
        """The format for ``path``, which on Azure has the deployment in it."""
        place = openai_azure.place(path)
        return self if place is None else OpenAICompletions(*place)

    def matches(self, path: str) -> bool:
        """``/v1/completions``, but not those of a chat."""
        return path.endswith("/completions") and not path.endswith("/chat/completions")

    def read_request(self, body: bytes) -> RequestFacts | None:
        """Model and parameters; None when there is no model or no prompt."""
        request = _request.read(body)
        model = self._deployment or request.model
        if model is None or tolerant.opens(request.prompt) not in (b'"', b"["):
            return None
        facts = RequestFacts(model, request.stream is True, request.n or 1)
        for name, value in (
            (semconv.REQUEST_MAX_TOKENS, request.max_tokens),
            (semconv.REQUEST_TEMPERATURE, request.temperature),
            (semconv.REQUEST_TOP_P, request.top_p),
            (semconv.REQUEST_SEED, request.seed),
        ):
            if value is not None:
                facts.attributes[name] = value
        if facts.choices != 1:
            facts.attributes[semconv.REQUEST_CHOICE_COUNT] = facts.choices
        return facts

    def input_content(self, body: bytes, limit: int) -> Content:
        """One message for each prompt; prompts that are numbers of tokens are left out."""
        raw = _request.read(body).prompt
        prompts = [raw] if tolerant.opens(raw) == b'"' else parts.items(raw) or []
        texts = [parts.cut_string(prompt, limit) for prompt in prompts if tolerant.opens(prompt) == b'"']
        messages = [{"role": "user", "parts": [parts.text(text)]} for text in texts]
        return {semconv.INPUT_MESSAGES: messages} if messages else {}

    def output_content(self, body: bytes, streamed: bool, limit: int) -> Content:
        """One message for each choice."""
        texts: dict[int, list[str]] = {}
        for data in (event.data for event in sse.events((body,))) if streamed else (body,):
            if not data.startswith(b"{"):
                continue
            try:
                choices = tolerant.decode(_response, data).choices
            except ValueError:
                continue
            for choice in choices:
                if isinstance(choice.text, str):
                    texts.setdefault(tolerant.count(choice.index) or 0, []).append(choice.text)
        messages = [
            {"role": "assistant", "parts": [parts.text("".join(texts[index])[:limit])]}
            for index in sorted(texts)
        ]
        return {semconv.OUTPUT_MESSAGES: messages} if messages else {}
