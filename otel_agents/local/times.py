"""ISO-8601 times of the API, from and to integer nanoseconds. Answers have milliseconds, rounded down."""

from __future__ import annotations

from datetime import UTC, datetime

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse(text: str) -> int | None:
    """Nanoseconds of an ISO time (UTC when it names no zone); None when it is not one.

    Times beyond 64 bits (after the year 2262) become the largest or smallest that fits.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - _EPOCH
    exact = (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000
    return max(min(exact, 2**63 - 1), -(2**63))


def has_zone(text: str) -> bool:
    """True for an ISO time with an offset or Z."""
    try:
        return datetime.fromisoformat(text.strip()).tzinfo is not None
    except ValueError:
        return False


def iso(ns: int) -> str:
    """``2026-01-01T10:20:30.123Z``."""
    seconds, rest = divmod(ns, 10**9)
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        moment = datetime.max
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest // 10**6:03d}Z"


def iso_or_none(ns: int | None) -> str | None:
    """`iso`, with None for None."""
    return None if ns is None else iso(ns)


def floor_ms(ns: int) -> int:
    """Whole milliseconds."""
    return ns // 10**6
