"""A stack of its own for a test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from stack_up import Up


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    started = Up(tmp_path / "home")
    yield started
    started.clean()
