"""One thread for the work that a model call leaves behind.

The caller's side only appends to a queue; counting, which locks and looks up attributes, happens
here. The queue is bounded: beyond its limit the caller does the work itself, so that no count is
ever lost.
"""

from __future__ import annotations

import logging
import math
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any, Final

from otel_agents import forks

logger = logging.getLogger(__name__)

_LIMIT: Final = 100_000
#: Seconds between two looks at the queue; short, so that a scrape sees what just happened.
_INTERVAL: Final = 0.2
#: Seconds that a fork waits for what runs.
_PATIENCE: Final = 5.0


class Worker:
    """Runs submitted functions in order, on a daemon thread that starts with the first of them."""

    def __init__(self, name: str = "otel-agents-worker") -> None:
        self._name = name
        self._reset()

    def _reset(self) -> None:
        self._tasks: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._later: list[tuple[float, Callable[..., None], tuple[Any, ...]]] = []
        self._later_lock = threading.Lock()
        self._wake = threading.Event()
        self._running = threading.RLock()  # what runs may submit, which drains once we are stopped
        self._start_lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = False

    def submit(self, function: Callable[..., None], *arguments: Any) -> None:
        """Has ``function(*arguments)`` run soon; its exceptions are logged and go nowhere."""
        forks.check()
        if self._thread is None and not self._stopped:
            self._start()
        self._tasks.append((function, arguments))
        if self._stopped or len(self._tasks) > _LIMIT:
            self.drain()

    def later(self, delay: float, function: Callable[..., None], *arguments: Any) -> None:
        """Has ``function(*arguments)`` run in ``delay`` seconds; sooner at :meth:`hurry` and :meth:`stop`.

        Made for few and rare things: every look at the queue goes through all of them.
        """
        if self._stopped:
            self.submit(function, *arguments)
            return
        with self._later_lock:
            self._later.append((monotonic() + delay, function, arguments))
        if self._thread is None:
            self._start()

    def hurry(self) -> None:
        """Queues everything that :meth:`later` put off, whether or not it is time."""
        self._due(math.inf)

    def _due(self, now: float) -> None:
        if self._later:
            with self._later_lock:
                self._tasks.extend(waiting[1:] for waiting in self._later if waiting[0] <= now)
                self._later = [waiting for waiting in self._later if waiting[0] > now]

    def drain(self) -> None:
        """Runs everything that is queued now, on the calling thread."""
        with self._running:
            while self._tasks:
                try:
                    function, arguments = self._tasks.popleft()
                except IndexError:  # another thread took the last one
                    return
                try:
                    function(*arguments)
                except Exception:
                    logger.exception("otel-agents: could not record telemetry")

    def stop(self) -> None:
        """Runs what is queued and ends the thread; later submissions run on the caller's thread."""
        self._stopped = True
        self._wake.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=2.0)
        self.hurry()
        self.drain()

    def before_fork(self) -> None:
        """Waits until nothing runs, as what runs may be importing: a child would wait for that forever.

        Python does not give a child the locks of modules that another thread was importing.
        """
        self._running.acquire(timeout=_PATIENCE)

    def after_fork_in_parent(self) -> None:
        """Goes on."""
        try:
            self._running.release()
        except RuntimeError:
            pass  # it was not to be had in time

    def after_fork(self) -> None:
        """A child has no thread and must not count what its parent counts."""
        self._reset()

    def _start(self) -> None:
        with self._start_lock:
            if self._thread is None and not self._stopped:
                thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # the interpreter is at its end; whoever stops does the work itself
                    return
                self._thread = thread  # last: whoever stops may join it only once it runs

    def _run(self) -> None:
        while not self._stopped:
            self._wake.wait(_INTERVAL)
            self._due(monotonic())
            self.drain()
