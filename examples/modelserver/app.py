"""The HTTP application: the providers' routes and the server's own."""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from modelserver import anthropic_messages, openai_chat
from modelserver.exchange import Format
from modelserver.handling import fetch, handle, submit
from modelserver.more_apis import more_routes
from modelserver.openai_responses import Responses
from modelserver.prices import CATALOGUE
from modelserver.scenario import UnknownScenario
from modelserver.state import State

OPENAI: Format = openai_chat
ANTHROPIC: Format = anthropic_messages


def create_app(state: State) -> Starlette:
    """The application around ``state``."""
    answering = Responses(state.responses)

    async def chat(request: Request) -> ASGIApp:
        return await handle(state, request, OPENAI)

    async def messages(request: Request) -> ASGIApp:
        return await handle(state, request, ANTHROPIC)

    async def embed(request: Request) -> ASGIApp:
        return await handle(state, request, OPENAI, operation="embeddings")

    async def respond(request: Request) -> ASGIApp:
        return await handle(state, request, answering)

    async def retrieve(request: Request) -> ASGIApp:
        return await fetch(state, request, answering)

    async def draw(request: Request) -> ASGIApp:
        return await handle(state, request, OPENAI, operation="images")

    async def transcribe(request: Request) -> ASGIApp:
        return await handle(state, request, OPENAI, operation="transcription")

    async def speak(request: Request) -> ASGIApp:
        return await handle(state, request, OPENAI, operation="speech")

    async def batch(request: Request) -> ASGIApp:
        return await submit(state, request, OPENAI)

    async def count_tokens(request: Request) -> ASGIApp:
        return await handle(state, request, ANTHROPIC, operation="count_tokens")

    async def models(request: Request) -> ASGIApp:
        return JSONResponse(_models("anthropic-version" in request.headers))

    async def ledger(request: Request) -> ASGIApp:
        return JSONResponse(state.ledger.snapshot(request.query_params.get("records", "1") != "0"))

    async def reset(request: Request) -> ASGIApp:
        state.reset()
        return JSONResponse({"status": "ok"})

    async def script(request: Request) -> ASGIApp:
        """``{"steps": ["429", {"text": "..."}], "path": "/v1/messages"}``."""
        wanted = await request.json()
        try:
            state.script.add(*wanted["steps"], path=wanted.get("path"))
        except UnknownScenario as unknown:
            return JSONResponse({"error": str(unknown)}, status_code=400)
        return JSONResponse({"status": "ok"})

    async def health(request: Request) -> ASGIApp:
        return JSONResponse({"status": "ok"})

    return Starlette(
        routes=[
            Route("/v1/chat/completions", chat, methods=["POST"]),
            Route("/v1/embeddings", embed, methods=["POST"]),
            Route("/v1/responses", respond, methods=["POST"]),
            Route("/v1/responses/{id}", retrieve),
            Route("/v1/images/generations", draw, methods=["POST"]),
            Route("/v1/audio/transcriptions", transcribe, methods=["POST"]),
            Route("/v1/audio/speech", speak, methods=["POST"]),
            Route("/v1/batches", batch, methods=["POST"]),
            Route("/openai/deployments/{deployment}/chat/completions", chat, methods=["POST"]),
            Route("/openai/deployments/{deployment}/embeddings", embed, methods=["POST"]),
            Route("/v1/messages", messages, methods=["POST"]),
            Route("/v1/messages/count_tokens", count_tokens, methods=["POST"]),
            *more_routes(state),
            Route("/v1/models", models),
            Route("/ledger", ledger),
            Route("/ledger/reset", reset, methods=["POST"]),
            Route("/script", script, methods=["POST"]),
            Route("/health", health),
        ]
    )


def _models(anthropic: bool) -> dict[str, Any]:
    provider = "anthropic" if anthropic else "openai"
    names = [name for name, model in CATALOGUE.items() if model.provider == provider]
    if anthropic:
        listed = [
            {"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z"}
            for name in names
        ]
        return {"data": listed, "has_more": False, "first_id": names[0], "last_id": names[-1]}
    return {
        "object": "list",
        "data": [
            {"id": name, "object": "model", "created": 1767225600, "owned_by": "openai"} for name in names
        ],
    }
