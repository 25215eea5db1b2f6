"""A report as JSON (docs/reports.md describes every key) and as CSV, a row a group."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from otel_agents.reports.figures import Figures
from otel_agents.reports.report import Report

#: Changes only when a key goes or changes its meaning; new keys may come.
SCHEMA: Final = "otel-agents/report/1"


def to_dict(report: Report) -> dict[str, Any]:
    """The report with plain values; times as ISO in UTC."""
    found = asdict(report)
    outside = {"calls": found.pop("outside_calls"), "cost": found.pop("outside_cost")}
    found["groups"] = [{"key": group.key, **asdict(group.figures)} for group in report.groups]
    plain = _plain({"schema": SCHEMA, **found, "outside": outside})
    assert isinstance(plain, dict)
    return plain


def to_json(report: Report) -> str:
    """The report as JSON text."""
    return json.dumps(to_dict(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def to_csv(report: Report) -> str:
    """One row a group and a last one, ``(total)``; cells without a figure are empty."""
    rows = [(_cell(group.key, "(none)"), group.figures) for group in report.groups]
    rows.append(("(total)", report.total))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([report.by, *(name for name, _ in _flat(asdict(report.total)))])
    for key, figures in rows:
        writer.writerow([key, *(_figure(value) for _, value in _flat(_as_dict(figures)))])
    return text.getvalue()


def _as_dict(figures: Figures) -> dict[str, Any]:
    return asdict(figures)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """``cost.metered`` becomes the column ``cost_metered``."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}_")
        else:
            yield prefix + name, value


def _cell(text: str | None, otherwise: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    if text is None:
        return otherwise
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _figure(value: object) -> object:
    return "" if value is None else value


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
