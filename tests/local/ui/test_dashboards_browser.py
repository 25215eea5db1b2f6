"""The dashboards in a real Chromium, over a Prometheus that has been scraping exemplars.

Every test also asserts a silent console (so: nothing against the content security policy) and no request
to another host.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from backfill import Prometheus, prometheus
from grafana_queries import BOARDS
from parts import free_port, wait_for
from playwright.sync_api import BrowserContext, Page, expect
from test_ui_browser_looks import CONTRAST
from ui_rig import Watch

from otel_agents.local.options import LocalOptions
from otel_agents.local.server import running
from otel_agents.local.ui.dashboards.alone import app

pytestmark = [pytest.mark.browser, pytest.mark.prometheus]

TRACE = "5b8efff798038103d269b633813fc60c"
#: What an app serves: two agents, one of them named to break what does not escape, and an exemplar.
METRICS = """\
# TYPE otel_agents_task_count counter
otel_agents_task_count_total{job="app",gen_ai_agent_name="claude",status="success"} 7
otel_agents_task_count_total{job="app",gen_ai_agent_name="<b>c++|.*\\"",status="error"} 3
# TYPE otel_agents_cost counter
otel_agents_cost_total{job="app",gen_ai_agent_name="claude"} 1.5 # {trace_id="%(trace)s"} 0.5 %(now).3f
# TYPE gen_ai_client_inference_duration_seconds histogram
gen_ai_client_inference_duration_seconds_bucket{job="app",gen_ai_request_model="m",le="+Inf"} 4
gen_ai_client_inference_duration_seconds_count{job="app",gen_ai_request_model="m"} 4
gen_ai_client_inference_duration_seconds_sum{job="app",gen_ai_request_model="m"} 8
# TYPE gen_ai_invoke_agent_duration_seconds histogram
gen_ai_invoke_agent_duration_seconds_bucket{job="app",gen_ai_agent_name="claude",le="+Inf"} 7
gen_ai_invoke_agent_duration_seconds_count{job="app",gen_ai_agent_name="claude"} 7
gen_ai_invoke_agent_duration_seconds_sum{job="app",gen_ai_agent_name="claude"} 70
gen_ai_invoke_agent_duration_seconds_bucket{job="app",gen_ai_agent_name="<b>c++|.*\\"",le="+Inf"} 3
gen_ai_invoke_agent_duration_seconds_count{job="app",gen_ai_agent_name="<b>c++|.*\\""} 3
gen_ai_invoke_agent_duration_seconds_sum{job="app",gen_ai_agent_name="<b>c++|.*\\""} 30
# EOF
"""
ODD = '<b>c++|.*"'


class Serving(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = (METRICS % {"trace": TRACE, "now": time.time()}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/openmetrics-text; version=1.0.0; charset=utf-8")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("scraped")
    pages = ThreadingHTTPServer(("127.0.0.1", 0), Serving)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    (folder / "prometheus.yml").write_text(
        json.dumps(
            {
                "scrape_configs": [
                    {
                        "job_name": "agents",
                        "honor_labels": True,
                        "scrape_interval": "1s",
                        "scrape_timeout": "1s",
                        "static_configs": [{"targets": [f"127.0.0.1:{pages.server_port}"]}],
                    }
                ]
            }
        )
    )
    with prometheus(folder, None, "--enable-feature=exemplar-storage") as server:
        wait_for(lambda: server.instant("otel_agents_cost_total", time.time()), "a scrape")
        yield server
    pages.shutdown()


@pytest.fixture(scope="module")
def address(scraped: Prometheus) -> Iterator[str]:
    """The preview's server."""
    port = free_port()
    config = uvicorn.Config(app(scraped.url, "http://127.0.0.1:9"), "127.0.0.1", port, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_for(lambda: server.started, "the preview")
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def shown(context: BrowserContext, address: str, watch: Watch) -> Iterator[Page]:
    page = context.new_page()
    watch.on(page)
    yield page
    assert watch.problems == []
    assert [url for url in watch.requests if not url.startswith((address, "data:"))] == []


def panel(page: Page, title: str) -> Any:
    return page.locator("section.panel").filter(has=page.get_by_role("heading", name=title, exact=True))


def test_a_value_is_chosen_and_everything_follows(shown: Page, address: str) -> None:
    shown.goto(f"{address}/dashboards/overview?range=15m")
    expect(panel(shown, "Tasks").locator(".figure")).to_have_text("10")
    shown.locator("#s-agent").click()
    shown.get_by_label(ODD, exact=True).check()
    expect(panel(shown, "Tasks").locator(".figure")).to_have_text("3")
    expect(shown.locator("#s-agent")).to_have_text(ODD)
    shown.get_by_label("claude", exact=True).check()  # still open
    expect(panel(shown, "Tasks").locator(".figure")).to_have_text("10")
    expect(shown).to_have_url(re.compile("agent=.*agent="))
    shown.go_back()
    expect(panel(shown, "Tasks").locator(".figure")).to_have_text("3")
    shown.locator("#a-agent").click()  # All
    expect(panel(shown, "Tasks").locator(".figure")).to_have_text("10")
    shown.keyboard.press("Escape")
    expect(shown.locator("#v-agent")).not_to_have_attribute("open", "")


def test_the_time_range_is_kept_from_board_to_board(shown: Page, address: str) -> None:
    shown.goto(f"{address}/dashboards/overview")
    expect(shown.locator("#r-24h")).to_have_attribute("aria-current", "true")
    shown.locator("#r-1h").click()
    expect(shown.locator("#r-1h")).to_have_attribute("aria-current", "true")
    shown.get_by_role("link", name="Models and cost").click()
    expect(shown.get_by_role("heading", level=1)).to_have_text("Models and cost")
    expect(shown.locator("#r-1h")).to_have_attribute("aria-current", "true")
    expect(panel(shown, "Requests").locator(".figure")).to_have_text("4")


def test_a_pointer_reads_a_moment(shown: Page, address: str) -> None:
    shown.goto(f"{address}/dashboards/overview?range=15m")
    wait_for(lambda: drawn(shown), "a point of the graph", timeout=90, every=1)
    plot = panel(shown, "Tasks per hour by agent").locator(".plot")
    box = plot.bounding_box()
    assert box is not None
    shown.mouse.move(box["x"] + box["width"] - 3, box["y"] + 50)
    tip = plot.locator(".tip")
    expect(tip).to_contain_text("claude7")
    expect(tip).to_contain_text(f"{ODD}3")  # as text
    panel(shown, "Tasks per hour by agent").get_by_role("button", name="claude").click()
    expect(panel(shown, "Tasks per hour by agent").locator("g.on")).to_have_count(1)
    shown.mouse.move(box["x"] + box["width"] - 9, box["y"] + 50)
    expect(tip).to_contain_text("claude7")
    expect(tip).not_to_contain_text("c++")
    shown.mouse.move(5, 5)
    expect(tip).to_be_hidden()


def drawn(page: Page, what: str = "g") -> bool:
    """Whether a step of the graphs has passed since the first scrape."""
    page.reload()
    return panel(page, "Cost per hour by agent").locator(what).count() > 0


def test_an_exemplar_leads_to_its_trace(shown: Page, address: str) -> None:
    shown.goto(f"{address}/dashboards/overview?range=15m")
    wait_for(lambda: drawn(shown, "a.exemplar"), "an exemplar", timeout=90, every=1)
    point = panel(shown, "Cost per hour by agent").locator("a.exemplar").last
    assert point.get_attribute("href") == f"http://127.0.0.1:9/traces/{TRACE}"
    expect(point).to_have_attribute("aria-label", re.compile(r"\$0\.500 at .*claude: open the trace"))


def test_it_refreshes_by_itself_until_paused(
    shown: Page, address: str, monkeypatch: pytest.MonkeyPatch, watch: Watch
) -> None:
    shown.goto(f"{address}/dashboards/overview?range=15m&refresh=5")
    monkeypatch.setitem(globals(), "METRICS", METRICS.replace('status="success"} 7', 'status="success"} 17'))
    expect(panel(shown, "Tasks").locator(".figure")).to_have_text("20", timeout=20_000)
    shown.keyboard.press("l")
    before = len(watch.requests)
    shown.wait_for_timeout(2500)  # longer than the script waits between two looks
    assert len(watch.requests) == before


@pytest.mark.parametrize("board", BOARDS)
def test_it_fits_every_width_and_is_readable(shown: Page, address: str, board: str) -> None:
    shown.goto(f"{address}/dashboards/{board}?range=15m")
    for width in (340, 460, 720, 721, 1080, 1440, 1920):
        shown.set_viewport_size({"width": width, "height": 800})
        assert shown.evaluate("document.documentElement.scrollWidth") <= width, width
    for scheme in ("light", "dark"):
        shown.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert shown.evaluate(CONTRAST) == [], scheme


def test_it_works_without_script(context: BrowserContext, address: str) -> None:
    assert context.browser is not None
    with context.browser.new_context(java_script_enabled=False) as plain:
        page = plain.new_page()
        page.goto(f"{address}/dashboards/overview?range=15m")
        expect(panel(page, "Tasks").locator(".figure")).to_have_text(re.compile("10|20"))
        page.locator("#s-agent").click()
        page.get_by_label(ODD, exact=True).check()
        page.locator("#apply").click()
        expect(panel(page, "Tasks").locator(".figure")).to_have_text("3")


def test_the_local_backend_has_them_and_links_to_its_own_traces(
    context: BrowserContext, scraped: Prometheus, tmp_path: Path, watch: Watch
) -> None:
    page = context.new_page()
    watch.on(page)
    with running(LocalOptions(db=tmp_path / "local.db", port=0, prometheus=scraped.url)) as backend:
        page.goto(f"{backend.url}/traces")
        page.get_by_role("link", name="Dashboards").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Agents overview")
        page.goto(f"{backend.url}/dashboards/overview?range=15m")
        wait_for(lambda: drawn(page, "a.exemplar"), "an exemplar", timeout=90, every=1)
        point = panel(page, "Cost per hour by agent").locator("a.exemplar").last
        expect(point).to_have_attribute("href", f"/traces/{TRACE}")
        page.keyboard.press("g")
        page.keyboard.press("t")
        expect(page).to_have_url(f"{backend.url}/traces")
    assert watch.problems == []


def test_prometheus_may_come_later(
    context: BrowserContext, tmp_path: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = context.new_page()
    watch.on(page)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with running(LocalOptions(db=tmp_path / "local.db", port=0, prometheus=url)) as backend:
        page.goto(f"{backend.url}/dashboards/pipeline?refresh=5")
        expect(page.locator("#missing")).to_contain_text("does not answer (connection refused)")
        monkeypatch.setattr("backfill.free_port", lambda: port)
        with prometheus(tmp_path):
            expect(page.locator("section.panel").first).to_be_visible(timeout=20_000)
            expect(page.locator("#missing")).to_have_count(0)
    assert watch.problems == []
