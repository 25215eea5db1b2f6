"""Ends of a process that ``atexit`` does not see: signals, ``os._exit``, a process that signals itself.

An application's own handlers are left as they are, whether they are installed before or after: what they
do ends in ``sys.exit`` (``atexit`` sees it), in ``os._exit``, or in putting the default back and raising
the signal again, as uvicorn does. The last two come by here. Exit statuses stay what they would have been.
"""

from __future__ import annotations

import _thread
import contextlib
import functools
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

from otel_agents import forks

logger = logging.getLogger(__name__)

#: Signals that end a process that does not handle them, and that one is asked to end with.
_NAMES: Final = ("SIGTERM", "SIGINT", "SIGHUP")
#: Seconds for sending at an end by a signal, and at one by ``os._exit``; then what is left is put on disk.
_PATIENCE: Final = 5.0
_HASTE: Final = 2.5
#: Seconds that this may take beyond it, before the process ends all the same.
_MORE: Final = 2.5

_installed = False
_stop: Callable[[float], object] | None = None
_flush: Callable[[], object] | None = None
_stopping: set[int] = set()
_put_off: list[int] | None = None
_kill = os.kill


def install(stop: Callable[[float], object], flush: Callable[[], object]) -> None:
    """Has ``stop`` called before a signal, ``os._exit`` or the process itself ends it.

    Handlers are installed for signals that nobody handles, and only from the main thread, since Python
    allows it nowhere else. Calling it again installs those that are missing.

    Args:
        stop: sends everything within so many seconds, or saves it; the process is over afterwards.
        flush: the same for a process that lives on.
    """
    global _installed, _stop, _flush
    _stop, _flush = stop, flush
    if not _installed:
        _installed = True
        os._exit = _before_exit(os._exit)
        os.kill = _before_signal(os.kill, "os")
        signal.raise_signal = _before_signal(signal.raise_signal, "signal")
    if forks.under_uwsgi():
        return  # it has handlers of its own, which Python does not know, and calls atexit at the end
    try:
        for number in _numbers():
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, handle)
    except ValueError:  # asked rather than compared: eventlet's threads are not what they seem
        logger.debug("otel-agents: no signal handlers, since this is not the main thread")


@contextlib.contextmanager
def put_off() -> Iterator[None]:
    """Has a signal that comes meanwhile take effect at the end of the block.

    For a stop that runs on the main thread: the handler would interrupt it, and wait for it. A second
    signal ends the process at once.
    """
    global _put_off
    if threading.current_thread() is not threading.main_thread() or _put_off is not None:
        yield
        return
    pending: list[int] = []
    _put_off = pending
    try:
        yield
    finally:
        _put_off = None
        if pending:
            _kill(os.getpid(), pending[0])


def stay_interrupted() -> None:
    """Has Python end by SIGINT after an unhandled Ctrl-C, as a shell expects, whatever ran at the exit.

    Python keeps that in a flag that any ``eval`` of a text clears, on any thread; importing a module with
    a named tuple is enough. Such an evaluation that is interrupted sets it again.
    """
    if getattr(sys, "last_type", None) is not KeyboardInterrupt or hasattr(sys, "ps1") or sys.flags.inspect:
        return
    traceback = getattr(sys, "last_traceback", None)
    name = traceback.tb_frame.f_globals.get("__name__") if traceback is not None else None
    if name not in ("__main__", "runpy"):  # printed by an interpreter inside this one
        return
    try:
        eval("interrupt()", {"interrupt": _interrupt})
    except KeyboardInterrupt:
        pass


def _interrupt() -> None:
    raise KeyboardInterrupt


def handle(number: int, frame: object) -> None:
    """The handler: what is in memory goes, then the signal does what it does by default."""
    if signal.getsignal(number) is not handle:
        return  # called by the handler that came after; the default could not have been called by it
    if os.getpid() == 1:
        # The kernel gives the first process of a container no default: it would live on, and so it does.
        if _flush is not None:
            threading.Thread(target=_quietly, args=(_flush,), daemon=True).start()
        return
    signal.signal(number, signal.SIG_DFL)
    if _put_off is not None:
        _put_off.append(number)
        return
    if _in_greenlet():
        _thread.start_new_thread(_end_by, (number,))
    else:
        _end_by(number)


def _end_by(number: int) -> None:
    try:
        _finish(_PATIENCE)
    finally:
        _kill(os.getpid(), number)


def _in_greenlet() -> bool:
    """Whether threads are greenlets, of gevent or eventlet, and this is not the main one.

    A handler runs in whichever has its turn. That is the loop itself while all others wait, and it must
    not wait; or one of ours, whose end the stop would wait for.
    """
    greenlet = sys.modules.get("greenlet")
    if greenlet is None or _thread.start_new_thread.__module__ == "_thread":
        return False
    return greenlet.getcurrent().parent is not None


def _finish(seconds: float) -> None:
    """Runs ``stop`` once for this process, in a thread: the interrupted code may hold a lock it needs.

    Args:
        seconds: for sending.
    """
    if _stop is None or os.getpid() in _stopping:
        return
    _stopping.add(os.getpid())
    thread = threading.Thread(target=_quietly, args=(_stop, seconds), name="otel-agents-end", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the interpreter is at its end, and atexit has been here
        return
    thread.join(timeout=seconds + _MORE)


def _quietly(function: Callable[..., object], *arguments: float) -> None:
    try:
        function(*arguments)
    except Exception:
        logger.debug("otel-agents: error while stopping", exc_info=True)


def _before_exit(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def _exit(*arguments: Any, **named: Any) -> Any:
        try:
            _finish(_HASTE)
        except Exception:
            pass  # the process ends, whatever happens to us
        return original(*arguments, **named)

    _exit.__module__ = "os"  # where pickle finds it
    return _exit


def _before_signal(original: Callable[..., Any], module: str) -> Callable[..., Any]:
    """``os.kill`` or ``signal.raise_signal``, finishing first where it is the end of this process."""

    @functools.wraps(original)
    def send(*arguments: Any, **named: Any) -> Any:
        try:
            if len(arguments) == (2 if module == "os" else 1) and _is_the_end(*arguments):
                _finish(_PATIENCE)
        except Exception:
            logger.debug("otel-agents: error before a signal", exc_info=True)
        return original(*arguments, **named)

    send.__module__ = module
    return send


def _is_the_end(*arguments: Any) -> bool:
    *process, number = arguments
    if process and process[0] != os.getpid():
        return False
    return number in _numbers() and os.getpid() != 1 and signal.getsignal(number) is signal.SIG_DFL


def _numbers() -> list[int]:
    return [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
