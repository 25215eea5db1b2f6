"""The pages in a real Chromium.

Every test also asserts, in the fixture, a silent console and no request to another host.
"""

from __future__ import annotations

import re
import time

import pytest
from conftest import Watch
from parts import wait_for
from playwright.sync_api import BrowserContext, Page, expect
from ui_seed import S, deep, span_id, task, trace_id

from otel_agents.local.store import Store

pytestmark = pytest.mark.browser

ROWS = "[data-rows] tr.row"


def names(page: Page) -> list[str]:
    return page.locator(f"{ROWS} td.name").all_inner_texts()


def cells(page: Page, column: str) -> list[str]:
    return page.locator(f"{ROWS} td{column}").all_inner_texts()


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.id || document.activeElement.tagName"))


# --- filters and groups ---------------------------------------------------------------------------


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


# --- keyboard -------------------------------------------------------------------------------------


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


# --- trace page -----------------------------------------------------------------------------------


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


# --- live -----------------------------------------------------------------------------------------


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


# --- looks ----------------------------------------------------------------------------------------


def background(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_dark_follows_the_system_and_the_switch_wins(
    context: BrowserContext, page: Page, served: str
) -> None:
    page.goto(f"{served}/traces")
    assert background(page) == "rgb(255, 255, 255)"
    page.emulate_media(color_scheme="dark")
    assert background(page) == "rgb(13, 16, 20)"
    page.get_by_role("button", name="Use light colours").click()
    assert background(page) == "rgb(255, 255, 255)"
    page.goto(f"{served}/sessions")  # remembered, and there before the first paint
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    assert background(page) == "rgb(255, 255, 255)"
    page.keyboard.press("t")
    assert background(page) == "rgb(13, 16, 20)"


PATHS = [
    "/traces?agent=claude",
    "/traces?group=task_type&open=docs",
    f"/traces/{trace_id(4)}",
    f"/traces/{trace_id(100)}",
    "/sessions",
    "/sessions/chat-2",
    "/findings",
]


@pytest.mark.parametrize("path", PATHS)
def test_no_page_scrolls_sideways(page: Page, served: str, path: str) -> None:
    page.goto(served + path)
    for width in (340, 460, 720, 721, 980, 1081, 1440, 1920):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, width


CONTRAST = """() => {
  const channel = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (color) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const behind = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
    if (c[3] === 255) return c; } return rgb(getComputedStyle(document.body).backgroundColor); };
  const poor = new Set();
  for (const e of document.querySelectorAll("main *, header *, footer *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.checkVisibility() || e.closest(".vh, svg, option")) continue;
    const a = light(rgb(getComputedStyle(e).color)), b = light(behind(e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const words = e.textContent.trim().slice(0, 30);
    if (ratio < 4.5) poor.add(`${e.tagName}.${e.className} ${ratio.toFixed(2)} ${words}`);
  }
  return [...poor];
}"""


@pytest.mark.parametrize("path", PATHS)
def test_text_is_readable(page: Page, served: str, path: str) -> None:
    """WCAG 2.2 AA: 4.5 to 1, in both themes."""
    page.goto(served + path)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert page.evaluate(CONTRAST) == [], scheme


def test_reduced_motion_is_respected(page: Page, served: str) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.goto(f"{served}/traces")
    assert page.evaluate("getComputedStyle(document.querySelector('.live .dot')).animationName") == "none"


def test_every_page_works_without_script(context: BrowserContext, served: str) -> None:
    page = context.browser.new_context(java_script_enabled=False).new_page() if context.browser else None
    assert page is not None
    page.goto(f"{served}/traces?group=agent")
    page.locator("#o-1").click()
    expect(page.locator("tr.inner tr.row")).to_have_count(10)
    page.goto(f"{served}/traces")
    page.select_option("#f-agent", "gemini")
    page.locator("#apply").click()
    expect(page).to_have_url(re.compile(r"agent=gemini"))
    page.locator(f"{ROWS} td.name a").nth(1).click()
    page.locator("#tree td.name a", has_text="read_file").click()
    expect(page.locator("#details h2")).to_contain_text("read_file")
    page.context.close()
