"""The live refresh in a real Chromium.

Every test also asserts, in the fixture, a silent console and no request to another host.
"""

from __future__ import annotations

import time

import pytest
from parts import wait_for
from playwright.sync_api import Page, expect
from ui_rig import Watch
from ui_seed import S, deep, task, trace_id

from otel_agents.local.store import Store

pytestmark = pytest.mark.browser

ROWS = "[data-rows] tr.row"


def names(page: Page) -> list[str]:
    return page.locator(f"{ROWS} td.name").all_inner_texts()


def cells(page: Page, column: str) -> list[str]:
    return page.locator(f"{ROWS} td{column}").all_inner_texts()


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.id || document.activeElement.tagName"))


def test_a_new_trace_appears_without_losing_place_or_focus(page: Page, served: str, store: Store) -> None:
    page.goto(f"{served}/traces")
    page.keyboard.press("End")
    for _ in range(30):
        page.keyboard.press("j")
    row = focused(page)
    before = page.locator(f"#{row}").bounding_box()
    assert before is not None
    assert page.evaluate("scrollY") > 0
    store.add_observations(task(800, time.time_ns(), name="just arrived"))
    fresh = page.locator("tr.fresh")
    expect(fresh).to_have_count(1)
    expect(fresh.locator("td.name")).to_have_text("just arrived")
    expect(page.locator(".strip dd").first).to_have_text("47")
    expect(page.locator("#say")).to_have_text("1 new row")
    assert focused(page) == row
    after = page.locator(f"#{row}").bounding_box()
    assert after is not None
    assert abs(after["y"] - before["y"]) < 2


def test_live_can_be_paused_and_remembers_it(page: Page, served: str, store: Store, watch: Watch) -> None:
    def asked_in_a_minute() -> list[str]:
        page.wait_for_load_state("networkidle")
        watch.requests.clear()
        page.clock.fast_forward(60_000)
        page.wait_for_load_state("networkidle")
        page.wait_for_timeout(300)
        return [url for url in watch.requests if url.endswith("/ui/changes")]

    page.clock.install()
    page.goto(f"{served}/traces")
    assert asked_in_a_minute()
    page.keyboard.press("l")
    expect(page.locator("#live")).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#live")).to_contain_text("Paused")
    store.add_observations(task(801, time.time_ns()))
    assert asked_in_a_minute() == []
    page.reload()
    expect(page.locator("#live")).to_contain_text("Paused")
    assert asked_in_a_minute() == []
    page.locator("#live").click()
    store.add_observations(task(802, time.time_ns()))
    expect(page.locator("tr.fresh")).to_have_count(1)


def test_a_running_trace_grows_while_it_is_looked_at(page: Page, served: str, store: Store) -> None:
    rows = deep(900, time.time_ns() - 300 * S)
    root, agent, rest = rows[0], rows[3], rows[4:]
    store.add_observations(rest[:10])
    page.goto(f"{served}/traces/{trace_id(900)}")
    tree = page.locator("#tree tbody tr")
    expect(tree.first).to_contain_text("unattached: parent not recorded yet")
    expect(tree).to_have_count(11)
    page.locator(f"#tree tr[data-id='{rest[1].id}']").click()
    expect(page.locator("#details")).to_have_attribute("data-id", rest[1].id)
    store.add_observations([*rest[10:], agent, root, *rows[1:3]])
    expect(tree).to_have_count(len(rows))
    expect(page.locator("#tree tr[aria-selected=true]")).to_have_attribute("data-id", rest[1].id)
    expect(page.locator("#details")).to_have_attribute("data-id", rest[1].id)
    expect(page.locator("h1")).to_have_text("nightly refactoring")


def test_a_filtered_page_only_takes_in_what_matches(page: Page, served: str, store: Store) -> None:
    page.goto(f"{served}/traces?agent=claude&min_cost=1")
    expect(page.locator(".empty h2")).to_have_text("No trace matches")
    store.add_observations(task(810, time.time_ns(), agent="gemini", cost=2))
    store.add_observations(task(811, time.time_ns(), agent="claude", cost=2, name="dear one"))
    expect(page.locator(f"{ROWS} td.name")).to_have_text(["dear one"])


def test_a_lost_server_is_shown_and_found_again(page: Page, served: str, watch: Watch) -> None:
    page.goto(f"{served}/traces")
    page.route("**/ui/changes", lambda route: route.abort())
    expect(page.locator("#live")).to_have_attribute("data-state", "lost")
    page.unroute("**/ui/changes")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    wait_for(lambda: watch.problems, "the browser's own message about the failed request")
    assert all("ERR_FAILED" in problem for problem in watch.problems)
    watch.problems.clear()
