"""OpenAI's Chat Completions over the wire: requests in, answers, streams and errors out."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Final

from modelserver.caching import Segment
from modelserver.exchange import Exchange, Piece, compact, slices
from modelserver.prices import find
from modelserver.prompt import Answer, BadRequest, Prompt, Tool

provider: Final = "openai"
_FINISH: Final = {"tool": "tool_calls", "refusal": "stop"}
_ERRORS: Final[dict[int, tuple[str, str | None, str]]] = {
    400: ("invalid_request_error", None, "Invalid request."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    403: ("invalid_request_error", "unsupported_country_region_territory", "Not allowed here."),
    404: ("invalid_request_error", "model_not_found", "The model does not exist or you lack access to it."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached for requests per min. Please try again."),
    503: ("service_unavailable_error", None, "The engine is currently overloaded, please try again later."),
}


def key(headers: Mapping[str, str]) -> str | None:
    """A bearer token; Azure has a header of its own."""
    if "api-key" in headers:
        return headers["api-key"].strip() or None
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def headers(request_id: str) -> dict[str, str]:
    """The headers that users and dashboards look at."""
    return {
        "x-request-id": request_id,
        "openai-version": "2020-10-01",
        "openai-organization": "org-scripted",
        "openai-processing-ms": "12",
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-remaining-requests": "9999",
    }


def error(status: int, message: str | None, request_id: str, param: str | None) -> dict[str, Any]:
    """An error as the API words it."""
    server = (
        "server_error",
        None,
        "The server had an error while processing your request. Sorry about that!",
    )
    kind, code, usual = _ERRORS.get(status, server if status >= 500 else _ERRORS[400])
    return {"error": {"message": message or usual, "type": kind, "param": param, "code": code}}


def read(body: Mapping[str, Any]) -> Prompt:
    """The request's meaning."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequest("Missing required parameter: 'messages'.", "messages")
    tools = [
        Tool(tool["function"]["name"], tool["function"].get("parameters") or {"type": "object"})
        for tool in body.get("tools") or ()
        if tool.get("type") == "function"
    ]
    prompt = Prompt(
        model=body["model"],
        segments=[Segment(compact(body["tools"]))] if tools else [],
        tools=tools,
        tool_choice=_tool_choice(body.get("tool_choice")),
        json_schema=_json_schema(body.get("response_format")),
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
        choices=int(body.get("n") or 1),
        stream=bool(body.get("stream")),
    )
    stop = body.get("stop") or ()
    prompt.stop = (stop,) if isinstance(stop, str) else stop
    if prompt.stream:
        prompt.include_usage = bool((body.get("stream_options") or {}).get("include_usage"))
    for message in messages:
        text = _text(message.get("content"))
        calls = compact(message["tool_calls"]) if message.get("tool_calls") else ""
        prompt.segments.append(Segment(f"<{message.get('role')}>{text}{calls}"))
        if message.get("role") in ("system", "developer"):
            prompt.system += text
        elif message.get("role") == "user":
            prompt.user, prompt.tool_results = text, []
        elif message.get("role") == "tool":
            prompt.tool_results.append(text)
    model = find(prompt.model)
    effort = body.get("reasoning_effort") or "medium"
    prompt.thinking = bool(model and model.reasons) and effort not in ("none", "minimal")
    return prompt


def plain(exchange: Exchange) -> dict[str, Any]:
    """A ``chat.completion`` object."""
    choices = []
    for index, answer in enumerate(exchange.answers):
        message: dict[str, Any] = {"role": "assistant", "content": answer.text, "refusal": None}
        if answer.finish == "refusal":
            message |= {"content": None, "refusal": answer.text}
        if answer.tool_calls:
            message |= {"content": None, "tool_calls": _calls(answer)}
        message["annotations"] = []
        choices.append(
            {"index": index, "message": message, "logprobs": None, "finish_reason": _finish(answer)}
        )
    reply = _envelope(exchange, "chat.completion") | {"choices": choices}
    if exchange.shows_usage:
        reply["usage"] = usage(exchange)
    return reply


def stream(exchange: Exchange) -> Iterator[Piece]:
    """``chat.completion.chunk`` events up to ``[DONE]``."""
    envelope = _envelope(exchange, "chat.completion.chunk")
    if exchange.prompt.include_usage:
        # As the API does: every chunk but the last says null when the usage was asked for.
        envelope["usage"] = None
    hidden = exchange.bill.reasoning // max(len(exchange.answers), 1)

    def chunk(index: int, delta: dict[str, Any], finish: str | None = None, tokens: int = 0) -> Piece:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
        last = finish is not None and index == len(exchange.answers) - 1 and not exchange.shows_usage
        return Piece(_event(envelope | {"choices": [choice], "obfuscation": "x" * (index + 3)}), tokens, last)

    for index, answer in enumerate(exchange.answers):
        first: dict[str, Any] = {"role": "assistant", "content": "", "refusal": None}
        yield chunk(index, first, tokens=hidden)
        field = "refusal" if answer.finish == "refusal" else "content"
        if not answer.tool_calls:
            for part in slices(answer.text):
                yield chunk(index, {field: part}, tokens=4)
        for at, call in enumerate(_calls(answer)):
            function = call["function"]
            opening = {**call, "function": {"name": function["name"], "arguments": ""}, "index": at}
            yield chunk(index, {"tool_calls": [opening]}, tokens=4)
            for part in slices(function["arguments"], 12):
                yield chunk(index, {"tool_calls": [{"index": at, "function": {"arguments": part}}]}, tokens=3)
        yield chunk(index, {}, _finish(answer))
    if exchange.shows_usage:
        yield Piece(_event(envelope | {"choices": [], "usage": usage(exchange)}), final=True)
    yield Piece(b"data: [DONE]\n\n")


def stream_error(exchange: Exchange) -> bytes:
    """An error object in place of a chunk."""
    return _event(error(500, None, exchange.request_id, None))


def usage(exchange: Exchange) -> dict[str, Any]:
    """Usage as Chat Completions counts it: prompt tokens include the cached ones."""
    bill = exchange.bill
    prompt_details = {"cached_tokens": bill.cache_read, "audio_tokens": 0}
    if bill.cache_write:
        prompt_details["cache_write_tokens"] = bill.cache_write
    return {
        "prompt_tokens": bill.input,
        "completion_tokens": bill.output,
        "total_tokens": bill.input + bill.output,
        "prompt_tokens_details": prompt_details,
        "completion_tokens_details": {
            "reasoning_tokens": bill.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _envelope(exchange: Exchange, kind: str) -> dict[str, Any]:
    exchange.response_id = exchange.response_id or f"chatcmpl-{uuid.uuid4().hex[:29]}"
    return {
        "id": exchange.response_id,
        "object": kind,
        "created": exchange.created,
        "model": exchange.model,
        "service_tier": "default",
        "system_fingerprint": "fp_scripted01",
    }


def _event(value: object) -> bytes:
    return b"data: " + compact(value).encode(errors="surrogatepass") + b"\n\n"


def _finish(answer: Answer) -> str:
    return _FINISH.get(answer.finish, answer.finish)


def _calls(answer: Answer) -> list[dict[str, Any]]:
    return [
        {
            "id": f"call_{uuid.uuid4().hex[:24]}",
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for call in answer.tool_calls
    ]


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    # Images and audio count as the length of their data; there is no better deterministic rule.
    return "".join(part["text"] if part.get("type") == "text" else compact(part) for part in content)


def _tool_choice(choice: object) -> str:
    if isinstance(choice, Mapping):
        return str((choice.get("function") or {}).get("name") or "auto")
    return {"none": "none", "required": "any"}.get(str(choice), "auto")


def _json_schema(wanted: object) -> Mapping[str, Any] | None:
    if not isinstance(wanted, Mapping) or wanted.get("type") == "text":
        return None
    schema = (wanted.get("json_schema") or {}).get("schema")
    return schema if isinstance(schema, Mapping) else {}
