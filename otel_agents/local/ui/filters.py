"""The traces page's URL query: read, checked, and written back into links.

The query is the only state of the page, so every view can be kept as a bookmark or sent to a colleague.
A value that makes no sense is reported on the page and left out; it never breaks it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import get_args
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from otel_agents.local.rows import GroupColumn, TraceFilter, TraceOrder
from otel_agents.local.ui import figures

#: Name in the URL, seconds, label.
RANGES: dict[str, tuple[int, str]] = {
    "15m": (900, "15m"),
    "1h": (3600, "1h"),
    "24h": (86_400, "24h"),
    "7d": (604_800, "7d"),
    "30d": (2_592_000, "30d"),
}
STATUSES = {"ok": "ok", "error": "error", "open": "open"}
GROUPS: dict[GroupColumn, str] = {
    "task_type": "task type",
    "agent": "agent",
    "status": "status",
    "environment": "environment",
    "user_id": "user",
    "session_id": "session",
    "project": "project",
    "name": "name",
}
PAGE_SIZES = (25, 50, 100, 200)
_LONGEST = 500  # characters of one value
_MOST_OPEN = 20  # groups shown with their traces

#: Name in the URL → (field of TraceFilter, label) of the plain text filters.
_TEXTS = {
    "q": ("text", "text"),
    "agent": ("agent", "agent"),
    "task_type": ("task_type", "task type"),
    "status": ("status", "status"),
    "env": ("environment", "environment"),
    "session": ("session_id", "session"),
    "user": ("user_id", "user"),
    "project": ("project", "project"),
}
_GROUP_PARAMETER: dict[GroupColumn, str] = {
    "task_type": "task_type",
    "agent": "agent",
    "status": "status",
    "environment": "env",
    "user_id": "user",
    "session_id": "session",
    "project": "project",
    "name": "q",
}
_NUMBERS = {
    "min_cost": ("cost ≥", "$"),
    "max_cost": ("cost ≤", "$"),
    "min_quality": ("quality ≥", ""),
    "max_quality": ("quality ≤", ""),
    "min_seconds": ("duration ≥", "s"),
}


@dataclass(slots=True)
class Chip:
    """One active filter, with the link that takes it away."""

    label: str
    value: str
    without: str


@dataclass(slots=True)
class Query:
    """What the URL asks for."""

    filters: TraceFilter
    #: The valid parameters as given, in order; what the form shows.
    given: list[tuple[str, str]]
    sort: TraceOrder = "start"
    group: GroupColumn | None = None
    cursor: str | None = None
    limit: int = 50
    #: Groups whose traces are shown; "" is the group without a value.
    opened: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def value(self, name: str) -> str:
        """The parameter as given, "" when absent."""
        return next((value for key, value in self.given if key == name), "")

    def url(self, **changes: str | None) -> str:
        """This page with parameters changed; None takes one away. The place in the list is not kept."""
        pairs = [(key, value) for key, value in self.given if key not in changes]
        return _traces([*pairs, *((key, value) for key, value in changes.items() if value)])

    def time_url(self, **changes: str | None) -> str:
        """This page with another time range."""
        return self.url(**{"range": None, "from": None, "to": None, **changes})

    def toggled(self, group: str) -> str:
        """This page with one group opened or closed."""
        pair = ("open", group)
        return _traces([item for item in self.given if item != pair] + [pair] * (group not in self.opened))

    def only(self, group: str) -> str:
        """The plain list of one group's traces."""
        assert self.group is not None
        return self.url(**{"group": None, "open": None, _GROUP_PARAMETER[self.group]: group})

    def with_cursor(self, cursor: str) -> str:
        """This page's next page."""
        return _traces([*self.given, ("cursor", cursor)])

    def chips(self) -> list[Chip]:
        """The active filters for people."""
        chips: list[Chip] = []
        for key, value in self.given:
            if key in _TEXTS:
                chips.append(Chip(_TEXTS[key][1], value, self.url(**{key: None})))
            elif key in _NUMBERS:
                label, unit = _NUMBERS[key]
                shown = f"${value}" if unit == "$" else f"{value} {unit}".strip()
                chips.append(Chip(label, shown, self.url(**{key: None})))
            elif key == "switched":
                chips.append(Chip("agent switched", "yes" if value == "1" else "no", self.url(switched=None)))
            elif key == "tag":
                rest = [pair for pair in self.given if pair != (key, value)]
                chips.append(Chip("tag", value, _traces(rest)))
            elif key in ("from", "to"):
                chips.append(Chip(key, value.replace("T", " "), self.url(**{key: None})))
        return chips


def read(params: QueryParams, now_ns: int | None = None) -> Query:
    """Reads the URL's parameters; ``tag`` and ``open`` may be repeated."""
    query = Query(TraceFilter(), [])
    filters = query.filters
    for name, (attribute, _) in _TEXTS.items():
        value = params.get(name, "").strip()[:_LONGEST]
        if value:
            setattr(filters, attribute, value)
            query.given.append((name, value))
    if filters.status is not None and filters.status not in STATUSES:
        query.problems.append(f"status is one of {', '.join(STATUSES)}")
    for name in _NUMBERS:
        _number(query, name, params.get(name, "").strip())
    switched = params.get("switched", "")
    if switched in ("1", "0", "true", "false"):
        filters.agent_switched = switched in ("1", "true")
        query.given.append(("switched", "1" if filters.agent_switched else "0"))
    filters.tags = tuple(tag[:_LONGEST] for tag in params.getlist("tag") if tag)
    query.given += [("tag", tag) for tag in filters.tags]
    _time(query, params, time.time_ns() if now_ns is None else now_ns)
    sort, group, limit = params.get("sort", ""), params.get("group", ""), params.get("limit", "")
    for order in get_args(TraceOrder):
        if sort == order and order != "start":
            query.sort = order
            query.given.append(("sort", sort))
    for column in GROUPS:
        if group == column:
            query.group = column
            query.given.append(("group", group))
            query.opened = params.getlist("open")[:_MOST_OPEN]
            query.given += [("open", value) for value in query.opened]
    if limit.isdecimal() and int(limit) in PAGE_SIZES and int(limit) != query.limit:
        query.limit = int(limit)
        query.given.append(("limit", limit))
    query.cursor = params.get("cursor") or None
    return query


def _traces(pairs: Iterable[tuple[str, str]]) -> str:
    query = urlencode(list(pairs), errors="replace")
    return "/traces?" + query if query else "/traces"


def _number(query: Query, name: str, text: str) -> None:
    if not text:
        return
    try:
        value = float(text.removeprefix("$").replace(",", "."))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        query.problems.append(f"{name.replace('_', ' ')} has to be a number, not {text[:40]!r}")
        return
    if name == "min_seconds":
        query.filters.min_duration_ns = int(min(max(value, 0), 1e9) * 1e9)
    else:
        setattr(query.filters, name, value)
    query.given.append((name, text.removeprefix("$")))


def _time(query: Query, params: QueryParams, now_ns: int) -> None:
    name = params.get("range", "")
    if name in RANGES:
        query.filters.from_ns = now_ns - RANGES[name][0] * 10**9
        query.given.append(("range", name))
        return
    for side in ("from", "to"):
        text = params.get(side, "").strip()
        if not text:
            continue
        try:
            moment = datetime.fromisoformat(text)
            # Without an offset (what the browser's field sends) the machine's zone is meant, as shown.
            ns = round(moment.astimezone(UTC).timestamp() * 1000) * 10**6
        except (ValueError, OverflowError, OSError):
            query.problems.append(f"{side} has to be a date and time, not {text[:40]!r}")
            continue
        setattr(query.filters, f"{side}_ns", ns)
        query.given.append((side, text))


def local_input(ns: int) -> str:
    """A point in time as the browser's date and time field writes it."""
    return f"{figures.moment(ns):%Y-%m-%dT%H:%M}"
