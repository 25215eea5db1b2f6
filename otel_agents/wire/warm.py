"""The price data takes half a second to import; that time is spent while the first call is under way."""

from __future__ import annotations

import logging
import threading

logger = logging.getLogger(__name__)

_started = False
_thread: threading.Thread | None = None


def warm_prices() -> None:
    """Imports the price data on a thread of its own, once; the first call then does not wait for it."""
    global _started, _thread
    if not _started:
        _started = True
        _thread = threading.Thread(target=_import, name="otel-agents-prices", daemon=True)
        _thread.start()


def wait(timeout: float) -> None:
    """Waits up to ``timeout`` seconds for the import: a fork amid it would leave the child stuck there."""
    thread = _thread
    if thread is not None and thread is not threading.current_thread():
        thread.join(timeout)


def _import() -> None:
    try:
        from otel_agents.accounting import prices

        prices.warm_up()
    except Exception:
        logger.debug("otel-agents: no price data", exc_info=True)
