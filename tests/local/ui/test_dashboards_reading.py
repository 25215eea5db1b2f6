"""Addresses, filling in, units, ticks; the commands; a server that answers this machine only."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from grafana_queries import BOARDS, FOLDER, ROOT
from starlette.datastructures import QueryParams
from starlette.testclient import TestClient
from ui_html import parse

from otel_agents.dashboards import boards, filling, looks
from otel_agents.dashboards.boards import BoardError
from otel_agents.dashboards.prometheus import Prometheus
from otel_agents.dashboards.units import written
from otel_agents.local.ui.dashboards import chart, reading
from otel_agents.local.ui.dashboards.alone import app
from otel_agents.local.ui.guard import CONTENT_SECURITY_POLICY

NOW = 1_790_000_000.0
NOBODY = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "text"),
    [
        (0.8333, "percentunit", 1, "83.3%"),
        (0.05, "percentunit", None, "5%"),
        (1234.0, "short", None, "1.23 K"),
        (999_950.0, "short", 1, "1.0 Mil"),
        (-2.5, "short", None, "-2.50"),
        (0.0123, "currencyUSD", 4, "$0.0123"),
        (-0.5, "currencyUSD", None, "-$0.500"),
        (1_500_000.0, "currencyUSD", None, "$1.50M"),
        (0.00042, "s", None, "420 µs"),
        (75.0, "s", None, "1.25 mins"),
        (7200.0, "s", None, "2 hours"),
        (1536.0, "bytes", None, "1.50 KiB"),
        (2.1e9, "bytes", None, "1.96 GiB"),
        (0.63, "none", 2, "0.63"),
        (-0.0001, "none", 2, "0.00"),
        (0.0, "s", None, "0 s"),
    ],
)
def test_numbers_are_written_as_grafana_writes_them(
    value: float, unit: str, decimals: int | None, text: str
) -> None:
    assert written(value, unit, decimals) == text


@pytest.mark.parametrize(
    ("span", "points", "shortest", "between"),
    [
        (86_400, 360, 60, 300),  # exactly 240 s
        (3600, 360, 60, 60),
        (604_800, 360, 60, 1800),
        (2_592_000, 360, 300, 7200),
        (1200, 360, 300, 300),
    ],
)
def test_steps_are_grafanas(span: float, points: int, shortest: float, between: float) -> None:
    assert filling.step(span, points, shortest) == between


def test_filling_in() -> None:
    given = filling.own(3600, 60)
    assert given["__range"] == "3600s"
    assert given["__rate_interval"] == "75s"
    assert filling.own(900, 15)["__rate_interval"] == "60s"
    chosen = {"agent": filling.matching(["c++ (fast)|.*"], ".*"), "model": filling.matching([], ".*")}
    query = 'x{a=~"$agent", m=~"${model}"}[$__range] $unknown'
    assert (
        filling.fill(query, given, chosen) == r'x{a=~"c\\+\\+ \\(fast\\)\\|\\.\\*", m=~".*"}[3600s] $unknown'
    )
    assert filling.matching(["a", "b.c"], ".*") == r"(a|b\\.c)"


@pytest.mark.parametrize("board", BOARDS)
def test_every_committed_dashboard_can_be_shown(board: str) -> None:
    assert boards.load(board).panels


def test_what_cannot_be_shown_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = json.loads((FOLDER / "overview.json").read_text())
    made["panels"][1]["type"] = "heatmap"
    (tmp_path / "dashboards").mkdir()
    (tmp_path / "dashboards" / "strange.json").write_text(json.dumps(made))
    monkeypatch.setattr(boards, "folder", lambda: tmp_path)
    with pytest.raises(BoardError, match="the panel 'Tasks' is a heatmap, which cannot be shown"):
        boards.load("strange")
    with pytest.raises(BoardError, match="there is no dashboard 'overview'; there are strange"):
        boards.load.__wrapped__("overview")


def read(address: str) -> reading.Reading:
    return reading.read(QueryParams(address), boards.load("overview"), NOW)


def test_an_address_says_what_is_shown() -> None:
    found = read("range=6h&agent=a&agent=b&refresh=15&langfuse=https%3A%2F%2Fl.example%2Fproject%2Fx%2F")
    assert (found.asked.start, found.asked.end, found.range, found.every) == (NOW - 21_600, NOW, "6h", 15)
    assert found.chosen("agent") == ("a", "b")
    assert found.chosen("model") == ()
    assert found.langfuse == "https://l.example/project/x"
    assert read("").range == "24h"
    assert found.url(agent=None, range="1h").endswith(
        "?refresh=15&langfuse=https%3A%2F%2Fl.example%2Fproject%2Fx%2F&range=1h"
    )


@pytest.mark.parametrize(
    "address",
    ["range=soon", "from=x&to=y", "from=nan", "range=1h&refresh=-1", "from=9e99", "from=5&to=3", "to=1e999"],
)
def test_an_address_that_says_nothing_usable_shows_the_usual(address: str) -> None:
    found = read(address)
    assert found.asked.start < found.asked.end <= NOW
    assert found.every in (0, 60)


def test_a_long_time_is_asked_for_less_often() -> None:
    def every(query: str) -> float:
        return reading.read(QueryParams(query), boards.load("overview"), 1e9).every

    assert (every(""), every("range=7d"), every("from=1000&to=200000")) == (60, 300, 300)
    assert every("range=7d&refresh=15") == 15


def test_a_page_is_there_after_half_a_minute_whatever_prometheus_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every panel may take as long as the page; all together may not take longer."""
    monkeypatch.setattr(looks, "PATIENCE", 1.0)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(100)
        server = Prometheus(f"http://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        shown = looks.look(boards.load("models"), looks.Asked(0, 3600), server)
        assert time.monotonic() - began < 20  # one after another it were 8 at a time, half a minute each
    panels = [one for one in shown if one.panel.kind != "row"]
    assert len(panels) > 15
    assert {one.problem for one in panels} == {"no answer in 30 s; choose a shorter time range"}


def test_points_are_no_more_than_the_dashboard_says() -> None:
    graphs = [one for name in BOARDS for one in boards.load(name).panels if one.kind == "timeseries"]
    assert {one.most for one in graphs} == {240}


@pytest.mark.parametrize("address", ["javascript:alert(1)", "data:text/html,x", "//x", "ftp://x", "http://"])
def test_links_lead_to_pages_only(address: str) -> None:
    from urllib.parse import quote

    assert read(f"langfuse={quote(address)}").langfuse is None


def test_ticks_are_round() -> None:
    assert chart.ticks(0, 0.93) == [0, 0.25, 0.5, 0.75, 1]
    assert chart.ticks(0, 93, "s") == [0, 30, 60, 90, 120]
    assert chart.ticks(0, 3e9, "bytes") == [0, 2**30, 2**31, 3 * 2**30]
    assert len(chart.time_ticks(NOW, NOW + 86_400)) in range(4, 9)


def test_a_point_without_a_neighbour_is_drawn_to_be_seen() -> None:
    spots = [(0.0, 0.0, 1.0), (10.0, 0.0, 2.0), (60.0, 0.0, 3.0)]
    line, _, dots = chart._line_paths(spots, 10.0, lambda at: at, lambda value: value)
    assert (line, dots) == ("M0.0 1.0 10.0 2.0", "M60.0 3.0h0")


def test_only_pages_and_only_for_this_machine() -> None:
    client = TestClient(app(NOBODY, ""), base_url="http://127.0.0.1:8000")
    answer = client.get("/dashboards/models")
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert client.get("/dashboards/models", headers={"host": "evil.example"}).status_code == 421
    assert client.post("/dashboards/models").status_code == 405
    assert client.get("/dashboards/nothing").status_code == 404
    assert client.get("/", follow_redirects=False).headers["location"] == "/dashboards/overview"
    assert "style=" not in answer.text
    assert "Traces</a>" in parse(answer.text).one("header").text or not parse(answer.text).all(
        "a", href="/traces"
    )


@pytest.mark.parametrize("address", ["", "prometheus:9090", "http://", "ftp://x", "http://x:port"])
def test_an_address_of_prometheus_that_is_none(address: str) -> None:
    with pytest.raises(BoardError, match="cannot be used; give one such as"):
        Prometheus(address)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "otel_agents.cli", "dashboards", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_list_names_them() -> None:
    lines = command("list").stdout.splitlines()
    named = [line.split()[0] for line in lines]
    assert named[:2] == ["overview", "models"]
    assert sorted(named) == BOARDS


def test_export_gives_a_grafana_all_that_it_needs(tmp_path: Path) -> None:
    done = command("export", str(tmp_path / "new"))
    assert done.returncode == 0, done.stderr
    for board in BOARDS:
        assert (tmp_path / "new/dashboards" / f"{board}.json").read_bytes() == (
            FOLDER / f"{board}.json"
        ).read_bytes()
    source = yaml.safe_load((tmp_path / "new/provisioning/datasources/prometheus.yaml").read_text())
    assert source["datasources"][0]["uid"] == "prometheus"
    assert (tmp_path / "new/rules/alerts.yaml").read_bytes() == (
        ROOT / "grafana/rules/alerts.yaml"
    ).read_bytes()
    (tmp_path / "file").write_text("")
    refused = command("export", str(tmp_path / "file" / "x"))
    assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)
    assert "cannot be written" in refused.stderr


def test_exported_links_lead_to_the_langfuse_that_is_named(tmp_path: Path) -> None:
    """A dashboard of a shared Grafana cannot be changed there, and this machine is nobody's Langfuse."""
    done = command("export", str(tmp_path), "--langfuse", "https://langfuse.example.com/project/p1/")
    assert done.returncode == 0, done.stderr
    for board in BOARDS:
        made = json.loads((tmp_path / "dashboards" / f"{board}.json").read_text())
        boxes = {one["name"]: one["query"] for one in made["templating"]["list"] if one["type"] == "textbox"}
        assert boxes == {"langfuse": "https://langfuse.example.com/project/p1"}
        asked = json.loads((FOLDER / f"{board}.json").read_text())
        assert made["panels"] == asked["panels"]
    done = command("export", str(tmp_path), "--runbooks", "https://wiki.example.com/runbooks")
    assert done.returncode == 0, done.stderr
    links = [
        rule["annotations"]["runbook_url"]
        for path in (tmp_path / "rules").glob("*.yaml")
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
        if "alert" in rule
    ]
    assert "https://wiki.example.com/runbooks#collectordown" in links
    assert all(link.startswith("https://wiki.example.com/runbooks#") for link in links)
    refused = command("export", str(tmp_path), "--langfuse", "nonsense")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)


def test_preview_says_in_a_line_what_is_wrong() -> None:
    for arguments, words in (
        (("--prometheus", "nonsense"), "Prometheus' address cannot be used"),
        (("--langfuse", "nonsense"), "is no address; give --langfuse"),
    ):
        done = command("preview", *arguments)
        assert done.returncode in (1, 2)
        assert len(done.stderr.splitlines()) == 1
        assert words in done.stderr
