"""Observations of any shape become a tree in time."""

from __future__ import annotations

import pytest

from otel_agents.local.rows import Observation, SpanEvent
from otel_agents.local.ui import timeline

S = 10**9


def span(id: str, parent: str = "", start: float = 0, end: float = 10, **more: object) -> Observation:
    return Observation("t", id, parent, "SPAN", id, int(start * S), int(end * S), **more)  # type: ignore[arg-type]


def drawn(*rows: Observation) -> list[tuple[str, int]]:
    return [(row.id, row.depth) for row in timeline.build(rows).rows]


def test_children_follow_their_parent_in_order_of_time() -> None:
    rows = [span("b", "a", 5, 6), span("a"), span("c", "a", 1, 9), span("d", "c", 2, 3)]
    assert drawn(*rows) == [("a", 0), ("c", 1), ("d", 2), ("b", 1)]


def test_positions_among_siblings_are_told() -> None:
    rows = timeline.build([span("a"), span("b", "a", 1), span("c", "a", 2)]).rows
    assert [(r.position, r.siblings, r.children) for r in rows] == [(1, 1, 2), (1, 2, 0), (2, 2, 0)]


def test_orphans_hang_under_a_made_up_root() -> None:
    found = timeline.build([span("root"), span("x", "gone"), span("y", "x")])
    assert [(r.id, r.depth) for r in found.rows] == [("root", 0), ("unattached", 0), ("x", 1), ("y", 2)]
    assert found.unattached == 1
    assert found.rows[1].observation is None


def test_an_app_root_is_a_root() -> None:
    assert drawn(span("x", "gone", is_app_root=True)) == [("x", 0)]


@pytest.mark.parametrize(
    "rows",
    [
        [span("a", "a")],
        [span("a", "b"), span("b", "a")],
        [span("root"), span("a", "c"), span("b", "a"), span("c", "b"), span("d", "b")],
    ],
)
def test_circles_of_parents_are_cut_and_nothing_is_lost(rows: list[Observation]) -> None:
    found = [row.id for row in timeline.build(rows).rows if row.observation]
    assert sorted(found) == sorted(row.id for row in rows)


def test_very_deep_trees_need_no_recursion() -> None:
    rows = [span("0")] + [span(str(n), str(n - 1)) for n in range(1, 5000)]
    found = timeline.build(rows).rows
    assert found[-1].depth == 4999
    assert max(row.indent for row in found) == timeline.WIDEST


def test_a_flat_tree_has_wide_levels_and_a_deep_one_narrow_levels() -> None:
    def indents(depth: int) -> list[int]:
        rows = [span("0")] + [span(str(n), str(n - 1)) for n in range(1, depth + 1)]
        return [row.indent for row in timeline.build(rows).rows]

    assert indents(2) == [0, 14, 28]
    assert indents(28)[:3] == [0, 6, 12]
    assert indents(28)[-1] == timeline.WIDEST


def test_guides_lead_from_the_parent() -> None:
    rows = timeline.build([span("a"), span("b", "a", 1), span("c", "b", 2), span("d", "a", 3)]).rows
    assert [row.guides for row in rows] == [
        "",
        "M8 0V28M8 14h6",  # more siblings follow: the line goes on
        "M8 0V28M22 0V14M22 14h6",
        "M8 0V14M8 14h6",
    ]


def test_bars_are_placed_in_percent_of_the_trace() -> None:
    rows = timeline.build([span("a", "", 0, 10), span("b", "a", 5, 7.5)]).rows
    assert (rows[0].x, rows[0].width) == (1.0, 97.5)
    assert (rows[1].x, rows[1].width) == (49.75, 24.375)
    assert (rows[1].offset, rows[1].duration) == (5.0, 2.5)


def test_the_wait_for_the_first_token_is_part_of_the_bar() -> None:
    rows = timeline.build([span("a", completion_start_ns=4 * S), span("b", completion_start_ns=11 * S)]).rows
    assert [row.wait for row in rows] == [39.0, 0.0]


def test_span_events_are_points() -> None:
    row = span("a", events=[SpanEvent("exception", 10 * S), SpanEvent("late", 99 * S)])
    assert [(m.at, m.name, m.error) for m in timeline.build([row]).rows[0].marks] == [
        (98.5, "exception", True),
        (98.5, "late", False),
    ]


def test_cost_and_tokens_are_summed_upwards() -> None:
    rows = timeline.build(
        [
            span("a"),
            span("b", "a", total_cost=0.25, total_tokens=10),
            span("c", "b", total_cost=0.5, total_tokens=5),
            span("d", "a", 9),
        ]
    ).rows
    assert [(r.id, r.cost, r.tokens) for r in rows] == [
        ("a", 0.75, 15),
        ("b", 0.75, 15),
        ("c", 0.5, 5),
        ("d", None, None),
    ]


@pytest.mark.parametrize(
    ("seconds", "labels"),
    [
        (0, ["0"]),
        (0.009, ["0", "5 ms"]),
        (1.0, ["0", "200 ms", "400 ms", "600 ms", "800 ms", "1 s"]),
        (0.8, ["0", "200 ms", "400 ms", "600 ms", "800 ms"]),
        (6.4, ["0", "2 s", "4 s", "6 s"]),
        (191, ["0", "1m", "2m", "3m"]),
        (1e7, None),
    ],
)
def test_the_axis_has_a_few_round_labels(seconds: float, labels: list[str] | None) -> None:
    ticks = timeline.build([span("a", "", 0, seconds)]).ticks
    if labels is None:
        assert 2 <= len(ticks) <= 8
    else:
        assert [tick.label for tick in ticks] == labels


def test_an_empty_trace_draws_nothing() -> None:
    assert timeline.build([]).rows == []
