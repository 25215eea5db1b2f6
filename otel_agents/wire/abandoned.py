"""Ends calls whose response was dropped unread, away from the garbage collector.

A collection can start anywhere, also while this very thread holds a lock of the tracing pipeline.
Ending a span from ``__del__`` could then wait for itself. ``SimpleQueue.put`` is safe there; the
rest happens on a thread that only lives when there is something to do.
"""

from __future__ import annotations

import logging
import os
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otel_agents.wire.call import Call

logger = logging.getLogger(__name__)

_dropped: SimpleQueue[Call] = SimpleQueue()
_ready = False
_start_lock = threading.Lock()


def prepare() -> None:
    """Starts the thread, if this process has none yet; to be called where starting one is safe."""
    global _ready
    if _ready:
        return
    with _start_lock:
        if not _ready:
            threading.Thread(target=_run, args=(_dropped,), name="otel-agents-dropped", daemon=True).start()
            _ready = True


def _after_fork() -> None:
    global _ready, _dropped, _start_lock
    _dropped = SimpleQueue()  # what a parent left is the parent's
    _start_lock = threading.Lock()
    _ready = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def drop(call: Call) -> None:
    """Has ``call`` finished soon. May be called from ``__del__``."""
    _dropped.put(call)


def _run(dropped: SimpleQueue[Call]) -> None:
    while True:
        dropped.get().finish()
