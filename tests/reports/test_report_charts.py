"""What the report's charts draw, without a browser."""

from __future__ import annotations

import itertools
import re

import pytest

from otel_agents.reports import charts, words


@pytest.mark.parametrize("label", ["01 Apr", "22 Nov 17:00"])
@pytest.mark.parametrize("bars", [2, 7, 24, 31, 48])
def test_labels_of_the_time_axis_do_not_run_into_each_other(label: str, bars: int) -> None:
    drawn = charts.columns([charts.Bar(label, 1.0, "t")] * bars, words.money, "cost")
    at = [float(x) for x in re.findall(rf'x="([\d.]+)"[^>]*>{label}<', drawn)]
    assert at[0] < charts.WIDTH / 2
    width = len(label) * 7  # a character of the axis is at most that wide
    assert all(right - left > width for left, right in itertools.pairwise(at))
