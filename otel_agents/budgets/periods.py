"""The periods of budgets. They begin and end by the calendar in UTC, for every process alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

RUN: Final = "run"
PERIODS: Final = ("monthly", "daily", "hourly", RUN)

_NAMES: Final = {"monthly": "%Y-%m", "daily": "%Y-%m-%d", "hourly": "%Y-%m-%dT%H"}


def bounds(period: str, now: float) -> tuple[str, float]:
    """The name of the period that ``now`` (seconds since the epoch) is in, and when it ends.

    >>> bounds("daily", 0.0)
    ('1970-01-01', 86400.0)
    """
    moment = datetime.fromtimestamp(now, UTC)
    hour = moment.replace(minute=0, second=0, microsecond=0)
    if period == "hourly":
        end = hour + timedelta(hours=1)
    elif period == "daily":
        end = hour.replace(hour=0) + timedelta(days=1)
    else:
        end = hour.replace(hour=0, day=1, month=moment.month % 12 + 1, year=moment.year + moment.month // 12)
    return moment.strftime(_NAMES[period]), end.timestamp()
