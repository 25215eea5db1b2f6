"""The pages show what is in the store, exactly."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import ui_seed
from conftest import ui_client
from starlette.testclient import TestClient
from ui_html import Element, parse, table
from ui_seed import S, span_id, task, trace_id

from otel_agents.local.rows import Finding, Observation, Score
from otel_agents.local.store import Store
from otel_agents.local.ui import figures, reads

T0 = 1_768_471_200 * S  # 2026-01-15 10:00 UTC


def get(client: TestClient, url: str, status: int = 200) -> Element:
    answer = client.get(url)
    assert answer.status_code == status, answer.text[:500]
    return parse(answer.text)


def facts(page: Element) -> dict[str, str]:
    """The strip of totals: label to value."""
    strip = page.one("dl", class_="strip")
    return {name.text: value.text for name, value in zip(strip.all("dt"), strip.all("dd"), strict=True)}


def names(page: Element) -> list[str]:
    return [row.one("td", class_="name").text for row in page.all("tr", class_="row")]


@pytest.fixture
def three(empty_store: Store) -> TestClient:
    """Three tasks with round numbers."""
    empty_store.add_observations(
        [
            *task(
                1,
                T0,
                "claude",
                "security",
                cost=0.5,
                quality=0.9,
                tokens=1000,
                took=10_000,
                session="s 1/x",
                user="ada",
            ),
            *task(
                2,
                T0 + 60 * S,
                "gemini",
                "docs",
                cost=0.0,
                quality=0.4,
                tokens=2000,
                took=20_000,
                error=True,
                switched=True,
                tags=("nightly",),
            ),
            *task(
                3,
                T0 + 120 * S,
                "claude",
                "docs",
                cost=0.25,
                quality=None,
                tokens=3000,
                took=30_000,
                environment="staging",
                user=None,
            ),
        ]
    )
    return ui_client(empty_store)


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


# --- trace page -----------------------------------------------------------------------------------


def tree(page: Element) -> list[tuple[str, str, list[str]]]:
    """(level, name, [took, tokens, cost]) of every row."""
    rows = page.one("table", role="treegrid").one("tbody").all("tr")
    return [
        (
            row.attributes["aria-level"],
            row.one("td", class_="name").text,
            [c.text for c in row.all("td", class_="num")],
        )
        for row in rows
    ]


def test_the_trace_page_has_totals_and_the_tree(three: TestClient) -> None:
    page = get(three, f"/traces/{trace_id(1)}")
    assert page.one("h1").text == "security task 1"
    strip = facts(page)
    assert (strip["Duration"], strip["Cost"], strip["Quality"], strip["Errors"]) == (
        "10.0 s",
        "$0.5000",
        "0.90",
        "0",
    )
    assert strip["Observations"] == "7 2 model · 1 tool"
    assert strip["Tokens"] == "1,000 750 in (332 cached) · 250 out (50 reasoning)"
    assert tree(page) == [
        ("1", "security task 1", ["10.0 s", "1,000", "$0.5000"]),
        ("2", "agent_selection", ["+4 ms", "", ""]),
        ("2", "claude", ["8.50 s", "1,000", "$0.5000"]),
        ("3", "chat claude-sonnet-4-5", ["3.00 s", "500", "$0.2500"]),
        ("3", "read_file", ["120 ms", "", ""]),
        ("3", "chat claude-sonnet-4-5", ["4.00 s", "500", "$0.2500"]),
        ("2", "judge", ["800 ms", "", ""]),
    ]
    icons = [
        use.attributes["href"]
        for use in page.one("table", role="treegrid").all("use")
        if use.attributes["href"] != "#i-right"
    ]
    assert icons == [
        "#i-chain",
        "#i-event",
        "#i-agent",
        "#i-generation",
        "#i-tool",
        "#i-generation",
        "#i-evaluator",
    ]


def test_a_failed_trace_opens_at_the_deepest_error_with_its_stack(three: TestClient) -> None:
    page = get(three, f"/traces/{trace_id(2)}")
    assert page.one("tr", aria_selected="true").attributes["data-id"] == span_id(2, 6)
    failure = page.one("div", class_="failure")
    assert "Error code: 429" in failure.all("pre")[0].text
    assert failure.all("pre")[1].text.startswith("Traceback (most recent call last):")
    assert [row.attributes["data-id"] for row in page.all("tr", class_="bad")] == [
        span_id(2, n) for n in (1, 3, 6)
    ]


def test_details_of_a_generation(three: TestClient) -> None:
    page = get(three, f"/ui/observation/{trace_id(1)}/{span_id(1, 4)}")
    head = {
        d.text: v.text
        for d, v in zip(page.one("header").all("dt"), page.one("header").all("dd"), strict=True)
    }
    assert head == {
        "took": "3.00 s",
        "at": "+30 ms",
        "first token": "900 ms",
        "speed": "60 tokens/s",
        "model": "claude-sonnet-4-5",
        "tokens": "500",
        "cost": "$0.25",
        "prompt": "review v3",
        "id": span_id(1, 4),
    }
    sections = {s.attributes["data-sect"]: s for s in page.all("details") if "data-sect" in s.attributes}
    roles = [who.text for who in sections["input"].all("div", class_="who")]
    assert roles == ["system", "user"]
    output = sections["output"]
    assert output.one("div", class_="who").text == "assistantfinish: tool_calls"
    assert [cap.text for cap in output.all("div", class_="cap")] == ["reasoning", "calls read_filecall_1"]
    usage = [
        [c.text for c in row.content if isinstance(c, Element)]
        for row in sections["usage"].one("tbody").all("tr")
    ]
    assert usage == [
        ["input", "209", "–"],
        ["cache read", "166", "–"],
        ["output", "100", "–"],
        ["reasoning", "25", "–"],
        ["total", "500", "$0.25"],
    ]
    assert [row.text for row in sections["parameters"].all("tr")] == ["max_tokens1024", "temperature0.2"]
    assert "task_typesecurity" in [row.text for row in sections["metadata"].all("tr")]
    assert "otel_agents.noteas recorded" in [row.text for row in sections["attributes"].all("tr")]
    assert "service.nameorchestrator" in [row.text for row in sections["resource"].all("tr")]


def test_scores_findings_and_span_events_are_shown_where_they_belong(empty_store: Store) -> None:
    empty_store.add_observations(task(1, T0, error=True))
    on = {"trace_id": trace_id(1)}
    empty_store.add_scores(
        [
            Score("a", "helpful", "CATEGORICAL", T0, string_value="yes", **on),
            Score(
                "b",
                "correct",
                "NUMERIC",
                T0,
                value=0.75,
                comment="checked",
                observation_id=span_id(1, 6),
                **on,
            ),
        ]
    )
    empty_store.add_findings(
        [Finding("some_kind", "error", trace_id(1), span_id(1, 6), "what happened", {}, T0)]
    )
    page = get(ui_client(empty_store), f"/traces/{trace_id(1)}?observation={span_id(1, 6)}")
    assert page.one("span", class_="score").text == "helpful yes"
    sections = {s.attributes["data-sect"]: s for s in page.all("details") if "data-sect" in s.attributes}
    assert sections["scores"].one("tr").text == "correct0.75 checked numeric, API"
    assert sections["findings"].one("tr").text == "some_kindwhat happened"
    assert "exception.typeanthropic.RateLimitError" in [row.text for row in sections["events"].all("tr")]
    assert page.one("table", role="treegrid").all("path", class_="cross")


def test_orphans_stand_under_an_unattached_root(client: TestClient) -> None:
    page = get(client, f"/traces/{trace_id(101)}")
    assert [(level, name) for level, name, _ in tree(page)] == [
        ("1", "1 unattached: parent not recorded yet"),
        ("2", "lost child gemini-2.5-flash"),
    ]


def test_a_link_to_an_observation_selects_it(three: TestClient) -> None:
    page = get(three, f"/traces/{trace_id(1)}?observation={span_id(1, 5)}")
    assert page.one("tr", aria_selected="true").attributes["data-id"] == span_id(1, 5)
    assert page.one("section", id="details").one("h2").text == "read_filetool"


def test_links_made_by_the_langfuse_sdk_lead_to_the_page(three: TestClient) -> None:
    for url, target in (
        (f"/project/local/traces/{trace_id(1)}", f"/traces/{trace_id(1)}"),
        (f"/project/local/traces/{trace_id(1)}?observation=ab", f"/traces/{trace_id(1)}?observation=ab"),
        ("/project/local/sessions/s%201%2Fx", "/sessions/s%201%2Fx"),
        ("/project/local", "/traces"),
        ("/project/local/traces", "/traces"),
    ):
        answer = three.get(url, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (307, target)


@pytest.mark.parametrize(
    "url",
    [
        "/traces/nope",
        "/sessions/nope",
        "/ui/observation/a/b",
        "/ui/observation/a/b/input",
        "/ui/observation/a/b/input/raw",
    ],
)
def test_what_is_not_there_is_named(client: TestClient, url: str) -> None:
    page = get(client, url, status=404)
    assert "No such" in page.text


def test_long_content_is_bounded_until_all_of_it_is_asked_for(empty_store: Store) -> None:
    row = task(1, T0)[0]
    row.input = "x" * 20_000 + "END"
    empty_store.add_observations([row])
    client = ui_client(empty_store)
    here = f"/ui/observation/{row.trace_id}/{row.id}/input"
    page = get(client, f"/traces/{row.trace_id}")
    assert "END" not in page.text
    assert page.one("p", class_="cutoff").text == "… 14 k characters more"
    assert page.one("button", data_full=here).text == "Show all"
    assert "END" in get(client, here).text
    raw = client.get(here + "/raw")
    assert (raw.headers["content-type"], raw.text) == ("text/plain; charset=utf-8", row.input)
    assert "sandbox" in raw.headers["content-security-policy"]


def test_a_huge_trace_is_drawn_in_part_first(empty_store: Store) -> None:
    root = task(1, T0)[0]
    more = [
        Observation(root.trace_id, f"{n:016x}", root.id, "SPAN", f"step {n}", T0 + n, T0 + n + 5)
        for n in range(1, 2_500)
    ]
    empty_store.add_observations([root, *more])
    client = ui_client(empty_store)
    page = get(client, f"/traces/{root.trace_id}")
    assert len(tree(page)) == 2_000
    assert "The first 2,000 of 2,500 observations" in page.text
    assert len(tree(get(client, f"/traces/{root.trace_id}?rows=all"))) == 2_500


# --- sessions, findings, live ---------------------------------------------------------------------


def test_sessions_and_one_as_a_conversation(three: TestClient) -> None:
    page = get(three, "/sessions")
    row = table(page.one("table"))[0]
    assert row[:7] == ["s 1/x", "ada", "1", "0", "1,000", "$0.5000", "10.0 s"]
    session = get(three, "/sessions/s%201%2Fx")
    assert session.one("h1").text == "s 1/x"
    turn = session.one("article")
    assert [block.text for block in turn.all("div", class_="prose")] == [
        ui_seed.TASKS["security"],
        ui_seed.ANSWERS["security"],
    ]


def test_a_session_is_told_in_order_and_repeated_history_is_left_out(empty_store: Store) -> None:
    first, second = task(1, T0, session="s")[0], task(2, T0 + 600 * S, session="s")[0]
    first.input = ui_seed.messages(ui_seed.says("user", "question one"))
    second.input = ui_seed.messages(
        ui_seed.says("user", "question one"),
        ui_seed.says("assistant", "answer one"),
        ui_seed.says("user", "question two"),
    )
    empty_store.add_observations([second, first])
    page = get(ui_client(empty_store), "/sessions/s")
    said = [block.text for block in page.all("div", class_="prose")]
    assert said == ["question one", ui_seed.ANSWERS["security"], "question two", ui_seed.ANSWERS["security"]]
    assert page.one("p", class_="gapline").text == "9m 48s later"


def test_a_failed_turn_says_why(empty_store: Store) -> None:
    empty_store.add_observations(task(1, T0, error=True, session="s"))
    page = get(ui_client(empty_store), "/sessions/s")
    assert page.one("div", class_="failure").text == "Failed" + ui_seed.STACK.splitlines()[-1]


def test_session_search(client: TestClient) -> None:
    page = get(client, "/sessions?q=deep")
    assert names(page) == ["sess-deep"]
    assert get(client, "/sessions?q=zzz").one("div", class_="empty").one("h2").text == "No session matches"


def test_findings_by_kind_and_trace(client: TestClient) -> None:
    page = get(client, "/findings")
    assert [link.text for link in page.one("ul", class_="kinds").all("a")] == [
        "all kinds",
        "double_count 1",
        "orphan 1",
        "missing_total 1",
    ]
    assert len(page.all("tr", class_="row")) == 3
    assert page.one("nav", class_="nav").one("span", class_="badge").text == "3"
    one = get(client, "/findings?kind=missing_total")
    assert [cell.text for cell in one.one("tr", class_="row").all("td")][1:] == [
        "missing_total",
        "cost_details have no total: Langfuse shows 0",
        'keys [ "input", "output" ]',
        span_id(4, 6),
    ]
    assert (
        one.one("td", class_="name").one("a").attributes["href"]
        == f"/traces/{trace_id(4)}?observation={span_id(4, 6)}"
    )
    assert len(get(client, f"/findings?trace={trace_id(4)}").all("tr", class_="row")) == 2


def test_the_change_number_moves_with_every_write(store: Store) -> None:
    client = ui_client(store)
    before = client.get("/ui/changes").json()["change"]
    assert get(client, "/traces").one("body").attributes["data-change"] == str(before)
    assert client.get("/ui/changes").json() == {"change": before}
    store.add_observations(task(500, T0))
    assert client.get("/ui/changes").json()["change"] > before


def test_static_files_are_local_and_cached_by_content(client: TestClient) -> None:
    page = client.get("/traces").text
    urls = re.findall(r'(?:src|href)="(/ui/static/[^"]+)"', page)
    assert len(set(urls)) == 4
    for url in set(urls):
        answer = client.get(url)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        again = client.get(url, headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    assert client.get("/ui/static/ui.css").headers["cache-control"] == "no-cache"
    assert client.get("/ui/static/..%2Frender.py").status_code == 404
    assert client.get("/ui/static/nope.js").status_code == 404


def test_previews_are_looked_up_and_never_scanned_for(store: Store) -> None:
    statements: list[str] = []
    rows = store.list_traces(limit=25).items
    store.reader().set_trace_callback(statements.append)
    assert len(reads.root_texts(store, rows)) == 24  # one has no root
    store.reader().set_trace_callback(None)
    plan = [row[3] for row in store.reader().execute("EXPLAIN QUERY PLAN " + statements[-1])]
    assert [step for step in plan if re.match(r"SCAN (o|p)\b", step)] == []
