"""GET /api/public/v2/metrics: dimensions, measures, filters, time buckets, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from local_spans import client_of, span

from otel_agents.local import times
from otel_agents.local.server import Running

URL = "/api/public/v2/metrics"
DAY = "2026-03-02T"  # a Monday


def at(clock: str) -> int:
    found = times.parse(f"{DAY}{clock}Z")
    assert found is not None
    return found


def trace(number: int) -> str:
    return f"{number:032x}"


@pytest.fixture
def filled(backend: Running, client: httpx.Client, export: Callable[..., Any]) -> httpx.Client:
    """Three agent runs at 10:15, 10:45 and 13:00, each with a model call of 1, 2 and 4 s."""
    for number, clock in enumerate(("10:15:00", "10:45:00", "13:00:00"), 1):
        start = at(clock)
        end = start + 2 ** (number - 1) * 10**9
        export(
            span(
                f"{number:016x}",
                trace=trace(number),
                name="writer" if number < 3 else "tester",
                start=start,
                end=end,
                attributes={
                    "gen_ai.operation.name": "invoke_agent",
                    "langfuse.trace.metadata.agent": "claude" if number < 3 else "gemini",
                    "langfuse.trace.tags": ["t", str(number % 2)],
                    "session.id": f"s{number}",
                },
            ),
            span(
                f"{number + 100:016x}",
                trace=trace(number),
                parent=f"{number:016x}",
                name="chat",
                start=start,
                end=end,
                status=2 if number == 3 else 0,
                attributes={
                    "gen_ai.operation.name": "chat",
                    "gen_ai.request.model": "gpt-4o",
                    "langfuse.observation.usage_details": json.dumps(
                        {"input": 10 * number, "output": number}
                    ),
                    "langfuse.observation.cost_details": json.dumps({"total": 0.25 * number}),
                    "langfuse.observation.completion_start_time": times.iso(start + 5 * 10**8),
                },
            ),
        )
    scores = [
        {
            "name": "quality",
            "value": 0.5 * number,
            "traceId": trace(number),
            "observationId": f"{number:016x}",
        }
        for number in (1, 2)
    ]
    scores += [
        {"name": "ok", "value": number % 2, "dataType": "BOOLEAN", "traceId": trace(number)}
        for number in (1, 2, 3)
    ]
    scores += [{"name": "grade", "value": grade, "traceId": trace(1)} for grade in ("a", "a", "b")]
    for at_number, score in enumerate(scores):
        score |= {"timestamp": f"{DAY}12:00:00Z", "id": f"s{at_number}"}
    assert client.post("/api/public/scores", json=scores).status_code == 202
    return client


def ask(client: httpx.Client, *metrics: str, **rest: Any) -> httpx.Response:
    query = {
        "view": "observations",
        "metrics": [
            dict(zip(("aggregation", "measure"), metric.split("_"), strict=True)) for metric in metrics
        ],
        "fromTimestamp": f"{DAY}10:00:00Z",
        "toTimestamp": f"{DAY}14:00:00Z",
        **rest,
    }
    return client.get(URL, params={"query": json.dumps(query)})


def rows(client: httpx.Client, *metrics: str, **rest: Any) -> list[dict[str, Any]]:
    answer = ask(client, *metrics, **rest)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


def by(*names: str) -> list[dict[str, str]]:
    return [{"field": name} for name in names]


def string(column: str, value: str) -> dict[str, str]:
    return {"type": "string", "column": column, "operator": "=", "value": value}


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        # contract 5.3: <agg>_<measure>; six observations, three of them with usage
        ("count_count", 6),
        ("sum_totalCost", 1.5),
        ("avg_totalCost", 0.25),
        ("max_totalCost", 0.75),
        ("min_totalCost", 0),
        ("sum_inputTokens", 60),
        ("sum_outputTokens", 6),
        ("sum_totalTokens", 66),
        ("uniq_traceId", 3),
        ("uniq_uniqueSessionIds", 3),
        # contract 5.3: latency in ms: 1, 1, 2, 2, 4, 4 s
        ("p50_latency", 2000),
        ("p90_latency", 4000),
        ("max_latency", 4000),
        ("avg_timeToFirstToken", 500),
        ("max_streamingLatency", 3500),
        ("max_tokensPerSecond", 11.0),
        ("sum_countScores", 2),
    ],
)
def test_measures(filled: httpx.Client, metric: str, value: float) -> None:
    assert rows(filled, metric) == [{metric: value}]


@pytest.mark.parametrize(
    ("dimension", "expected"),
    [
        ("type", {"AGENT": 3, "GENERATION": 3}),
        ("name", {"chat": 3, "writer": 2, "tester": 1}),
        ("level", {"DEFAULT": 5, "ERROR": 1}),
        ("environment", {"default": 6}),
        ("providedModelName", {"gpt-4o": 3, None: 3}),
        ("isRootObservation", {True: 3, False: 3}),
        # contract 2.10: fallback at read, a root's own name
        ("traceName", {None: 3, "writer": 2, "tester": 1}),
        ("startTimeMonth", {"2026-03": 6}),
        ("version", {None: 6}),
        ("release", {None: 6}),
        ("promptName", {None: 6}),
        ("promptVersion", {None: 6}),
    ],
)
def test_dimensions(filled: httpx.Client, dimension: str, expected: dict[Any, int]) -> None:
    found = rows(filled, "count_count", dimensions=by(dimension))
    assert {row[dimension]: row["count_count"] for row in found} == expected


def test_tags_group_by_the_whole_array(filled: httpx.Client) -> None:
    found = rows(filled, "count_count", dimensions=by("tags"))
    assert {(*row["tags"],): row["count_count"] for row in found} == {(): 3, ("t", "1"): 2, ("t", "0"): 1}


@pytest.mark.parametrize(
    ("given", "count"),
    [
        (string("type", "AGENT"), 3),
        (string("traceId", trace(1)), 2),
        (string("sessionId", "s1"), 1),
        ({"type": "boolean", "column": "isRootObservation", "operator": "=", "value": True}, 3),
        # contract 5.3: metadata as a filter
        (
            {
                "type": "stringObject",
                "column": "metadata",
                "key": "agent",
                "operator": "=",
                "value": "claude",
            },
            2,
        ),
        ({"type": "arrayOptions", "column": "tags", "operator": "any of", "value": ["1"]}, 2),
        ({"type": "stringOptions", "column": "name", "operator": "any of", "value": ["chat", "tester"]}, 4),
        ({"type": "number", "column": "totalCost", "operator": ">", "value": 0.3}, 2),
    ],
)
def test_filters(filled: httpx.Client, given: dict[str, Any], count: int) -> None:
    assert rows(filled, "count_count", filters=[given]) == [{"count_count": count}]


def test_hours_are_filled_with_zeros(filled: httpx.Client) -> None:
    found = rows(
        filled,
        "count_count",
        "sum_totalCost",
        filters=[string("type", "GENERATION")],
        timeDimension={"granularity": "hour"},
    )
    # contract 5.3: with timeDimension and no orderBy, empty buckets are zero-filled
    assert [(row["time_dimension"][11:16], row["count_count"], row["sum_totalCost"]) for row in found] == [
        ("10:00", 2, 0.75),
        ("11:00", 0, 0),
        ("12:00", 0, 0),
        ("13:00", 1, 0.75),
    ]


def test_order_by_leaves_empty_buckets_out(filled: httpx.Client) -> None:
    found = rows(
        filled,
        "count_count",
        timeDimension={"granularity": "hour"},
        orderBy=[{"field": "time_dimension", "direction": "desc"}],
    )
    assert [row["time_dimension"][11:13] for row in found] == ["13", "10"]  # contract 5.3


@pytest.mark.parametrize(
    ("granularity", "starts"),
    [
        # contract 5.3: day → date; weeks start on Monday
        ("minute", 240),
        ("day", ["2026-03-02"]),
        ("week", ["2026-03-02"]),
        ("month", ["2026-03-01"]),
        ("auto", 48),
    ],
)
def test_granularities(filled: httpx.Client, granularity: str, starts: list[str] | int) -> None:
    found = rows(
        filled, "count_count", timeDimension={"granularity": granularity}, config={"row_limit": 1000}
    )
    assert sum(row["count_count"] for row in found) == 6
    if isinstance(starts, int):
        assert len(found) == starts
    else:
        assert [row["time_dimension"] for row in found] == starts


def test_weeks_of_a_thursday(filled: httpx.Client) -> None:
    found = rows(
        filled,
        "count_count",
        timeDimension={"granularity": "week"},
        fromTimestamp="2026-02-26T00:00:00Z",
        toTimestamp="2026-03-03T00:00:00Z",
    )
    assert [(row["time_dimension"], row["count_count"]) for row in found] == [
        ("2026-02-23", 0),
        ("2026-03-02", 6),
    ]


def test_row_limit_truncates_silently(filled: httpx.Client) -> None:
    found = rows(filled, "count_count", timeDimension={"granularity": "minute"})
    assert len(found) == 100  # contract 5.3: default 100


def test_order_and_limit(filled: httpx.Client) -> None:
    found = rows(
        filled,
        "sum_totalCost",
        dimensions=by("name"),
        orderBy=[{"field": "sum_totalCost", "direction": "desc"}, {"field": "name", "direction": "asc"}],
        config={"row_limit": 2},
    )
    assert [row["name"] for row in found] == ["chat", "tester"]


def test_high_cardinality_with_a_limit_and_an_order(filled: httpx.Client) -> None:
    wanted: dict[str, Any] = {
        "dimensions": by("traceId"),
        "orderBy": [{"field": "sum_totalCost", "direction": "desc"}],
        "config": {"row_limit": 2},
    }
    assert [row["traceId"] for row in rows(filled, "sum_totalCost", **wanted)] == [trace(3), trace(2)]
    for missing in ("orderBy", "config"):
        less = {key: value for key, value in wanted.items() if key != missing}
        assert ask(filled, "sum_totalCost", **less).status_code == 400  # contract 5.3
    assert ask(filled, "sum_totalCost", **wanted, timeDimension={"granularity": "day"}).status_code == 400


def test_usage_by_type(filled: httpx.Client) -> None:
    found = rows(filled, "sum_usageByType", dimensions=by("usageType"))
    assert {row["usageType"]: row["sum_usageByType"] for row in found} == {
        "input": 60,
        "output": 6,
        "total": 66,
    }


def test_histogram(filled: httpx.Client) -> None:
    found = rows(filled, "histogram_latency", config={"bins": 3})[0]["histogram_latency"]
    assert [height for _, _, height in found] == [2, 2, 2]
    assert (found[0][0], found[-1][1]) == (1000, 4000)


# --- scores --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("view", "dimension", "metric", "expected"),
    [
        # contract 5.3: numeric and boolean scores are in the numeric view
        ("scores-numeric", "name", "avg_value", {"quality": 0.75, "ok": pytest.approx(2 / 3)}),
        ("scores-numeric", "dataType", "count_count", {"NUMERIC": 2, "BOOLEAN": 3}),
        ("scores-numeric", "observationName", "count_count", {"writer": 2, None: 3}),
        # contract 2.11: trace fields come from the physical root
        ("scores-numeric", "traceName", "count_count", {"writer": 4, "tester": 1}),
        ("scores-boolean", "booleanValue", "count_count", {True: 2, False: 1}),
        ("scores-categorical", "stringValue", "count_count", {"a": 2, "b": 1}),
        ("scores-categorical", "timestampDay", "count_count", {"2026-03-02": 3}),
        ("scores-categorical", "source", "count_count", {"API": 3}),
    ],
)
def test_score_views(
    filled: httpx.Client, view: str, dimension: str, metric: str, expected: dict[Any, Any]
) -> None:
    found = rows(filled, metric, view=view, dimensions=by(dimension))
    assert {row[dimension]: row[metric] for row in found} == expected


def test_scores_of_a_trace_with_only_an_app_root(client: httpx.Client, export: Callable[..., Any]) -> None:
    export(
        span(
            parent="b" * 16,
            trace=trace(1),
            start=at("10:00:00"),
            attributes={"langfuse.internal.is_app_root": True, "langfuse.trace.name": "n"},
        )
    )
    score = {"name": "quality", "value": 1, "traceId": trace(1), "timestamp": f"{DAY}12:00:00Z"}
    client.post("/api/public/scores", json=score)
    found = rows(client, "count_count", view="scores-numeric", dimensions=by("traceName"))
    assert found == [{"traceName": None, "count_count": 1}]  # contract 2.11


def test_scores_by_hour(filled: httpx.Client) -> None:
    found = rows(
        filled,
        "avg_value",
        view="scores-numeric",
        filters=[string("name", "quality")],
        timeDimension={"granularity": "hour"},
    )
    assert [row["avg_value"] for row in found] == [0, 0, 0.75, 0]


# --- refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "message"),
    [
        # contract 5.3, errors
        ("{", "Invalid JSON in query parameter"),
        ("", "Invalid JSON in query parameter"),
        ({"dimensions": by("nope")}, "Invalid dimension nope. Must be one of environment"),
        ({"dimensions": by("metadata")}, "Invalid dimension metadata."),
        ({"view": "traces"}, "Invalid view traces."),
        ({"metrics": []}, "At least one metric must be provided"),
        ({"metrics": [{"measure": "nope", "aggregation": "sum"}]}, "Invalid measure nope."),
        ({"metrics": [{"measure": "count", "aggregation": "median"}]}, "Invalid aggregation median."),
        ({"fromTimestamp": "2027-01-01T00:00:00Z"}, "fromTimestamp must be before toTimestamp"),
        ({"fromTimestamp": "x"}, "fromTimestamp and toTimestamp"),
        ({"timeDimension": {"granularity": "second"}}, "Invalid granularity second."),
        ({"orderBy": [{"field": "x", "direction": "asc"}]}, "Invalid orderBy field x."),
        ({"orderBy": [{"field": "count_count", "direction": "up"}]}, "Invalid orderBy direction up."),
        ({"config": {"row_limit": 1001}}, "config.row_limit"),
        ({"config": {"bins": 0}}, "config.bins"),
        ({"filters": [string("nope", "x")]}, "Invalid filter column nope."),
        ({"dimensions": by("userId")}, "High cardinality dimension userId"),
        ({"filters": {}}, "filters has to be an array"),
    ],
)
def test_refused(client: httpx.Client, query: Any, message: str) -> None:
    if isinstance(query, dict):
        answer = ask(client, "count_count", **query)
    else:
        answer = client.get(URL, params={"query": query})
    assert answer.status_code == 400
    assert answer.json()["message"].startswith(message)
    assert answer.json()["error"] == "InvalidRequestError"


def test_keys_are_needed(backend: Running) -> None:
    with client_of(backend, auth=("a", "b")) as stranger:
        assert ask(stranger, "count_count").status_code == 401
