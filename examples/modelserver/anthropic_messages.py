"""Anthropic's Messages over the wire: requests in, answers, streams and errors out."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Final

from modelserver.caching import Segment, count
from modelserver.exchange import Exchange, Piece, compact, slices
from modelserver.prompt import Answer, BadRequest, Prompt, Tool

provider: Final = "anthropic"
_STOP_REASONS: Final = {
    "stop": "end_turn",
    "tool": "tool_use",
    "length": "max_tokens",
    "refusal": "refusal",
    "content_filter": "refusal",
}
_ERRORS: Final = {
    400: ("invalid_request_error", "Invalid request."),
    401: ("authentication_error", "invalid x-api-key"),
    403: ("permission_error", "Your API key does not have permission to use the specified resource."),
    404: ("not_found_error", "The requested resource could not be found."),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: (
        "rate_limit_error",
        "This request would exceed your organization's rate limit of requests per minute.",
    ),
    504: ("timeout_error", "Request timed out"),
    529: ("overloaded_error", "Overloaded"),
}


def key(headers: Mapping[str, str]) -> str | None:
    """The API key header, or an OAuth bearer token."""
    return headers.get("x-api-key") or headers.get("authorization", "").partition(" ")[2].strip() or None


def headers(request_id: str) -> dict[str, str]:
    """The headers that users and dashboards look at."""
    return {
        "request-id": request_id,
        "anthropic-organization-id": "org-scripted",
        "anthropic-ratelimit-requests-limit": "4000",
        "anthropic-ratelimit-requests-remaining": "3999",
    }


def error(status: int, message: str | None, request_id: str, param: str | None) -> dict[str, Any]:
    """An error as the API words it."""
    fallback = ("api_error", "Internal server error") if status >= 500 else _ERRORS[400]
    kind, usual = _ERRORS.get(status, fallback)
    if param:
        usual = f"{param}: Field required"
    return {
        "type": "error",
        "error": {"type": kind, "message": message or usual},
        "request_id": request_id,
    }


def read(body: Mapping[str, Any]) -> Prompt:
    """The request's meaning."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequest("messages: Field required", "messages")
    tools = [tool for tool in body.get("tools") or () if "input_schema" in tool]
    schema = ((body.get("output_config") or {}).get("format") or {}).get("schema")
    prompt = Prompt(
        model=body["model"],
        segments=[_segment(compact(_bare(tool)), tool) for tool in tools],
        tools=[Tool(tool["name"], tool["input_schema"]) for tool in tools],
        tool_choice=_tool_choice(body.get("tool_choice")),
        json_schema=schema if isinstance(schema, Mapping) else None,
        thinking=(body.get("thinking") or {}).get("type", "disabled") != "disabled",
        max_tokens=body.get("max_tokens"),
        stream=bool(body.get("stream")),
        stop=body.get("stop_sequences") or (),
    )
    for block in _blocks(body.get("system") or []):
        prompt.system += _text(block)
        prompt.segments.append(_segment(_text(block), block))
    for message in messages:
        blocks = _blocks(message.get("content"))
        for block in blocks:
            prompt.segments.append(_segment(f"<{message.get('role')}>{_text(block)}", block))
        if message.get("role") != "user":
            continue
        results = [_text(block) for block in blocks if block.get("type") == "tool_result"]
        words = "".join(_text(block) for block in blocks if block.get("type") == "text")
        if results:
            prompt.tool_results.extend(results)
        else:
            prompt.user, prompt.tool_results = words, []
    if body.get("cache_control") and prompt.segments:
        prompt.segments[-1] = _segment(prompt.segments[-1].text, body)
    return prompt


def check(body: Mapping[str, Any]) -> None:
    """What the API insists on for an answer (but not for counting tokens)."""
    if not isinstance(body.get("max_tokens"), int) or body["max_tokens"] < 1:
        raise BadRequest("max_tokens: Field required", "max_tokens")


def plain(exchange: Exchange) -> dict[str, Any]:
    """A ``message`` object."""
    answer = exchange.answers[0]
    reply = _message(exchange) | {
        "content": [block for block, _ in _content(answer)],
        "stop_reason": _STOP_REASONS[answer.finish],
    }
    if exchange.shows_usage:
        reply["usage"] = _input_usage(exchange) | _output_usage(exchange)
    return reply


def stream(exchange: Exchange) -> Iterator[Piece]:
    """``message_start``, the content blocks, ``message_delta``, ``message_stop``."""
    answer = exchange.answers[0]
    start = _message(exchange) | {"content": [], "stop_reason": None}
    if exchange.shows_usage:
        start["usage"] = _input_usage(exchange) | {"output_tokens": 1}
    yield _event("message_start", message=start)
    for index, (block, parts) in enumerate(_content(answer)):
        yield _event("content_block_start", index=index, content_block=_opened(block))
        if index == 0:
            yield _event("ping")
        for delta in parts:
            words = delta.get("text") or delta.get("thinking") or delta.get("partial_json") or ""
            yield _event("content_block_delta", count(words), index=index, delta=delta)
        yield _event("content_block_stop", index=index)
    delta = {"stop_reason": _STOP_REASONS[answer.finish], "stop_sequence": None}
    # The final usage repeats the input counts: it is cumulative, not to be added to the first.
    counts = _input_usage(exchange) | _output_usage(exchange)
    del counts["cache_creation"], counts["service_tier"]
    final = {"usage": counts} if exchange.shows_usage else {}
    yield _event("message_delta", delta=delta, **final)
    yield _event("message_stop")


def stream_error(exchange: Exchange) -> bytes:
    """The ``error`` event."""
    body = error(529, None, exchange.request_id, None)
    return b"event: error\ndata: " + compact(body).encode() + b"\n\n"


def _message(exchange: Exchange) -> dict[str, Any]:
    exchange.response_id = exchange.response_id or f"msg_01{uuid.uuid4().hex[:22]}"
    return {
        "id": exchange.response_id,
        "type": "message",
        "role": "assistant",
        "model": exchange.model,
        "stop_sequence": None,
    }


def _input_usage(exchange: Exchange) -> dict[str, Any]:
    """Input as Messages counts it: without what was read from or written to the cache."""
    bill = exchange.bill
    return {
        "input_tokens": bill.input - bill.cache_read - bill.cache_write,
        "cache_creation_input_tokens": bill.cache_write,
        "cache_read_input_tokens": bill.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": bill.cache_write - bill.cache_write_1h,
            "ephemeral_1h_input_tokens": bill.cache_write_1h,
        },
        "service_tier": "standard",
    }


def _output_usage(exchange: Exchange) -> dict[str, Any]:
    usage: dict[str, Any] = {"output_tokens": exchange.bill.output}
    if exchange.bill.reasoning:
        usage["output_tokens_details"] = {"thinking_tokens": exchange.bill.reasoning}
    return usage


def _content(answer: Answer) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Each content block whole, and as the deltas it is streamed in."""
    if answer.thinking:
        signature = base64.b64encode(b"scripted:" + answer.thinking[:12].encode()).decode()
        block = {"type": "thinking", "thinking": answer.thinking, "signature": signature}
        deltas = [{"type": "thinking_delta", "thinking": part} for part in slices(answer.thinking)]
        yield block, [*deltas, {"type": "signature_delta", "signature": signature}]
    if answer.text:
        text = {"type": "text", "text": answer.text}
        yield text, [{"type": "text_delta", "text": part} for part in slices(answer.text)]
    for call in answer.tool_calls:
        block = {
            "type": "tool_use",
            "id": f"toolu_01{uuid.uuid4().hex[:22]}",
            "name": call.name,
            "input": json.loads(call.arguments or "{}"),
        }
        # The API's first delta is empty.
        parts = ["", *slices(call.arguments, 12)]
        yield block, [{"type": "input_json_delta", "partial_json": part} for part in parts]


def _opened(block: Mapping[str, Any]) -> dict[str, Any]:
    """The block as ``content_block_start`` announces it: still empty."""
    empty: dict[str, dict[str, Any]] = {
        "text": {"text": ""},
        "thinking": {"thinking": "", "signature": ""},
        "tool_use": {"input": {}},
    }
    return {**block, **empty[block["type"]]}


def _event(name: str, tokens: int = 0, /, **fields: Any) -> Piece:
    data = f"event: {name}\ndata: {compact({'type': name, **fields})}\n\n"
    return Piece(data.encode(errors="surrogatepass"), tokens, name == "message_delta")


def _blocks(content: object) -> list[Mapping[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [block for block in content if isinstance(block, Mapping)] if isinstance(content, list) else []


def _text(block: Mapping[str, Any]) -> str:
    if block.get("type") == "text":
        return str(block.get("text", ""))
    if block.get("type") == "tool_result":
        return "".join(_text(inner) for inner in _blocks(block.get("content")))
    return compact(_bare(block))


def _bare(block: Mapping[str, Any]) -> dict[str, Any]:
    """Without the cache marker, which is not part of the prompt."""
    return {name: value for name, value in block.items() if name != "cache_control"}


def _segment(text: str, block: Mapping[str, Any]) -> Segment:
    control = block.get("cache_control")
    return Segment(text, (control.get("ttl") or "5m") if isinstance(control, Mapping) else None)


def _tool_choice(choice: object) -> str:
    if not isinstance(choice, Mapping):
        return "auto"
    kind = choice.get("type")
    return (
        str(choice.get("name")) if kind == "tool" else {"any": "any", "none": "none"}.get(str(kind), "auto")
    )
