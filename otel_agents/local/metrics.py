"""The metrics API's queries: checked, run as one grouped SELECT, gaps in time filled with zeros."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from otel_agents.local import codec, filters, times
from otel_agents.local.metrics_views import VIEWS, View

_SQL_AGGREGATES: Final = {
    "sum": "sum({})",
    "avg": "avg({})",
    "count": "count({})",
    "max": "max({})",
    "min": "min({})",
    "uniq": "count(DISTINCT {})",
}
_QUANTILES: Final = {"p50": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99}
AGGREGATIONS: Final = (*_SQL_AGGREGATES, *_QUANTILES, "histogram")
_UNIQUE_ONLY: Final = frozenset({"traceId", "uniqueUserIds", "uniqueSessionIds"})
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
GRANULARITIES: Final = ("auto", "minute", "hour", "day", "week", "month")
_MOST_BUCKETS: Final = 10_000


class BadQuery(ValueError):
    """A query that the API refuses; the message is the answer's."""


@dataclass(slots=True)
class Metric:
    """One measure with its aggregation; ``alias`` names it in the rows."""

    measure: str
    aggregation: str

    @property
    def alias(self) -> str:
        """``sum_totalCost``."""
        return f"{self.aggregation}_{self.measure}"


@dataclass(slots=True)
class Query:
    """A checked query. Times are nanoseconds, ``step`` None means months."""

    view: View
    dimensions: list[str]
    metrics: list[Metric]
    filters: list[Any]
    granularity: str | None
    from_ns: int
    to_ns: int
    order: list[tuple[str, str]] | None
    row_limit: int = 100
    bins: int = 10
    where: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)


def parse(body: Any) -> Query:
    """The query of a JSON object.

    Raises:
        BadQuery: something in it is not allowed.
    """
    if not isinstance(body, dict):
        raise BadQuery("query has to be a JSON object")
    view = VIEWS.get(str(body.get("view")))
    if view is None:
        raise BadQuery(f"Invalid view {body.get('view')}. Must be one of {', '.join(VIEWS)}")
    start, end = (times.parse(str(body.get(name))) for name in ("fromTimestamp", "toTimestamp"))
    if start is None or end is None:
        raise BadQuery("fromTimestamp and toTimestamp have to be ISO 8601 datetimes")
    if start >= end:
        raise BadQuery("fromTimestamp must be before toTimestamp")
    dimensions = [_dimension(item, view) for item in _list(body, "dimensions")]
    metrics = [_metric(item, view) for item in _list(body, "metrics")]
    if not metrics:
        raise BadQuery("At least one metric must be provided")
    config = body.get("config") or {}
    query = Query(
        view,
        dimensions,
        metrics,
        _list(body, "filters"),
        _granularity(body.get("timeDimension")),
        start,
        end,
        None,
        _bounded(config, "row_limit", 100, 1000),
        _bounded(config, "bins", 10, 100),
    )
    query.order = _order(body.get("orderBy"), query)
    _check_cardinality(query, "row_limit" in config)
    query.where = [view.condition, f"{view.time} >= ?", f"{view.time} < ?"]
    query.values = [start, end]
    try:
        for item in query.filters:
            sql, values = filters.condition(item, view.columns)
            query.where.append(f"({sql})")
            query.values += values
    except filters.BadFilter as error:
        raise BadQuery(str(error)) from error
    return query


def _list(body: dict[str, Any], name: str) -> list[Any]:
    found = body.get(name)
    if found is None:
        return []
    if not isinstance(found, list):
        raise BadQuery(f"{name} has to be an array")
    return found


def _dimension(item: Any, view: View) -> str:
    name = item.get("field") if isinstance(item, dict) else None
    if name not in view.dimensions:
        raise BadQuery(f"Invalid dimension {name}. Must be one of {', '.join(view.dimensions)}")
    return str(name)


def _metric(item: Any, view: View) -> Metric:
    measure = item.get("measure") if isinstance(item, dict) else None
    aggregation = item.get("aggregation") if isinstance(item, dict) else None
    if measure not in view.measures:
        raise BadQuery(f"Invalid measure {measure}. Must be one of {', '.join(view.measures)}")
    if aggregation not in AGGREGATIONS:
        raise BadQuery(f"Invalid aggregation {aggregation}. Must be one of {', '.join(AGGREGATIONS)}")
    if measure in _UNIQUE_ONLY and aggregation not in ("uniq", "count"):
        raise BadQuery(f"Invalid aggregation {aggregation} for measure {measure}. Must be uniq")
    return Metric(str(measure), str(aggregation))


def _granularity(given: Any) -> str | None:
    if given is None:
        return None
    name = given.get("granularity") if isinstance(given, dict) else None
    if name not in GRANULARITIES:
        raise BadQuery(f"Invalid granularity {name}. Must be one of {', '.join(GRANULARITIES)}")
    return str(name)


def _bounded(config: Any, name: str, default: int, most: int) -> int:
    value = config.get(name, default) if isinstance(config, dict) else None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise BadQuery(f"config.{name} has to be a number from 1 to {most}")
    return value


def _order(given: Any, query: Query) -> list[tuple[str, str]] | None:
    if not given:
        return None
    allowed = [*query.dimensions, *(metric.alias for metric in query.metrics)]
    if query.granularity:
        allowed.append("time_dimension")
    order = []
    for item in given if isinstance(given, list) else [given]:
        name = item.get("field") if isinstance(item, dict) else None
        direction = item.get("direction") if isinstance(item, dict) else None
        if name not in allowed:
            raise BadQuery(f"Invalid orderBy field {name}. Must be one of {', '.join(allowed)}")
        if direction not in ("asc", "desc"):
            raise BadQuery(f"Invalid orderBy direction {direction}. Must be asc or desc")
        order.append((str(name), str(direction)))
    return order


def _check_cardinality(query: Query, has_limit: bool) -> None:
    high = [name for name in query.dimensions if name in query.view.high_cardinality]
    if not high:
        return
    aliases = {metric.alias for metric in query.metrics}
    ranked = any(name in aliases and direction == "desc" for name, direction in query.order or [])
    if query.granularity or not has_limit or not ranked:
        raise BadQuery(
            f"High cardinality dimension {high[0]} cannot be used for grouping: use it in a filter, or leave"
            " the time dimension out, set config.row_limit and order by a measure desc"
        )


# --- running -------------------------------------------------------------------------------------


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
    if metric.aggregation in _QUANTILES:
        return f"local_quantile({value}, {_QUANTILES[metric.aggregation]})"
    if metric.aggregation == "histogram":
        return f"local_histogram({value}, {query.bins})"
    return _SQL_AGGREGATES[metric.aggregation].format(value)


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
    starts = []
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

    def step(self, value: Any, at: float) -> None:
        self._at = at
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

    def step(self, value: Any, bins: int) -> None:
        self._bins = bins
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
    connection.create_aggregate("local_quantile", 2, _Quantile)
    connection.create_aggregate("local_histogram", 2, _Histogram)
