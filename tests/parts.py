"""The real parts that tests run: found, or the test is skipped with the reason.

With ``OTEL_AGENTS_REQUIRE_ALL=1`` (continuous integration) a missing part fails the test instead, so
that a green run there means that everything ran.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from otel_agents.stack.ports import free_port as free_port

T = TypeVar("T")

_HINTS = {
    "collector": "build it with `otel-agents collector build` (needs Go), or set OTELCOL_BIN",
    "prometheus": "install Debian's `prometheus` package, or put prometheus on PATH",
    "promtool": "install Debian's `prometheus` package, or put promtool on PATH",
    "alertmanager": "install Debian's `prometheus-alertmanager` package, or put alertmanager on PATH",
    "amtool": "install Debian's `prometheus-alertmanager` package, or put amtool on PATH",
    "victoria-metrics": "install Debian's `victoria-metrics` package, or put victoria-metrics on PATH",
    "chromium": "install Debian's `chromium` package, or put chromium on PATH",
}


def _find(kind: str) -> Path | None:
    if kind == "collector":
        from otel_agents.stack.collector import find_collector

        return find_collector()
    names = {
        "chromium": ("chromium", "chromium-browser", "google-chrome"),
        "alertmanager": ("prometheus-alertmanager", "alertmanager"),
    }
    for name in names.get(kind, (kind,)):
        if found := shutil.which(name):
            return Path(found)
    return None


def require(kind: str) -> Path:
    """Path of the part ``kind``; skips the test (or fails it in CI) when it is not on this machine."""
    found = _find(kind)
    if found is not None:
        return found
    reason = f"no {kind} on this machine: {_HINTS[kind]}"
    if os.environ.get("OTEL_AGENTS_REQUIRE_ALL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def optional(kind: str) -> Path:
    """As :func:`require`, for what continuous integration may go without, too."""
    found = _find(kind)
    if found is None:
        pytest.skip(f"no {kind} on this machine: {_HINTS[kind]}")
    return found


def wait_for(condition: Callable[[], T | None], what: str, timeout: float = 30.0, every: float = 0.05) -> T:
    """Calls ``condition`` until it answers something true, and returns that.

    Raises:
        AssertionError: naming ``what`` was waited for, when ``timeout`` seconds are over.
    """
    deadline = time.monotonic() + timeout
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout:g} s for {what}")
        time.sleep(every)
