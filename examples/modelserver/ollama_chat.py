"""Ollama's own API over the wire: chat and generate, in lines of JSON unless told otherwise."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from modelserver import openai_chat
from modelserver.exchange import Exchange, Piece, compact, slices
from modelserver.prompt import Answer, BadRequest, Prompt


class Ollama:
    """One request; ``generate``: it has a prompt in place of messages."""

    provider: str = "ollama"

    def __init__(self, generate: bool = False) -> None:
        self._generate = generate
        self._lines = False

    def key(self, headers: Mapping[str, str]) -> str | None:
        """None is needed; one that is sent counts."""
        return headers.get("authorization") or "local"

    def headers(self, request_id: str) -> dict[str, str]:
        """The content type of a stream."""
        kind = "application/x-ndjson" if self._lines else "application/json; charset=utf-8"
        return {"content-type": kind}

    def error(self, status: int, message: str | None, request_id: str, param: str | None) -> dict[str, Any]:
        """An error as the API words it."""
        self._lines = False
        return {"error": message or "something went wrong"}

    def read(self, body: Mapping[str, Any]) -> Prompt:
        """The request's meaning. A stream is what one gets without asking."""
        options = body.get("options") or {}
        if self._generate:
            if not isinstance(body.get("prompt"), str):
                raise BadRequest("prompt is required")
            said = [{"role": "user", "content": body["prompt"]}]
            if body.get("system"):
                said.insert(0, {"role": "system", "content": body["system"]})
            body = {**body, "messages": said}
        limit = options.get("num_predict")
        asked = {**body, "stop": options.get("stop"), "max_tokens": limit if (limit or 0) > 0 else None}
        prompt = openai_chat.read({**asked, "stream": body.get("stream") is not False})
        prompt.include_usage = True
        prompt.thinking = bool(body.get("think"))
        self._lines = prompt.stream
        return prompt

    def plain(self, exchange: Exchange) -> dict[str, Any]:
        """The whole answer as one object."""
        answer = exchange.answers[0]
        return _head(exchange) | self._said(answer.text, answer.thinking, answer) | _end(exchange)

    def stream(self, exchange: Exchange) -> Iterator[Piece]:
        """Lines, the last of which has the counts."""
        answer = exchange.answers[0]

        def line(said: dict[str, Any], tokens: int) -> Piece:
            return Piece(_line(_head(exchange) | said | {"done": False}), tokens)

        for part in slices(answer.thinking):
            yield line(self._said("", part), 4)
        for part in slices(answer.text):
            yield line(self._said(part), 4)
        if answer.tool_calls:
            yield line(self._said("", "", answer), 8)
        yield Piece(_line(_head(exchange) | self._said("") | _end(exchange)), final=True)

    def stream_error(self, exchange: Exchange) -> bytes:
        """A line with an error."""
        return _line({"error": "an error was encountered while running the model"})

    def _said(self, text: str, thinking: str = "", calls: Answer | None = None) -> dict[str, Any]:
        if self._generate:
            return {"response": text} | ({"thinking": thinking} if thinking else {})
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if thinking:
            message["thinking"] = thinking
        if calls is not None and calls.tool_calls:
            message["tool_calls"] = [
                {"function": {"name": call.name, "arguments": json.loads(call.arguments or "{}")}}
                for call in calls.tool_calls
            ]
        return {"message": message}


def _head(exchange: Exchange) -> dict[str, Any]:
    return {"model": exchange.model, "created_at": datetime.now(UTC).isoformat()}


def _end(exchange: Exchange) -> dict[str, Any]:
    """Counts and times (in nanoseconds); there is no cache to pay for, and thoughts are not counted apart."""
    exchange.bill = replace(exchange.bill, cache_read=0, reasoning=0)
    finish = exchange.answers[0].finish
    end: dict[str, Any] = {
        "done": True,
        "done_reason": "length" if finish == "length" else "stop",
        "total_duration": 1_000_000,
        "load_duration": 1_000,
    }
    if exchange.shows_usage:
        end |= {"prompt_eval_count": exchange.bill.input, "eval_count": exchange.bill.output}
    return end


def _line(value: object) -> bytes:
    return compact(value).encode(errors="surrogatepass") + b"\n"
