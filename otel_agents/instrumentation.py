"""Enables the official instrumentation of the HTTP clients, for everything that is no model call.

It gives context propagation, HTTP spans and client metrics. It is enabled when the client library
is imported, since enabling it imports the library.
"""

from __future__ import annotations

import logging
from typing import Any

import wrapt

logger = logging.getLogger(__name__)

_registered = False


def instrument_http_clients() -> None:
    """Enables opentelemetry-instrumentation-httpx for httpx and httpx2, now or when they are imported."""
    global _registered
    if _registered:
        return
    _registered = True
    wrapt.register_post_import_hook(lambda _: _enable("HTTPXClientInstrumentor"), "httpx")
    wrapt.register_post_import_hook(lambda _: _enable("HTTPX2ClientInstrumentor"), "httpx2")


def _enable(name: str) -> None:
    try:
        from opentelemetry.instrumentation import httpx as module

        instrumentor: Any = getattr(module, name)()
        if not instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.instrument()
    except Exception:
        logger.warning("otel-agents: could not enable %s", name, exc_info=True)
