"""The URL is the whole state of the traces page."""

from __future__ import annotations

from datetime import datetime

import pytest
from starlette.datastructures import QueryParams

from otel_agents.local.rows import TraceFilter
from otel_agents.local.ui import filters

NOW = 1_700_000_000 * 10**9


def read(query: str) -> filters.Query:
    return filters.read(QueryParams(query), NOW)


def test_every_filter_reaches_the_store() -> None:
    query = read(
        "q=sql&agent=claude&task_type=security&status=error&env=prod&session=s%2F1&user=ada&project=p"
        "&min_cost=0.01&max_cost=%241,5&min_quality=.8&max_quality=1&min_seconds=2.5&switched=1&tag=a&tag=b&range=1h"
    )
    assert query.problems == []
    assert query.filters == TraceFilter(
        agent="claude",
        task_type="security",
        status="error",
        agent_switched=True,
        environment="prod",
        project="p",
        session_id="s/1",
        user_id="ada",
        min_cost=0.01,
        max_cost=1.5,
        min_quality=0.8,
        max_quality=1.0,
        min_duration_ns=2_500_000_000,
        text="sql",
        tags=("a", "b"),
        from_ns=NOW - 3600 * 10**9,
    )


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("min_cost=cheap", "min cost has to be a number, not 'cheap'"),
        ("max_quality=nan", "max quality has to be a number, not 'nan'"),
        ("min_cost=1e999", "min cost has to be a number, not '1e999'"),
        ("from=yesterday", "from has to be a date and time, not 'yesterday'"),
        (
            "to=9999-12-31T23:59:59.999999-23:59",
            "to has to be a date and time, not '9999-12-31T23:59:59.999999-23:59'",
        ),
        ("status=fine", "status is one of ok, error, open"),
    ],
)
def test_nonsense_is_reported_and_left_out(query: str, problem: str) -> None:
    found = read(query)
    assert found.problems == [problem]
    assert found.filters.min_cost is None
    assert found.filters.to_ns is None


@pytest.mark.parametrize(
    "query", ["sort=name", "group=secret", "limit=1000000", "switched=maybe", "range=1y"]
)
def test_unknown_choices_are_ignored(query: str) -> None:
    found = read(query)
    assert (found.sort, found.group, found.limit, found.given) == ("start", None, 50, [])


def test_times_without_an_offset_are_the_machines() -> None:
    found = read("from=2026-01-15T10:00&to=2026-01-15T10:00%2B00:00").filters
    assert found.from_ns == round(datetime(2026, 1, 15, 10).timestamp()) * 10**9
    assert found.to_ns == 1_768_471_200 * 10**9


def test_links_change_one_thing_and_keep_the_rest() -> None:
    query = read("agent=a%26b&tag=x&tag=y&range=1h&sort=cost&cursor=abc")
    assert query.url(sort=None) == "/traces?agent=a%26b&tag=x&tag=y&range=1h"
    assert query.time_url(range="7d") == "/traces?agent=a%26b&tag=x&tag=y&sort=cost&range=7d"
    assert query.with_cursor("n") == "/traces?agent=a%26b&tag=x&tag=y&range=1h&sort=cost&cursor=n"
    chips = {(chip.label, chip.value): chip.without for chip in query.chips()}
    assert chips == {
        ("agent", "a&b"): "/traces?tag=x&tag=y&range=1h&sort=cost",
        ("tag", "x"): "/traces?agent=a%26b&tag=y&range=1h&sort=cost",
        ("tag", "y"): "/traces?agent=a%26b&tag=x&range=1h&sort=cost",
    }


def test_groups_open_and_close_in_the_url() -> None:
    query = read("group=task_type&open=docs")
    assert query.toggled("tests") == "/traces?group=task_type&open=docs&open=tests"
    assert query.toggled("docs") == "/traces?group=task_type"
    assert query.only("docs") == "/traces?task_type=docs"
