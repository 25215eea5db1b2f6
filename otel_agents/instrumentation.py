"""Enables the official instrumentation of the HTTP clients, for everything that is no model call.

It gives context propagation, HTTP spans and client metrics. It is enabled when a client library is
imported, since enabling it imports the library.
"""

from __future__ import annotations

import logging
import sys
from typing import Final

import wrapt

from otel_agents.frameworks import is_disabled

logger = logging.getLogger(__name__)

_INSTRUMENTATION: Final = "opentelemetry.instrumentation.httpx"
_INSTRUMENTORS: Final = {"httpx": "HTTPXClientInstrumentor", "httpx2": "HTTPX2ClientInstrumentor"}

_registered = False


def instrument_http_clients() -> None:
    """Enables opentelemetry-instrumentation-httpx for httpx and httpx2, now or when they are imported."""
    global _registered
    if _registered:
        return
    _registered = True
    for client in _INSTRUMENTORS:
        wrapt.register_post_import_hook(lambda _: _enable(), client)


def _enable() -> None:
    """Enables the instrumentors of the clients that are imported by now."""
    loading = sys.modules.get(_INSTRUMENTATION)
    if loading is not None and getattr(loading.__spec__, "_initializing", False):
        return  # it imports both clients itself; the call that imports it enables both
    try:
        from opentelemetry.instrumentation import httpx as module

        for client, name in _INSTRUMENTORS.items():
            if is_disabled(client):
                continue
            instrumentor = getattr(module, name)()
            if client in sys.modules and not instrumentor.is_instrumented_by_opentelemetry:
                instrumentor.instrument()
    except Exception:
        logger.warning("otel-agents: HTTP clients could not be instrumented", exc_info=True)
