"""A score endpoint with answers of the test's choice, and senders to it that are closed in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from score_server import ScoreServer

from otel_agents.export import waits
from otel_agents.langfuse.score_api import ScoreApi
from otel_agents.langfuse.scores import ScoreSender

MakeSender = Callable[..., ScoreSender]


@pytest.fixture
def server() -> Iterator[ScoreServer]:
    with ScoreServer() as running:
        yield running


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries again after hundredths of a second; what a server asks for is waited as it is."""
    monkeypatch.setattr(waits, "_FIRST", 0.02)
    monkeypatch.setattr(waits, "_LONGEST", 0.05)


@pytest.fixture
def make_sender(short_pauses: None) -> Iterator[MakeSender]:
    """Makes senders to an address; scores wait for no company unless the test says so."""
    made: list[ScoreSender] = []

    def make(url: str, *, timeout: float = 10.0, **rest: Any) -> ScoreSender:
        rest.setdefault("delay", 0.0)
        made.append(ScoreSender(lambda: ScoreApi(url, "pk-lf-local", "sk-lf-local", timeout), **rest))
        return made[-1]

    yield make
    for sender in made:
        sender.close()
