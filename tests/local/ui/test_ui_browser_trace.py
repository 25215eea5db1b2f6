"""The trace page in a real Chromium.

Every test also asserts, in the fixture, a silent console and no request to another host.
"""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import Page, expect
from ui_seed import S, span_id, task, trace_id

from otel_agents.local.store import Store

pytestmark = pytest.mark.browser

ROWS = "[data-rows] tr.row"


def names(page: Page) -> list[str]:
    return page.locator(f"{ROWS} td.name").all_inner_texts()


def cells(page: Page, column: str) -> list[str]:
    return page.locator(f"{ROWS} td{column}").all_inner_texts()


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.id || document.activeElement.tagName"))


def test_open_a_trace_and_walk_its_tree(page: Page, served: str) -> None:
    page.goto(f"{served}/traces")
    page.locator("tr", has_text="nightly refactoring").click()
    expect(page.locator("h1")).to_have_text("nightly refactoring")
    rows = page.locator("#tree tbody tr")
    expect(rows).to_have_count(58)
    # the deepest error is selected
    failed = page.locator("#tree tr.bad")
    expect(failed).to_have_attribute("aria-selected", "true")
    expect(page.locator("#failure")).to_contain_text("529 overloaded_error")

    page.keyboard.press("j")
    expect(page.locator("#details h2")).to_contain_text("edit_file")
    expect(page.locator("#tree tr[aria-selected=true]")).to_have_count(1)
    expect(page).to_have_url(re.compile(rf"/traces/{trace_id(100)}#[0-9a-f]{{16}}$"))
    page.keyboard.press("ArrowLeft")  # to the parent
    expect(page.locator("#tree tr[aria-selected=true] td.name")).to_have_text("turn 5")
    page.keyboard.press("ArrowLeft")  # closes it
    expect(page.locator("#tree tr[aria-selected=true]")).to_have_attribute("aria-expanded", "false")
    assert page.locator("#tree tbody tr:visible").count() == 56
    page.keyboard.press("ArrowRight")
    assert page.locator("#tree tbody tr:visible").count() == 58
    page.keyboard.press("Home")
    expect(page.locator("#details h2")).to_contain_text("nightly refactoring")
    page.keyboard.press("e")  # next error
    expect(page.locator("#details h2")).to_contain_text("chat claude-sonnet-4-5")
    page.keyboard.press("Enter")
    assert focused(page) == "details"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.matches('#tree tr[aria-selected=true]')")


def test_bars_are_where_the_time_is(page: Page, served: str) -> None:
    page.goto(f"{served}/traces/{trace_id(100)}")
    lane = page.locator("#tree tbody tr").first.locator("td.lane").bounding_box()
    assert lane is not None

    def bar(name: str) -> tuple[float, float]:
        box = (
            page.locator("#tree tr", has=page.locator("td.name", has_text=name))
            .first.locator("rect")
            .first.bounding_box()
        )
        assert box is not None
        return (box["x"] - lane["x"]) / lane["width"], box["width"] / lane["width"]

    # the trace takes 191 s; a bar has 2 px of edge
    assert bar("nightly refactoring") == pytest.approx((0.01, 0.975), abs=0.02)
    start, width = bar("judge")
    assert start == pytest.approx(0.01 + 0.975 * 183 / 191, abs=0.02)
    assert width == pytest.approx(0.975 * 6 / 191, abs=0.02)


def test_a_deep_link_selects_the_observation(page: Page, served: str) -> None:
    for link in (f"#{span_id(1, 5)}", f"?observation={span_id(1, 5)}"):
        page.goto(f"{served}/traces/{trace_id(1)}{link}")
        expect(page.locator("#details h2")).to_have_text(re.compile("read_file"))
        expect(page.locator("#tree tr[aria-selected=true]")).to_have_attribute("data-id", span_id(1, 5))


def test_find_in_a_trace(page: Page, served: str) -> None:
    page.goto(f"{served}/traces/{trace_id(100)}")
    page.keyboard.press("/")
    assert focused(page) == "find"
    page.keyboard.type("circuit")
    expect(page.locator("#tree tbody tr:visible:not(.dim)")).to_have_count(1)
    expect(page.locator("#tree tbody tr.dim")).to_have_count(3)  # turn, agent, root
    page.keyboard.press("Enter")
    expect(page.locator("#details h2")).to_contain_text("circuit_breaker")


def test_show_all_and_the_sections_stay_as_they_were_left(page: Page, served: str, store: Store) -> None:
    rows = task(700, time.time_ns() - 60 * S)
    rows[0].input = "start " + "x" * 30_000 + " the end"
    store.add_observations(rows)
    page.goto(f"{served}/traces/{trace_id(700)}")
    section = page.locator("[data-sect=input]")
    expect(section).not_to_contain_text("the end")
    section.get_by_role("button", name="Show all").click()
    expect(section).to_contain_text("the end")
    page.locator("[data-sect=output] > summary").click()
    expect(page.locator("[data-sect=output]")).not_to_have_attribute("open", "")
    page.keyboard.press("j")
    expect(page.locator("#details h2")).to_contain_text("agent_selection")
    expect(page.locator("[data-sect=output]")).not_to_have_attribute("open", "")
    expect(page.locator("[data-sect=input]")).to_have_attribute("open", "")


def test_tree_roles_for_screen_readers(page: Page, served: str) -> None:
    page.goto(f"{served}/traces/{trace_id(1)}")
    tree = page.get_by_role("treegrid", name="Observations")
    expect(tree).to_be_visible()
    selected = tree.get_by_role("row", selected=True)
    expect(selected).to_have_count(1)
    assert tree.get_by_role("row", expanded=True).count() == 2
    assert page.locator("#tree tr[tabindex='0']").count() == 1
