"""Figures as people read them; a figure that does not exist is a dash."""

from __future__ import annotations

from typing import Final

NONE: Final = "–"


def money(value: float | None) -> str:
    """``$1.02``, ``$0.33``, ``$0.0046``: two digits, four when they say more, six for less than that."""
    if value is None:
        return NONE
    size = abs(value)
    digits = 2
    if size < 1 and abs(size - round(size, 2)) >= 0.00005:
        digits = 4
    if 0 < size < 0.001:
        digits = 6
    return f"{'-' if value < 0 else ''}${size:,.{digits}f}"


def share(value: float | None) -> str:
    """``96.0 %``."""
    return NONE if value is None else f"{value * 100:.1f} %"


def seconds(value: float | None) -> str:
    """``340 ms``, ``12.1 s``, ``3 m 05 s``, ``2 h 10 m``."""
    if value is None:
        return NONE
    if value == 0:
        return "0 s"
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 99.95:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} m {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} m"


def quality(value: float | None) -> str:
    """``0.920``."""
    return NONE if value is None else f"{value:.3f}"


def count(value: float | None) -> str:
    """``1,523``."""
    return NONE if value is None else f"{value:,.0f}"


def counted(number: int, what: str) -> str:
    """``1 task``, ``1,523 tasks``."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def change(value: float | None) -> str:
    """``+0.050``."""
    return NONE if value is None else f"{value:+.3f}"


def times(value: float | None) -> str:
    """``3.8x``."""
    return NONE if value is None else f"{value:.1f}x"


def length(days: float) -> str:
    """``30.0 days``, ``12.0 hours``, ``15 minutes``."""
    if days >= 1:
        return f"{days:.1f} days"
    return f"{days * 24:.1f} hours" if days * 24 >= 1 else f"{days * 1440:.0f} minutes"


def printable(text: str) -> str:
    """Text without control characters, which a terminal would obey."""
    return "".join(one if one.isprintable() else "�" for one in text)


def by(name: str) -> str:
    """``task_type`` as ``task type``."""
    return name.replace("_", " ")
