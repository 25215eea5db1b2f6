"""The one way to ask how much a counter of ours grew, for dashboards, rules and the doctor alike.

Agents run a few dozen tasks an hour, often in processes that live for seconds. ``increase()`` misses the
first value of a new series and extrapolates the rest. Since ``service.instance.id`` is new for every process,
a series of ours never resets: what it counted in a window is its last value less the last value from before
the window, or less nothing when it is newer than the window.
"""

from __future__ import annotations

from typing import Final

#: How far before a window a series is looked for. It bridges gaps between scrapes; the Collector stops
#: serving a series after two hours without news.
LOOK_BACK: Final = "1d"


def grown(selector: str, window: str) -> str:
    """What each series of ``selector`` has grown by in ``window``, new series from zero."""
    now = f"last_over_time({selector}[{window}])"
    return f"({now} - (last_over_time({selector}[{LOOK_BACK}] offset {window}) or {now} * 0))"
