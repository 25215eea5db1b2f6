"""A line on the terminal that says how much was read, while a command reads."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def counting(what: str) -> Iterator[Callable[[int], None] | None]:
    """Gives a function to tell counts to; None where nobody watches (standard error is no terminal)."""
    if not sys.stderr.isatty():
        yield None
        return
    try:
        yield lambda count: print(f"\r{count:,} {what} read", end="", file=sys.stderr, flush=True)
    finally:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
