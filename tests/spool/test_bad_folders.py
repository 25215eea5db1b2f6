"""Disks, files and folders that are not as they should be: the app runs on, and says so once."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

import pytest
from fault_proxy import PASS, FaultProxy, answer
from outlets import MakeOutlet, Outlet, entries
from parts import wait_for
from stub_backend import StubBackend

from otel_agents.export import dead_letters, disk, leftovers, locks, spool_file
from otel_agents.export.leftovers import Destination
from otel_agents.export.spool import Spool
from otel_agents.export.spool_file import NewerVersion, SpoolError


def left(folder: Path, *names: str) -> Path:
    """A file as a process that is gone leaves it."""
    made = Spool.create(folder, "spans")
    made.add(entries(*names))
    made.close()
    return made.path


def names(backend: StubBackend) -> list[str]:
    return sorted(span.name for span in backend.spans())


@pytest.fixture
def folder(proxy: FaultProxy, root: Path) -> Path:
    return Destination("collector", proxy.url, "").folder(root)


def test_a_folder_that_cannot_be_made_leaves_the_memory(
    outlet: MakeOutlet,
    backend: StubBackend,
    proxy: FaultProxy,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "file").write_text("in the way")
    proxy.refuse()
    out = outlet(root=tmp_path / "file", limits={"memory_spans": 10})
    for number in range(15):
        out.put(f"span {number}")
    wait_for(lambda: out.flush(0.3) == (10, 0), "the limit to be kept to after the first try")
    assert out.counts == {"dropped disk_failed": 5}
    assert caplog.text.count("cannot be used") == 1
    proxy.accept()
    wait_for(lambda: len(backend.spans()) == 10, "what was left in memory")
    assert "span 14" in names(backend), "the oldest gave way"


def filled_up(out: Outlet, room: int = 0) -> sqlite3.Connection:
    """Has a span on disk, and room there for so many pages more; SQLite says what it says of a full disk."""
    out.put("first")
    assert out.flush() == (0, 1)
    own = out.outbox._disk.own  # type: ignore[union-attr]
    assert own is not None
    [pages] = own._db.execute("PRAGMA page_count").fetchone()
    own._db.execute(f"PRAGMA max_page_count={pages + room}")
    return own._db


def test_a_full_disk_leaves_the_memory_until_there_is_room(
    outlet: MakeOutlet, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(disk, "_PAUSE", 0.0)
    proxy.refuse()
    out = outlet()
    database = filled_up(out)
    out.put("second", **{"gen_ai.input.messages": "x" * 100_000})
    wait_for(lambda: out.flush(0.3) == (1, 1), "a try")
    assert caplog.text.count("disk is full") == 1
    database.execute("PRAGMA max_page_count=1000000")
    wait_for(lambda: out.flush(0.3) == (0, 2), "another try")


def test_a_disk_that_becomes_full_takes_what_there_is_room_for(
    outlet: MakeOutlet, backend: StubBackend, proxy: FaultProxy
) -> None:
    proxy.refuse()
    out = outlet()
    filled_up(out, room=40)
    out.put(*(f"span {number}" for number in range(100)), **{"gen_ai.input.messages": "x" * 4_000})
    wait_for(lambda: out.flush(0.3)[1] > 1, "a try")
    in_memory, on_disk = out.flush(0.3)
    assert 20 <= on_disk <= 41
    assert in_memory + on_disk == 101
    assert out.close() == (in_memory, on_disk)
    assert out.counts == {"spooled": on_disk, "dropped disk_failed": in_memory}
    proxy.accept()
    after = outlet()
    after.outbox.start_for_leftovers()
    wait_for(lambda: len(backend.spans()) == on_disk, "what was on disk")
    assert sorted(names(backend)) == sorted(["first", *(f"span {number}" for number in range(on_disk - 1))])


def test_the_limit_of_the_folder_is_kept_to_and_the_oldest_give_way(
    outlet: MakeOutlet, backend: StubBackend, proxy: FaultProxy, folder: Path
) -> None:
    proxy.refuse()
    out = outlet(limits={"disk_bytes": 200_000, "memory_spans": 1, "span_bytes": 100_000})
    for number in range(60):
        out.put(f"span {number}", **{"gen_ai.input.messages": "x" * 10_000})
        out.outbox.save()
    _, kept = out.flush()
    assert 10 <= kept < 20
    assert out.counts["dropped spool_full"] == 60 - kept
    proxy.accept()
    wait_for(lambda: len(backend.spans()) == kept, "the rest")
    assert names(backend) == sorted(f"span {number}" for number in range(60 - kept, 60))


def test_by_value_infrastructure_gives_way_before_model_calls_and_errors_last(tmp_path: Path) -> None:
    made = Spool.create(tmp_path, "spans")
    made.add(entries("select"))
    made.add(entries("chat", **{"gen_ai.operation.name": "chat"}))
    made.add(entries("agent", **{"gen_ai.operation.name": "invoke_agent"}))
    assert made.evict(1, by_value=True) == [1]
    assert made.evict(1, by_value=True) == [3]
    made.close()


def test_a_damaged_leftover_is_set_aside_and_the_others_sent(
    outlet: MakeOutlet, backend: StubBackend, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = left(folder, "a")
    first.write_bytes(b"this is no database" * 100)
    left(folder, "b")
    out = outlet()
    out.put("c")
    wait_for(lambda: len(backend.spans()) == 2, "what can be read")
    assert names(backend) == ["b", "c"]
    assert next(one.name for one in folder.glob("*.broken-*")).startswith(first.name)
    assert caplog.text.count("is damaged") == 1


def test_damage_while_it_is_written_starts_a_new_file(
    outlet: MakeOutlet, backend: StubBackend, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "_PAUSE", 0.0)
    proxy.refuse()
    out = outlet(limits={"memory_spans": 1})
    out.put("only on disk")
    out.outbox.save()
    out.put("in memory", "too")
    own = out.outbox._disk.own  # type: ignore[union-attr]
    assert own is not None
    failing = own.path
    monkeypatch.setattr(Spool, "_head", lambda *_: (_ for _ in ()).throw(sqlite3.DatabaseError("malformed")))
    out.put("after")
    out.outbox.save()
    monkeypatch.undo()
    wait_for(lambda: out.outbox.save(), "a new file")
    assert list(folder_of(failing).glob("*.broken-*"))
    proxy.accept()
    out.flush()
    wait_for(lambda: out.outbox.waiting() == (0, 0), "the rest")
    lost = sum(count for what, count in out.counts.items() if what.startswith("dropped"))
    assert len(backend.spans()) + lost == 4


def folder_of(path: Path) -> Path:
    return path.parent


def test_a_file_of_a_newer_version_is_left_as_it_is(
    outlet: MakeOutlet, backend: StubBackend, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = left(folder, "from the future")
    with sqlite3.connect(path) as database:
        database.execute(f"PRAGMA user_version={spool_file.VERSION + 1}")
    with pytest.raises(NewerVersion):
        Spool.adopt(path)
    out = outlet()
    out.put("now")
    out.flush()
    wait_for(lambda: "newer version" in caplog.text, "it to be said")
    assert path.exists()
    assert names(backend) == ["now"]


def test_ten_thousand_leftovers_hold_up_nothing(
    outlet: MakeOutlet, backend: StubBackend, folder: Path
) -> None:
    folder.mkdir(parents=True)
    for number in range(10_000):
        (folder / f"spans-{number:x}.db").touch()  # empty: a process that was killed at its very start
    left(folder, "z")
    out = outlet()
    out.put("now")
    assert out.flush() == (0, 0)
    wait_for(lambda: len(backend.spans()) == 2, "the one that has something", timeout=60)
    assert len(leftovers.files(folder)) < 10_000


def test_a_file_system_without_locks_leaves_the_memory(
    outlet: MakeOutlet, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(locks.fcntl, "flock", no_locks)
    proxy.refuse()
    out = outlet()
    out.put("a")
    wait_for(lambda: out.outbox._attempts.failures, "a try")
    assert out.flush(0.3) == (1, 0)
    assert caplog.text.count("No locks available") == 1


def test_a_disk_that_cannot_delete_has_nothing_sent_twice(
    outlet: MakeOutlet, backend: StubBackend, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.refuse()
    out = outlet()
    out.put("a", "b")
    assert out.flush() == (0, 2)

    def read_only(self: Spool, rows: object) -> int:
        raise SpoolError("attempt to write a readonly database")

    with monkeypatch.context() as patch:
        patch.setattr(Spool, "remove", read_only)
        proxy.accept()
        wait_for(lambda: out.counts["delivered"] == 2, "the delivery")
        out.put("c")
        wait_for(lambda: out.counts["delivered"] == 3, "another one")
    wait_for(lambda: out.outbox.waiting() == (0, 0), "the disk to work again")
    assert names(backend) == ["a", "b", "c"]


def test_what_is_too_old_is_dropped_and_counted(outlet: MakeOutlet, proxy: FaultProxy, folder: Path) -> None:
    made = Spool.create(folder, "spans")
    [old, young] = entries("old", "young")
    old.at -= 1000
    made.add([old, young])
    made.close()
    proxy.refuse()
    out = outlet(limits={"max_age": 500.0})
    out.put("now")
    wait_for(lambda: out.counts["dropped too_old"] == 1, "it to be given up")
    proxy.accept()
    wait_for(lambda: out.counts["delivered"] == 2, "the young ones")


def test_what_is_old_is_sent_all_the_same_while_the_backend_takes_it(
    outlet: MakeOutlet, backend: StubBackend, folder: Path
) -> None:
    """Its age may be the doing of a clock that was not set yet."""
    made = Spool.create(folder, "spans")
    [old] = entries("of 1970")
    old.at = 1000.0
    made.add([old])
    made.close()
    out = outlet(limits={"max_age": 500.0})
    out.outbox.start_for_leftovers()
    wait_for(lambda: names(backend) == ["of 1970"], "it to be sent")
    assert "dropped too_old" not in out.counts


def test_a_clock_that_is_put_forward_makes_nothing_too_old(
    outlet: MakeOutlet, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.refuse()
    out = outlet(limits={"max_age": 500.0})
    out.put("a")
    assert out.flush() == (0, 1)
    failures = out.outbox._attempts.failures
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 1000.0)
    wait_for(lambda: out.outbox._attempts.failures > failures + 2, "looks at the age")
    assert out.outbox.waiting() == (0, 1)
    proxy.accept()
    wait_for(lambda: out.counts["delivered"] == 1, "it to be sent")


def test_dead_letters_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "_LIMIT", 3)
    for number, entry in enumerate(entries(*"abcde")):
        assert dead_letters.write(tmp_path, entry, "status_400", str(number))
    assert [one.name for one in dead_letters.read(tmp_path)] == ["c", "d", "e"]


def test_a_dead_letter_that_the_disk_does_not_take_is_counted_as_lost(
    outlet: MakeOutlet, proxy: FaultProxy, folder: Path
) -> None:
    proxy.fault = lambda spans: answer(400) if any(s.name == "poison" for s in spans) else PASS
    folder.mkdir(parents=True)
    (folder / "dead").write_text("in the way")
    out = outlet()
    out.put("poison", "fine")
    assert out.flush() == (0, 0)
    assert out.counts == {"delivered": 1, "dropped status_400": 1}


def test_a_lock_whose_holder_deleted_it_is_no_lock(tmp_path: Path) -> None:
    """Two adopters: the first sends everything and deletes the file while the second waits to look."""
    path = left(tmp_path, "a")
    first = Spool.adopt(path)
    assert first is not None
    assert Spool.adopt(path) is None
    first.remove([1])
    first.close()
    assert Spool.adopt(path) is None
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpoolError, match="cannot be used"):
        Spool.create(tmp_path / "file" / "x", "spans")
