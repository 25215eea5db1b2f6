"""Fixtures of the tests of ``/metrics``."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from scraping import Worker


@pytest.fixture
def snapshot_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of the test's own, where snapshots go."""
    home = tmp_path / "tmp"
    home.mkdir()
    monkeypatch.setenv("TMPDIR", str(home))
    monkeypatch.setattr(tempfile, "tempdir", str(home))
    return home


@pytest.fixture
def workers(snapshot_home: Path) -> Iterator[Callable[[int, str], Worker]]:
    """Starts worker processes that share a port; ends those that still run."""
    started: list[Worker] = []

    def start(port: int, name: str) -> Worker:
        started.append(Worker(port, name))
        return started[-1]

    yield start
    for worker in started:
        worker.process.kill()
        worker.process.communicate()
