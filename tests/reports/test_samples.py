"""Statistics against printed tables and against numpy."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from otel_agents.reports import samples


@pytest.mark.parametrize(
    ("freedom", "expected"),
    [(1, 12.706), (2, 4.303), (5, 2.571), (10, 2.228), (30, 2.042), (60, 2.000), (120, 1.980), (1e6, 1.960)],
)
def test_students_t_as_in_every_table(freedom: float, expected: float) -> None:
    assert samples.t_quantile(freedom) == pytest.approx(expected, abs=0.0006)


def test_quantiles_are_numpys() -> None:
    source = random.Random(7)
    for size in (1, 2, 3, 10, 101):
        values = [source.expovariate(0.1) for _ in range(size)]
        for share in (0.0, 0.05, 0.5, 0.95, 1.0):
            assert samples.quantile(values, share) == pytest.approx(float(np.quantile(values, share)))


def test_welchs_difference_as_worked_out_by_hand() -> None:
    """Means 10 and 8, variances 2.5 and 10, five values each.

    The error is sqrt(0.5 + 2) = 1.5811; degrees of freedom 6.25 / (0.0625 + 1) = 5.8824, where t is 2.4585.
    """
    found = samples.difference([8, 9, 10, 11, 12], [4, 6, 8, 10, 12])
    assert found is not None
    assert found.middle == 2
    assert found.high - found.middle == pytest.approx(2.4585 * math.sqrt(2.5), rel=1e-3)
    assert found.middle - found.low == pytest.approx(found.high - found.middle)


def test_an_interval_holds_the_truth_as_often_as_it_says() -> None:
    source = random.Random(11)
    held = 0
    for _ in range(1000):
        found = samples.mean_interval([source.gauss(5, 2) for _ in range(6)])
        assert found is not None
        held += found.low <= 5 <= found.high
    assert 930 <= held <= 970


def test_too_little_to_say_anything() -> None:
    assert samples.mean([]) is None
    assert samples.quantile([], 0.5) is None
    assert samples.mean_interval([1.0]) is None
    assert samples.difference([1.0], [1.0, 2.0]) is None
    same = samples.difference([0.9, 0.9], [0.8, 0.8])
    assert same is not None
    assert (same.low, same.high) == (pytest.approx(0.1), pytest.approx(0.1))


def test_sums_are_rounded_once() -> None:
    assert samples.total([0.1] * 10) == 1.0
