"""What a generator has yielded, kept for its span."""

from __future__ import annotations

from typing import Final

import msgspec

from otel_agents import values

_MAX_YIELDED: Final = 10_000


class Collected:
    """What a generator has yielded, at most ``limit`` characters of it: text joined, anything else a list."""

    __slots__ = ("_room", "_texts", "_yielded", "cut", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.cut = False
        self._room = limit
        self._texts = True
        self._yielded: list[str] = []  # text, or JSON once something else than text has come

    def add(self, item: object) -> None:
        """Keeps ``item`` as it is now; it may change later."""
        if self._room <= 0 or len(self._yielded) >= _MAX_YIELDED:
            self.cut = True
            return
        if type(item) is str and self._texts:
            self.cut = len(item) > self._room
            part = item[: self._room]
        else:
            if self._texts:
                self._texts = False
                self._yielded = [values.to_json(one, len(one)) for one in self._yielded]
            part, self.cut = values.bounded_json(item, self._room)
        self._yielded.append(part)
        self._room -= len(part)

    def value(self) -> object:
        """The text, or the list of values."""
        if self._texts:
            return "".join(self._yielded)
        return [msgspec.json.decode(part) for part in self._yielded]
