"""Clients and readers of a local backend, for the tests of reports and of reading."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import httpx

from otel_agents.langfuse.reading import LangfuseReader
from otel_agents.local.server import Running

#: ``report("--by", "agent", backend=month)`` runs ``otel-agents report``.
Report = Callable[..., subprocess.CompletedProcess[str]]


def client_of(backend: Running) -> httpx.Client:
    """A client with the backend's keys."""
    return httpx.Client(base_url=backend.url, auth=(backend.public_key, backend.secret_key), timeout=30)


def reader_of(backend: Running, waits: list[float] | None = None, **settings: float) -> LangfuseReader:
    """A reader that only notes how long it would wait between tries."""
    reader = LangfuseReader(backend.url, backend.public_key, backend.secret_key, **settings)
    noted = [] if waits is None else waits
    reader._api.sleep = noted.append
    return reader
