"""Numbers as Grafana writes them, for the units that the dashboards use."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

_SHORT: Final = ("", " K", " Mil", " Bil", " Tri", " Quadr")
_DOLLARS: Final = ("", "K", "M", "B", "T")
_BYTES: Final = (" B", " KiB", " MiB", " GiB", " TiB", " PiB")
#: Below this many seconds: in this unit, of this many seconds.
_SECONDS: Final = (
    (1e-6, " ns", 1e-9), (1e-3, " µs", 1e-6), (1.0, " ms", 1e-3), (60.0, " s", 1.0),
    (3600.0, " mins", 60.0), (86_400.0, " hours", 3600.0), (604_800.0, " days", 86_400.0),
    (31_536_000.0, " weeks", 604_800.0), (math.inf, " years", 31_557_600.0),
)  # fmt: skip


def written(value: float, unit: str, decimals: int | None = None) -> str:
    """``value`` with its unit.

    Args:
        unit: ``short``, ``none``, ``currencyUSD``, ``s``, ``percentunit`` or ``bytes`` (powers of 1024).
        decimals: digits after the point; None for as many as the size asks for.
    """
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "-∞"
    if unit == "percentunit":
        return _digits(value * 100, decimals) + "%"
    if unit == "s":
        return _seconds(value, decimals)
    if unit == "bytes":
        return _scaled(value, 1024.0, _BYTES, decimals)
    if unit == "short":
        return _scaled(value, 1000.0, _SHORT, decimals)
    if unit == "currencyUSD":
        return ("-$" if value < 0 else "$") + _scaled(abs(value), 1000.0, _DOLLARS, decimals)
    return _digits(value, decimals)


def _scaled(value: float, factor: float, words: Sequence[str], decimals: int | None) -> str:
    power = 0
    # 999 999.9 is written as 1 Mil, not as 1000 K.
    while abs(float(_digits(value, decimals))) >= factor and power < len(words) - 1:
        value /= factor
        power += 1
    return _digits(value, decimals) + words[power]


def _seconds(value: float, decimals: int | None) -> str:
    if value == 0:
        return "0 s"
    word, size = next((word, size) for limit, word, size in _SECONDS if abs(value) < limit)
    return _digits(value / size, decimals) + word


def _digits(value: float, decimals: int | None) -> str:
    text = f"{value:.{_wanted(value) if decimals is None else decimals}f}"
    return text[1:] if text.startswith("-") and not text.strip("-0.") else text


def _wanted(value: float) -> int:
    """Digits after the point for three that say something, as Grafana has it; none for whole numbers."""
    if value == 0 or value == int(value):
        return 0
    return max(0, 2 - math.floor(math.log10(abs(value))))
