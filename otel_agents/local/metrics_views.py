"""The four views of the metrics API: their dimensions, measures and filters as SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from otel_agents.local.filters import Column, observation_columns


@dataclass(frozen=True, slots=True)
class View:
    """One view.

    Attributes:
        source: FROM clause; ``{joins}`` is where extra tables come in.
        time: SQL of the time in nanoseconds.
        condition: what every row has to satisfy.
        dimensions: name → SQL.
        measures: name → SQL of one row's value.
        columns: what can be filtered.
        high_cardinality: dimensions that need a row limit and an order by a measure.
    """

    source: str
    time: str
    condition: str
    dimensions: Mapping[str, str]
    measures: Mapping[str, str]
    columns: Mapping[str, Column]
    high_cardinality: frozenset[str]


_HIGH: Final = frozenset({"id", "traceId", "userId", "sessionId", "parentObservationId", "observationId"})
_MONTH: Final = "strftime('%Y-%m', {time} / 1000000000, 'unixepoch')"
_DAY: Final = "strftime('%Y-%m-%d', {time} / 1000000000, 'unixepoch')"

_LATENCY: Final = "(o.end_ns / 1000000 - o.start_ns / 1000000)"
_STREAMING: Final = "(o.end_ns / 1000000 - o.completion_start_ns / 1000000)"


def _observations() -> View:
    columns = observation_columns()
    columns |= {
        "traceRelease": columns["release"],
        "traceVersion": columns["version"],
        "startTimeMonth": Column(_MONTH.format(time="o.start_ns")),
    }
    text = {
        name: columns[name].sql
        for name in (
            "environment",
            "type",
            "name",
            "level",
            "version",
            "release",
            "traceName",
            "traceRelease",
            "traceVersion",
            "providedModelName",
            "promptName",
            "promptVersion",
            "startTimeMonth",
            "id",
            "traceId",
            "userId",
            "sessionId",
        )
    }
    return View(
        source="observations o",
        time="o.start_ns",
        condition="1",
        dimensions={
            **text,
            "tags": "coalesce(o.tags, '[]')",
            "isRootObservation": "o.is_root",
            "parentObservationId": "nullif(o.parent_id, '')",
            "usageType": "detail.key",
            "costType": "detail.key",
        },
        measures={
            "count": "1",
            "latency": _LATENCY,
            "streamingLatency": _STREAMING,
            "inputTokens": "o.input_tokens",
            "outputTokens": "o.output_tokens",
            "totalTokens": "coalesce(o.total_tokens, 0)",
            "outputTokensPerSecond": f"(o.output_tokens * 1000.0 / nullif({_LATENCY}, 0))",
            "tokensPerSecond": f"(coalesce(o.total_tokens, 0) * 1000.0 / nullif({_LATENCY}, 0))",
            "inputCost": "coalesce(o.input_cost, 0)",
            "outputCost": "coalesce(o.output_cost, 0)",
            "totalCost": "coalesce(o.total_cost, 0)",
            "timeToFirstToken": "(o.completion_start_ns / 1000000 - o.start_ns / 1000000)",
            "countScores": "(SELECT count(*) FROM scores c WHERE c.trace_id = o.trace_id"
            " AND c.observation_id = o.id)",
            "usageByType": "detail.value",
            "costByType": "detail.value",
            "traceId": "o.trace_id",
            "uniqueUserIds": "o.user_id",
            "uniqueSessionIds": "o.session_id",
        },
        columns=columns,
        high_cardinality=_HIGH,
    )


def _scores(condition: str, own: Mapping[str, Column], measures: Mapping[str, str]) -> View:
    # Trace fields come from the observation without a parent only: a trace that has just an app root
    # gives nothing here, as on the server.
    def root(sql: str) -> str:
        return (
            f"(SELECT {sql} FROM observations r WHERE r.trace_id = s.trace_id AND r.parent_id = '' LIMIT 1)"
        )

    columns = {
        "id": Column("s.id"),
        "environment": Column("s.environment"),
        "name": Column("s.name"),
        "source": Column("s.source"),
        "dataType": Column("s.data_type"),
        "configId": Column("s.config_id"),
        "timestampMonth": Column(_MONTH.format(time="s.timestamp_ns")),
        "timestampDay": Column(_DAY.format(time="s.timestamp_ns")),
        "traceName": Column(root("coalesce(r.trace_name, r.name)")),
        "traceRelease": Column(root("r.release")),
        "traceVersion": Column(root("r.version")),
        "userId": Column(root("r.user_id")),
        "sessionId": Column(f"coalesce(s.session_id, {root('r.session_id')})"),
        "traceId": Column("s.trace_id"),
        "observationId": Column("s.observation_id"),
        "observationName": Column("o.name"),
        "observationModelName": Column("o.model"),
        "observationPromptName": Column("o.prompt_name"),
        "observationPromptVersion": Column("o.prompt_version", "number"),
        **own,
    }
    tags = root("r.tags")
    return View(
        source="scores s LEFT JOIN observations o ON o.trace_id = s.trace_id AND o.id = s.observation_id",
        time="s.timestamp_ns",
        condition=condition,
        dimensions={
            **{name: column.sql for name, column in columns.items()},
            "tags": f"coalesce({tags}, '[]')",
        },
        measures=measures,
        columns={
            **columns,
            "tags": Column(f"coalesce({tags}, '[]')", "list"),
            "metadata": Column(
                "CASE json_type(s.metadata) WHEN 'object' THEN s.metadata ELSE '{}' END", "object"
            ),
            "timestamp": Column("s.timestamp_ns", "datetime"),
        },
        high_cardinality=_HIGH,
    )


VIEWS: Final[Mapping[str, View]] = {
    "observations": _observations(),
    "scores-numeric": _scores(
        "s.data_type IN ('NUMERIC', 'BOOLEAN')",
        {"value": Column("s.value", "number")},
        {"count": "1", "value": "s.value"},
    ),
    "scores-boolean": _scores(
        "s.data_type = 'BOOLEAN'",
        {
            "booleanValue": Column("(s.value = 1)", "boolean"),
            "value": Column("s.value", "number"),
        },
        {"count": "1", "value": "s.value"},
    ),
    "scores-categorical": _scores(
        "s.data_type = 'CATEGORICAL'", {"stringValue": Column("s.string_value")}, {"count": "1"}
    ),
}
