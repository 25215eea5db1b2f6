"""Runs a metrics query as one grouped SELECT and fills gaps in time with zeros."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from otel_agents.local import codec, times
from otel_agents.local.metrics import QUANTILES, SQL_AGGREGATES, BadQuery, Metric, Query

_DETAIL_COLUMNS: Final = {
    "usageByType": "usage",
    "usageType": "usage",
    "costByType": "cost",
    "costType": "cost",
}
_MINUTE: Final = 60 * 10**9
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
#: Steps that `auto` chooses from, for about 50 buckets.
_STEPS: Final = tuple(
    [n * _MINUTE for n in (1, 5, 10, 15, 30)] + [n * _HOUR for n in (1, 2, 3, 6, 12)] + [_DAY, 7 * _DAY]
)
_MOST_BUCKETS: Final = 10_000


def run(connection: sqlite3.Connection, query: Query) -> list[dict[str, Any]]:
    """The rows of a query: dimensions, ``<aggregation>_<measure>`` and ``time_dimension``."""
    _register(connection)
    bucket, starts = _buckets(query)
    keys = [query.view.dimensions[name] for name in query.dimensions]
    if bucket is not None:
        keys.append(bucket)
    selected = [*keys, *(_aggregate(metric, query) for metric in query.metrics)]
    names = [*query.dimensions, *(["time_dimension"] if bucket else []), *(m.alias for m in query.metrics)]
    sql = (
        "SELECT "
        + ", ".join(f'{part} AS "{name}"' for part, name in zip(selected, names, strict=True))
        + f" FROM {query.view.source}{_details(query)} WHERE {' AND '.join(query.where)}"
    )
    if keys:
        sql += f" GROUP BY {', '.join(str(at + 1) for at in range(len(keys)))}"
    sql += f" ORDER BY {_order_sql(query, bool(bucket))}"
    fill = bucket is not None and query.order is None
    if not fill:
        sql += f" LIMIT {query.row_limit}"
    rows = [dict(zip(names, row, strict=True)) for row in connection.execute(sql, query.values)]
    if fill:
        rows = _filled(rows, starts, query)[: query.row_limit]
    return [_finished(row, query) for row in rows]


def _aggregate(metric: Metric, query: Query) -> str:
    value = query.view.measures[metric.measure]
    if metric.aggregation in QUANTILES:
        return f"local_quantile({value}, {QUANTILES[metric.aggregation]})"
    if metric.aggregation == "histogram":
        return f"local_histogram({value}, {query.bins})"
    return SQL_AGGREGATES[metric.aggregation].format(value)


def _details(query: Query) -> str:
    used = {*query.dimensions, *(metric.measure for metric in query.metrics)} & set(_DETAIL_COLUMNS)
    columns = {_DETAIL_COLUMNS[name] for name in used}
    if len(columns) > 1:
        raise BadQuery("usage and cost cannot be split by type in one query")
    return f", json_each(o.{columns.pop()}) detail" if columns else ""


def _order_sql(query: Query, bucketed: bool) -> str:
    if query.order:
        return ", ".join(f'"{name}" {direction.upper()}' for name, direction in query.order)
    if bucketed:
        return '"time_dimension" ASC, "' + query.metrics[0].alias + '" DESC'
    return f'"{query.metrics[0].alias}" DESC'


def _buckets(query: Query) -> tuple[str | None, list[int]]:
    """SQL of a row's bucket (its start in nanoseconds) and the starts of all buckets of the range."""
    time, granularity = query.view.time, query.granularity
    if granularity is None:
        return None, []
    if granularity == "month":
        sql = f"strftime('%s', {time} / 1000000000, 'unixepoch', 'start of month') * 1000000000"
        return sql, _months(query.from_ns, query.to_ns)
    # The epoch was a Thursday; weeks start on Monday.
    step, offset = {
        "minute": (_MINUTE, 0),
        "hour": (_HOUR, 0),
        "day": (_DAY, 0),
        "week": (7 * _DAY, 3 * _DAY),
        "auto": (_auto_step(query.to_ns - query.from_ns), 0),
    }[granularity]
    first = (query.from_ns + offset) // step * step - offset
    count = -(-(query.to_ns - first) // step)
    starts = [first + step * at for at in range(min(count, _MOST_BUCKETS))]
    return f"(({time} + {offset}) / {step}) * {step} - {offset}", starts


def _auto_step(span: int) -> int:
    return next((step for step in _STEPS if step * 50 >= span), 30 * _DAY)


def _months(from_ns: int, to_ns: int) -> list[int]:
    month = datetime.fromtimestamp(from_ns // 10**9, UTC).replace(
        day=1, hour=0, minute=0, second=0, microsecond=0
    )
    starts: list[int] = []
    while (start := int(month.timestamp()) * 10**9) < to_ns and len(starts) < _MOST_BUCKETS:
        starts.append(start)
        month = (month + timedelta(days=32)).replace(day=1)
    return starts


def _filled(rows: list[dict[str, Any]], starts: Sequence[int], query: Query) -> list[dict[str, Any]]:
    """Adds a row of zeros for every bucket that has none."""
    by_start: dict[int, list[dict[str, Any]]] = {start: [] for start in starts}
    for row in rows:
        by_start.setdefault(row["time_dimension"], []).append(row)
    empty = dict.fromkeys(query.dimensions)
    zeros = {metric.alias: "[]" if metric.aggregation == "histogram" else 0 for metric in query.metrics}
    filled: list[dict[str, Any]] = []
    for start in sorted(by_start):
        filled += by_start[start] or [{**empty, "time_dimension": start, **zeros}]
    return filled


def _finished(row: dict[str, Any], query: Query) -> dict[str, Any]:
    if "time_dimension" in row:
        moment = times.iso(row["time_dimension"])
        whole_days = query.granularity in ("day", "week", "month")
        row["time_dimension"] = moment[:10] if whole_days else moment
    if "tags" in row and isinstance(row["tags"], str):
        row["tags"] = codec.load(row["tags"])
    for name in ("isRootObservation", "booleanValue"):
        if row.get(name) is not None:
            row[name] = bool(row[name])
    for metric in query.metrics:
        value = row[metric.alias]
        if metric.aggregation == "histogram":
            row[metric.alias] = codec.load(value) if value else []
        elif value is None and metric.aggregation in ("sum", "count", "uniq"):
            row[metric.alias] = 0
    return row


# --- aggregates SQLite does not have -------------------------------------------------------------


class _Quantile:
    def __init__(self) -> None:
        self._values: list[float] = []
        self._at = 0.5

    def step(self, *given: Any) -> None:
        value, self._at = given
        if isinstance(value, int | float):
            self._values.append(value)

    def finalize(self) -> float | None:
        if not self._values:
            return None
        self._values.sort()
        place = self._at * (len(self._values) - 1)
        low = math.floor(place)
        high = min(low + 1, len(self._values) - 1)
        return self._values[low] + (self._values[high] - self._values[low]) * (place - low)


class _Histogram:
    def __init__(self) -> None:
        self._values: list[float] = []
        self._bins = 10

    def step(self, *given: Any) -> None:
        value, self._bins = given
        if isinstance(value, int | float):
            self._values.append(value)

    def finalize(self) -> str:
        if not self._values:
            return "[]"
        low, high = min(self._values), max(self._values)
        width = (high - low) / self._bins
        if width == 0:
            return codec.dump([[low, high, len(self._values)]])
        heights = [0] * self._bins
        for value in self._values:
            heights[min(int((value - low) / width), self._bins - 1)] += 1
        return codec.dump(
            [[low + width * at, low + width * (at + 1), height] for at, height in enumerate(heights)]
        )


def _register(connection: sqlite3.Connection) -> None:
    # The type stubs know aggregates of one integer only.
    quantile: Any = _Quantile
    histogram: Any = _Histogram
    connection.create_aggregate("local_quantile", 2, quantile)
    connection.create_aggregate("local_histogram", 2, histogram)
