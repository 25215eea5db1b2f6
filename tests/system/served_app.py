"""A web app as people write them: FastAPI, a call to another server, a model call. Knows nothing of us."""

from __future__ import annotations

import os

import httpx
from fastapi import FastAPI

app = FastAPI()


@app.get("/tasks/{number}")
def task(number: int) -> dict[str, int]:
    """Asks this server's other page, by HTTP."""
    httpx.get(f"http://127.0.0.1:{os.environ['APP_PORT']}/health").raise_for_status()
    return {"number": number}


@app.get("/health")
def health() -> dict[str, bool]:
    return {"ok": True}


@app.get("/pid")
def pid() -> dict[str, int]:
    return {"pid": os.getpid()}
