"""Waiting in the foreground until someone says stop, or a part of the stack ends by itself."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from otel_agents.stack.errors import StackError
from otel_agents.stack.process import Children

#: Ctrl-C, `down` and service managers, a closed terminal.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """Someone said stop while the stack was starting; unwinds like KeyboardInterrupt."""


class Told:
    """Whether someone said stop."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.waiting = False

    def tell(self, number: int, frame: FrameType | None) -> None:
        """Signal handler: ends :meth:`wait`, or whatever else goes on before it, once."""
        first = not self._event.is_set()
        self._event.set()
        if first and not self.waiting:
            raise Stopped

    def wait(self, children: Children) -> None:
        """Returns when someone said stop.

        Raises:
            StackError: when one of ``children`` ends by itself.
        """
        self.waiting = True
        while not self._event.wait(0.2):
            if (line := children.ended()) is not None:
                raise StackError(line)


@contextmanager
def until_told_to_stop() -> Iterator[Told]:
    """Turns the stop signals into a stop of the block; a second one does not interrupt the clean-up.

    The block's own clean-up has run when this returns, so the process can end with status 0.
    """
    told = Told()
    before = {number: signal.signal(number, told.tell) for number in _SIGNALS}
    try:
        yield told
    except Stopped:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
