"""The HTML report in a real Chromium: dark and light, wide and narrow, alone on its own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import report_history as history
from parts import require
from playwright.sync_api import Browser, Page, sync_playwright
from report_rig import reader_of

from otel_agents.accounting.plans import Plan, Plans
from otel_agents.local.server import Running
from otel_agents.reports.as_html import to_html
from otel_agents.reports.report import build

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = require("chromium")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=str(chromium), args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def page_file(month: Running, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with reader_of(month) as reader:
        rollup = reader.roll_up(since=history.SINCE, until=history.UNTIL)
    made = build(
        rollup,
        since=history.SINCE,
        until=history.UNTIL,
        by="model",  # the longest names
        plans=Plans((Plan("copilot", 10.0, agents=("copilot",)),)),
        source="http://127.0.0.1:3000",
        generated=datetime(2026, 5, 1, tzinfo=UTC),
    )
    path = tmp_path_factory.mktemp("html") / "report.html"
    path.write_text(to_html(made), encoding="utf-8")
    return path


def opened(browser: Browser, path: Path, width: int, scheme: str) -> tuple[Page, list[str]]:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    seen: list[str] = []
    page.on("console", lambda message: seen.append(message.text))
    page.on("pageerror", lambda error: seen.append(str(error)))
    page.on("request", lambda request: seen.append(request.url) if "report.html" not in request.url else None)
    page.goto(path.as_uri())
    return page, seen


@pytest.mark.parametrize("width", [360, 768, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off_or_loaded(browser: Browser, page_file: Path, width: int, scheme: str) -> None:
    page, seen = opened(browser, page_file, width, scheme)
    assert seen == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    charts = page.locator("svg")
    assert charts.count() == 6
    for index in range(6):
        box = charts.nth(index).bounding_box()
        assert box is not None
        assert box["width"] > 250
    # Labels of rows end before their bars begin.
    overlaps = page.evaluate(
        """() => [...document.querySelectorAll('svg g')].filter(g => {
            const label = g.querySelector('.label'), bar = g.querySelector('.bar');
            return label && bar && label.getBoundingClientRect().right > bar.getBoundingClientRect().left;
        }).length"""
    )
    assert overlaps == 0
    page.close()


def test_text_can_be_told_from_its_background(browser: Browser, page_file: Path) -> None:
    for scheme in ("light", "dark"):
        page, _ = opened(browser, page_file, 1280, scheme)
        contrast = page.evaluate(
            """() => {
                const light = text => {
                    const parts = text.match(/[0-9.]+/g).slice(0, 3).map(Number).map(v => v / 255)
                        .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
                    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
                };
                const back = light(getComputedStyle(document.querySelector('.card')).backgroundColor);
                const texts = '.card b, .card small, li, th, td, svg .axis, svg .label';
                return [...document.querySelectorAll(texts)].map(e => {
                    const style = getComputedStyle(e);
                    const front = light(e.closest('svg') ? style.fill : style.color);
                    return (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
                }).reduce((least, one) => Math.min(least, one));
            }"""
        )
        assert contrast >= 4.5, scheme  # WCAG 2, level AA
        page.close()


def test_every_mark_has_its_numbers(browser: Browser, page_file: Path) -> None:
    page, _ = opened(browser, page_file, 1280, "light")
    titles = page.locator("svg title").all_text_contents()
    assert "01 Apr: $0.0560" in titles
    assert "gemini-2.5-flash: 450 succeeded, 0 failed" in titles
    quality = "claude-sonnet-4-5: 0.920 of 150 scored tasks, 95 % between"
    assert any(title.startswith(quality) for title in titles)
    page.close()
