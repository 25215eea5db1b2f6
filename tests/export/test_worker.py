"""The worker runs what is left behind: in order, at its time, and at the latest when it stops."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from otel_agents.export.worker import Worker


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker()
    yield made
    made.stop()


def test_what_is_put_off_runs_at_its_time(worker: Worker) -> None:
    done = threading.Event()
    started = time.monotonic()
    worker.later(0.3, done.set)
    assert done.wait(10)
    assert time.monotonic() - started >= 0.3


def test_hurrying_does_not_wait(worker: Worker) -> None:
    done: list[int] = []
    worker.later(600, done.append, 1)
    worker.drain()
    assert done == []
    worker.hurry()
    worker.drain()
    assert done == [1]


def test_stopping_runs_what_was_put_off_and_what_that_submits() -> None:
    worker = Worker()
    done: list[int] = []
    worker.later(600, lambda: worker.submit(done.append, 1))
    worker.stop()
    assert done == [1]
    worker.later(600, done.append, 2)  # nobody is left to wait
    assert done == [1, 2]


def test_stopping_while_another_thread_starts_it() -> None:
    """The thread is known to others only once it runs, since joining it before is an error."""
    for _ in range(50):
        worker = Worker()
        starter = threading.Thread(target=worker.submit, args=(int,))
        starter.start()
        worker.stop()
        starter.join()
        worker.stop()
