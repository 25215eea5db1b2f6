"""Tokens and prompt caches: deterministic stand-ins for a tokenizer and for the providers' caches."""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

#: Below this many tokens no provider caches a prompt.
MINIMUM: Final = 1024
#: OpenAI's cache works in steps of this many tokens.
STEP: Final = 128
_LIFETIMES: Final = {"5m": 300.0, "1h": 3600.0}


def count(text: str) -> int:
    """Tokens of a text: one for every four characters, rounded up."""
    return math.ceil(len(text) / 4)


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of the prompt, in the order in which the provider reads them.

    Attributes:
        ttl: "5m" or "1h" when the prompt up to here is to be cached (Anthropic's cache_control).
    """

    text: str
    ttl: str | None = None


@dataclass(frozen=True, slots=True)
class CacheUse:
    """Tokens read from and written to the cache; ``write_1h`` is a part of ``write``."""

    read: int = 0
    write: int = 0
    write_1h: int = 0


class PromptCache:
    """Remembers prompt prefixes by model, as one organisation's cache would."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[bytes, float] = {}

    def clear(self) -> None:
        """Forgets every prefix."""
        with self._lock:
            self._known.clear()

    def automatic(self, model: str, segments: Sequence[Segment], bill_writes: bool) -> CacheUse:
        """OpenAI's rule: the longest known prefix, in steps of 128 tokens, from 1024 on.

        With ``bill_writes`` the steps that are new count as written; only newer models report
        and bill those.
        """
        text = "".join(segment.text for segment in segments)
        steps = len(text) // (STEP * 4)
        if steps * STEP < MINIMUM:
            return CacheUse()
        digest = hashlib.blake2b(model.encode(), digest_size=16)
        keys = []
        for step in range(steps):
            part = text[step * STEP * 4 : (step + 1) * STEP * 4]
            digest.update(part.encode(errors="surrogatepass"))
            keys.append(digest.copy().digest())
        now = time.monotonic()
        with self._lock:
            read = 0
            while read < steps and self._known.get(keys[read], 0) > now:
                read += 1
            self._known.update(dict.fromkeys(keys, now + _LIFETIMES["5m"]))
        if read * STEP < MINIMUM:
            read = 0
        return CacheUse(read * STEP, (steps - read) * STEP if bill_writes else 0)

    def breakpoints(self, model: str, segments: Sequence[Segment]) -> CacheUse:
        """Anthropic's rule: what ends at a cache_control block is read if known, else written."""
        last = max((at for at, segment in enumerate(segments) if segment.ttl), default=-1)
        if sum(count(segment.text) for segment in segments[: last + 1]) < MINIMUM:
            return CacheUse()
        digest = hashlib.blake2b(model.encode(), digest_size=16)
        now = time.monotonic()
        read = total = 0
        keys: list[tuple[bytes, str | None, int]] = []
        for segment in segments[: last + 1]:
            digest.update(segment.text.encode(errors="surrogatepass") + b"\0")
            total += count(segment.text)
            keys.append((digest.copy().digest(), segment.ttl, total))
        with self._lock:
            for key, _, upto in keys:
                if self._known.get(key, 0) > now:
                    read = upto
            hour = written = 0
            position = read
            for key, ttl, upto in keys:
                if ttl is None:
                    continue
                self._known[key] = max(self._known.get(key, 0), now + _LIFETIMES[ttl])
                if upto > position:
                    written += upto - position
                    hour += upto - position if ttl == "1h" else 0
                    position = upto
        return CacheUse(read, written, hour)
