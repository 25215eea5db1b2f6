"""From a request to a billed answer: keys, scenarios, errors, delivery."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse
from starlette.types import ASGIApp

from modelserver import anthropic_messages, media
from modelserver.composing import compose
from modelserver.delivery import Delivery, Dropped, broken_event, crlf, failing
from modelserver.exchange import Exchange, Format, Piece, compact
from modelserver.ledger import Entry
from modelserver.openai_responses import Responses
from modelserver.prices import Bill, answering_name, deployed, find
from modelserver.prompt import BadRequest
from modelserver.scenario import ORDINARY, Scenario, UnknownScenario, parse, planned
from modelserver.state import Received, State

_RETRYABLE = (408, 409, 429, 500, 502, 503, 504, 529)


class _Refused(Exception):
    """The request is answered with an error status."""

    def __init__(self, status: int, message: str | None = None, param: str | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.message = message
        self.param = param


async def handle(state: State, request: Request, wire: Format, operation: str = "chat") -> ASGIApp:
    """The response to ``request``; ``operation``: chat, count_tokens or one of ``media.OPERATIONS``."""
    raw = await request.body()
    path = request.url.path
    state.requests.append(Received(request.method, path, dict(request.headers), raw[:65536]))
    exchange = Exchange(wire.provider)
    try:
        return _accepted(state, request, wire, operation, raw, exchange)
    except (_Refused, BadRequest) as refused:
        return _refusal(state, wire, exchange, refused)


async def fetch(state: State, request: Request, wire: Responses) -> ASGIApp:
    """A response that was made before, as JSON or as its events again. Nothing is billed for it."""
    state.requests.append(Received(request.method, request.url.path, dict(request.headers), b""))
    exchange = Exchange(wire.provider)
    try:
        _key(request, wire)
        found = wire.fetched(request.path_params["id"])
        if found is None:
            raise _Refused(404, f"Response with id '{request.path_params['id']}' not found.")
    except _Refused as refused:
        return _refusal(state, wire, exchange, refused)
    made, reply = found
    headers = wire.headers(exchange.request_id)
    if request.query_params.get("stream") != "true":
        return JSONResponse(reply, headers=headers)
    headers["content-type"] = "text/event-stream; charset=utf-8"
    pieces = wire.stream(made)
    return Delivery(
        pieces, lambda *_: None, headers=headers, scenario=ORDINARY, latency=state.latency, gaps=True
    )


async def submit(state: State, request: Request, wire: Format) -> ASGIApp:
    """A batch that is accepted."""
    raw = await request.body()
    state.requests.append(Received(request.method, request.url.path, dict(request.headers), raw[:65536]))
    exchange = Exchange(wire.provider)
    try:
        _key(request, wire)
        return JSONResponse(media.batch(_parsed(raw)), headers=wire.headers(exchange.request_id))
    except (_Refused, BadRequest) as refused:
        return _refusal(state, wire, exchange, refused)


def _key(request: Request, wire: Format) -> None:
    key = wire.key(request.headers)
    if key is None or "invalid" in key:
        raise _Refused(401)


def _refusal(state: State, wire: Format, exchange: Exchange, refused: _Refused | BadRequest) -> ASGIApp:
    status = refused.status if isinstance(refused, _Refused) else 400
    state.ledger.error(status)
    body = wire.error(status, refused.message, exchange.request_id, refused.param)
    headers = wire.headers(exchange.request_id)
    if status in _RETRYABLE:
        headers["x-should-retry"] = "true"
        if status == 429:
            headers["retry-after"] = "1"
        # Both SDKs prefer this one; it keeps tests fast.
        headers["retry-after-ms"] = str(max(int(state.latency.first * 1000), 1))
    return JSONResponse(body, status_code=status, headers=headers)


def _accepted(
    state: State, request: Request, wire: Format, operation: str, raw: bytes, exchange: Exchange
) -> ASGIApp:
    """The response to a request that is fine; raises ``_Refused`` or ``BadRequest`` otherwise."""
    _key(request, wire)
    kind = request.headers.get("content-type", "")
    body = media.form(raw, kind) if kind.startswith("multipart/") else _parsed(raw)
    model, suffix = _split_model(body.get("model"))
    if "deployment" in request.path_params:
        model, suffix = _split_model(request.path_params["deployment"])
        model = deployed(model)
    exchange.body = {**body, "model": model}
    explicit = _scenario(state, request, suffix)
    if explicit is not None and explicit.status is not None:
        raise _Refused(explicit.status)
    if not model:
        raise BadRequest("you must provide a model parameter", "model")
    entry = find(model)
    if model.startswith("no-such") or (entry is not None and entry.provider != wire.provider):
        raise _Refused(404, f"The model `{model}` does not exist or you do not have access to it.")
    if wire.provider == "anthropic" and "anthropic-version" not in request.headers:
        raise BadRequest("anthropic-version: header is required")
    retries = int(request.headers.get("x-stainless-retry-count") or 0)
    try:
        if operation in media.OPERATIONS:
            exchange.scenario = explicit or ORDINARY
            return _made(state, request, wire, exchange, retries, operation)
        if operation == "chat" and wire.provider == "anthropic":
            anthropic_messages.check(exchange.body)
        exchange.prompt = wire.read(exchange.body)
    except (KeyError, TypeError, AttributeError, ValueError) as wrong:
        raise BadRequest(f"Invalid value in the request: {wrong}") from None
    if operation == "count_tokens":
        return JSONResponse({"input_tokens": exchange.prompt.tokens})
    if explicit is None and state.faults:
        explicit = planned(exchange.prompt, wire.provider, retries)
        if explicit.status is not None:
            raise _Refused(explicit.status)
    exchange.scenario = explicit or ORDINARY
    return _sent(state, request, wire, exchange, retries)


def _no_answer(state: State, scenario: Scenario) -> ASGIApp | None:
    """What comes instead of the provider's answer, if the scenario wants that."""
    if "drop" in scenario.flags or "hang" in scenario.flags:
        state.ledger.error("dropped")
        return Dropped(scenario.number("hang", 30) if "hang" in scenario.flags else 0.0)
    if "html" in scenario.flags:
        status = int(scenario.number("html", 200))
        state.ledger.error(f"html {status}")
        return HTMLResponse("<!doctype html><title>Gateway</title><h1>Sign in</h1>", status)
    return None


def _sent(state: State, request: Request, wire: Format, exchange: Exchange, retries: int) -> ASGIApp:
    flags = exchange.scenario.flags
    nothing = _no_answer(state, exchange.scenario)
    if nothing is not None:
        return nothing
    compose(state, exchange)
    if isinstance(wire, Responses) and exchange.prompt.background and not exchange.prompt.stream:
        entry = _bill(state, request, exchange, exchange.bill, retries, reported=False)
        reply = wire.queued(exchange, entry)
        entry.response_id = exchange.response_id
        return JSONResponse(reply, headers=wire.headers(exchange.request_id))
    stream = exchange.prompt.stream
    pieces = wire.stream(exchange) if stream else iter([_whole(wire, exchange)])
    if "stream_error" in flags and stream:
        pieces = failing(pieces, wire.stream_error(exchange))
    if "malformed" in flags:
        pieces = broken_event(pieces)
    if "crlf" in flags and stream:
        pieces = crlf(pieces)
    unreadable = {"cut", "truncate", "malformed"} & flags.keys() or (stream and "stream_error" in flags)

    def done(tokens: int, complete: bool) -> None:
        bill = exchange.bill
        if not complete and stream:
            produced = min(tokens, bill.output)
            bill = replace(bill, output=produced, reasoning=min(bill.reasoning, produced))
        _bill(
            state, request, exchange, bill, retries,
            partial=stream and not complete,
            reported=complete and exchange.shows_usage and not unreadable,
        )  # fmt: skip

    kind = "text/event-stream; charset=utf-8" if stream else "application/json"
    return Delivery(
        pieces,
        done,
        headers={"content-type": kind, **wire.headers(exchange.request_id)},
        scenario=exchange.scenario,
        latency=state.latency,
        gaps=stream,
    )


def _whole(wire: Format, exchange: Exchange) -> Piece:
    data = compact(wire.plain(exchange)).encode(errors="surrogatepass")
    return Piece(data, exchange.bill.output, final=True)


def _made(
    state: State, request: Request, wire: Format, exchange: Exchange, retries: int, operation: str
) -> ASGIApp:
    """The answer to a request that is no conversation."""
    nothing = _no_answer(state, exchange.scenario)
    if nothing is not None:
        return nothing
    exchange.model = answering_name(exchange.body["model"])
    made = media.OPERATIONS[operation](exchange.body, exchange.model)
    exchange.prompt.stream = made.events is not None
    unreadable = {"cut", "truncate"} & exchange.scenario.flags.keys()

    def done(tokens: int, complete: bool) -> None:
        _bill(
            state, request, exchange, made.bill, retries,
            partial=made.events is not None and not complete,
            reported=complete and made.shown and not unreadable,
            operation=operation,
        )  # fmt: skip

    kind = made.content_type if made.events is None else "text/event-stream; charset=utf-8"
    headers = {"content-type": kind, **wire.headers(exchange.request_id)}
    return Delivery(
        made.pieces(), done,
        headers=headers, scenario=exchange.scenario, latency=state.latency, gaps=made.events is not None,
    )  # fmt: skip


def _bill(
    state: State,
    request: Request,
    exchange: Exchange,
    bill: Bill,
    retries: int,
    *,
    partial: bool = False,
    reported: bool = True,
    operation: str = "chat",
) -> Entry:
    return state.ledger.bill(
        Entry(
            request_id=exchange.request_id,
            response_id=exchange.response_id,
            provider=exchange.provider,
            operation=operation,
            path=request.url.path,
            request_model=exchange.body["model"],
            model=exchange.model,
            stream=exchange.prompt.stream,
            bill=bill,
            partial=partial,
            reported=reported,
            scenario=str(exchange.scenario),
            retry_count=retries,
        )
    )


def _parsed(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw)
    except ValueError:
        raise BadRequest("We could not parse the JSON body of your request.") from None
    if not isinstance(body, dict):
        raise BadRequest("The body has to be a JSON object.")
    return body


def _split_model(model: object) -> tuple[str, str]:
    """``"gpt-4o#429"`` → the model and the scenario that its suffix asks for."""
    name, _, suffix = str(model or "").partition("#")
    return name, suffix


def _scenario(state: State, request: Request, suffix: str) -> Scenario | None:
    """By header, by the model's suffix, by script, in this order."""
    wanted = request.headers.get("x-scenario") or suffix
    try:
        return parse(wanted) if wanted else state.script.next(request.url.path)
    except UnknownScenario as unknown:
        raise BadRequest(str(unknown)) from None
