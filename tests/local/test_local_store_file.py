"""The database file: restarts, retention, files that cannot be used, many threads, query plans."""

from __future__ import annotations

import os
import re
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from otel_agents.local import queries, retention, schema
from otel_agents.local.options import LocalError
from otel_agents.local.rows import Finding, Observation, Score, TraceFilter
from otel_agents.local.store import Store
from otel_agents.local.writes import FINDINGS_PER_KIND

DAY = 86_400 * 10**9


def trace(number: int, age_days: float = 0, size: int = 10) -> Observation:
    received = time.time_ns() - int(age_days * DAY)
    return Observation(
        f"t{number:06}",
        "root",
        "",
        "AGENT",
        "run",
        received,
        received + 10**9,
        is_root=True,
        received_ns=received,
        input=os.urandom(size // 2).hex(),
        total_cost=0.5,
        meta={"agent": f"agent{number % 3}", "task_type": f"task{number % 5}"},
        session_id=f"s{number % 7}",
        user_id="u",
        tags=["x"],
    )


def test_data_survive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "local.db"
    first = Store(path)
    first.add_observations([trace(1)])
    first.add_scores([Score("s", "quality", "NUMERIC", time.time_ns(), 1.0, trace_id="t000001")])
    change = first.latest_change()
    first.close()
    second = Store(path)
    assert second.list_traces().items[0].quality == 1.0
    assert second.latest_change() == change
    second.close()


def test_data_survive_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "local.db"
    pid = os.fork()
    if pid == 0:
        Store(path).add_observations([trace(1)])
        os._exit(0)
    os.waitpid(pid, 0)
    store = Store(path)
    assert len(store.list_traces().items) == 1
    store.close()


# --- retention -----------------------------------------------------------------------------------


def test_retention_by_age(tmp_path: Path) -> None:
    store = Store(tmp_path / "local.db")
    old = time.time_ns() - 40 * DAY
    store.add_observations([trace(1, age_days=40), trace(2, age_days=20)])
    store.add_scores(
        [
            Score("a", "x", "NUMERIC", old, 1.0, trace_id="t000001", updated_ns=old),
            Score("b", "x", "NUMERIC", old, 1.0, session_id="s", updated_ns=old),
            Score("c", "x", "NUMERIC", old, 1.0, session_id="s", updated_ns=time.time_ns()),
        ]
    )
    assert retention.apply(store, days=30, max_bytes=0) == 1
    assert [row.trace_id for row in store.list_traces().items] == ["t000002"]
    assert [row[0] for row in store.reader().execute("SELECT id FROM scores")] == ["c"]
    assert [row.session_id for row in store.list_sessions().items] == ["s2"]
    for table in ("observations", "payloads", "trace_tags"):
        assert store.reader().execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 1
    store.close()


def test_retention_by_size_takes_the_oldest_and_frees_the_file(tmp_path: Path) -> None:
    path = tmp_path / "local.db"
    store = Store(path)
    for number in range(2000):
        store.add_observations([trace(number, age_days=(2000 - number) / 1000, size=4000)])
    limit = store.size() // 2
    assert retention.apply(store, days=0, max_bytes=limit) > 0
    assert store.size() <= limit
    assert path.stat().st_size <= limit * 1.1
    kept = [row.trace_id for row in store.list_traces(limit=5000).items]
    assert kept[0] == "t001999"
    assert kept == [f"t{number:06}" for number in range(1999, 1999 - len(kept), -1)]
    store.close()


def test_retention_without_bounds_keeps_everything(tmp_path: Path) -> None:
    store = Store(tmp_path / "local.db")
    store.add_observations([trace(1, age_days=4000)])
    assert retention.apply(store, days=0, max_bytes=0) == 0
    assert len(store.list_traces().items) == 1
    store.close()


def test_findings_are_bounded_but_counted(tmp_path: Path) -> None:
    store = Store(tmp_path / "local.db")
    count = FINDINGS_PER_KIND + 50
    store.add_findings([Finding("empty_list", "warning", f"t{number}", "s", "m") for number in range(count)])
    kept = store.reader().execute("SELECT count(*) FROM findings").fetchone()[0]
    assert (kept, store.count_findings()[0].count) == (FINDINGS_PER_KIND, count)
    store.close()


# --- files that cannot be used -------------------------------------------------------------------


def one_line(error: pytest.ExceptionInfo[LocalError], path: Path) -> None:
    text = str(error.value)
    assert "\n" not in text
    assert str(path) in text


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "local.db"
    path.write_bytes(b"no database at all " * 100)
    with pytest.raises(LocalError, match="move it away or choose another path") as error:
        Store(path)
    one_line(error, path)
    assert path.read_bytes().startswith(b"no database")


def test_a_damaged_database(tmp_path: Path) -> None:
    path = tmp_path / "local.db"
    store = Store(path)
    store.add_observations([trace(1)])
    store.close()
    data = bytearray(path.read_bytes())
    data[100:3000] = b"\xff" * 2900
    path.write_bytes(data)
    with pytest.raises(LocalError, match="move it away or choose another path") as error:
        Store(path)
    one_line(error, path)


def test_a_database_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "local.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE x (y)")
    other.commit()
    other.close()
    with pytest.raises(LocalError, match=f"has layout 0, this version needs {schema.VERSION}") as error:
        Store(path)
    one_line(error, path)


def test_a_path_that_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="cannot open the database"):
        Store(tmp_path)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(LocalError, match="cannot open the database") as error:
        Store(tmp_path / "file" / "local.db")
    one_line(error, tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_is_read_only(tmp_path: Path) -> None:
    path = tmp_path / "local.db"
    Store(path).close()
    path.chmod(0o400)
    with pytest.raises(LocalError, match="readonly"):
        Store(path)


def test_use_after_close(tmp_path: Path) -> None:
    store = Store(tmp_path / "local.db")
    store.close()
    store.close()
    with pytest.raises(LocalError, match="closed"):
        store.add_observations([trace(1)])


# --- many at once --------------------------------------------------------------------------------


def test_many_threads_write_and_read(tmp_path: Path) -> None:
    store = Store(tmp_path / "local.db")
    errors: list[BaseException] = []

    def work(thread: int) -> None:
        try:
            for number in range(20):
                store.add_observations([trace(thread * 1000 + number), trace(5)])
                assert store.list_traces(limit=5).items
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert store.totals().n_traces == 8 * 20
    assert store.totals().n_observations == 8 * 20
    store.close()


def test_readers_of_ended_threads_are_closed(tmp_path: Path) -> None:
    store = Store(tmp_path / "local.db")
    for _ in range(30):
        thread = threading.Thread(target=store.list_traces)
        thread.start()
        thread.join()
    assert len(store.database._readers) == 0
    store.close()


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "local.db")
    broken = trace(2)
    broken.name = None  # type: ignore[assignment]
    with pytest.raises(sqlite3.IntegrityError):
        store.add_observations([trace(1), broken])
    assert store.list_traces().items == []
    store.add_observations([trace(1)])
    assert len(store.list_traces().items) == 1
    store.close()


# --- plans ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Any:
    store = Store(tmp_path_factory.mktemp("plans") / "local.db")
    for start in range(0, 3000, 500):
        store.add_observations([trace(number) for number in range(start, start + 500)])
    yield store
    store.close()


def plan(store: Store, sql: str, given: list[Any]) -> str:
    return " | ".join(str(row[3]) for row in store.reader().execute(f"EXPLAIN QUERY PLAN {sql}", given))


@pytest.mark.parametrize(
    ("filters", "order", "index"),
    [
        (TraceFilter(), "start", "traces_start"),
        (TraceFilter(agent="agent1"), "start", "traces_agent"),
        (TraceFilter(task_type="task1"), "start", "traces_task"),
        (TraceFilter(session_id="s1"), "start", "traces_session"),
        (TraceFilter(status="error"), "start", "traces_status"),
        (TraceFilter(agent_switched=True), "start", "traces_switched"),
        (TraceFilter(environment="default"), "start", "traces_environment"),
        (TraceFilter(from_ns=0, to_ns=1), "start", "traces_start"),
        (TraceFilter(), "cost", "traces_cost"),
        (TraceFilter(), "quality", "traces_quality"),
        (TraceFilter(), "duration", "traces_duration"),
        (TraceFilter(), "tokens", "traces_tokens"),
    ],
)
@pytest.mark.parametrize("cursor", [None, queries.encode_cursor([5, "t"])])
def test_lists_walk_an_index_in_order(
    filled: Store, filters: TraceFilter, order: Any, index: str, cursor: str | None
) -> None:
    steps = plan(filled, *queries.list_traces_sql(filters, 50, cursor, order))
    assert re.search(rf"USING (COVERING )?INDEX {index}\b", steps), steps
    # sorting by the id inside equal times is fine, a sort of everything is not
    assert "USE TEMP B-TREE FOR ORDER BY" not in steps, steps


def test_groups_by_task_read_only_the_index(filled: Store) -> None:
    steps = plan(filled, *queries.group_traces_sql(TraceFilter(), "task_type", 100))
    assert "USING COVERING INDEX traces_task" in steps
    assert "TEMP B-TREE FOR GROUP BY" not in steps


def test_a_trace_is_read_by_its_id(filled: Store) -> None:
    sql = "SELECT * FROM observations o LEFT JOIN payloads p ON p.key = o.key WHERE trace_id = ?"
    steps = plan(filled, sql, ["t000001"])
    assert "INDEX observations_span (trace_id=?)" in steps
    assert "SCAN" not in steps


@pytest.mark.parametrize(
    ("condition", "index"),
    [
        ("1", "observations_start"),
        ("o.type = 'AGENT'", "observations_type"),
        ("o.name = 'x'", "observations_name"),
        ("o.session_id = 's'", "observations_session"),
        ("o.start_ns >= 0 AND o.start_ns < 9", "observations_start"),
        ("(o.start_ns, o.trace_id, o.id) < (5, 't', 'i')", "observations_start"),
    ],
)
def test_observation_pages_walk_an_index(filled: Store, condition: str, index: str) -> None:
    sql = (
        f"SELECT * FROM observations o WHERE {condition}"
        " ORDER BY o.start_ns DESC, o.trace_id DESC, o.id DESC LIMIT 51"
    )
    steps = plan(filled, sql, [])
    assert f"INDEX {index}" in steps, steps
    assert "USE TEMP B-TREE FOR ORDER BY" not in steps, steps
