"""The same queries on VictoriaMetrics, which works out PromQL in a way of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import test_dashboard_queries as asked
import yaml
from backfill import Prometheus, victoria_metrics
from grafana_queries import BOARDS, ROOT
from workload import END, Ledger, simulate, write_openmetrics

World = tuple[Prometheus, Ledger]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("victoria-metrics")
    ledger, samples = simulate()
    write_openmetrics(samples, asked.ZERO, folder / "samples.txt")
    with victoria_metrics(folder, folder / "samples.txt") as server:
        yield server, ledger


def test_over_the_whole_time(world: World) -> None:
    for target in asked.EVERYTHING:
        asked.test_over_the_whole_time(world, target)


def test_in_a_window_that_cuts_through_series(world: World) -> None:
    for target in asked.EVERYTHING:
        asked.test_in_a_window_that_cuts_through_series(world, target)


def test_with_a_variable_chosen(world: World) -> None:
    for chosen, target in asked.CHOSEN:
        asked.test_with_a_variable_chosen(world, target, chosen)


def test_variables_offer_what_there_is(world: World) -> None:
    for board in BOARDS:
        asked.test_variables_offer_what_there_is(world, board)


@pytest.mark.parametrize("file", sorted(path.name for path in (ROOT / "grafana" / "rules").glob("*.yaml")))
def test_rules_can_be_asked(world: World, file: str) -> None:
    server, _ = world
    for group in yaml.safe_load((ROOT / "grafana" / "rules" / file).read_text())["groups"]:
        for rule in group["rules"]:
            server.instant(rule["expr"], asked.ZERO + END)
