"""The queue on disk: order, replacement, restart, damage, and one holder."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from score_server import ScoreServer

from otel_agents.bridge import BridgeError, serve
from otel_agents.bridge.app import create_app
from otel_agents.bridge.queue import QueueFull, ScoreQueue
from otel_agents.config import resolve
from otel_agents.langfuse.score_events import Score


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[ScoreQueue]:
    opened = ScoreQueue(tmp_path / "bridge")
    yield opened
    opened.close()


def score(name: str, when: int = 1, body: bytes | None = None) -> Score:
    return Score(name, when, body if body is not None else name.encode())


def bodies(queue: ScoreQueue) -> list[bytes]:
    return [one.body for _, one in queue.front(1000)]


def test_first_in_first_out(queue: ScoreQueue) -> None:
    queue.add([score("a"), score("b")])
    queue.add([score("c")])
    assert bodies(queue) == [b"a", b"b", b"c"]
    assert queue.size() == (3, 3)
    queue.remove(place for place, one in queue.front(2))
    assert bodies(queue) == [b"c"]
    assert queue.size() == (1, 1)
    assert queue.oldest_seconds() > 0


def test_a_repeated_id_replaces_unless_it_is_older(queue: ScoreQueue) -> None:
    queue.add([score("a", 5, b"five")])
    queue.add([score("a", 4, b"four"), score("a", 6, b"six"), score("a", 3, b"three")])
    assert bodies(queue) == [b"six"]
    assert queue.size() == (1, 3)


def test_a_score_replaced_while_it_is_sent_is_sent_again(queue: ScoreQueue) -> None:
    queue.add([score("a", 1, b"old")])
    [(place, _)] = queue.front(1)
    queue.add([score("a", 2, b"new")])
    queue.remove([place])
    assert bodies(queue) == [b"new"]


def test_what_does_not_fit_is_not_taken_in_part(tmp_path: Path) -> None:
    with closing(ScoreQueue(tmp_path / "q", max_scores=2)) as queue:
        queue.add([score("a")])
        with pytest.raises(QueueFull, match="the queue is full"):
            queue.add([score("b"), score("c")])
        assert bodies(queue) == [b"a"]


def test_it_survives_its_process(tmp_path: Path) -> None:
    with closing(ScoreQueue(tmp_path / "q")) as queue:
        queue.add([score("a"), score("b")])
    with closing(ScoreQueue(tmp_path / "q")) as queue:
        assert bodies(queue) == [b"a", b"b"]
        assert queue.size() == (2, 2)


def test_one_holder_at_a_time(tmp_path: Path, queue: ScoreQueue) -> None:
    with pytest.raises(BridgeError, match="another bridge uses"):
        ScoreQueue(tmp_path / "bridge")


@pytest.mark.parametrize(
    "damage", [b"this is no database at all, really", b"SQLite format 3\0" + b"\x01" * 5000]
)
def test_a_damaged_file_is_set_aside(tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "bridge"
    folder.mkdir()
    (folder / "scores.db").write_bytes(damage)
    with closing(ScoreQueue(folder)) as queue:
        queue.add([score("a")])
        assert bodies(queue) == [b"a"]
    [aside] = [file for file in folder.glob("scores.db.broken-*") if not file.name.endswith(("-wal", "-shm"))]
    assert aside.read_bytes() == damage
    assert "set aside" in caplog.text


def test_a_disk_that_takes_nothing_is_a_full_queue(queue: ScoreQueue) -> None:
    queue.add([score("a")])
    queue._db.execute("PRAGMA max_page_count = 4")
    with pytest.raises(QueueFull, match="the queue's file takes nothing"):
        queue.add([score("big", body=b"x" * 100_000)])
    assert bodies(queue) == [b"a"]
    assert queue.size() == (1, 1)


def test_threads_add_and_remove_at_once(queue: ScoreQueue) -> None:
    def add(number: int) -> None:
        for one in range(20):
            queue.add([score(f"{number}-{one}")])

    threads = [threading.Thread(target=add, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    taken: list[bytes] = []
    while len(taken) < 100:
        rows = queue.front(7)
        taken += [one.body for _, one in rows]
        queue.remove(place for place, _ in rows)
    for thread in threads:
        thread.join()
    assert len(set(taken)) == 100
    assert queue.size() == (0, 0)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(BridgeError, match="cannot be written"):
        ScoreQueue(tmp_path / "bridge")


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "bridge").write_text("")
    with pytest.raises(BridgeError, match=r"cannot be written.*OTEL_AGENTS_HOME"):
        ScoreQueue(tmp_path / "bridge")


def test_others_cannot_read_it(tmp_path: Path, queue: ScoreQueue) -> None:
    assert (tmp_path / "bridge").stat().st_mode & 0o077 == 0


def test_no_keys_is_one_line(tmp_path: Path) -> None:
    settings = resolve({"mode": "disabled", "home": tmp_path}, environ={}, dotenv=False)
    with pytest.raises(BridgeError, match="set LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY"):
        create_app(settings)


def test_a_taken_port_is_one_line(
    tmp_path: Path, server: ScoreServer, make_settings: Callable[..., object]
) -> None:
    with pytest.raises(
        BridgeError, match=f"cannot listen on 127.0.0.1:{server.port} .*choose another --port"
    ):
        serve(make_settings(server.url), port=server.port)  # type: ignore[arg-type]
    # Nothing was opened for it.
    assert not (tmp_path / "bridge").exists()


def test_the_file_is_one_that_sqlite_can_read(tmp_path: Path, queue: ScoreQueue) -> None:
    queue.add([score("a")])
    with closing(sqlite3.connect(tmp_path / "bridge" / "scores.db")) as other:
        assert other.execute("SELECT id, body FROM scores").fetchall() == [("a", b"a")]
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
