"""How long is waited before the next try."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from otel_agents.export.waits import pause, retry_after


@pytest.mark.parametrize(
    ("given", "expected"),
    [("3", 3), ("0", 0), ("-5", 0), ("86400", 86400), ("nan", None), ("soon", None), ("", None)],
)
def test_reading_retry_after(given: str, expected: float | None) -> None:
    assert retry_after({"RETRY-After": given}) == expected


def test_retry_after_as_a_date() -> None:
    seconds = retry_after({"retry-after": formatdate(time.time() + 60, usegmt=True)})
    assert seconds is not None
    assert 30 < seconds <= 60


def test_pauses_grow_are_spread_and_stay_bounded() -> None:
    first = [pause(1, None) for _ in range(50)]
    late = [pause(100, None) for _ in range(50)]
    assert 0.25 <= min(first) < max(first) <= 0.5
    assert 15 <= min(late) < max(late) <= 30
    assert 7.0 <= pause(1, 7.0) <= 7.8
    assert 300.0 <= pause(1, 86400.0) <= 331.0, "a server's patience has its bounds"
    assert 0.0 <= pause(1, -5.0) <= 0.05
