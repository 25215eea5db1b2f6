"""OpenAI's Responses over the wire: items in, items out, streams of typed events, background runs."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from modelserver import openai_chat
from modelserver.caching import Segment
from modelserver.exchange import Exchange, Piece, compact
from modelserver.ledger import Entry
from modelserver.openai_items import output_items, pieces_of, read_item
from modelserver.prices import find
from modelserver.prompt import BadRequest, Prompt, Tool

_INCOMPLETE: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}
_SEARCH: Final = ("web_search", "web_search_preview")


@dataclass(slots=True)
class Stored:
    """A response that can be fetched and continued.

    Attributes:
        segments: the whole conversation up to and including the answer.
        entry: what was billed for a background run, until the client has been sent its usage.
        asked: how often a background run has been fetched; it has ended at the second time.
    """

    exchange: Exchange
    segments: list[Segment]
    entry: Entry | None = None
    asked: int = 0


class Responses:
    """The wire format (see ``exchange.Format``), with the responses it remembers."""

    provider = "openai"
    key = staticmethod(openai_chat.key)
    headers = staticmethod(openai_chat.headers)
    error = staticmethod(openai_chat.error)

    def __init__(self, stored: dict[str, Stored]) -> None:
        self._stored = stored

    def read(self, body: Mapping[str, Any]) -> Prompt:
        """The request's meaning; a previous response's conversation counts as input again."""
        given = body.get("input")
        if given is None:
            raise BadRequest("Missing required parameter: 'input'.", "input")
        offered = body.get("tools") or ()
        functions = [tool for tool in offered if tool.get("type") == "function"]
        wanted = (body.get("text") or {}).get("format") or {}
        effort = (body.get("reasoning") or {}).get("effort") or "medium"
        model = find(body["model"])
        prompt = Prompt(
            model=body["model"],
            segments=[Segment(compact(offered))] if offered else [],
            system=str(body.get("instructions") or ""),
            tools=[Tool(tool["name"], tool.get("parameters") or {"type": "object"}) for tool in functions],
            tool_choice=_tool_choice(body.get("tool_choice")),
            json_schema=wanted.get("schema", {}) if str(wanted.get("type")).startswith("json") else None,
            thinking=bool(model and model.reasons) and effort not in ("none", "minimal"),
            max_tokens=body.get("max_output_tokens"),
            stream=bool(body.get("stream")),
            background=bool(body.get("background")),
            web_search=any(tool.get("type") in _SEARCH for tool in offered),
        )
        if prompt.system:
            prompt.segments.append(Segment(f"<system>{prompt.system}"))
        prompt.segments += self._earlier(body.get("previous_response_id"))
        for item in [{"role": "user", "content": given}] if isinstance(given, str) else given:
            read_item(prompt, item)
        return prompt

    def _earlier(self, response_id: object) -> list[Segment]:
        if not response_id:
            return []
        stored = self._stored.get(str(response_id))
        if stored is None:
            raise BadRequest(f"Previous response with id '{response_id}' not found.", "previous_response_id")
        return stored.segments

    def plain(self, exchange: Exchange) -> dict[str, Any]:
        """A ``response`` object; it is remembered."""
        self._remember(exchange)
        return _finished(exchange)

    def stream(self, exchange: Exchange) -> Iterator[Piece]:
        """Events from ``response.created`` to ``response.completed`` or ``response.incomplete``."""
        number = 0

        def event(kind: str, tokens: int = 0, final: bool = False, **fields: Any) -> Piece:
            nonlocal number
            data = compact({"type": kind, "sequence_number": number, **fields})
            number += 1
            return Piece(f"event: {kind}\ndata: {data}\n\n".encode(errors="surrogatepass"), tokens, final)

        self._remember(exchange)
        started = _envelope(exchange) | {"status": "in_progress", "output": [], "usage": None}
        yield event("response.created", response=started)
        yield event("response.in_progress", tokens=exchange.bill.reasoning, response=started)
        for index, item in enumerate(output_items(exchange)):
            for kind, tokens, fields in pieces_of(item):
                yield event(kind, tokens, output_index=index, **fields)
        done = _finished(exchange)
        yield event(f"response.{done['status']}", final=True, response=done)

    def stream_error(self, exchange: Exchange) -> bytes:
        """The ``error`` event."""
        said = self.error(500, None, exchange.request_id, None)["error"]
        fields = {"code": said["type"], "message": said["message"], "param": None, "sequence_number": 99}
        return b"event: error\ndata: " + compact({"type": "error", **fields}).encode() + b"\n\n"

    def queued(self, exchange: Exchange, entry: Entry) -> dict[str, Any]:
        """The answer to a background request: accepted, not begun."""
        self._remember(exchange, entry)
        return _envelope(exchange) | {"status": "queued", "output": [], "usage": None}

    def fetched(self, response_id: str) -> tuple[Exchange, dict[str, Any]] | None:
        """What a fetch answers: a background run has begun at the first one and ended at the second."""
        stored = self._stored.get(response_id)
        if stored is None:
            return None
        stored.asked += 1
        if stored.entry is not None and stored.asked < 2:
            waiting: dict[str, Any] = {"status": "in_progress", "output": [], "usage": None}
            return stored.exchange, _envelope(stored.exchange) | waiting
        if stored.entry is not None and stored.exchange.shows_usage:
            stored.entry.reported = True
        return stored.exchange, _finished(stored.exchange)

    def _remember(self, exchange: Exchange, entry: Entry | None = None) -> None:
        exchange.response_id = exchange.response_id or f"resp_{uuid.uuid4().hex}"
        answer = exchange.answers[0]
        said = [Segment(f"<assistant>{answer.text}{call.name}{call.arguments}") for call in answer.tool_calls]
        said = said or [Segment(f"<assistant>{answer.text}")]
        self._stored[exchange.response_id] = Stored(exchange, [*exchange.prompt.segments, *said], entry)


def _envelope(exchange: Exchange) -> dict[str, Any]:
    exchange.response_id = exchange.response_id or f"resp_{uuid.uuid4().hex}"
    body = exchange.body
    return {
        "id": exchange.response_id,
        "object": "response",
        "created_at": exchange.created,
        "status": "completed",
        "background": exchange.prompt.background,
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "model": exchange.model,
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": body.get("previous_response_id"),
        "reasoning": {"effort": (body.get("reasoning") or {}).get("effort"), "summary": None},
        "service_tier": "default",
        "store": True,
        "temperature": body.get("temperature", 1.0),
        "text": body.get("text") or {"format": {"type": "text"}},
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "top_p": body.get("top_p", 1.0),
        "truncation": "disabled",
        "usage": None,
        "metadata": body.get("metadata") or {},
    }


def _finished(exchange: Exchange) -> dict[str, Any]:
    reply = _envelope(exchange) | {"output": output_items(exchange)}
    reason = _INCOMPLETE.get(exchange.answers[0].finish)
    if reason is not None:
        reply |= {"status": "incomplete", "incomplete_details": {"reason": reason}}
    if exchange.shows_usage:
        reply["usage"] = usage(exchange)
        if exchange.prompt.web_search:
            reply["tool_usage"] = {"web_search": {"num_requests": exchange.bill.web_searches}}
    return reply


def usage(exchange: Exchange) -> dict[str, Any]:
    """Usage as the Responses API counts it: input tokens include the cached ones."""
    bill = exchange.bill
    return {
        "input_tokens": bill.input,
        "input_tokens_details": {"cached_tokens": bill.cache_read, "cache_write_tokens": bill.cache_write},
        "output_tokens": bill.output,
        "output_tokens_details": {"reasoning_tokens": bill.reasoning},
        "total_tokens": bill.input + bill.output,
    }


def _tool_choice(choice: object) -> str:
    if isinstance(choice, Mapping):
        return str(choice.get("name") or "auto")
    return {"none": "none", "required": "any"}.get(str(choice), "auto")
