"""``--since 30d``: how far back a command looks."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from otel_agents.cli.errors import CommandError

_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SPAN: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([mhdw])")


def moment(given: str, option: str = "--since", now: datetime | None = None) -> datetime:
    """The time meant by ``30d``, ``12h``, ``2026-01-31`` or ``2026-01-31T08:00``.

    Args:
        option: to name in the message.
        now: what spans count back from.

    Returns:
        A time in UTC. A date without a zone is one of this machine's.

    Raises:
        CommandError: it is none of these, or not in the past.
    """
    now = now or datetime.now(UTC)
    text = given.strip()
    try:
        if span := _SPAN.fullmatch(text):
            found = now - timedelta(**{_UNITS[span[2]]: float(span[1])})
        else:
            found = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise CommandError(
            f"{option} {given!r} is no time; write 30d, 12h, 90m, 2w or a date like 2026-01-31", 2
        ) from None
    if found >= now:
        raise CommandError(f"{option} {given!r} is not in the past", 2)
    return found
