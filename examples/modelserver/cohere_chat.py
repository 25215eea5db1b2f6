"""Cohere's chat, version 2, over the wire. It bills fewer tokens than its models see."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Final

from modelserver import openai_chat
from modelserver.exchange import Exchange, Piece, compact, slices
from modelserver.prompt import Answer, Prompt

#: Tokens of instructions that are put in front of a prompt and not billed.
PREAMBLE: Final = 495
_FINISH: Final = {"stop": "COMPLETE", "tool": "TOOL_CALL", "length": "MAX_TOKENS", "content_filter": "ERROR"}


class Cohere:
    """One request."""

    provider: str = "cohere"

    def key(self, headers: Mapping[str, str]) -> str | None:
        """A bearer token."""
        return openai_chat.key(headers)

    def headers(self, request_id: str) -> dict[str, str]:
        """Nothing of interest."""
        return {"x-debug-trace-id": request_id}

    def error(self, status: int, message: str | None, request_id: str, param: str | None) -> dict[str, Any]:
        """An error as the API words it."""
        return {"id": request_id, "message": message or "invalid request"}

    def read(self, body: Mapping[str, Any]) -> Prompt:
        """The request's meaning; messages and tools have OpenAI's shape."""
        prompt = openai_chat.read({**body, "stop": body.get("stop_sequences")})
        prompt.include_usage = True
        prompt.thinking = (body.get("thinking") or {}).get("type") == "enabled"
        return prompt

    def plain(self, exchange: Exchange) -> dict[str, Any]:
        """A chat response."""
        answer = exchange.answers[0]
        exchange.response_id = exchange.response_id or str(uuid.uuid4())
        message: dict[str, Any] = {"role": "assistant", "content": _content(answer)}
        if answer.tool_calls:
            message |= {"tool_plan": answer.text, "tool_calls": _calls(answer), "content": []}
        reply = {"id": exchange.response_id, "message": message, "finish_reason": _finish(answer)}
        return reply | {"usage": _usage(exchange)} if exchange.shows_usage else reply

    def stream(self, exchange: Exchange) -> Iterator[Piece]:
        """Events from ``message-start`` to ``message-end``."""
        answer = exchange.answers[0]
        exchange.response_id = exchange.response_id or str(uuid.uuid4())
        empty: dict[str, Any] = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": []}
        yield _event("message-start", id=exchange.response_id, delta={"message": empty})
        if answer.tool_calls:
            for part in slices(answer.text):
                yield _event("tool-plan-delta", 4, delta={"message": {"tool_plan": part}})
        else:
            for index, block in enumerate(_content(answer)):
                kind = block["type"]
                opened = {"message": {"content": {"type": kind, kind: ""}}}
                yield _event("content-start", index=index, delta=opened)
                for part in slices(block[kind]):
                    delta = {"message": {"content": {kind: part}}}
                    yield _event("content-delta", 4, index=index, delta=delta)
                yield _event("content-end", index=index)
        for index, call in enumerate(_calls(answer)):
            function = call["function"]
            started = {**call, "function": {"name": function["name"], "arguments": ""}}
            yield _event("tool-call-start", 4, index=index, delta={"message": {"tool_calls": started}})
            for part in slices(function["arguments"], 12):
                grown = {"message": {"tool_calls": {"function": {"arguments": part}}}}
                yield _event("tool-call-delta", 3, index=index, delta=grown)
            yield _event("tool-call-end", index=index)
        end: dict[str, Any] = {"finish_reason": _finish(answer)}
        if exchange.shows_usage:
            end["usage"] = _usage(exchange)
        yield _event("message-end", id=exchange.response_id, delta=end)

    def stream_error(self, exchange: Exchange) -> bytes:
        """A ``message-end`` that says what went wrong."""
        delta = {"finish_reason": "ERROR", "error": "the model failed"}
        return _event("message-end", id=exchange.response_id, delta=delta).data


def _usage(exchange: Exchange) -> dict[str, Any]:
    bill = exchange.bill
    counts: dict[str, Any] = {
        "billed_units": {"input_tokens": float(bill.input), "output_tokens": float(bill.output)},
        "tokens": {"input_tokens": float(bill.input + PREAMBLE), "output_tokens": float(bill.output + 3)},
    }
    if bill.cache_read:
        counts["cached_tokens"] = bill.cache_read
    return counts


def _content(answer: Answer) -> list[dict[str, Any]]:
    found = [{"type": "thinking", "thinking": answer.thinking}] if answer.thinking else []
    return [*found, {"type": "text", "text": answer.text}]


def _calls(answer: Answer) -> list[dict[str, Any]]:
    return [
        {
            "id": f"{call.name}_{uuid.uuid4().hex[:12]}",
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for call in answer.tool_calls
    ]


def _finish(answer: Answer) -> str:
    return _FINISH.get(answer.finish, "COMPLETE")


def _event(name: str, tokens: int = 0, /, **fields: Any) -> Piece:
    data = f"event: {name}\ndata: {compact({'type': name, **fields})}\n\n"
    return Piece(data.encode(errors="surrogatepass"), tokens, name == "message-end")
