"""Mistral's chat and fill-in-the-middle over the wire: OpenAI's shapes, with thoughts as chunks."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from modelserver import openai_chat
from modelserver.exchange import Exchange, Piece, compact, slices
from modelserver.prompt import Answer, BadRequest, Prompt


class Mistral:
    """One request; ``fim``: it has a prompt and a suffix in place of messages."""

    provider: str = "mistral"

    def __init__(self, fim: bool = False) -> None:
        self._fim = fim

    def key(self, headers: Mapping[str, str]) -> str | None:
        """A bearer token."""
        return openai_chat.key(headers)

    def headers(self, request_id: str) -> dict[str, str]:
        """What correlates a call with Mistral's own records."""
        return {"mistral-correlation-id": request_id}

    def error(self, status: int, message: str | None, request_id: str, param: str | None) -> dict[str, Any]:
        """An error as the API words it."""
        return {"object": "error", "message": message or "An error.", "type": "error", "code": str(status)}

    def read(self, body: Mapping[str, Any]) -> Prompt:
        """The request's meaning."""
        if self._fim:
            if not isinstance(body.get("prompt"), str):
                raise BadRequest("prompt: Field required")
            said = f"{body['prompt']}{body.get('suffix') or ''}"
            body = {**body, "messages": [{"role": "user", "content": said}]}
        prompt = openai_chat.read(body)
        prompt.include_usage = True
        return prompt

    def plain(self, exchange: Exchange) -> dict[str, Any]:
        """A ``chat.completion`` object."""
        choices = [
            {
                "index": index,
                "message": {"role": "assistant", "content": _content(answer), "tool_calls": _calls(answer)},
                "finish_reason": _finish(answer),
            }
            for index, answer in enumerate(exchange.answers)
        ]
        reply = _envelope(exchange, "chat.completion") | {"choices": choices}
        return reply | {"usage": _usage(exchange)} if exchange.shows_usage else reply

    def stream(self, exchange: Exchange) -> Iterator[Piece]:
        """``chat.completion.chunk`` events; the last one also has the usage."""
        envelope = _envelope(exchange, "chat.completion.chunk")

        def chunk(index: int, delta: dict[str, Any], tokens: int = 0, finish: str | None = None) -> Piece:
            last = finish is not None and index == len(exchange.answers) - 1
            choice = {"index": index, "delta": delta, "finish_reason": finish}
            more = {"usage": _usage(exchange)} if last and exchange.shows_usage else {}
            return Piece(_event(envelope | {"choices": [choice]} | more), tokens, last)

        for index, answer in enumerate(exchange.answers):
            yield chunk(index, {"role": "assistant", "content": ""})
            for part in slices(answer.thinking):
                yield chunk(index, {"content": [_thought(part)]}, 4)
            for part in slices(answer.text):
                yield chunk(index, {"content": part}, 4)
            calls = _calls(answer)
            yield chunk(index, {"content": "", "tool_calls": calls} if calls else {}, 0, _finish(answer))
        yield Piece(b"data: [DONE]\n\n")

    def stream_error(self, exchange: Exchange) -> bytes:
        """An error object in place of a chunk."""
        return _event({"error": self.error(500, None, exchange.request_id, None)})


def _usage(exchange: Exchange) -> dict[str, Any]:
    """Thoughts are in the completion's tokens and not told apart; cached ones are as at OpenAI."""
    exchange.bill = replace(exchange.bill, reasoning=0)
    bill = exchange.bill
    counts: dict[str, Any] = {
        "prompt_tokens": bill.input,
        "completion_tokens": bill.output,
        "total_tokens": bill.input + bill.output,
    }
    if bill.cache_read:
        counts["prompt_tokens_details"] = {"cached_tokens": bill.cache_read}
    return counts


def _envelope(exchange: Exchange, kind: str) -> dict[str, Any]:
    exchange.response_id = exchange.response_id or uuid.uuid4().hex
    return {
        "id": exchange.response_id,
        "object": kind,
        "created": exchange.created,
        "model": exchange.model,
    }


def _content(answer: Answer) -> Any:
    if not answer.thinking:
        return answer.text
    return [_thought(answer.thinking), {"type": "text", "text": answer.text}]


def _thought(text: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}]}


def _calls(answer: Answer) -> list[dict[str, Any]] | None:
    """Whole also in streams."""
    calls = [
        {
            "id": uuid.uuid4().hex[:9],
            "function": {"name": call.name, "arguments": call.arguments},
            "index": index,
        }
        for index, call in enumerate(answer.tool_calls)
    ]
    return calls or None


def _finish(answer: Answer) -> str:
    return {"tool": "tool_calls", "refusal": "stop"}.get(answer.finish, answer.finish)


def _event(value: object) -> bytes:
    return b"data: " + compact(value).encode(errors="surrogatepass") + b"\n\n"
