"""The end of a process: what has to be ready before it, and children that ``atexit`` does not see.

Signals and ``os._exit`` are in ``signals``.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

logger = logging.getLogger(__name__)

_registered = False
#: Asks what this process started to end; answers with how it is made to, after the process's own work.
_started: list[Callable[[], Callable[[], object]]] = []


def ends_with_us(ask: Callable[[], Callable[[], object]]) -> None:
    """Has ``ask`` called when this process ends, and what it answers a little later. Once for each."""
    if ask not in _started:
        _started.append(ask)


def ask_started() -> list[Callable[[], object]]:
    """Asks everything that was started to end; answers with what makes it."""
    made: list[Callable[[], object]] = []
    for ask in _started:
        try:
            made.append(ask())
        except Exception:
            logger.debug("otel-agents: error while stopping", exc_info=True)
    return made


class Ending:
    """Runs a function once it is told to, on a thread that waits for that from the start.

    At the end of the interpreter Python 3.12 and later start no new threads, and without one of its
    own an exporter that hangs would hold the process for as long as its own timeouts are.
    """

    __slots__ = ("_done", "_go")

    def __init__(self, function: Callable[[], object]) -> None:
        self._go = threading.Event()
        self._done = threading.Event()
        arguments = (function, self._go, self._done)
        threading.Thread(target=_when_told, args=arguments, name="otel-agents-end", daemon=True).start()

    def begin(self) -> None:
        """Has the function run now."""
        self._go.set()

    def wait(self, seconds: float) -> None:
        """Waits until the function has returned or failed, for at most ``seconds``."""
        self._done.wait(seconds)


def _when_told(function: Callable[[], object], go: threading.Event, done: threading.Event) -> None:
    go.wait()
    try:
        function()
    except Exception:
        logger.debug("otel-agents: error while stopping", exc_info=True)
    finally:
        done.set()


class _Anchor:
    """What ``register_after_fork`` ties a function to; lives as long as this module."""


_anchor = _Anchor()


def at_child_exit(function: Callable[[], object]) -> None:
    """Has ``function`` called when a child of ``multiprocessing`` or of Celery's pool ends.

    Such children leave by ``os._exit``, after the finalizers of that package and no others; Celery's
    after a signal of its own.
    """
    global _registered
    if _registered:
        return
    _registered = True
    import wrapt

    def hook(util: Any) -> None:
        def finalize(_: object = None) -> None:
            util.Finalize(None, function, exitpriority=-1000)

        util.register_after_fork(_anchor, finalize)
        process = getattr(util, "process", None)
        if process is None or getattr(process, "parent_process", lambda: None)() is not None:
            finalize()  # this process is such a child

    def connect(signals: Any) -> None:
        # Strongly held, under a name: Celery keeps weak references to receivers otherwise.
        signals.worker_process_shutdown.connect(
            lambda **_: function(), weak=False, dispatch_uid="otel-agents-shutdown"
        )

    wrapt.register_post_import_hook(hook, "multiprocessing.util")
    wrapt.register_post_import_hook(connect, "celery.signals")
