"""A real Collector with a stub behind it, one for each test or one for a module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from collector_rig import Collector, running
from parts import require


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    """A Collector of the test's own, that it may stop, kill and start again."""
    with running(require("collector"), tmp_path) as started:
        yield started


@pytest.fixture(scope="module")
def shared_collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A Collector that the tests of one module share; each looks for its own spans."""
    with running(require("collector"), tmp_path_factory.mktemp("collector")) as started:
        yield started
