"""How the pages look and read in a real Chromium.

Every test also asserts, in the fixture, a silent console and no request to another host.
"""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from ui_seed import trace_id

pytestmark = pytest.mark.browser

ROWS = "[data-rows] tr.row"


def names(page: Page) -> list[str]:
    return page.locator(f"{ROWS} td.name").all_inner_texts()


def cells(page: Page, column: str) -> list[str]:
    return page.locator(f"{ROWS} td{column}").all_inner_texts()


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.id || document.activeElement.tagName"))


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
