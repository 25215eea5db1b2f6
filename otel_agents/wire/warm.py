"""The price data takes half a second to import; that time is spent while the first call is under way."""

from __future__ import annotations

import logging
import threading

logger = logging.getLogger(__name__)

_started = False


def warm_prices() -> None:
    """Imports the price data on a thread of its own, once; the first call then does not wait for it."""
    global _started
    if not _started:
        _started = True
        threading.Thread(target=_import, name="otel-agents-prices", daemon=True).start()


def _import() -> None:
    try:
        from otel_agents.accounting import prices

        prices.warm_up()
    except Exception:
        logger.debug("otel-agents: no price data", exc_info=True)
