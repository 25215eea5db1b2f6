"""Forks, also those that Python knows nothing of: uWSGI's, unless it is asked to tell.

A forked child has none of its parent's threads, and its queues and counts are its parent's. Python runs
what was registered with ``os.register_at_fork`` when it forks itself. uWSGI forks in C, and only calls a hook
of its own; should that be taken by others, whoever starts a span or counts looks as well.
"""

from __future__ import annotations

import _thread
import logging
import os
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

logger = logging.getLogger(__name__)

Step = Callable[[], object]

_in_child: list[Step] = []
_missed: list[weakref.WeakMethod[Any]] = []
_process = os.getpid()
_lock = threading.RLock()
_modules = sys.modules
_hooked: object = None


def watch(in_child: Step, before: Step | None = None, in_parent: Step | None = None) -> None:
    """Has functions called around every fork from now on.

    Args:
        in_child: in the child; not to start threads.
        before: in the parent, just before; only where Python forks.
        in_parent: in the parent, just after; likewise.
    """
    _in_child.append(in_child)
    if hasattr(os, "register_at_fork"):
        if before is not None:
            os.register_at_fork(before=before)
        if in_parent is not None:
            os.register_at_fork(after_in_parent=in_parent)
        if len(_in_child) == 1:
            os.register_at_fork(after_in_child=_after_fork)


def missed(method: Step) -> None:
    """Has a bound method called in children whose fork Python did not see; it may start threads.

    For what others registered with Python, and what has to happen there all the same. Held weakly.
    """
    _missed.append(weakref.WeakMethod(method))


def check() -> None:
    """Makes this process fit for use if it is a child whose fork nobody told of. Costs next to nothing."""
    if "uwsgi" in _modules and os.getpid() != _process:
        with _lock:
            if os.getpid() != _process:
                _after_fork()
                for one in _missed:
                    if (method := one()) is not None:
                        _quietly(method)


def under_uwsgi() -> bool:
    """Whether uWSGI runs this process. It handles signals in C, and calls ``atexit`` when it ends."""
    return "uwsgi" in _modules


def ahead() -> bool:
    """Whether uWSGI is about to fork the processes that will work, and this one only loads the app for them.

    No thread may run in such a one. uWSGI does not care what they are at when it forks: if one
    holds Python's lock, or that of a module that it imports, the worker waits for it forever.
    """
    try:
        return under_uwsgi() and _modules["uwsgi"].worker_id() == 0
    except Exception:
        return False


def when_forked(start: Step) -> None:
    """Has ``start`` called in each process that uWSGI makes, and what uWSGI calls there anyway.

    On a thread of its own. Should the app put a hook of its own in the place of ours, it is not called.
    """
    import wrapt

    def hook(_: object) -> None:
        global _hooked
        uwsgi: Any = _modules.get("uwsgi")
        earlier = getattr(uwsgi, "post_fork_hook", None)
        if uwsgi is None or (earlier is not None and earlier is _hooked):
            return

        def after_fork() -> None:
            check()
            # Not here, nor waiting for a thread to run: until the hook returns a signal would be Python's,
            # and the worker would not end.
            _thread.start_new_thread(_quietly, (start,))
            if earlier is not None:
                earlier()

        _hooked = uwsgi.post_fork_hook = after_fork

    hook(None)
    wrapt.register_post_import_hook(hook, "uwsgidecorators")  # it puts its own there


def _after_fork() -> None:
    global _process
    for step in _in_child:
        _quietly(step)
    _process = os.getpid()  # last: until then others wait


def _quietly(step: Step) -> None:
    try:
        step()
    except Exception:
        logger.debug("otel-agents: error after a fork", exc_info=True)
