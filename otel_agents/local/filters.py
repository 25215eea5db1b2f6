"""Filter objects of the read API (``{type, column, operator, value, key}``) as SQL conditions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from otel_agents.local import times

Kind = Literal["string", "number", "datetime", "boolean", "list", "object"]


class BadFilter(ValueError):
    """A filter that cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column that can be filtered: its SQL and what it holds.

    ``datetime`` is integer nanoseconds, ``list`` a JSON list, ``object`` a JSON object.
    """

    sql: str
    kind: Kind = "string"


_COMPARE: Final = frozenset({"=", ">", "<", ">=", "<="})
_KIND_OF_TYPE: Final[dict[str, Kind]] = {
    "datetime": "datetime",
    "number": "number",
    "boolean": "boolean",
    "arrayOptions": "list",
    "stringObject": "object",
    "numberObject": "object",
    "categoryOptions": "object",
}


def condition(given: Any, columns: Mapping[str, Column]) -> tuple[str, list[Any]]:
    """SQL and parameters of one filter object.

    Raises:
        BadFilter: the column, type, operator or value does not fit.
    """
    if not isinstance(given, dict):
        raise BadFilter("a filter has to be an object")
    name, kind, operator = given.get("column"), given.get("type"), given.get("operator")
    if not isinstance(name, str) or name not in columns:
        raise BadFilter(f"Invalid filter column {name}. Must be one of {', '.join(columns)}")
    column = columns[name]
    if kind == "null":
        if operator not in ("is null", "is not null"):
            raise BadFilter(f"Invalid operator {operator} for a null filter")
        empty = f"coalesce({column.sql}, '') = ''"
        return (empty if operator == "is null" else f"NOT ({empty})"), []
    if kind not in ("string", "stringOptions") and kind not in _KIND_OF_TYPE:
        raise BadFilter(f"Invalid filter type {kind}")
    expected = _KIND_OF_TYPE.get(kind)
    if (
        expected is not None
        and expected != column.kind
        and not (expected == "list" and kind == "arrayOptions")
    ):
        raise BadFilter(f"Invalid filter type {kind} for column {name}")
    value = given.get("value")
    if kind == "string":
        return _string(_text_sql(column), operator, value)
    if kind == "stringOptions":
        return _options(_text_sql(column), operator, value)
    if kind == "number":
        return _compare(column.sql, operator, _number(value))
    if kind == "datetime":
        return _datetime(column, operator, value)
    if kind == "boolean":
        if operator not in ("=", "<>") or not isinstance(value, bool):
            raise BadFilter("a boolean filter needs = or <> and true or false")
        return f"coalesce({column.sql}, 0) {operator} ?", [int(value)]
    if kind == "arrayOptions":
        return _list(column, operator, value)
    return _object(column, kind, operator, value, given.get("key"))


def _text_sql(column: Column) -> str:
    if column.kind == "boolean":
        return f"CASE WHEN {column.sql} THEN 'true' ELSE 'false' END"
    return f"coalesce({column.sql}, '')"


def _string(sql: str, operator: Any, value: Any) -> tuple[str, list[Any]]:
    if not isinstance(value, str):
        raise BadFilter("a string filter needs a string value")
    if operator == "=":
        return f"{sql} = ?", [value]
    if operator == "contains":
        return f"instr({sql}, ?) > 0", [value]
    if operator == "matches":
        return f"instr(lower({sql}), lower(?)) > 0", [value]
    if operator == "does not contain":
        return f"instr({sql}, ?) = 0", [value]
    if operator == "starts with":
        return f"substr({sql}, 1, length(?)) = ?", [value, value]
    if operator == "ends with":
        return f"(substr({sql}, -length(?)) = ? OR ? = '')", [value, value, value]
    raise BadFilter(f"Invalid operator {operator} for a string filter")


def _options(sql: str, operator: Any, value: Any) -> tuple[str, list[Any]]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BadFilter("an options filter needs an array of strings")
    marks = ", ".join("?" * len(value))
    if operator == "any of":
        return f"{sql} IN ({marks})", list(value)
    if operator == "none of":
        return f"{sql} NOT IN ({marks})", list(value)
    raise BadFilter(f"Invalid operator {operator} for an options filter")


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadFilter("a number filter needs a number")
    try:
        return float(value)
    except OverflowError as error:
        raise BadFilter("a number filter needs a number that fits into a double") from error


def _compare(sql: str, operator: Any, value: float) -> tuple[str, list[Any]]:
    if operator not in _COMPARE:
        raise BadFilter(f"Invalid operator {operator} for a number filter")
    return f"{sql} {operator} ?", [value]


def _datetime(column: Column, operator: Any, value: Any) -> tuple[str, list[Any]]:
    moment = times.parse(value) if isinstance(value, str) else None
    if moment is None or operator not in _COMPARE - {"="}:
        raise BadFilter("a datetime filter needs >, <, >= or <= and an ISO 8601 value")
    return f"{column.sql} {operator} ?", [moment]


def _list(column: Column, operator: Any, value: Any) -> tuple[str, list[Any]]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BadFilter("an array filter needs an array of strings")
    if column.kind != "list":
        return _options(_text_sql(column), operator, value)
    marks = ", ".join("?" * len(value))
    found = f"(SELECT count(DISTINCT value) FROM json_each({column.sql}) WHERE value IN ({marks}))"
    if operator == "any of":
        return f"{found} > 0", list(value)
    if operator == "none of":
        return f"{found} = 0", list(value)
    if operator == "all of":
        return f"{found} = ?", [*value, len(set(value))]
    raise BadFilter(f"Invalid operator {operator} for an array filter")


def _object(column: Column, kind: str, operator: Any, value: Any, key: Any) -> tuple[str, list[Any]]:
    if not isinstance(key, str) or not key:
        raise BadFilter(f"a {kind} filter needs a key")
    # Values are text on the server; JSON's true and numbers are compared as they are written.
    found = (
        f"(SELECT CASE type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' ELSE CAST(value AS TEXT) END"
        f" FROM json_each({column.sql}) WHERE json_each.key = ?)"
    )
    if kind == "numberObject":
        sql, values = _compare(f"CAST({found} AS REAL)", operator, _number(value))
        return f"({found} IS NOT NULL AND {sql})", [key, key, *values]
    if operator == "is set":
        return f"{found} IS NOT NULL", [key]
    if operator == "is not set":
        return f"{found} IS NULL", [key]
    make = _options if kind == "categoryOptions" else _string
    sql, values = make(f"coalesce({found}, '')", operator, value)
    return sql, [key, *values]


def observation_columns() -> dict[str, Column]:
    """Columns of the observations, as table alias ``o`` with payload ``p``."""
    latency = "((o.end_ns / 1000000 - o.start_ns / 1000000) / 1000.0)"
    first = "((o.completion_start_ns / 1000000 - o.start_ns / 1000000) / 1000.0)"
    trace_name = "coalesce(nullif(o.trace_name, ''), CASE WHEN o.is_root THEN o.name END)"
    columns = {
        "id": Column("o.id"),
        "type": Column("o.type"),
        "name": Column("o.name"),
        "traceId": Column("o.trace_id"),
        "startTime": Column("o.start_ns", "datetime"),
        "endTime": Column("o.end_ns", "datetime"),
        "environment": Column("o.environment"),
        "level": Column("o.level"),
        "statusMessage": Column("o.status_message"),
        "version": Column("o.version"),
        "release": Column("o.release"),
        "userId": Column("o.user_id"),
        "sessionId": Column("o.session_id"),
        "parentObservationId": Column("o.parent_id"),
        "isRootObservation": Column("o.is_root", "boolean"),
        "traceName": Column(trace_name),
        "tags": Column("coalesce(o.tags, '[]')", "list"),
        "latency": Column(latency, "number"),
        "timeToFirstToken": Column(first, "number"),
        "tokensPerSecond": Column(f"(o.output_tokens / nullif({latency}, 0))", "number"),
        "inputTokens": Column("o.input_tokens", "number"),
        "outputTokens": Column("o.output_tokens", "number"),
        "totalTokens": Column("coalesce(o.total_tokens, 0)", "number"),
        "inputCost": Column("coalesce(o.input_cost, 0)", "number"),
        "outputCost": Column("coalesce(o.output_cost, 0)", "number"),
        "totalCost": Column("coalesce(o.total_cost, 0)", "number"),
        "model": Column("o.model"),
        "promptName": Column("o.prompt_name"),
        "promptVersion": Column("o.prompt_version", "number"),
        "input": Column("p.input"),
        "output": Column("p.output"),
        "metadata": Column("coalesce(o.meta, '{}')", "object"),
    }
    columns |= {
        "traceTags": columns["tags"],
        "tokens": columns["totalTokens"],
        "providedModelName": columns["model"],
    }
    return columns
