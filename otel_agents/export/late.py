"""Attributes that a span gets after its end, on the copy that is exported: message content, above all."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue

#: Makes the attributes; called off the caller's path.
Complete = Callable[[], Mapping[str, "AttributeValue"]]

_LIMIT: Final = 50_000


class Late:
    """What completes spans, by their ids. Safe for threads."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[int, Complete] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, span_id: int, complete: Complete) -> None:
        """Has ``complete()`` make attributes for the span, after those that were added before."""
        with self._lock:
            earlier = self._waiting.get(span_id)
            self._waiting[span_id] = complete if earlier is None else _both(earlier, complete)
            if len(self._waiting) > _LIMIT:  # spans that never end must not fill the memory
                self._waiting.popitem(last=False)

    def of(self, span_id: int) -> Complete | None:
        """What completes the span; it stays."""
        with self._lock:
            return self._waiting.get(span_id)

    def take(self, span_id: int) -> Complete | None:
        """What completes the span, once."""
        with self._lock:
            return self._waiting.pop(span_id, None)


def _both(first: Complete, second: Complete) -> Complete:
    return lambda: {**first(), **second()}
