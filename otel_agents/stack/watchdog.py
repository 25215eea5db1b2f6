"""Ends the stack's processes when the process that started them is gone, however it went.

Run as a script: standard input is a pipe, the argument is the seconds between asking and killing. The
starter writes ``+<pid>`` for each process group it started and ``-<pid>`` for each that it saw end. The
pipe closes when the starter ends, also by SIGKILL; what is still in the list is then asked to end, and
killed if it does not. Standard library only, because it runs without site-packages to be small and quick.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable


def _signal(groups: Iterable[int], number: int) -> list[int]:
    """Sends a signal to process groups; returns those that still exist."""
    alive = []
    for group in groups:
        try:
            os.killpg(group, number)
        except (ProcessLookupError, PermissionError):
            continue
        alive.append(group)
    return alive


def end(groups: Iterable[int], grace: float) -> None:
    """Ends process groups: SIGTERM, up to ``grace`` seconds of waiting, SIGKILL."""
    left = _signal(groups, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = _signal(left, 0)
    _signal(left, signal.SIGKILL)


def main() -> None:
    # A Ctrl-C or a closed terminal ends the starter; this process has to outlive it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        sign, number_text = line[:1], line[1:].strip()
        if number_text.isdigit():
            (groups.add if sign == "+" else groups.discard)(int(number_text))
    end(groups, float(sys.argv[1]))


if __name__ == "__main__":
    main()
