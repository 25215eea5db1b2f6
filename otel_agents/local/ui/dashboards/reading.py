"""What the address of a dashboard's page says: time range, refresh, variables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode, urlsplit

from starlette.datastructures import QueryParams

from otel_agents.dashboards.boards import Board, BoardError, duration
from otel_agents.dashboards.looks import Asked

#: Time ranges to choose from.
RANGES: Final = ("15m", "1h", "6h", "24h", "7d", "30d")
#: Seconds between two refreshes to choose from, and what they are called.
REFRESHES: Final = ((0, "off"), (5, "5 s"), (15, "15 s"), (60, "1 min"), (300, "5 min"))
#: A time range of more seconds than this is a lot to ask: it is refreshed this seldom when nothing is chosen.
_LONG: Final = 86_400.0
_SELDOM: Final = 300.0
#: The longest time range, in seconds: what is asked of Prometheus has to have an end.
_LONGEST: Final = 400 * 86_400.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What was chosen.

    Attributes:
        range: such as ``6h``; "" where the time range is given by its ends.
        since, until: its ends as given, for the form; "" where ``range`` is used.
        every: seconds between two refreshes; 0 for none.
        langfuse: address that links lead to; None when none was given (or none that can be used).
    """

    path: str
    asked: Asked
    range: str
    since: str
    until: str
    every: float
    langfuse: str | None
    pairs: tuple[tuple[str, str], ...]

    def chosen(self, name: str) -> Sequence[str]:
        """The values of one variable; none for All."""
        return self.asked.chosen.get(name, ())

    def url(self, **changes: str | None) -> str:
        """The address of this page with some things changed; None takes one out."""
        return self.other(self.path, **changes)

    def other(self, path: str, /, **changes: str | None) -> str:
        """The address of another dashboard, which shows the same time and the same variables."""
        kept = [pair for pair in self.pairs if pair[0] not in changes]
        kept += [(name, value) for name, value in changes.items() if value is not None]
        return path + ("?" + urlencode(kept) if kept else "")

    def range_url(self, name: str) -> str:
        """The address with another time range that ends now."""
        return self.url(**{"range": name, "from": None, "to": None})


def read(params: QueryParams, board: Board, now: float) -> Reading:
    """Reads an address. What cannot be used counts as not given: a link from elsewhere must not fail."""
    since, until = _moment(params.get("from")), _moment(params.get("to"))
    name = params.get("range") or ""
    span = board.since
    if since is not None or until is not None:
        name = ""
        end = until if until is not None else now
        start = since if since is not None else end - span
    else:
        try:
            span = duration(name) if name else span
        except BoardError:
            name = ""
        name = name or _named(board.since)
        start, end = now - span, now
    if not start < end:
        start, end = now - board.since, now
    usual = max(board.refresh, _SELDOM) if end - start > _LONG else board.refresh
    chosen = {
        one.name: tuple(dict.fromkeys(value for value in params.getlist(one.name) if value))
        for one in board.variables
    }
    known = {"range", "from", "to", "refresh", "langfuse", *chosen}
    return Reading(
        f"/dashboards/{board.name}",
        Asked(max(start, end - _LONGEST), end, chosen),
        name,
        _field(since) if not name else "",
        _field(until) if not name else "",
        seconds_of(params.get("refresh"), usual),
        _address(params.get("langfuse")),
        tuple((key, value) for key, value in params.multi_items() if value and key in known),
    )


def seconds_of(text: str | None, otherwise: float = 0.0) -> float:
    """Seconds of a refresh; ``otherwise`` where it is not one of those to choose from."""
    return next((float(seconds) for seconds, _ in REFRESHES if text == str(seconds)), otherwise)


def _moment(text: str | None) -> float | None:
    """Seconds since 1970: of a ``datetime-local`` field (in the zone of this machine), or as they are."""
    if not text:
        return None
    try:
        found = float(text)
    except ValueError:
        try:
            found = datetime.fromisoformat(text).astimezone(UTC).timestamp()
        except (ValueError, OverflowError, OSError):
            return None
    return found if math.isfinite(found) and 0 <= found < 32_503_680_000 else None


def _field(moment: float | None) -> str:
    """A moment as a ``datetime-local`` field has it."""
    if moment is None:
        return ""
    return datetime.fromtimestamp(moment, UTC).astimezone().replace(tzinfo=None).isoformat(timespec="seconds")


def _address(text: str | None) -> str | None:
    """Where links may lead: a page of the web, never a script."""
    if not text:
        return None
    try:
        parts = urlsplit(text.strip())
    except ValueError:
        return None
    return text.strip().rstrip("/") if parts.scheme in ("http", "https") and parts.netloc else None


def _named(span: float) -> str:
    names: Mapping[float, str] = {duration(name): name for name in RANGES}
    return names.get(span, f"{span:g}s")
