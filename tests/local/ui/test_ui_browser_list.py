"""The list of traces in a real Chromium: filters, groups, keyboard.

Every test also asserts, in the fixture, a silent console and no request to another host.
"""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

ROWS = "[data-rows] tr.row"


def names(page: Page) -> list[str]:
    return page.locator(f"{ROWS} td.name").all_inner_texts()


def cells(page: Page, column: str) -> list[str]:
    return page.locator(f"{ROWS} td{column}").all_inner_texts()


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.id || document.activeElement.tagName"))


def test_filter_by_agent_cost_and_quality(page: Page, served: str) -> None:
    page.goto(f"{served}/traces")
    expect(page.locator(ROWS)).to_have_count(46)
    page.evaluate("window.sameDocument = true")
    page.select_option("#f-agent", "claude")
    expect(page).to_have_url(re.compile(r"\?agent=claude$"))
    expect(page.locator(".chip")).to_have_text(["agent claude"])
    assert set(cells(page, ".w-agent")) == {"claude"}

    page.fill("#f-min_cost", "0.01")
    page.press("#f-min_cost", "Enter")
    expect(page.locator(".chip")).to_have_count(2)
    costs = [float(cost.removeprefix("$")) for cost in cells(page, "[data-label=cost]")]
    assert costs
    assert min(costs) >= 0.01

    page.fill("#f-min_quality", "0.6")
    page.press("#f-min_quality", "Tab")
    expect(page.locator(".chip")).to_have_count(3)
    qualities = [float(value) for value in cells(page, "[data-label=quality]")]
    assert qualities
    assert min(qualities) >= 0.6
    assert len(qualities) < len(costs)
    assert page.evaluate("window.sameDocument") is True  # no reload in between

    page.locator(".chip", has_text="agent").click()
    expect(page.locator("#f-agent")).to_have_value("")
    expect(page.locator(".chip")).to_have_count(2)
    page.go_back()
    expect(page.locator("#f-agent")).to_have_value("claude")
    expect(page.locator(".chip")).to_have_count(3)


def test_typing_searches_and_keeps_the_cursor_in_the_field(page: Page, served: str) -> None:
    page.goto(f"{served}/traces")
    page.keyboard.press("/")
    assert focused(page) == "f-q"
    page.keyboard.type("nightly refac", delay=20)
    expect(page.locator(ROWS)).to_have_count(1)
    assert names(page) == ["nightly refactoring"]
    assert focused(page) == "f-q"
    expect(page).to_have_url(re.compile(r"q=nightly\+refac$"))


def test_time_presets_and_a_custom_range(page: Page, served: str) -> None:
    page.goto(f"{served}/traces")
    page.locator("#r-1h").click()
    expect(page.locator("#r-1h")).to_have_attribute("aria-current", "true")
    recent = page.locator(ROWS).count()
    assert 0 < recent < 10
    page.select_option("#f-agent", "claude")  # the range stays
    expect(page).to_have_url(re.compile(r"range=1h"))
    page.locator("#custom-open").click()
    page.fill("#f-from", "2020-01-01T00:00")
    page.press("#f-from", "Tab")
    expect(page).to_have_url(re.compile(r"from=2020-01-01T00%3A00"))
    expect(page.locator("#r-1h")).not_to_have_attribute("aria-current", "true")
    assert "range" not in page.url


def test_group_by_task_type_and_open_a_group(page: Page, served: str) -> None:
    page.goto(f"{served}/traces")
    page.select_option("#f-group", "task_type")
    groups = page.locator("tr.group")
    expect(groups).to_have_count(4)
    shown = {
        row.locator("td.name").inner_text(): row.locator("td").nth(1).inner_text() for row in groups.all()
    }
    assert sum(int(count) for count in shown.values()) == 46
    assert set(shown) == {"docs", "refactor", "security", "tests"}
    groups.first.click()
    expect(groups.first).to_have_attribute("aria-expanded", "true")
    inner = page.locator("tr.inner tr.row")
    expect(inner).to_have_count(10)
    assert set(inner.locator("td.w-task").all_inner_texts()) == {groups.first.locator("td.name").inner_text()}
    # by keyboard: the row has the focus now
    page.keyboard.press("ArrowLeft")
    expect(inner).to_have_count(0)
    page.keyboard.press("ArrowRight")
    expect(inner).to_have_count(10)


def test_sorting_by_cost_and_paging(page: Page, served: str) -> None:
    page.goto(f"{served}/traces?limit=25")
    page.locator("#sort-cost").click()
    expect(page.locator("th[aria-sort=descending]")).to_have_text("Cost")
    costs = [float(cost.removeprefix("$")) for cost in cells(page, "[data-label=cost]")]
    assert costs == sorted(costs, reverse=True)
    first = names(page)
    page.locator("#next").click()
    expect(page.locator("#first")).to_be_visible()
    assert not set(first) & set(names(page))
    assert len(first) + len(names(page)) == 46


def test_the_table_by_keyboard(page: Page, served: str) -> None:
    page.goto(f"{served}/traces")
    ids = [row.get_attribute("id") for row in page.locator(ROWS).all()]
    page.keyboard.press("j")
    assert focused(page) == ids[0]
    page.keyboard.press("j")
    page.keyboard.press("ArrowDown")
    assert focused(page) == ids[2]
    page.keyboard.press("k")
    assert focused(page) == ids[1]
    page.keyboard.press("End")
    assert focused(page) == ids[-1]
    box = page.locator(f"#{ids[-1]}").bounding_box()
    assert box is not None
    assert 0 <= box["y"] < 900
    page.keyboard.press("Home")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("nightly refactoring")
    page.keyboard.press("g")
    page.keyboard.press("s")
    expect(page.locator("h1")).to_have_text("Sessions")
    page.keyboard.press("g")
    page.keyboard.press("f")
    expect(page.locator("h1")).to_have_text("Findings")
    page.keyboard.press("g")
    page.keyboard.press("t")
    expect(page).to_have_url(f"{served}/traces")


def test_help_skip_link_and_leaving_a_field(page: Page, served: str) -> None:
    page.goto(f"{served}/traces")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    assert focused(page) == "main"
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("j")  # belongs to the dialog now
    assert focused(page) != "main"
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()
    page.keyboard.press("/")
    page.keyboard.type("?j")  # text, not shortcuts
    expect(page.locator("#f-q")).to_have_value("?j")
    expect(page.locator("#help")).to_be_hidden()


def test_every_control_shows_its_focus_and_has_a_name(page: Page, served: str) -> None:
    page.goto(f"{served}/traces")
    seen: set[str] = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        found = page.evaluate(
            """() => { const e = document.activeElement, s = getComputedStyle(e);
            const name = e.getAttribute('aria-label') || e.labels?.[0]?.textContent || e.textContent.trim();
            return [e.tagName, e.id, name, s.outlineStyle, s.outlineWidth]; }"""
        )
        if found[0] == "BODY":
            break
        assert found[2], f"no name: {found}"
        assert found[3:] == ["solid", "2px"], found
        seen.add(found[1])
    assert {
        "live",
        "theme",
        "help-open",
        "f-q",
        "r-1h",
        "f-agent",
        "f-min_cost",
        "f-max_quality",
        "f-user",
    } <= seen
