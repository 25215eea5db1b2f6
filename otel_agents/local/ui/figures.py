"""Numbers as people read them: tokens, dollars, durations, times.

Every function takes ``None`` for "not recorded" and answers with an en dash, never with a zero: a run
without usage did not cost nothing, its cost is unknown.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime

NOTHING = "\u2013"
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def count(value: float | None) -> str:
    """``12345`` as ``12,345``."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{value:,.0f}"


def compact(value: float | None) -> str:
    """``12345`` as ``12.3k``; exact below ten thousand."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if abs(value) < 10_000:
        return f"{value:,.0f}"
    for unit, name in ((1e12, "T"), (1e9, "B"), (1e6, "M")):
        if abs(value) >= unit * 0.99995:
            return f"{value / unit:.1f}{name}" if abs(value) < unit * 99.95 else f"{value / unit:.0f}{name}"
    return f"{value / 1e3:.1f}k" if abs(value) < 99_950 else f"{value / 1e3:.0f}k"


def usd(value: float | None) -> str:
    """US dollars with as many digits as carry information: ``$0.0046``, ``$12.30``, ``$0``."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if value == 0:
        return "$0"
    sign, size = ("\u2212" if value < 0 else ""), abs(value)
    if size >= 1000:
        return f"{sign}${size:,.0f}"
    if size >= 1:
        return f"{sign}${size:.2f}"
    if size >= 0.0001:
        return f"{sign}${size:.4f}"
    if size >= 0.000_000_1:
        # Below a hundredth of a cent four places would say $0.0000: two significant digits instead.
        places = 1 - math.floor(math.log10(size))
        return f"{sign}${size:.{places}f}"
    return f"{sign}<$0.0000001"


def usd_short(value: float | None) -> str:
    """As :func:`usd`, but never longer than a table's column: ``<$0.0001``."""
    if value is not None and 0 < value < 0.0001:
        return "<$0.0001"
    return usd(value)


def usd_exact(value: float | None) -> str:
    """US dollars with all recorded digits, for details."""
    if value is None or not math.isfinite(value):
        return NOTHING
    text = f"{value:.12f}".rstrip("0").rstrip(".")
    return f"${text}" if value >= 0 else f"\u2212${text.lstrip('-')}"


def seconds(value: float | None) -> str:
    """A duration in seconds as ``320 ms``, ``12.5 s``, ``4m 07s``, ``2h 05m`` or ``3d 04h``."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if value < 0:
        return "\u2212" + seconds(-value)
    if value == 0:
        return "0 ms"
    if value < 0.001:
        return "<1 ms"
    if value < 0.9995:
        return f"{value * 1000:.0f} ms"
    if value < 9.995:
        return f"{value:.2f} s"
    if value < 59.95:
        return f"{value:.1f} s"
    whole = round(value)
    for unit, name, part, part_name in (
        (_DAY, "d", _HOUR, "h"),
        (_HOUR, "h", _MINUTE, "m"),
        (_MINUTE, "m", 1, "s"),
    ):
        if whole >= unit:
            rest = whole % unit // part
            return (
                f"{whole // unit}{name} {rest:02d}{part_name}" if whole % unit else f"{whole // unit}{name}"
            )
    return f"{whole} s"


def ratio(value: float | None) -> str:
    """A score: two decimals, without a useless tail for whole numbers above one."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if abs(value) > 1 and value == int(value):
        return f"{value:,.0f}"
    return f"{value:.2f}"


def percent(value: float | None) -> str:
    """``0.042`` as ``4.2%``; never rounds something to nothing or to everything."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if value in (0, 1):
        return f"{value:.0%}"
    if value < 0.001:
        return "<0.1%"
    if 0.999 < value < 1:
        return ">99.9%"
    return f"{value * 100:.1f}%" if value < 0.1 else f"{value:.0%}"


def size(characters: int) -> str:
    """A text's length in characters: ``812 characters``, ``1.2 M characters``."""
    if characters < 10_000:
        return f"{characters:,} characters"
    if characters < 1_000_000:
        return f"{characters / 1e3:,.0f} k characters"
    return f"{characters / 1e6:,.1f} M characters"


def moment(ns: int) -> datetime:
    """Nanoseconds since the epoch as a point in time, in the zone of this machine.

    The server runs on its reader's machine, so its zone is the reader's; the page's foot names it.
    """
    try:
        return datetime.fromtimestamp(ns / 1e9, UTC).astimezone()
    except (OverflowError, ValueError, OSError):
        return datetime.fromtimestamp(0, UTC)


def iso(ns: int) -> str:
    """RFC 3339 in UTC with milliseconds, for ``<time datetime>``."""
    return moment(ns).astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clock(ns: int) -> str:
    """A point in time, short: ``14:03:07`` today, ``Nov 23 14:03`` this year, else the date."""
    then, now = moment(ns), datetime.now(UTC).astimezone()
    if then.date() == now.date():
        return f"{then:%H:%M:%S}"
    if then.year == now.year:
        return f"{then:%b} {then.day} {then:%H:%M}"
    return f"{then:%Y-%m-%d}"


def full_time(ns: int) -> str:
    """A point in time with everything: ``2026-11-23 14:03:07.123 +01:00``."""
    then = moment(ns)
    zone = f"{then:%z}"
    return f"{then:%Y-%m-%d %H:%M:%S}.{then.microsecond // 1000:03d} {zone[:3]}:{zone[3:5]}"


def zone() -> str:
    """The zone of this machine, for people: ``CET (UTC+01:00)``."""
    now = datetime.now(UTC).astimezone()
    offset = f"{now:%z}"
    name = now.tzname() or ""
    return "UTC" if name == "UTC" else f"{name} (UTC{offset[:3]}:{offset[3:5]})"


def ns_seconds(ns: int | None) -> str:
    """A duration in nanoseconds, as :func:`seconds`."""
    return NOTHING if ns is None else seconds(ns / 1e9)
