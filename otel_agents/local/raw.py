"""The newest received spans as they came, in memory, for ``/api/local/raw``."""

from __future__ import annotations

import collections
import threading
import time
from typing import Any

from otel_agents.local.otlp import ReceivedSpan


class RawSpans:
    """Remembers spans up to a number and a size. Safe for threads.

    Args:
        most: number of spans.
        most_chars: characters in their attributes, all together.
    """

    __slots__ = ("_chars", "_lock", "_most", "_most_chars", "_spans")

    def __init__(self, most: int, most_chars: int) -> None:
        self._most = most
        self._most_chars = most_chars
        self._chars = 0
        self._spans: collections.deque[tuple[int, int, ReceivedSpan]] = collections.deque()
        self._lock = threading.Lock()

    def add(self, spans: list[ReceivedSpan]) -> None:
        """Takes spans in; the oldest ones go."""
        now = time.time_ns()
        with self._lock:
            for span in spans:
                chars = _chars_of(span)
                self._spans.append((now, chars, span))
                self._chars += chars
            while self._spans and (len(self._spans) > self._most or self._chars > self._most_chars):
                self._chars -= self._spans.popleft()[1]

    def newest(self, limit: int) -> list[tuple[int, ReceivedSpan]]:
        """Up to ``limit`` spans with the time they came (nanoseconds), oldest first."""
        with self._lock:
            entries = list(self._spans)[-limit:] if limit > 0 else []
        return [(received_ns, span) for received_ns, _, span in entries]

    def clear(self) -> None:
        """Forgets all spans."""
        with self._lock:
            self._spans.clear()
            self._chars = 0


def _chars_of(span: ReceivedSpan) -> int:
    holders = [span.attributes, *(event.attributes for event in span.events)]
    return sum(len(key) + _length(value) for holder in holders for key, value in holder.items())


def _length(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(_length(item) for item in value)
    if isinstance(value, int | float):
        return 8
    return len(repr(value))
