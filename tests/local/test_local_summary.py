"""The summary of a trace, and the lists, groups and sums made from it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from otel_agents.local.queries import BadCursor
from otel_agents.local.rows import Facet, Observation, Score, TraceFilter
from otel_agents.local.store import Store

SECOND = 10**9
NOW = 1_767_323_045 * SECOND


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = Store(tmp_path / "local.db", orphan_grace_s=0)
    yield found
    found.close()


def row(
    span: str, trace: str = "t", parent: str = "", kind: str = "SPAN", at: float = 0, **rest: Any
) -> Observation:
    start = NOW + int(at * SECOND)
    rest.setdefault("name", f"name of {span}")
    return Observation(
        trace,
        span,
        parent,
        kind,
        start_ns=start,
        end_ns=start + int(rest.pop("takes", 1) * SECOND),
        is_root=not parent or rest.get("is_app_root", False),
        received_ns=NOW,
        **rest,
    )


def only(store: Store) -> Any:
    rows = store.list_traces().items
    assert len(rows) == 1
    return rows[0]


def agent_run() -> list[Observation]:
    return [
        row("root", takes=10, input="do it", session_id="s", user_id="u", tags=["a"], environment="prod"),
        row(
            "agent",
            parent="root",
            kind="AGENT",
            at=1,
            takes=8,
            name="writer",
            meta={"agent": "claude", "task_type": "review", "agent_switched": False, "project_id": "p7"},
            tags=["a", "b"],
            level="ERROR",
        ),
        row(
            "chat1",
            parent="agent",
            kind="GENERATION",
            at=2,
            input_tokens=10,
            output_tokens=5,
            total_tokens=15,
            total_cost=0.25,
            meta={"agent": "claude"},
        ),
        row(
            "agent2",
            parent="root",
            kind="AGENT",
            at=9,
            takes=3,
            name="tester",
            meta={"agent": "gemini", "agent_switched": True, "quality_score": "0.875"},
        ),
        row("chat2", parent="agent2", kind="EMBEDDING", at=10, total_tokens=3, total_cost=0.5),
    ]


def expected_summary(summary: Any) -> None:
    assert (summary.name, summary.root_id, summary.status) == ("name of root", "root", "ok")
    assert (summary.start_ns, summary.end_ns, summary.duration_ns) == (NOW, NOW + 12 * SECOND, 12 * SECOND)
    assert (summary.session_id, summary.user_id, summary.environment) == ("s", "u", "prod")
    assert (summary.agent, summary.task_type, summary.project) == ("claude", "review", "p7")
    assert (summary.agent_switched, summary.quality) == (True, 0.875)
    assert (summary.total_cost, summary.input_tokens, summary.output_tokens, summary.total_tokens) == (
        0.75,
        10,
        5,
        18,
    )
    assert (summary.n_observations, summary.n_generations, summary.n_errors) == (5, 2, 1)
    assert (sorted(summary.tags), summary.preview) == (["a", "b"], "do it")


@pytest.mark.parametrize("seed", range(8))
def test_any_order_and_batching_gives_the_same_summary(store: Store, seed: int) -> None:
    rows = agent_run()
    shuffle = random.Random(seed)
    shuffle.shuffle(rows)
    while rows:
        count = shuffle.randint(1, len(rows))
        store.add_observations(rows[:count])
        rows = rows[count:]
    expected_summary(only(store))


def test_spans_that_come_again_change_nothing(store: Store) -> None:
    store.add_observations(agent_run())
    for again in agent_run():
        store.add_observations([again])
    expected_summary(only(store))


def test_a_replaced_span_takes_its_numbers_along(store: Store) -> None:
    store.add_observations(agent_run())
    replaced = row("chat1", parent="agent", kind="GENERATION", at=2, total_cost=0.125)
    store.add_observations([replaced])
    assert (only(store).total_cost, only(store).input_tokens) == (0.625, 0)


@pytest.mark.parametrize(
    ("rows", "status"),
    [
        ([row("a")], "ok"),
        ([row("a", level="ERROR")], "error"),
        ([row("a"), row("b", parent="a", level="ERROR")], "ok"),
        ([row("b", parent="a")], "open"),
        ([row("b", parent="a", level="ERROR")], "error"),
        ([row("b", parent="a", is_app_root=True)], "ok"),
        ([row("b", parent="a", is_app_root=True, level="ERROR")], "error"),
    ],
)
def test_status(store: Store, rows: list[Observation], status: str) -> None:
    store.add_observations(rows)
    assert only(store).status == status


@pytest.mark.parametrize(
    ("rows", "agent"),
    [
        ([row("a"), row("b", parent="a", kind="AGENT", name="x")], "x"),
        # the topmost: the root before the others, then the earliest
        ([row("a", kind="AGENT", name="top"), row("b", parent="a", kind="AGENT", name="x", at=-1)], "top"),
        (
            [
                row("a"),
                row("b", parent="a", kind="AGENT", name="x", at=2),
                row("c", "t", "a", "AGENT", 1, name="y"),
            ],
            "y",
        ),
        ([row("a", kind="AGENT", name="x", meta={"agent": "m"})], "m"),
        ([row("a", kind="AGENT", name="x", meta={"agent": 5})], "5"),
        ([row("a")], None),
    ],
)
def test_agent(store: Store, rows: list[Observation], agent: str | None) -> None:
    store.add_observations(rows)
    assert only(store).agent == agent


def test_trace_name_wins_over_the_roots_own(store: Store) -> None:
    store.add_observations([row("a"), row("b", parent="a", trace_name="given")])
    assert only(store).name == "given"


# --- lists ---------------------------------------------------------------------------------------


@pytest.fixture
def many(store: Store) -> Store:
    """20 traces, one a second, with two agents, three task types and falling cost."""
    for number in range(20):
        store.add_observations(
            [
                row(
                    "root",
                    f"t{number:02}",
                    at=number,
                    takes=number + 1,
                    kind="AGENT",
                    name=f"run {number}",
                    input=f"Task number {number}: 100% of it",
                    total_cost=(20 - number) / 4,
                    total_tokens=number * 10,
                    session_id=f"s{number % 3}" if number % 4 else None,
                    user_id=f"u{number % 2}",
                    level="ERROR" if number % 5 == 0 else "DEFAULT",
                    environment="prod" if number < 10 else "dev",
                    tags=["all", "even" if number % 2 == 0 else "odd"],
                    meta={
                        "agent": "claude" if number % 2 else "gemini",
                        "task_type": ("review", "write", "test")[number % 3],
                        **({"quality_score": number / 20} if number % 2 else {}),
                        **({"agent_switched": number == 7} if number > 5 else {}),
                        "project_id": "p",
                    },
                )
            ]
        )
    return store


def found(store: Store, **filters: Any) -> list[int]:
    return sorted(int(trace.trace_id[1:]) for trace in store.list_traces(TraceFilter(**filters)).items)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"agent": "claude", "task_type": "review"}, [3, 9, 15]),
        ({"status": "error"}, [0, 5, 10, 15]),
        ({"status": "ok", "environment": "dev", "user_id": "u0"}, [12, 14, 16, 18]),
        ({"agent_switched": True}, [7]),
        ({"agent_switched": False, "environment": "prod"}, [0, 1, 2, 3, 4, 5, 6, 8, 9]),
        ({"min_cost": 4.5, "max_cost": 4.75}, [1, 2]),
        ({"min_quality": 0.9}, [19]),
        ({"max_quality": 0.1}, [1]),
        ({"session_id": "s1"}, [1, 7, 10, 13, 19]),
        ({"min_duration_ns": 19 * SECOND}, [18, 19]),
        ({"from_ns": NOW + 3 * SECOND, "to_ns": NOW + 5 * SECOND}, [3, 4]),
        ({"tags": ("even",), "status": "error"}, [0, 10]),
        ({"tags": ("even", "odd")}, []),
        ({"project": "p", "text": "NUMBER 7:"}, [7]),
        ({"text": "t07"}, [7]),
        ({"text": "100%", "agent": "claude", "environment": "prod"}, [1, 3, 5, 7, 9]),
        ({"text": "1%0"}, []),
        ({"text": "run_7"}, []),
        ({"text": "run 7"}, [7]),
    ],
)
def test_filters(many: Store, filters: dict[str, Any], expected: list[int]) -> None:
    assert found(many, **filters) == expected
    assert many.count_traces(TraceFilter(**filters)) == len(expected)


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("start", list(range(19, -1, -1))),
        ("cost", list(range(20))),
        ("duration", list(range(19, -1, -1))),
        ("tokens", list(range(19, -1, -1))),
        ("quality", list(range(19, 0, -2))),
    ],
)
def test_orders_and_pages(many: Store, order: Any, expected: list[int]) -> None:
    seen: list[int] = []
    cursor = None
    while True:
        page = many.list_traces(limit=3, cursor=cursor, order=order)
        seen += [int(trace.trace_id[1:]) for trace in page.items]
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == expected


@pytest.mark.parametrize("cursor", ["", "x", "e30", "WzFd", "W1tdLDFd", "ä"])
def test_odd_cursors(many: Store, cursor: str) -> None:
    with pytest.raises(BadCursor):
        many.list_traces(cursor=cursor)


def test_groups(many: Store) -> None:
    groups = {group.value: group for group in many.group_traces()}
    assert {value: group.n_traces for value, group in groups.items()} == {"review": 7, "write": 7, "test": 6}
    review = groups["review"]  # 0, 3, 6, ... 18
    assert review.total_cost == sum((20 - number) / 4 for number in range(0, 20, 3))
    assert review.quality == pytest.approx((3 + 9 + 15) / 3 / 20)
    assert (review.n_errors, review.last_start_ns) == (2, NOW + 18 * SECOND)
    assert review.mean_duration_ns == 10 * SECOND
    by_session = many.group_traces(TraceFilter(agent="claude"), by="session_id")
    assert {group.value: group.n_traces for group in by_session} == {"s0": 3, "s1": 4, "s2": 3}
    with pytest.raises(ValueError, match="cannot be grouped"):
        many.group_traces(by="preview")  # type: ignore[arg-type]


def test_totals(many: Store) -> None:
    sums = many.totals()
    assert (sums.n_traces, sums.n_errors, sums.n_observations, sums.total_tokens) == (20, 4, 20, 1900)
    assert sums.total_cost == 52.5
    some = many.totals(NOW + 18 * SECOND, NOW + 20 * SECOND)
    assert (some.n_traces, some.total_cost) == (2, 0.75)
    none = many.totals(0, 1)
    assert (none.n_traces, none.total_cost, none.quality) == (0, 0.0, None)


def test_facets(many: Store) -> None:
    assert many.facets("agent") == [Facet("claude", 10), Facet("gemini", 10)]
    assert many.facets("tags") == [Facet("all", 20), Facet("even", 10), Facet("odd", 10)]
    assert many.facets("session_id", limit=1) == [Facet("s0", 5)]
    with pytest.raises(ValueError, match="no facet"):
        many.facets("preview")  # type: ignore[arg-type]


def test_sessions(many: Store) -> None:
    rows = many.list_sessions().items
    assert [(session.session_id, session.n_traces) for session in rows] == [("s1", 5), ("s0", 5), ("s2", 5)]
    page = many.list_sessions(limit=2)
    assert [session.session_id for session in many.list_sessions(limit=2, cursor=page.cursor).items] == ["s2"]
    assert [session.session_id for session in many.list_sessions(text="S2").items] == ["s2"]
    many.add_scores([Score("x", "mood", "NUMERIC", NOW, 1.0, session_id="s1")])
    session = many.get_session("s1", limit=2)
    assert session is not None
    assert [trace.trace_id for trace in session.traces] == ["t19", "t13"]
    assert session.truncated
    assert [score.name for score in session.scores] == ["mood"]
    assert session.row.n_errors == 1
    assert many.get_session("nope") is None


def test_a_trace_that_changes_session_leaves_the_old_one(store: Store) -> None:
    store.add_observations([row("b", parent="a", session_id="child")])
    assert [session.session_id for session in store.list_sessions().items] == ["child"]
    store.add_observations([row("a", session_id="root")])
    assert [session.session_id for session in store.list_sessions().items] == ["root"]


def test_whole_trace(store: Store) -> None:
    rows = agent_run()
    rows[2].output = "said"
    rows[2].metadata = {"x": 1}
    store.add_observations(rows)
    store.add_scores([Score("x", "quality", "NUMERIC", NOW, 0.5, trace_id="t", observation_id="chat1")])
    trace = store.get_trace("t")
    assert trace is not None
    assert [kept.id for kept in trace.observations] == ["root", "agent", "chat1", "agent2", "chat2"]
    assert trace.observations[2] == rows[2]
    assert [score.observation_id for score in trace.scores] == ["chat1"]
    light = store.get_trace("t", limit=2, payload=False)
    assert light is not None
    assert (len(light.observations), light.truncated, light.observations[0].input) == (2, True, None)
    assert store.get_observation("t", "chat1") == rows[2]
    assert store.get_observation("t", "nope") is None
    assert store.get_trace("nope") is None


def test_changes_are_counted(store: Store) -> None:
    before = store.latest_change()
    store.add_observations([row("a")])
    assert store.latest_change() == before + 1
    store.add_observations([])
    assert store.latest_change() == before + 1
