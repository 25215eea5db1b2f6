"""The metrics API's queries, checked. `otel_agents.local.metrics_run` runs them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from otel_agents.local import filters, times
from otel_agents.local.metrics_views import VIEWS, View

SQL_AGGREGATES: Final = {
    "sum": "sum({})",
    "avg": "avg({})",
    "count": "count({})",
    "max": "max({})",
    "min": "min({})",
    "uniq": "count(DISTINCT {})",
}
QUANTILES: Final = {"p50": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99}
AGGREGATIONS: Final = (*SQL_AGGREGATES, *QUANTILES, "histogram")
_UNIQUE_ONLY: Final = frozenset({"traceId", "uniqueUserIds", "uniqueSessionIds"})

GRANULARITIES: Final = ("auto", "minute", "hour", "day", "week", "month")


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
    """A checked query. Times are nanoseconds; ``where`` and ``values`` are its conditions as SQL."""

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
