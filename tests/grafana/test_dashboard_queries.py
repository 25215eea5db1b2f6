"""Every target of every panel on a real Prometheus, against what the workload's ledger adds up to."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import pytest
from backfill import Prometheus, prometheus
from expected import EXPECTED, Values, View
from grafana_queries import BOARDS, Target, filled, load, targets
from workload import END, MINUTE, ODD_AGENT, Ledger, simulate, write_openmetrics

pytestmark = pytest.mark.prometheus

#: When the workload began; long ago, so that no clock of this machine matters.
ZERO = 1_790_000_000.0
#: Never at the moment of a scrape.
OFF = 7.0
EVERYTHING = [target for board in BOARDS for target in targets(board)]
#: Dashboard variable and the label that it filters.
LABELS = {
    "environment": "deployment_environment_name",
    "service": "job",
    "agent": "gen_ai_agent_name",
    "model": "gen_ai_request_model",
    "task_type": "task_type",
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Prometheus, Ledger]]:
    folder = tmp_path_factory.mktemp("prometheus")
    ledger, samples = simulate()
    write_openmetrics(samples, ZERO, folder / "samples.txt")
    with prometheus(folder, folder / "samples.txt") as server:
        yield server, ledger


def ask(server: Prometheus, target: Target, view: View, chosen: dict[str, str]) -> Values:
    given = {
        "__range": f"{int(view.range)}s",
        "__range_s": str(int(view.range)),
        "__interval": f"{int(view.step)}s",
        "__rate_interval": "2m",
    }
    found = server.instant(filled(target.expression, given, chosen), ZERO + view.at)
    return {
        frozenset(label for label in key if label[0] != "__name__"): value for key, value in found.items()
    }


def assert_same(target: Target, shown: Values, wanted: Values) -> None:
    """Equal but for rounding; a series that shows 0 and one that is not there are the same."""

    def real(values: Values) -> Values:
        return {key: value for key, value in values.items() if not math.isnan(value) and abs(value) > 1e-12}

    shown, wanted = real(shown), real(wanted)
    assert shown.keys() == wanted.keys(), target
    for key, value in wanted.items():
        assert shown[key] == pytest.approx(value, rel=1e-6), (target, key)


def test_every_target_is_expected() -> None:
    """A panel that nobody has worked out by hand is a panel that nobody has tested."""
    found = {board: {(one.title, one.letter) for one in targets(board)} for board in BOARDS}
    assert found == {board: set(wanted) for board, wanted in EXPECTED.items() if board in found}


@pytest.mark.parametrize("target", EVERYTHING, ids=str)
def test_over_the_whole_time(world: tuple[Prometheus, Ledger], target: Target) -> None:
    server, ledger = world
    view = View(ledger, END + OFF, 20 * MINUTE, 5 * MINUTE, {})
    wanted = EXPECTED[target.board][target.title, target.letter](view)
    assert any(wanted.values()), "the workload does not cover this panel"
    assert_same(target, ask(server, target, view, {}), wanted)


@pytest.mark.parametrize("target", EVERYTHING, ids=str)
def test_in_a_window_that_cuts_through_series(world: tuple[Prometheus, Ledger], target: Target) -> None:
    """Ten minutes, across the time without scrapes: old series have to be subtracted, new ones not."""
    server, ledger = world
    view = View(ledger, 18 * MINUTE + OFF, 10 * MINUTE, 2 * MINUTE, {})
    wanted = EXPECTED[target.board][target.title, target.letter](view)
    assert_same(target, ask(server, target, view, {}), wanted)


#: What is chosen, and the targets that it narrows. Some gauges of the workload are the same everywhere.
CHOSEN = [
    (chosen, target)
    for chosen in ({"agent": ODD_AGENT}, {"environment": "staging"}, {"task_type": "docs"})
    for target in EVERYTHING
    if any(f"${name}" in target.expression for name in chosen)
    and not any(gauge in target.expression for gauge in ("budget", "plan_fee"))
]


@pytest.mark.parametrize(("chosen", "target"), CHOSEN, ids=str)
def test_with_a_variable_chosen(
    world: tuple[Prometheus, Ledger], target: Target, chosen: dict[str, str]
) -> None:
    """Among them an agent whose name is a regular expression."""
    server, ledger = world
    narrowed = {LABELS[name]: value for name, value in chosen.items()}
    view = View(ledger, END + OFF, 20 * MINUTE, 5 * MINUTE, narrowed)
    wanted = EXPECTED[target.board][target.title, target.letter](view)
    assert_same(target, ask(server, target, view, chosen), wanted)


@pytest.mark.parametrize("board", BOARDS)
def test_variables_offer_what_there_is(world: tuple[Prometheus, Ledger], board: str) -> None:
    server, ledger = world
    for variable in load(board)["templating"]["list"]:
        if variable["type"] != "query":
            continue
        match = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"])
        assert match, variable["query"]
        selector = filled(match[1], {}, {})
        assert match[2] == LABELS[variable["name"]]
        offered = server.get(
            f"label/{match[2]}/values", **{"match[]": selector, "start": ZERO, "end": ZERO + END}
        )
        known = {
            one.labels[match[2]]
            for one in ledger.increments
            if one.name in selector and match[2] in one.labels
        }
        assert set(offered) == known
        assert known


@pytest.mark.parametrize("target", EVERYTHING, ids=str)
def test_nothing_is_shown_without_data(empty: Prometheus, target: Target) -> None:
    """An empty Prometheus: no data, or a plain 0 where nothing counted means 0."""
    given = {"__range": "1h", "__range_s": "3600", "__interval": "1m", "__rate_interval": "1m"}
    shown = empty.instant(filled(target.expression, given, {}), ZERO)
    assert not any(shown.values()), shown


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with prometheus(tmp_path_factory.mktemp("empty")) as server:
        yield server
