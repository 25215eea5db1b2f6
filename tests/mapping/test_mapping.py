"""Both edges, one table: what ``otel-collector.yaml`` and ``langfuse/mapping.py`` make of the same spans.

The table is cases.yaml. The Collector is a real one; all spans go through it in one run.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from collector_rig import START, attributes, parsed, running, span, traces
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from parts import require, wait_for

from otel_agents.langfuse.mapping import map_span


@dataclass(frozen=True)
class Json:
    """Text that is this JSON."""

    value: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and parsed(other) == self.value

    __hash__ = None  # type: ignore[assignment]


class Loader(yaml.SafeLoader):
    pass


def _json(loader: Loader, node: yaml.Node) -> Json:
    if isinstance(node, yaml.SequenceNode):
        return Json(loader.construct_sequence(node, deep=True))
    assert isinstance(node, yaml.MappingNode)
    return Json(loader.construct_mapping(node, deep=True))


Loader.add_constructor("!json", _json)
CASES: list[dict[str, Any]] = yaml.load(
    (Path(__file__).parent / "cases.yaml").read_text(encoding="utf-8"), Loader
)
IDS = [case["case"] for case in CASES]
MADE = ("langfuse.", "session.id", "user.id")
LISTS = ("gen_ai.response.finish_reasons", "langfuse.trace.tags")


@dataclass(frozen=True)
class Left:
    """A span as it left an edge."""

    attributes: Mapping[str, Any]
    parent: str


def in_python(case: Mapping[str, Any]) -> Left | None:
    mapped = map_span(
        case["span"],
        resource=case.get("resource", {"service.name": "app"}),
        start_time_unix_nano=START,
        status_error="error" in case,
        status_description=case.get("error"),
    )
    if mapped is None:
        return None
    out = {
        key: list(value) if isinstance(value, tuple) else value for key, value in mapped.attributes.items()
    }
    return Left(out, mapped.parent_span_id or case.get("parent", ""))


@pytest.fixture(scope="module")
def through_collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Left | None]]:
    """Every case through one real Collector, in the table's order."""
    ids = [f"{number:016x}" for number in range(0x1000, 0x1000 + len(CASES))]
    with running(require("collector"), tmp_path_factory.mktemp("mapping")) as collector:
        for case, span_id in zip(CASES, ids, strict=True):
            status = Status(code=Status.STATUS_CODE_ERROR, message=case["error"]) if "error" in case else None
            one = span(span_id, span_id, case["span"], parent=case.get("parent", ""), status=status)
            collector.send(traces(one, resource=case.get("resource")))
        # Sent last, so it arrives last or in the last batches.
        collector.send(traces(span("last", "ffffffffffffffff", {"gen_ai.operation.name": "chat"})))
        wanted = {one for one, case in zip(ids, CASES, strict=True) if not case.get("dropped")}

        def complete() -> dict[str, Span] | None:
            found = collector.backend.by_id()
            return found if wanted | {"ffffffffffffffff"} <= found.keys() else None

        found = wait_for(complete, "all spans to reach Langfuse")
        yield [
            Left(attributes(found[one].attributes), found[one].parent_span_id.hex()) if one in found else None
            for one in ids
        ]


def check(case: Mapping[str, Any], left: Left | None) -> None:
    if case.get("dropped"):
        assert left is None, "it should have stayed out"
        return
    assert left is not None, "it stayed out"
    made = {key: value for key, value in left.attributes.items() if key.startswith(MADE)}
    assert made == case["expect"]
    assert {key: left.attributes.get(key) for key in case.get("also", {})} == case.get("also", {})
    assert not [key for key in case.get("gone", ()) if key in left.attributes]
    assert left.parent == case.get("comes under", case.get("parent", ""))
    check_rest(case["span"], left.attributes, case.get("gone", ()))


def check_rest(given: Mapping[str, Any], left: Mapping[str, Any], gone: list[str]) -> None:
    """What the conventions say stays beside what is made for Langfuse, and nothing structured leaves."""
    for key, value in given.items():
        if key.startswith("gen_ai.") and key not in gone:
            assert same(parsed(left[key]), parsed(value)), key
    for key, value in left.items():
        assert not isinstance(value, Mapping), key
        if isinstance(value, list):
            assert key in LISTS, key
            assert value, key


def same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one) and math.isnan(other):
        return True
    return bool(one == other)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_python_makes_of_a_span_what_the_table_says(case: Mapping[str, Any]) -> None:
    check(case, in_python(case))


@pytest.mark.collector
@pytest.mark.parametrize("number", range(len(CASES)), ids=IDS)
def test_collector_makes_of_a_span_what_the_table_says(
    number: int, through_collector: list[Left | None]
) -> None:
    check(CASES[number], through_collector[number])


@pytest.mark.collector
@pytest.mark.parametrize("number", range(len(CASES)), ids=IDS)
def test_both_edges_agree_in_every_attribute(number: int, through_collector: list[Left | None]) -> None:
    one, other = in_python(CASES[number]), through_collector[number]
    if one is None or other is None:
        assert one is other
        return
    assert one.attributes.keys() == other.attributes.keys()
    for key, value in one.attributes.items():
        assert same(parsed(value), parsed(other.attributes[key])), key
    assert one.parent == other.parent


def test_the_table_is_long_enough_and_says_everything_once() -> None:
    assert len(CASES) >= 60
    assert len(set(IDS)) == len(IDS)


def test_mapping_changes_nothing_that_it_is_given() -> None:
    for case in CASES:
        before = yaml.safe_dump(case["span"])
        in_python(case)
        assert yaml.safe_dump(case["span"]) == before


def test_mapping_takes_tens_of_microseconds() -> None:
    """The span with most to do; ten times the usual figure, for a busy machine."""
    case = CASES[-1]
    fastest = math.inf
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(200):
            in_python(case)
        fastest = min(fastest, (time.perf_counter() - started) / 200)
    assert fastest < 400e-6
