"""One table of cases, three runners: the SDK's, ``convert``'s (the same code), and a real Collector.

The cases are in cases/, one file a dialect. They are recorded from the packages named there, or taken
from their documentation; what is to become of them is written by hand.
"""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from collector_rig import parsed
from normalize_rig import Case, cases, overlaid, through
from parts import require

from otel_agents.normalize.dialects import DIALECTS
from otel_agents.normalize.engine import normalize
from otel_agents.normalize.record import Record

CASES = cases()
ROOT = Path(__file__).parents[2]


def in_python(case: Case, mode: Any = "on") -> dict[str, Any]:
    record = Record(case.scope, case.name, dict(case.given), case.events)
    normalize(record, mode)
    return record.attributes


@pytest.fixture(scope="module")
def behind_collector(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    with overlaid(require("collector"), tmp_path_factory.mktemp("normalize")) as collector:
        left = through(collector, CASES)
    return {case.id: one for case, one in zip(CASES, left, strict=True)}


def check(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    assert sorted(found) == sorted(wanted)
    for key, value in wanted.items():
        assert same(value, found[key]), f"{key}: {found[key]!r}, not {value!r}"


def same(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, float) and isinstance(found, float):
        return math.isclose(wanted, found) or (math.isnan(wanted) and math.isnan(found))
    if isinstance(wanted, list) and isinstance(found, (list, tuple)):
        return list(found) == wanted
    if isinstance(wanted, str) and isinstance(found, str):
        return bool(parsed(wanted) == parsed(found))  # Go writes keys in alphabetical order
    return bool(wanted == found) and isinstance(wanted, bool) == isinstance(found, bool)


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_in_python(case: Case) -> None:
    check(in_python(case), case.python())


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_in_the_collector(case: Case, behind_collector: dict[str, dict[str, Any]]) -> None:
    check(behind_collector[case.id], case.collector())


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_again_changes_nothing(case: Case) -> None:
    once = in_python(case)
    again = Record(case.scope, case.name, dict(once), case.events)
    normalize(again)
    assert again.attributes == once


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_originals_are_kept_on_request(case: Case) -> None:
    kept = in_python(case, "keep")
    originals = {key: case.given[key] for key in case.gone if key not in case.always_gone}
    check(kept, {**originals, **case.python()})
    assert in_python(case, "off") == case.given


def test_what_no_table_knows_stays_as_it_is() -> None:
    for given in ({}, {"http.method": "GET"}, {"a": None, "b": ["x"], "c": {"d": 1}}):
        record = Record("app", "GET /", dict(given))
        assert not normalize(record)
        assert record.attributes == given


def test_values_of_any_kind_are_survived() -> None:
    """Whatever stands in an attribute that a rule reads."""
    odd: tuple[Any, ...] = (None, "", "{", "[1", "null", [], {}, [None], {"a": object()}, b"\xff", math.nan,
                            10**30, -1, True, "\ud800", [["x"]], '{"a":' * 3000)  # fmt: skip
    for case in CASES:
        for key in case.given:
            for value in odd:
                record = Record(case.scope, case.name, {**case.given, key: value}, case.events)
                normalize(record)


def test_every_dialect_has_cases_and_every_rule_a_source() -> None:
    assert {one.name for one in DIALECTS} <= {case.dialect for case in CASES}
    for dialect in DIALECTS:
        for rule in dialect.rules:
            assert rule.source.strip(), (dialect.name, rule)


def test_the_collectors_files_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "collector" / "normalize.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
