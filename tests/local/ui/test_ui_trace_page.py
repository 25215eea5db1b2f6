"""One trace shows what was recorded, exactly."""

from __future__ import annotations

import pytest
import ui_seed
from starlette.testclient import TestClient
from ui_html import Element, facts, get
from ui_rig import ui_client
from ui_seed import span_id, task, trace_id

from otel_agents.local.rows import Finding, Observation, Score
from otel_agents.local.store import Store

T0 = ui_seed.T0


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


@pytest.mark.parametrize("first", [T0 - 1, T0 + 3600 * ui_seed.S])
def test_a_first_token_outside_of_the_call_is_not_believed(empty_store: Store, first: int) -> None:
    row = task(1, T0)[3]
    row.completion_start_ns = first
    empty_store.add_observations([row])
    head = get(ui_client(empty_store), f"/ui/observation/{row.trace_id}/{row.id}").one("header").text
    assert "first token" not in head
    assert "tokens/s" in head


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
