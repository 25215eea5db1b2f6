"""What we do ourselves is not traced: no instrumentation sees it, and no span of the app is its parent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import context
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, Context


def untraced_thread() -> None:
    """Has nothing trace what the calling thread does from now on; no span of its starter is current."""
    context.attach(context.set_value(_SUPPRESS_INSTRUMENTATION_KEY, True, Context()))


@contextmanager
def untraced() -> Iterator[None]:
    """Has nothing trace what the block does."""
    token = context.attach(context.set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
    try:
        yield
    finally:
        context.detach(token)
