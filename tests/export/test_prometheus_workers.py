"""``/metrics`` of an app with several worker processes: one page, whoever serves it, whoever dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
from parts import free_port, wait_for
from scraping import Worker, get, samples, values

TOKENS = "gen_ai_client_inference_usage_input_tokens_total"
Start = Callable[[int, str], Worker]


def _by_worker(port: int) -> dict[str, float]:
    """Tokens by worker, joined through ``target_info`` as a query would do it."""
    try:
        found = samples(get(port))
    except OSError:
        return {}
    names = {
        dict(labels)["instance"]: dict(labels)["worker"] for name, labels in found if name == "target_info"
    }
    result: dict[str, float] = {}
    for (name, labels), value in found.items():
        if name == TOKENS:
            worker = names[dict(labels)["instance"]]
            result[worker] = result.get(worker, 0) + value
    return result


def _shows(port: int, expected: dict[str, float]) -> None:
    wait_for(lambda: _by_worker(port) == expected, f"{expected}, not {_by_worker(port)}", timeout=15)


def test_three_workers_are_one_page_and_none_is_counted_twice(workers: Start) -> None:
    port = free_port()
    for number, name in enumerate(("a", "b", "c"), 1):
        workers(port, name).tell(f"call m {number}")
    _shows(port, {"a": 10, "b": 20, "c": 30})
    assert values(port, TOKENS, "job") == {"tests/worker-app": 60}
    for _ in range(5):  # the same from every scrape
        assert sum(_by_worker(port).values()) == 60


def test_exactly_one_serves_and_another_takes_over_when_it_is_killed(workers: Start) -> None:
    port = free_port()
    started = {name: workers(port, name) for name in ("a", "b", "c")}
    for worker in started.values():
        worker.tell("call m 1")
        worker.tell("flush")
    _shows(port, {"a": 10, "b": 10, "c": 10})
    counts = {"a": 10.0, "b": 10.0, "c": 10.0}
    for left in (3, 2, 1):
        serving = wait_for(
            lambda: [w for w in started.values() if w.serves], "somebody who serves", timeout=10
        )
        assert len(serving) == 1
        assert len(started) == left
        if left > 1:
            serving[0].process.send_signal(signal.SIGKILL)
            serving[0].process.wait()
            del started[serving[0].name]
            survivor = next(iter(started.values()))
            survivor.tell("call m 2")
            counts[survivor.name] += 20
            # The dead one's last counts stay on the page.
            _shows(port, counts)


def test_a_worker_that_ends_properly_leaves_its_very_last_counts(workers: Start) -> None:
    port = free_port()
    first, second = workers(port, "a"), workers(port, "b")
    wait_for(lambda: first.serves or second.serves, "somebody who serves")
    leaving, staying = (first, second) if first.serves else (second, first)
    leaving.tell("call m 5")
    assert leaving.tell("exit") == ["bye"]
    leaving.process.wait(10)
    staying.tell("call m 1")
    _shows(port, {leaving.name: 50, staying.name: 10})


def test_a_forked_child_counts_from_zero_and_does_not_hold_the_port(workers: Start) -> None:
    port = free_port()
    parent = workers(port, "parent")
    parent.tell("call m 3")
    wait_for(lambda: parent.serves, "the parent to serve")
    answer, child = parent.tell("fork child")
    assert answer == "forked"
    try:
        _shows(port, {"parent": 30, "child": 70})
        # The child has inherited a copy of the listening socket. Had it kept it, nobody could take
        # the port now, and clients would wait for an answer.
        parent.process.kill()
        parent.process.wait()
        _shows(port, {"parent": 30, "child": 70})
    finally:
        os.kill(int(child), signal.SIGKILL)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_scrapes_during_a_storm_of_counting_are_consistent(workers: Start) -> None:
    port = free_port()
    started = [workers(port, name) for name in ("a", "b")]
    wait_for(lambda: get_or_none(port), "the page")
    for _ in range(10):
        for worker in started:
            worker.tell("call m 20")
        found = samples(get(port))
        for (name, labels), value in found.items():
            if name == "gen_ai_client_inference_duration_seconds_count":
                infinite = ("gen_ai_client_inference_duration_seconds_bucket", _with(labels, "le", "+Inf"))
                assert found[infinite] == value
    _shows(port, {"a": 2000, "b": 2000})


def get_or_none(port: int) -> str | None:
    try:
        return get(port)
    except OSError:
        return None


def _with(labels: tuple[tuple[str, str], ...], key: str, value: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((*labels, (key, value))))
