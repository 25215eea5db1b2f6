"""The pages of the dashboards over a real Prometheus: every number is what the ledger adds up to."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from backfill import Prometheus, prometheus
from expected import EXPECTED, Values, View
from grafana_queries import BOARDS, filled, panels
from parts import free_port
from starlette.testclient import TestClient
from ui_html import Element, parse
from workload import END, MINUTE, ODD_AGENT, Ledger, simulate, write_openmetrics

from otel_agents.dashboards.units import written
from otel_agents.local.ui.dashboards.alone import app

pytestmark = pytest.mark.prometheus

ZERO = 1_790_000_000.0
NOW = ZERO + END + 7
SPAN = END + 7
TIMES = f"from={ZERO:.0f}&to={NOW:.0f}"
LANGFUSE = "https://langfuse.example.com/project/p1"


@dataclass(slots=True)
class World:
    server: Prometheus
    ledger: Ledger
    client: TestClient
    pages: dict[str, Element] = field(default_factory=dict)

    def page(self, board: str, query: str = TIMES) -> Element:
        address = f"/dashboards/{board}?{query}"
        if address not in self.pages:
            answer = self.client.get(address)
            assert answer.status_code == 200
            self.pages[address] = parse(answer.text)
        return self.pages[address]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("prometheus")
    ledger, samples = simulate()
    write_openmetrics(samples, ZERO, folder / "samples.txt")
    with prometheus(folder, folder / "samples.txt") as server:
        yield World(server, ledger, client(server.url))


def client(address: str) -> TestClient:
    return TestClient(app(address, LANGFUSE), base_url="http://127.0.0.1:8000")


def of_kind(*kinds: str) -> list[Any]:
    return [
        pytest.param(board, panel, id=f"{board}-{panel['title']}")
        for board in BOARDS
        for panel in panels(board)
        if panel["type"] in kinds
    ]


def section(page: Element, panel: dict[str, Any]) -> Element:
    found = page.one("section", id=f"p-{panel['id']}")
    assert found.one("h3").text == panel["title"]
    return found


def wanted(world: World, board: str, panel: dict[str, Any], letter: str) -> Values:
    found = EXPECTED[board][panel["title"], letter](View(world.ledger, SPAN, SPAN, MINUTE, {}))
    return {key: value for key, value in found.items() if not math.isnan(value)}


def value_of(element: Element) -> float:
    return float(element.attributes["data-value"])


@pytest.mark.parametrize(("board", "panel"), of_kind("stat"))
def test_figures(world: World, board: str, panel: dict[str, Any]) -> None:
    (value,) = wanted(world, board, panel, "A").values()
    shown = section(world.page(board), panel).one("p", class_="figure")
    assert value_of(shown) == pytest.approx(value, rel=1e-6)
    defaults = panel["fieldConfig"]["defaults"]
    assert shown.text == written(value, defaults["unit"], defaults.get("decimals"))
    reached = [
        one["color"] for one in defaults["thresholds"]["steps"] if value >= (one["value"] or -math.inf)
    ]
    assert f"is-{reached[-1]}" in shown.attributes["class"]


@pytest.mark.parametrize(("board", "panel"), of_kind("bargauge"))
def test_bars(world: World, board: str, panel: dict[str, Any]) -> None:
    expected = sorted(wanted(world, board, panel, "A").values(), reverse=True)
    lines = section(world.page(board), panel).all("li")
    assert [value_of(line.one("b")) for line in lines] == pytest.approx(expected, rel=1e-6)
    widths = [float(line.one("rect", class_="bar").attributes["width"].rstrip("%")) for line in lines]
    assert widths == pytest.approx([value / expected[0] * 100 for value in expected], abs=0.01)


@pytest.mark.parametrize(("board", "panel"), of_kind("table"))
def test_tables(world: World, board: str, panel: dict[str, Any]) -> None:
    """Each column is one query; a row has all that is known of its labels."""
    options = next(one["options"] for one in panel["transformations"] if one["id"] == "organize")
    names = options["renameByName"]
    table = section(world.page(board), panel).one("table")
    headings = [cell.text for cell in table.all("th")]
    assert headings == sorted(
        names.values(),
        key=lambda title: next(options["indexByName"][key] for key in names if names[key] == title),
    )
    labels = {names[key]: key for key in names if not key.startswith("Value")}
    shown: dict[str, Values] = {title: {} for title in headings if title not in labels}
    for row in table.one("tbody").all("tr"):
        cells = dict(zip(headings, row.all("td"), strict=True))
        key = frozenset(
            (label, cells[title].text) for title, label in labels.items() if cells[title].text != "none"
        )
        for title in shown:
            if "data-value" in cells[title].attributes:
                shown[title][key] = value_of(cells[title])
    for target in panel["targets"]:
        letter = target["refId"]
        title = names["Value" if len(panel["targets"]) == 1 else f"Value #{letter}"]
        expected = wanted(world, board, panel, letter)
        kept = {key: value for key, value in shown[title].items() if value or key in expected}
        assert kept == pytest.approx(expected, rel=1e-6), title


@pytest.mark.parametrize(("board", "panel"), of_kind("timeseries"))
def test_graphs(world: World, board: str, panel: dict[str, Any]) -> None:
    """Every value of every series at every step, as Prometheus says it when it is asked directly."""
    page = section(world.page(board), panel)
    step = {"1m": 60, "5m": 300}[panel["interval"]]
    given = {"__range": f"{SPAN:.0f}s", "__interval": f"{step}s", "__rate_interval": f"{max(step + 15, 60)}s"}
    start, end = ZERO // step * step, NOW // step * step
    series: list[list[str]] = []
    for target in panel["targets"]:
        lines: dict[Any, dict[float, float]] = {}
        for at, values in world.server.over_time(filled(target["expr"], given, {}), start, end, step).items():
            for labels, value in values.items():
                if math.isfinite(value):
                    lines.setdefault(labels, {})[at] = value
        unit = panel["fieldConfig"]["defaults"]["unit"]
        # Without the last digits, in which the differences of floats differ.
        series += [
            [written(float(f"{line[at]:.12g}"), unit) for at in sorted(line)] for line in lines.values()
        ]
    drawn = json.loads(page.one("div", class_="chart").attributes["data-chart"])
    assert sorted([text for text in one if text] for one in drawn["s"]) == sorted(series)
    assert len(page.all("g")) == len(page.one("ul", class_="legend").all("button")) == len(series)
    assert all(one.all("path")[-1].attributes["d"].startswith("M") for one in page.all("g"))


def test_bars_stand_where_they_were_counted(world: World) -> None:
    """The heights of stacked bars add up to what was counted in the step."""
    panel = next(one for one in panels("agents") if one["title"] == "Runs by agent")
    page = section(world.page("agents"), panel)
    drawn = json.loads(page.one("div", class_="chart").attributes["data-chart"])
    runs = [sum(int(one[at] or 0) for one in drawn["s"]) for at in range(len(drawn["t"]))]
    tops: list[float] = []
    for group in page.all("g"):
        for bar in group.one("path").attributes["d"].split("M")[1:]:
            tops.append(float(bar.partition("V")[2].partition("H")[0]))
    marks = [float(tick.text) for tick in page.one("svg", class_="y").all("text")]
    assert 100 - min(tops) == pytest.approx(max(runs) / max(marks) * 100, abs=0.1)


@pytest.mark.parametrize("agent", ["claude", ODD_AGENT])
def test_a_variable_narrows(world: World, agent: str) -> None:
    """Also an agent whose name is a regular expression."""
    from urllib.parse import quote

    page = world.page("overview", f"{TIMES}&agent={quote(agent)}")
    view = View(world.ledger, SPAN, SPAN, MINUTE, {"gen_ai_agent_name": agent})
    for title in ("Tasks", "Cost", "Success rate"):
        panel = next(one for one in panels("overview") if one["title"] == title)
        (value,) = EXPECTED["overview"][title, "A"](view).values()
        assert value_of(section(page, panel).one("p", class_="figure")) == pytest.approx(value, rel=1e-6)
    assert page.one("summary", id="s-agent").text == agent


def test_two_values_of_a_variable_are_either(world: World) -> None:
    page = world.page("overview", f"{TIMES}&agent=claude&agent=gemini")
    panel = next(one for one in panels("overview") if one["title"] == "Tasks")
    both = 0.0
    for agent in ("claude", "gemini"):
        view = View(world.ledger, SPAN, SPAN, MINUTE, {"gen_ai_agent_name": agent})
        both += sum(EXPECTED["overview"]["Tasks", "A"](view).values())
    assert value_of(section(page, panel).one("p", class_="figure")) == both
    assert page.one("summary", id="s-agent").text == "claude +1"


def test_variables_offer_what_there_is(world: World) -> None:
    page = world.page("overview")
    offered = {
        name: [one.attributes["value"] for one in page.one("div", id=f"o-{name}").all("input")]
        for name in ("environment", "service", "agent", "model", "task_type")
    }
    assert offered == {
        "environment": ["production", "staging"],
        "service": ["orchestrator", "reviewer"],
        "agent": [ODD_AGENT, "claude", "gemini"],
        "model": ["claude-haiku", "gpt-4o-mini", "gpt-5-codex"],  # the last one is only told of
        "task_type": ["docs", "security"],
    }
    narrowed = world.page("overview", f"{TIMES}&environment=staging")
    services = narrowed.one("div", id="o-service").all("input")
    assert [one.attributes["value"] for one in services] == ["reviewer"]


@pytest.mark.parametrize("hostile", ['"} or vector(7) or x{a="', "\\", "a\nb", "${__range}", "$agent", ".*"])
def test_a_chosen_value_stays_a_value(world: World, hostile: str) -> None:
    """What somebody puts into the address is compared with labels; it does not become a query."""
    from urllib.parse import quote

    page = world.page("overview", f"{TIMES}&agent={quote(hostile)}")
    panel = next(one for one in panels("overview") if one["title"] == "Tasks")
    assert section(page, panel).one("p").text == "no data"


@pytest.mark.parametrize("board", BOARDS)
def test_an_empty_prometheus_shows_no_data(tmp_path: Path, board: str) -> None:
    with prometheus(tmp_path) as server:
        page = parse(client(server.url).get(f"/dashboards/{board}").text)
    for panel in panels(board):
        shown = section(page, panel)
        zero = panel["type"] == "stat" and "or vector(0)" in panel["targets"][0]["expr"]
        assert [one.text for one in shown.all("p")] == ["0" if zero else "no data"]
        assert not shown.all("table")


def test_without_prometheus_there_is_one_line() -> None:
    address = f"http://user:secret@127.0.0.1:{free_port()}"
    answer = client(address).get("/dashboards/overview")
    assert answer.status_code == 200
    page = parse(answer.text)
    problem = page.one("div", id="missing")
    assert "does not answer (connection refused)" in problem.text
    assert "otel-agents up" in problem.text
    assert "secret" not in answer.text
    assert not page.all("section")


def test_what_is_no_prometheus_is_told(world: World) -> None:
    """Another server on that port: its pages are no numbers."""
    page = parse(client(f"{world.server.url}/graph").get("/dashboards/overview").text)
    assert "does not answer as Prometheus does" in page.one("div", id="missing").text
