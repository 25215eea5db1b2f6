"""Google's Gemini API over the wire, also as Vertex AI serves it: the path says model and method."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Final

from modelserver.caching import Segment, count
from modelserver.exchange import Exchange, Piece, compact, slices
from modelserver.prompt import Answer, BadRequest, Prompt, Tool

_FINISH: Final = {
    "length": "MAX_TOKENS",
    "refusal": "PROHIBITED_CONTENT",
    "content_filter": "SAFETY",
}
_STATUS: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class Gemini:
    """One request. ``sse``: a stream is server-sent events, else one JSON array that grows."""

    provider: str = "google"

    def __init__(self, stream: bool, sse: bool) -> None:
        self._stream = stream
        self._sse = sse
        self._refused = False

    def key(self, headers: Mapping[str, str]) -> str | None:
        """Google's key header, or a bearer token as at Vertex AI."""
        return headers.get("x-goog-api-key") or headers.get("authorization", "").partition(" ")[2] or None

    def headers(self, request_id: str) -> dict[str, str]:
        """The content type says how a stream is framed."""
        events = self._stream and self._sse and not self._refused
        return {"content-type": "text/event-stream" if events else "application/json; charset=UTF-8"}

    def error(self, status: int, message: str | None, request_id: str, param: str | None) -> dict[str, Any]:
        """An error as the API words it."""
        self._refused = True
        kind = _STATUS.get(status, "INTERNAL" if status >= 500 else "INVALID_ARGUMENT")
        return {"error": {"code": status, "message": message or kind.lower(), "status": kind}}

    def read(self, body: Mapping[str, Any]) -> Prompt:
        """The request's meaning."""
        contents = body.get("contents")
        if not isinstance(contents, list) or not contents:
            raise BadRequest("contents is not specified")
        config = body.get("generationConfig") or {}
        declared = [f for tool in body.get("tools") or () for f in tool.get("functionDeclarations") or ()]
        prompt = Prompt(
            model=body["model"],
            segments=[Segment(compact(body["tools"]))] if declared else [],
            tools=[Tool(f["name"], f.get("parametersJsonSchema") or {"type": "object"}) for f in declared],
            json_schema=config.get("responseJsonSchema"),
            max_tokens=config.get("maxOutputTokens"),
            choices=int(config.get("candidateCount") or 1),
            stream=self._stream,
            stop=config.get("stopSequences") or (),
            thinking=bool((config.get("thinkingConfig") or {}).get("includeThoughts")),
        )
        prompt.system = _text(body.get("systemInstruction") or {})
        prompt.segments.append(Segment(prompt.system))
        for content in contents:
            text = _text(content)
            prompt.segments.append(Segment(f"<{content.get('role', 'user')}>{text}"))
            results = [part for part in content.get("parts", ()) if "functionResponse" in part]
            if results:
                prompt.tool_results.extend(compact(part["functionResponse"]) for part in results)
            elif content.get("role", "user") == "user":
                prompt.user, prompt.tool_results = text, []
        return prompt

    def plain(self, exchange: Exchange) -> dict[str, Any]:
        """A ``GenerateContentResponse``."""
        candidates = [
            _candidate(index, list(_parts(answer)), answer) for index, answer in enumerate(exchange.answers)
        ]
        return _response(exchange, candidates, usage(exchange))

    def stream(self, exchange: Exchange) -> Iterator[Piece]:
        """Chunks, each a whole response with a part of the text; the counts grow with them."""
        chunks: list[tuple[dict[str, Any], int]] = []
        for index, answer in enumerate(exchange.answers):
            pieces = [piece for part in _parts(answer) for piece in _sliced(part)] or [{"text": ""}]
            for at, piece in enumerate(pieces):
                ends = answer if at == len(pieces) - 1 else None
                chunks.append((_candidate(index, [piece], ends), count(str(piece.get("text", "")))))
        early = {"promptTokenCount": exchange.bill.input, "totalTokenCount": exchange.bill.input}
        for at, (candidate, tokens) in enumerate(chunks):
            last = at == len(chunks) - 1
            data = _response(exchange, [candidate], usage(exchange) if last else early)
            yield Piece(self._framed(compact(data), first=at == 0), tokens, last)
        if not self._sse:
            yield Piece(b"\n]")

    def stream_error(self, exchange: Exchange) -> bytes:
        """An error object in place of a chunk."""
        data = self._framed(compact(self.error(503, None, exchange.request_id, None)), first=False)
        return data if self._sse else data + b"\n]"

    def _framed(self, text: str, first: bool) -> bytes:
        data = text.encode(errors="surrogatepass")
        return b"data: " + data + b"\r\n\r\n" if self._sse else (b"[" if first else b",\r\n") + data


def usage(exchange: Exchange) -> dict[str, Any]:
    """Counts as Google has them: the prompt includes the cache, thoughts are beside the candidates."""
    bill = exchange.bill
    counts: dict[str, Any] = {
        "promptTokenCount": bill.input,
        "candidatesTokenCount": bill.output - bill.reasoning,
        "totalTokenCount": bill.input + bill.output,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": bill.input}],
    }
    if bill.reasoning:
        counts["thoughtsTokenCount"] = bill.reasoning
    if bill.cache_read:
        counts["cachedContentTokenCount"] = bill.cache_read
        counts["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": bill.cache_read}]
    return counts


def _response(exchange: Exchange, candidates: list[dict[str, Any]], counts: Any) -> dict[str, Any]:
    exchange.response_id = exchange.response_id or uuid.uuid4().hex[:22]
    reply = {"candidates": candidates, "modelVersion": exchange.model, "responseId": exchange.response_id}
    return reply | {"usageMetadata": counts} if exchange.shows_usage else reply


def _candidate(index: int, found: list[dict[str, Any]], ends: Answer | None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": found}, "index": index}
    if ends is not None:
        candidate["finishReason"] = _FINISH.get(ends.finish, "STOP")
    return candidate


def _parts(answer: Answer) -> Iterator[dict[str, Any]]:
    if answer.thinking:
        yield {"text": answer.thinking, "thought": True}
    if answer.text:
        yield {"text": answer.text}
    for call in answer.tool_calls:
        arguments = json.loads(call.arguments or "{}")
        yield {"functionCall": {"id": uuid.uuid4().hex[:8], "name": call.name, "args": arguments}}


def _sliced(part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "text" not in part:
        yield part
        return
    for text in slices(part["text"]):
        yield {**part, "text": text}


def _text(content: Mapping[str, Any]) -> str:
    return "".join(
        str(part["text"]) if "text" in part else compact(part) for part in content.get("parts") or ()
    )
