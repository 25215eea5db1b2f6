"""Enables the official instrumentation of the HTTP clients, for everything that is no model call.

It gives context propagation, HTTP spans and client metrics. It is enabled when a client library is
imported, since enabling it imports the library. Those of requests and urllib3 are the app's to enable;
they wrap the methods that we hook, and whenever they do, they go below our hook: around it they would
make a second span of a model call and tell the provider of the trace.
"""

from __future__ import annotations

import logging
import sys
from functools import partial
from typing import Any, Final

import wrapt

from otel_agents import wire
from otel_agents.frameworks import is_disabled

logger = logging.getLogger(__name__)

_INSTRUMENTATION: Final = "opentelemetry.instrumentation.httpx"
_INSTRUMENTORS: Final = {"httpx": "HTTPXClientInstrumentor", "httpx2": "HTTPX2ClientInstrumentor"}

#: Instrumentation of a library whose methods we hook → its class, and the library.
_SAME_METHODS: Final = {
    "opentelemetry.instrumentation.requests": ("RequestsInstrumentor", "requests"),
    "opentelemetry.instrumentation.urllib3": ("URLLib3Instrumentor", "urllib3"),
}

_registered = False


def instrument_http_clients() -> None:
    """Enables opentelemetry-instrumentation-httpx for httpx and httpx2, now or when they are imported."""
    global _registered
    if _registered:
        return
    _registered = True
    for client in _INSTRUMENTORS:
        wrapt.register_post_import_hook(lambda _: _enable(), client)
    for module in _SAME_METHODS:
        wrapt.register_post_import_hook(_keep_below, module)


def _keep_below(module: Any) -> None:
    """Has an instrumentor wrap the library's own methods, not our hook around them."""
    name, library = _SAME_METHODS[module.__name__]
    for method in ("_instrument", "_uninstrument"):
        try:
            wrapt.wrap_function_wrapper(module, f"{name}.{method}", partial(_aside, library))
        except Exception:
            logger.debug("otel-agents: %s is not as expected", name, exc_info=True)


def _aside(library: str, wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    with wire.aside(library):
        return wrapped(*args, **kwargs)


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
