"""Means, quantiles and confidence intervals of samples; pure Python, exact enough for reports."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

CONFIDENCE: Final = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A difference or a mean, and where it lies with :data:`CONFIDENCE`."""

    middle: float
    low: float
    high: float


def total(values: Iterable[float]) -> float:
    """The sum, rounded once: a thousand cents are ten dollars."""
    return math.fsum(values)


def mean(values: Sequence[float]) -> float | None:
    """The mean; None of nothing."""
    return math.fsum(values) / len(values) if values else None


def quantile(values: Sequence[float], share: float) -> float | None:
    """The value below which ``share`` of the sample lies, interpolated between neighbours; None of nothing.

    The usual definition (numpy's default, Excel's PERCENTILE.INC).
    """
    if not values:
        return None
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def mean_interval(values: Sequence[float]) -> Interval | None:
    """The mean with its confidence interval, by Student's t; None for fewer than two values."""
    count = len(values)
    if count < 2:
        return None
    middle = math.fsum(values) / count
    half = t_quantile(count - 1) * math.sqrt(_variance(values, middle) / count)
    return Interval(middle, middle - half, middle + half)


def difference(one: Sequence[float], other: Sequence[float]) -> Interval | None:
    """Mean of ``one`` less mean of ``other``, with its confidence interval, by Welch's t.

    None when either has fewer than two values. The two may have different spreads and sizes.
    """
    if len(one) < 2 or len(other) < 2:
        return None
    first, second = math.fsum(one) / len(one), math.fsum(other) / len(other)
    a, b = _variance(one, first) / len(one), _variance(other, second) / len(other)
    middle = first - second
    if a + b == 0:
        return Interval(middle, middle, middle)
    freedom = (a + b) ** 2 / (a**2 / (len(one) - 1) + b**2 / (len(other) - 1))
    half = t_quantile(freedom) * math.sqrt(a + b)
    return Interval(middle, middle - half, middle + half)


def t_quantile(freedom: float, confidence: float = CONFIDENCE) -> float:
    """How many standard errors to either side hold ``confidence`` of Student's t distribution."""
    low, high = 0.0, 1.0
    while _t_within(high, freedom) < confidence and high < 1e6:
        low, high = high, high * 2
    for _ in range(60):
        middle = (low + high) / 2
        if _t_within(middle, freedom) < confidence:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _variance(values: Sequence[float], middle: float) -> float:
    return math.fsum((value - middle) ** 2 for value in values) / (len(values) - 1)


def _t_within(t: float, freedom: float) -> float:
    """The probability that Student's t lies between -t and t."""
    return 1 - _incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t))


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function (DLMF 8.17), by its continued fraction."""
    if x <= 0 or x >= 1:
        return min(max(x, 0.0), 1.0)
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(b, a, 1 - x)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    return front * _fraction(a, b, x) / a


def _fraction(a: float, b: float, x: float) -> float:
    """DLMF 8.17.22, evaluated from the front (Lentz's method)."""
    tiny = 1e-300
    c, d = 1.0, 1 / _nonzero(1 - (a + b) * x / (a + 1), tiny)
    value = d
    for m in range(1, 300):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _nonzero(1 + term * d, tiny)
            c = _nonzero(1 + term / c, tiny)
            value *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    return value


def _nonzero(value: float, tiny: float) -> float:
    return value if abs(value) > tiny else tiny
