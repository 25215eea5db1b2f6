"""What a dashboard has to be so that people can use it: rules of Grafana's own linter, and ours."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest
from grafana_queries import BOARDS, ROOT, Target, load, panels, targets

from otel_agents.cli_agents import own_metrics
from otel_agents.export.prometheus_names import label_name, metric_name
from otel_agents.metrics import CATALOGUE

EVERYTHING = [target for board in BOARDS for target in targets(board)]
SCRAPE = {"job", "instance", "deployment_environment_name"}
#: Metrics of others, and the labels that panels use of them.
FOREIGN = {
    "up": set(),
    "system_cpu_utilization_ratio": {"state"},
    "system_memory_usage_bytes": {"state"},
    "process_cpu_utilization_ratio": set(),
    "process_memory_usage_bytes": set(),
    "process_cpu_time_seconds_total": {"type"},
    "container_memory_usage_bytes": set(),
    "http_server_request_duration_seconds": {"le"},
    "http_server_duration_milliseconds": {"le"},
    "http_client_request_duration_seconds": {"le"},
    "http_client_duration_milliseconds": {"le"},
    "otelcol_receiver_accepted_spans": set(),
    "otelcol_receiver_refused_spans": set(),
    "otelcol_exporter_sent_spans": {"exporter"},
    "otelcol_exporter_send_failed_spans": {"exporter"},
    "otelcol_exporter_enqueue_failed_spans": {"exporter"},
    "otelcol_exporter_queue_size": {"exporter"},
    "otelcol_exporter_queue_capacity": {"exporter"},
    "otelcol_process_memory_rss": set(),
    "otelcol_process_cpu_seconds": set(),
    "otel_agents_bridge_scores_stored_total": set(),
    "otel_agents_bridge_scores_sent_total": set(),
    "otel_agents_bridge_scores_dropped_total": {"reason"},
    "otel_agents_bridge_trace_requests_total": {"outcome"},
}
#: Labels that would make a series for everything that happens.
FORBIDDEN = re.compile(r"\b(trace_id|span_id|session_id|user_id|task_id|prompt)\b")


def known_labels() -> dict[str, set[str]]:
    """Every name that a query may use, histogram parts among them, and its labels."""
    known = dict(FOREIGN)
    for one in (*CATALOGUE, *own_metrics.DEFINITIONS):
        known[metric_name(one.name, one.unit, one.kind)] = {label_name(label) for label in one.labels}
    for name, labels in list(known.items()):
        for suffix in ("_bucket", "_sum", "_count"):
            known[name + suffix] = labels | ({"le"} if suffix == "_bucket" else set())
    return {name: labels | SCRAPE for name, labels in known.items()}


KNOWN = known_labels()


def selectors(expression: str) -> list[tuple[str, list[str]]]:
    """Metric names of an expression, with the labels that they are matched by."""
    found = []
    for match in re.finditer(r"\b([a-z][A-Za-z0-9_]*)(?=\{|\[|\)|$| [/>=<])(\{[^}]*\})?", expression):
        if match[1] in KNOWN or match[2]:
            found.append((match[1], re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"', match[2] or "")))
    return found


def test_regeneration_changes_nothing() -> None:
    command = [sys.executable, ROOT / "grafana" / "generate.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("target", EVERYTHING, ids=str)
def test_only_metrics_and_labels_that_are_emitted(target: Target) -> None:
    used = selectors(target.expression)
    assert used, target.expression
    for name, labels in used:
        assert name in KNOWN, f"nobody emits {name}"
        assert set(labels) <= KNOWN[name], f"{name} has no such label"
    everywhere = set().union(*(KNOWN[name] for name, _ in used))
    for group in re.findall(r"\b(?:by|without|ignoring|on)\s*\(([^)]*)\)", target.expression):
        assert {label.strip() for label in group.split(",") if label.strip()} <= everywhere
    assert not FORBIDDEN.search(target.expression)


def test_the_reading_of_selectors_sees_unknown_ones() -> None:
    assert selectors('sum(nobody_emits_total{agent="x"})') == [("nobody_emits_total", ["agent"])]
    assert selectors("sum(rate(up[5m]))") == [("up", [])]


@pytest.mark.parametrize("target", EVERYTHING, ids=str)
def test_counters_are_never_shown_as_they_are(target: Target) -> None:
    """A counter alone says when the process was started, not what happens now."""
    for name, _ in selectors(target.expression):
        if name.endswith(("_total", "_bucket", "_count", "_sum")):
            wrapped = rf"(last_over_time|rate|increase)\({name}(\{{[^}}]*\}})?\["
            assert len(re.findall(wrapped, target.expression)) == len(
                re.findall(rf"\b{name}\b", target.expression)
            ), target.expression
    if re.search(r"\b(rate|increase)\(", target.expression):
        assert "[$__rate_interval]" in target.expression


@pytest.mark.parametrize("board", BOARDS)
def test_variables(board: str) -> None:
    made = load(board)
    variables = {one["name"]: one for one in made["templating"]["list"]}
    source = variables["datasource"]
    assert (source["type"], source["query"], source["label"]) == ("datasource", "prometheus", "Data Source")
    for one in variables.values():
        if one["type"] == "query":
            assert (one["multi"], one["includeAll"], one["allValue"]) == (True, True, ".*")
            assert one["refresh"] == 2  # with the time range
            assert one["datasource"]["uid"] == "${datasource}"
    used = set(re.findall(r"\$\{?(\w+)", str([target.expression for target in targets(board)])))
    assert {name for name in used if not name.startswith("__")} <= set(variables)
    offered = {"environment", "service", "agent", "model", "task_type"} & set(variables)
    if board != "pipeline":
        assert offered <= used, "a variable that filters nothing"


@pytest.mark.parametrize("board", BOARDS)
def test_panels_say_what_they_show(board: str) -> None:
    titles = []
    for panel in panels(board):
        titles.append(panel["title"])
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["targets"]
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters)
        assert all(letters)
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("board", BOARDS)
def test_legends_use_labels_of_the_result(board: str) -> None:
    for panel in panels(board):
        for target in panel["targets"]:
            groups = re.findall(r"\bby\s*\(([^)]*)\)", target["expr"])
            kept = {label.strip() for group in groups for label in group.split(",")}
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= kept


@pytest.mark.parametrize("board", BOARDS)
def test_every_grafana_from_11_on_takes_it(board: str) -> None:
    made = load(board)
    assert made["schemaVersion"] == 39, "a newer number is one that Grafana 11.0 does not know"
    assert {link["title"] for link in made["links"]} == {"otel-agents", "Langfuse"}
    for link in made["links"]:
        assert "placement" not in link, "Grafana 12.3 shows only links without one beside the variables"


@pytest.mark.parametrize("board", BOARDS)
def test_bars_do_not_hide_each_other(board: str) -> None:
    for panel in panels(board):
        custom = panel["fieldConfig"]["defaults"].get("custom", {})
        if custom.get("drawStyle") == "bars":
            assert custom["stacking"]["mode"] == "normal", panel["title"]


@pytest.mark.parametrize("board", BOARDS)
def test_layout(board: str) -> None:
    """Nothing overlaps, nothing sticks out, every panel has a number of its own."""
    made = load(board)
    taken: dict[tuple[int, int], str] = {}
    for panel in made["panels"]:
        at: dict[str, Any] = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                assert (x, y) not in taken, f"{panel['title']} covers {taken[x, y]}"
                taken[x, y] = panel["title"]
    below = 0
    for panel in made["panels"]:
        if panel["gridPos"]["w"] == 24:
            below = panel["gridPos"]["y"]
        for y in range(below, panel["gridPos"]["y"]):
            assert all((x, y) in taken for x in range(24)), f"a hole above {panel['title']}"
    numbers = [panel["id"] for panel in made["panels"]]
    assert len(set(numbers)) == len(numbers)
    assert made["editable"] is False


@pytest.mark.parametrize("board", BOARDS)
def test_units_fit_the_metrics(board: str) -> None:
    """Seconds where seconds are measured, dollars where cost is."""
    for panel in panels(board):
        unit = panel["fieldConfig"]["defaults"]["unit"]
        for target in panel["targets"]:
            expression = target["expr"]
            if unit == "s":
                assert "_seconds" in expression
            if unit == "currencyUSD":
                assert re.search(r"cost|budget|plan_fee", expression)
            if unit == "bytes":
                assert re.search(r"_bytes|_rss", expression)
