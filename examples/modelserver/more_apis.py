"""Routes of Google, Mistral, Cohere and Ollama. What a path says is put into the body first."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message

from modelserver import anthropic_messages, embeddings
from modelserver.caching import count
from modelserver.cohere_chat import Cohere
from modelserver.exchange import Exchange, Format
from modelserver.google_gemini import Gemini
from modelserver.handling import handle
from modelserver.ledger import Entry
from modelserver.mistral_chat import Mistral
from modelserver.ollama_chat import Ollama
from modelserver.prices import Bill
from modelserver.state import Received, State

ANTHROPIC: Format = anthropic_messages
_VERTEX = "/projects/{project}/locations/{location}/publishers"


def more_routes(state: State) -> list[Route]:
    """The routes, for the server around ``state``."""

    async def google(request: Request) -> ASGIApp:
        model, _, method = request.path_params["call"].partition(":")
        if method in ("embedContent", "batchEmbedContents"):
            return await _embed(state, request, Gemini(False, False), model)
        stream = method == "streamGenerateContent"
        wire = Gemini(stream, request.query_params.get("alt") == "sse")
        return await handle(state, await _amended(request, {"model": model}), wire)

    async def claude(request: Request) -> ASGIApp:
        # The version is in the body here, and its name is another one.
        headers = [*request.scope["headers"], (b"anthropic-version", b"vertex-2023-10-16")]
        asked = Request({**request.scope, "headers": headers}, request.receive)
        model = request.path_params["call"].partition(":")[0]
        return await handle(state, await _amended(asked, {"model": model}), ANTHROPIC)

    async def mistral(request: Request) -> ASGIApp:
        return await handle(state, request, Mistral())

    async def fim(request: Request) -> ASGIApp:
        return await handle(state, request, Mistral(fim=True))

    async def cohere(request: Request) -> ASGIApp:
        return await handle(state, request, Cohere())

    async def cohere_embed(request: Request) -> ASGIApp:
        return await _embed(state, request, Cohere())

    async def ollama(request: Request) -> ASGIApp:
        return await handle(state, request, Ollama())

    async def generate(request: Request) -> ASGIApp:
        return await handle(state, request, Ollama(generate=True))

    async def ollama_embed(request: Request) -> ASGIApp:
        return await _embed(state, request, Ollama())

    routes = {
        "/{version}/models/{call}": google,
        "/{version}/publishers/google/models/{call}": google,
        f"/{{version}}{_VERTEX}/google/models/{{call}}": google,
        f"/{{version}}{_VERTEX}/anthropic/models/{{call}}": claude,
        "/mistral/v1/chat/completions": mistral,
        "/mistral/v1/fim/completions": fim,
        "/v2/chat": cohere,
        "/v2/embed": cohere_embed,
        "/api/chat": ollama,
        "/api/generate": generate,
        "/api/embed": ollama_embed,
    }
    return [Route(path, endpoint, methods=["POST"]) for path, endpoint in routes.items()]


async def _amended(request: Request, fields: Mapping[str, Any]) -> Request:
    """The request with ``fields`` in its body; one that is no JSON object stays as it is."""
    raw = await request.body()
    try:
        body = json.loads(raw)
        raw = json.dumps({**body, **fields}).encode() if isinstance(body, dict) else raw
    except ValueError:
        pass

    async def receive() -> Message:
        return {"type": "http.request", "body": raw, "more_body": False}

    return Request(request.scope, receive)


async def _embed(state: State, request: Request, wire: Format, model: str | None = None) -> ASGIApp:
    """Vectors in the shape of the provider, billed by the length of the texts."""
    raw = await request.body()
    state.requests.append(Received("POST", request.url.path, dict(request.headers), raw[:65536]))
    exchange = Exchange(wire.provider)
    key = wire.key(request.headers)
    body = json.loads(raw)
    name = model or str(body.get("model") or "")
    if key is None or "invalid" in key or not name:
        status = 400 if key else 401
        state.ledger.error(status)
        return JSONResponse(wire.error(status, None, exchange.request_id, None), status)
    texts = _texts(body)
    tokens = sum(count(text) for text in texts)
    vectors = [_vector(text) for text in texts]
    entry = Entry(
        exchange.request_id,
        "",
        wire.provider,
        "embeddings",
        request.url.path,
        name,
        name,
        False,
        Bill(tokens),
    )
    state.ledger.bill(entry)
    if wire.provider == "google":
        counts = {"promptTokenCount": tokens}
        values = [{"values": vector} for vector in vectors]
        found = {"embeddings": values} if "requests" in body else {"embedding": values[0]}
        return JSONResponse({**found, "usageMetadata": counts})
    if wire.provider == "cohere":
        meta = {"api_version": {"version": "2"}, "billed_units": {"input_tokens": float(tokens)}}
        return JSONResponse(
            {"id": exchange.request_id, "embeddings": {"float": vectors}, "texts": texts, "meta": meta}
        )
    return JSONResponse({"model": name, "embeddings": vectors, "prompt_eval_count": tokens})


def _texts(body: Mapping[str, Any]) -> list[str]:
    if "requests" in body or "content" in body:
        asked = body.get("requests") or [body]
        return ["".join(part.get("text", "") for part in item["content"]["parts"]) for item in asked]
    given = body.get("texts") or body.get("input") or []
    return [given] if isinstance(given, str) else list(given)


def _vector(text: str) -> list[float]:
    reply, _ = embeddings.embed({"input": text, "dimensions": 8}, "")
    vector: list[float] = reply["data"][0]["embedding"]
    return vector
