"""Waits for scripts that run as processes of their own."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from stub_backend import StubBackend

#: What the fixture ``start`` is.
Start = Callable[..., "subprocess.Popen[str]"]


def names(backend: StubBackend) -> list[str]:
    """Names of the spans that arrived, sorted."""
    return sorted(span.name for span in backend.spans())


def ended(process: subprocess.Popen[str], timeout: float = 60.0) -> tuple[int, str]:
    """Exit status and output of a process, once it has ended."""
    output, _ = process.communicate(timeout=timeout)
    return process.returncode, output


def until(process: subprocess.Popen[str], line: str) -> None:
    """Waits until the process has written ``line``."""
    assert process.stdout is not None
    seen = []
    for one in process.stdout:
        seen.append(one)
        if one.strip() == line:
            return
    raise AssertionError(f"ended without {line!r}: {''.join(seen)}")
