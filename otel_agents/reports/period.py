"""``--since`` and ``--until``: lengths of time back from now, dates, and times."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_LENGTH: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(m|min|h|d|w)\Z")
_UNITS: Final = {"m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_FORMS: Final = "give a length such as 90m, 24h or 30d, a date (2026-01-31), or a time (2026-01-31T12:00Z)"


class BadPeriod(ValueError):
    """A time that cannot be used. The text is one line: what is wrong, then what to give."""


def moment(text: str, now: datetime, option: str) -> datetime:
    """The time that ``text`` says, in UTC; a length counts back from ``now``, a date is its first instant.

    Args:
        text: as given by a person.
        now: with a zone.
        option: what to call it in an error.

    Raises:
        BadPeriod: it says no time, or one before 1970 or after the year 9998.
    """
    given = text.strip()
    if given == "now":
        return now
    if found := _LENGTH.match(given):
        seconds = float(found[1]) * _UNITS[found[2]]
        if seconds > 3650 * 86_400:
            raise BadPeriod(f"{option} {given} is more than ten years; {_FORMS}")
        return now - timedelta(seconds=seconds)
    try:
        at = datetime.fromisoformat(given)
    except ValueError:
        raise BadPeriod(f"{option} {text!r} is no time; {_FORMS}") from None
    if not 1970 <= at.year <= 9998:
        raise BadPeriod(f"{option} {text!r} is out of range; {_FORMS}")
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def period(since: str, until: str | None, now: datetime) -> tuple[datetime, datetime]:
    """Both ends, in UTC. What is yet to come counts as now: a month that is under way is not over.

    Raises:
        BadPeriod: one says no time, or they are the wrong way round.
    """
    start = moment(since, now, "--since")
    end = now if until is None else min(moment(until, now, "--until"), now)
    if start >= end:
        last = "now" if until is None or end == now else f"--until {until}"
        raise BadPeriod(
            f"--since {since} ({start:%Y-%m-%d %H:%M} UTC) is not before {last} ({end:%Y-%m-%d %H:%M} UTC); "
            "exchange or mend them"
        )
    return start, end
