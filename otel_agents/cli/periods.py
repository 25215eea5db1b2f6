"""``--since`` of a command: a time in the past, told in one line when it is none."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from otel_agents.cli.errors import CommandError

#: The option, in the same words for every command that has it.
Since = Annotated[
    str, typer.Option("--since", help="From when: a length (90m, 24h, 30d), a date or a time, in UTC.")
]


def moment(given: str, option: str = "--since", now: datetime | None = None) -> datetime:
    """The time meant by ``30d``, ``12h``, ``2026-01-31`` or ``2026-01-31T08:00Z``, in UTC.

    Args:
        given: as a person writes it.
        option: to name in the message.
        now: what lengths count back from.

    Raises:
        CommandError: it is none of these, or not in the past.
    """
    from otel_agents.reports.period import BadPeriod
    from otel_agents.reports.period import moment as read

    now = now or datetime.now(UTC)
    try:
        found = read(given, now, option)
    except BadPeriod as error:
        raise CommandError(str(error), 2) from None
    if found >= now:
        raise CommandError(f"{option} {given!r} is not in the past", 2)
    return found
