"""A provider's export of usage or cost, as CSV: what it bills by day and model.

Known by their columns are OpenAI's exports (usage: ``start_time_iso, model, input_tokens, output_tokens,
num_model_requests``; cost: ``start_time_iso, amount_value, amount_currency, line_item``) and Anthropic's
(usage: ``usage_date_utc, model_version, usage_input_tokens_no_cache, ..., usage_output_tokens``; cost:
``usage_date_utc, model, token_type, cost_usd``). Anything else needs a day and a cost or tokens, under one of
the names below; case, spaces and dashes in names do not matter, nor does the order, nor further columns.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

#: What a column says, and the names it may have, the best first.
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "day": (
        "usage_date_utc", "start_time_iso", "start_time", "date", "day", "usage_date", "bucket_start_time",
        "timestamp", "created", "time",
    ),
    "model": ("model_version", "model", "model_id", "model_name", "snapshot_id", "line_item", "item"),
    "cost": ("cost_usd", "amount_value", "amount_usd", "cost", "amount", "total_cost", "usd"),
    "currency": ("amount_currency", "currency"),
    "input": ("input_tokens", "prompt_tokens", "n_context_tokens_total", "input"),
    "output": (
        "usage_output_tokens", "output_tokens", "completion_tokens", "n_generated_tokens_total", "output",
    ),
    "calls": ("num_model_requests", "n_requests", "requests", "num_requests", "calls"),
}  # fmt: skip
#: Anthropic's input in parts that do not overlap.
_PARTS: Final = (
    "usage_input_tokens_no_cache", "uncached_input_tokens", "usage_input_tokens_cache_write_5m",
    "usage_input_tokens_cache_write_1h", "usage_input_tokens_cache_write", "cache_creation_input_tokens",
    "usage_input_tokens_cache_read", "cache_read_input_tokens",
)  # fmt: skip
PROVIDERS: Final = ("openai", "anthropic", "generic")


class InvoiceError(ValueError):
    """A file that cannot be compared. The text is one line: file, place, what is wrong."""


@dataclass(slots=True)
class Line:
    """What is billed for one model on one day (UTC); None for what the file does not say.

    ``input`` includes the cache. ``model`` is empty where the file does not tell models apart.
    """

    day: date
    model: str
    cost: Decimal | None = None
    input: int | None = None
    output: int | None = None
    calls: int | None = None


@dataclass(slots=True)
class Invoice:
    """A file's lines, and whose it is: one of :data:`PROVIDERS`."""

    provider: str
    lines: list[Line]


def read(path: Path, provider: str | None = None) -> Invoice:
    """The file's lines in its order.

    Args:
        provider: whose export it is; by default told by the columns.

    Raises:
        InvoiceError: it cannot be read, lacks a column, or holds a value that makes no sense.
    """
    rows = _rows(path)
    titles = [_plain(title) for title in rows[0]]
    places = {title: place for place, title in reversed(list(enumerate(titles)))}
    found = {
        what: next((places[name] for name in names if name in places), None)
        for what, names in COLUMNS.items()
    }
    parts = [places[name] for name in _PARTS if name in places]
    if found["day"] is None:
        raise InvoiceError(
            f"{path}: no column with the day; it may be called {', '.join(COLUMNS['day'][:5])}"
        )
    if found["cost"] is None and found["input"] is None and found["output"] is None and not parts:
        raise InvoiceError(
            f"{path}: no column with cost or tokens; they may be called cost_usd, amount_value, "
            "input_tokens, output_tokens"
        )
    whose = provider or _provider(titles)
    lines = []
    for number, cells in enumerate(rows[1:], start=2):
        row = _Row(path, number, rows[0], cells)
        line = _line(row, found, parts, whose == "anthropic")
        if line is not None:
            lines.append(line)
    if not lines:
        raise InvoiceError(f"{path}: holds no rows with a cost or tokens")
    return Invoice(whose, lines)


class _Row:
    __slots__ = ("cells", "number", "path", "titles")

    def __init__(self, path: Path, number: int, titles: Sequence[str], cells: Sequence[str]) -> None:
        self.path = path
        self.number = number
        self.titles = titles
        self.cells = cells

    def text(self, place: int | None) -> str:
        return "" if place is None or place >= len(self.cells) else self.cells[place].strip()

    def error(self, place: int, what: str) -> InvoiceError:
        return InvoiceError(f"{self.path}: row {self.number}: {self.titles[place].strip()} {what}")

    def amount(self, place: int | None) -> Decimal | None:
        text = self.text(place).lstrip("$").replace("\u00a0", "").replace(" ", "")
        if place is None or not text:
            return None
        if "," in text and ("." in text or re.fullmatch(r"-?\d{1,3}(,\d{3})+", text)):
            text = text.replace(",", "")
        try:
            found = Decimal(text.replace(",", "."))
        except InvalidOperation:
            found = Decimal("nan")
        if not found.is_finite():
            raise self.error(place, f"must be a number, not {self.text(place)!r}")
        return found

    def count(self, place: int | None) -> int | None:
        found = self.amount(place)
        return None if found is None else int(found)


def _line(row: _Row, found: Mapping[str, int | None], parts: Sequence[int], in_parts: bool) -> Line | None:
    cost, output = row.amount(found["cost"]), row.count(found["output"])
    given = row.count(found["input"])
    if parts and (in_parts or given is None):
        pieces = [row.count(place) or 0 for place in parts]
        given = sum(pieces) + (given or 0)
    if cost is None and given is None and output is None:
        return None  # a day without usage
    currency = row.text(found["currency"])
    if found["currency"] is not None and currency and currency.lower() not in ("usd", "$"):
        raise row.error(found["currency"], f"must be usd, not {currency!r}; only dollars can be compared")
    model = row.text(found["model"])
    return Line(
        day=_day(row, found["day"] or 0),
        model=model.partition(",")[0].strip(),  # OpenAI: "gpt-5-mini-2025-08-07, cached input"
        cost=cost,
        input=given,
        output=output,
        calls=row.count(found["calls"]),
    )


def _day(row: _Row, place: int) -> date:
    text = row.text(place)
    try:
        day = _day_of(text)
    except (ValueError, OverflowError, OSError):
        day = None
    if day is None or not 1970 < day.year < 9999:
        raise row.error(place, f"must be a day such as 2026-01-31, not {text!r}")
    return day


def _day_of(text: str) -> date:
    if re.fullmatch(r"\d{9,10}(\.\d+)?", text):
        return datetime.fromtimestamp(float(text), UTC).date()
    if slashed := re.fullmatch(r"(\d{4})/(\d{1,2})/(\d{1,2})", text):
        return date(*(int(part) for part in slashed.groups()))
    moment = datetime.fromisoformat(text.removesuffix(" UTC"))
    return (moment.astimezone(UTC) if moment.tzinfo else moment).date()


def _rows(path: Path) -> list[list[str]]:
    try:
        content = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InvoiceError(f"{path}: is not UTF-8 text; export it as CSV") from None
    except OSError as error:
        raise InvoiceError(f"{path}: cannot be read ({(error.strerror or 'no file').lower()})") from None
    first = content.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    try:
        rows = [
            row for row in csv.reader(content.splitlines(), delimiter=separator) if any(map(str.strip, row))
        ]
    except csv.Error as error:
        raise InvoiceError(f"{path}: no CSV: {error}") from None
    if not rows:
        raise InvoiceError(f"{path}: is empty")
    return rows


def _plain(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", title.strip().lower()).strip("_")


def _provider(titles: Sequence[str]) -> str:
    names = set(titles)
    if "usage_date_utc" in names or names & set(_PARTS):
        return "anthropic"
    if names & {"start_time_iso", "amount_value", "num_model_requests", "n_context_tokens_total"}:
        return "openai"
    return "generic"
