"""Sessions, findings, the live number and static files."""

from __future__ import annotations

import re

import ui_seed
from starlette.testclient import TestClient
from ui_html import get, names, table
from ui_rig import ui_client
from ui_seed import S, span_id, task, trace_id

from otel_agents.local.store import Store

T0 = ui_seed.T0


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
    assert len(set(urls)) == 5
    for url in set(urls):
        answer = client.get(url)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        again = client.get(url, headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    assert client.get("/ui/static/ui.css").headers["cache-control"] == "no-cache"
    assert client.get("/ui/static/..%2Frender.py").status_code == 404
    assert client.get("/ui/static/nope.js").status_code == 404
