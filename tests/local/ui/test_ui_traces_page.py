"""The list of traces shows what is in the store, exactly."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import ui_seed
from starlette.testclient import TestClient
from ui_html import facts, get, names, table
from ui_rig import ui_client
from ui_seed import S, task, trace_id

from otel_agents.local.store import Store
from otel_agents.local.ui import figures, reads

T0 = ui_seed.T0


def test_home_leads_to_the_traces(client: TestClient) -> None:
    answer = client.get("/", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (307, "/traces")


def test_the_table_has_every_column(three: TestClient) -> None:
    page = get(three, "/traces")
    heads = [head.text for head in page.one("table").all("th")]
    assert heads == [
        "Time",
        "Status",
        "Name",
        "Agent",
        "Task type",
        "Input",
        "Output",
        "Tokens",
        "Cost",
        "Quality",
        "Duration",
        "Session · user",
        "Tags",
    ]
    at = [figures.clock(T0 + n * 60 * S) for n in (2, 1, 0)]
    assert table(page.one("table")) == [
        [
            at[0],
            "ok",
            "docs task 3",
            "claude",
            "docs",
            ui_seed.TASKS["docs"],
            ui_seed.ANSWERS["docs"],
            "3,000",
            "$0.2500",
            "–",
            "30.0 s",
            "–",
            "",
        ],
        [
            at[1],
            "error",
            "docs task 2",
            "gemini",
            "docs",
            ui_seed.TASKS["docs"],
            ui_seed.STACK.splitlines()[-1],
            "2,000",
            "$0",
            "0.40",
            "20.0 s",
            "ada",
            "nightly",
        ],
        [
            at[2],
            "ok",
            "security task 1",
            "claude",
            "security",
            ui_seed.TASKS["security"],
            ui_seed.ANSWERS["security"],
            "1,000",
            "$0.5000",
            "0.90",
            "10.0 s",
            "s 1/x · ada",
            "",
        ],
    ]
    assert [link.attributes["href"] for link in page.all("td", class_="name")[0].all("a")] == [
        f"/traces/{trace_id(3)}"
    ]
    assert page.all("svg", aria_label="switched agent")
    assert page.all("a", href="/sessions/s%201%2Fx")


def test_the_strip_sums_what_is_filtered(three: TestClient) -> None:
    assert facts(get(three, "/traces")) == {
        "Traces": "3",
        "Cost": "$0.7500 $0.2500 each",
        "Tokens": "6,000 4,500 in · 1,500 out",
        "Errors": "1 33%",
        "Mean quality": "0.65 of 2 scored",
        "Mean duration": "20.0 s",
    }
    assert facts(get(three, "/traces?agent=claude")) == {
        "Traces": "2",
        "Cost": "$0.7500 $0.3750 each",
        "Tokens": "4,000 3,000 in · 1,000 out",
        "Errors": "0 0%",
        "Mean quality": "0.90 of 1 scored",
        "Mean duration": "20.0 s",
    }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("agent=claude", ["docs task 3", "security task 1"]),
        ("task_type=docs", ["docs task 3", "docs task 2"]),
        ("status=error", ["docs task 2"]),
        ("status=open", []),
        ("switched=1", ["docs task 2"]),
        ("switched=0", ["docs task 3", "security task 1"]),
        ("min_cost=0.3", ["security task 1"]),
        ("max_cost=0.25", ["docs task 3", "docs task 2"]),
        ("min_cost=0.1&max_cost=0.4", ["docs task 3"]),
        ("min_quality=0.8", ["security task 1"]),
        ("max_quality=0.8", ["docs task 2"]),
        ("min_seconds=15", ["docs task 3", "docs task 2"]),
        ("session=s+1/x", ["security task 1"]),
        ("user=ada", ["docs task 2", "security task 1"]),
        ("env=staging", ["docs task 3"]),
        ("tag=nightly", ["docs task 2"]),
        ("q=VULNERABILITIES", ["security task 1"]),
        ("q=%25", []),
        ("from=2026-01-15T10:01:00%2B00:00", ["docs task 3", "docs task 2"]),
        ("to=2026-01-15T10:01:00%2B00:00", ["security task 1"]),
        ("range=15m", []),
        ("agent=claude&task_type=docs&min_cost=0.2", ["docs task 3"]),
    ],
)
def test_filters(three: TestClient, query: str, expected: list[str]) -> None:
    page = get(three, f"/traces?{query}")
    assert names(page) == expected
    if not expected:
        assert page.one("div", class_="empty").one("h2").text == "No trace matches"


def test_the_form_shows_what_is_filtered_and_each_chip_takes_one_away(three: TestClient) -> None:
    page = get(three, "/traces?agent=claude&min_cost=0.1")
    assert page.one("option", value="claude").attributes["selected"] == ""
    assert page.one("input", name="min_cost").attributes["value"] == "0.1"
    chips = {chip.text: chip.attributes["href"] for chip in page.all("a", class_="chip")}
    assert chips == {"agent claude": "/traces?min_cost=0.1", "cost ≥ $0.1": "/traces?agent=claude"}


def test_several_tags_stay_when_the_form_is_sent_again(three: TestClient) -> None:
    page = get(three, "/traces?tag=nightly&tag=other")
    assert page.one("select", name="tag").one("option", selected="").attributes["value"] == "nightly"
    assert [field.attributes["value"] for field in page.all("input", name="tag")] == ["other"]


def test_facts_of_a_trace_lead_to_the_traces_that_share_them(three: TestClient) -> None:
    page = get(three, f"/traces/{trace_id(2)}").one("div", id="trace-head").one("dl", class_="facts")
    hrefs = [link.attributes["href"] for link in page.all("a")]
    assert hrefs == [
        "/traces?agent=gemini",
        "/traces?task_type=docs",
        "/traces?user=ada",
        "/traces?tag=nightly",
    ]


def test_a_filter_that_makes_no_sense_is_named_and_the_page_still_shows(three: TestClient) -> None:
    page = get(three, "/traces?min_cost=cheap&cursor=nonsense")
    assert [p.text for p in page.all("p", class_="problem")] == [
        "min cost has to be a number, not 'cheap'",
        "the link to this page of the list is not valid: this is the first page",
    ]
    assert len(names(page)) == 3


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("cost", ["security task 1", "docs task 3", "docs task 2"]),
        ("tokens", ["docs task 3", "docs task 2", "security task 1"]),
        ("quality", ["security task 1", "docs task 2"]),
        ("duration", ["docs task 3", "docs task 2", "security task 1"]),
    ],
)
def test_sorting(three: TestClient, sort: str, expected: list[str]) -> None:
    page = get(three, f"/traces?sort={sort}")
    assert names(page) == expected
    head = page.one("a", id=f"sort-{sort}").parent
    assert head is not None
    assert head.attributes["aria-sort"] == "descending"


def test_traces_without_quality_are_missing_from_that_order_and_it_says_so(three: TestClient) -> None:
    assert (
        "1 without quality are not listed"
        in get(three, "/traces?sort=quality").one("nav", class_="pager").text
    )


def test_pages_follow_each_other_without_gaps_or_repeats(client: TestClient) -> None:
    seen: list[str] = []
    url: str | None = "/traces?limit=25&sort=tokens"
    while url:
        page = get(client, url)
        seen += [row.attributes["data-key"] for row in page.all("tr", class_="row")]
        url = next((link.attributes["href"] for link in page.all("a", id="next")), None)
    assert len(seen) == len(set(seen)) == 46


def test_groups_by_task_type(three: TestClient) -> None:
    page = get(three, "/traces?group=task_type")
    at = [figures.clock(T0 + n * 60 * S) for n in (2, 0)]
    assert table(page.one("table")) == [
        ["docs", "2", "$0.2500", "$0.1250", "5,000", "0.40", "25.0 s", "50%", at[0]],
        ["security", "1", "$0.5000", "$0.5000", "1,000", "0.90", "10.0 s", "0%", at[1]],
    ]
    assert [row.attributes["aria-expanded"] for row in page.all("tr", class_="group")] == ["false", "false"]


def test_an_open_group_shows_its_traces_and_can_be_closed(three: TestClient) -> None:
    page = get(three, "/traces?group=agent&open=claude")
    inner = page.one("tr", class_="inner")
    assert [row.one("td", class_="name").text for row in inner.all("tr", class_="row")] == [
        "docs task 3",
        "security task 1",
    ]
    toggle = page.one("a", id="o-1")
    assert (toggle.attributes["aria-expanded"], toggle.attributes["href"]) == ("true", "/traces?group=agent")


def test_the_group_without_a_value_opens_too(empty_store: Store) -> None:
    empty_store.add_observations([replace(task(1, T0)[0], meta={})])
    page = get(ui_client(empty_store), "/traces?group=task_type&open=")
    assert page.one("tr", class_="group").one("td", class_="name").text == "(none)"
    assert len(page.one("tr", class_="inner").all("tr", class_="row")) == 1


def test_an_empty_store_says_what_to_do(empty_store: Store) -> None:
    client = ui_client(empty_store)
    assert get(client, "/traces").one("div", class_="empty").one("h2").text == "No traces yet"
    assert get(client, "/sessions").one("div", class_="empty").one("h2").text == "No sessions yet"
    assert get(client, "/findings").one("div", class_="empty").one("h2").text == "No findings"


def test_previews_are_looked_up_and_never_scanned_for(store: Store) -> None:
    statements: list[str] = []
    rows = store.list_traces(limit=25).items
    store.reader().set_trace_callback(statements.append)
    assert len(reads.root_texts(store, rows)) == 24  # one has no root
    store.reader().set_trace_callback(None)
    plan = [row[3] for row in store.reader().execute("EXPLAIN QUERY PLAN " + statements[-1])]
    assert [step for step in plan if re.match(r"SCAN (o|p)\b", step)] == []
