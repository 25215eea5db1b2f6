"""Direct mode's scores wait on disk as spans do: for this process, and for the next one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from on_disk import on_disk
from parts import free_port, wait_for
from score_server import Answer, ScoreServer

from otel_agents.export import waits
from otel_agents.export.leftovers import Destination
from otel_agents.export.limits import Limits
from otel_agents.export.outbox import Mode
from otel_agents.export.result import ScoreResult
from otel_agents.langfuse.score_api import ScoreApi
from otel_agents.langfuse.scores import ScoreSender

Make = Callable[..., ScoreSender]


@pytest.fixture
def sender(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    monkeypatch.setattr(waits, "_FIRST", 0.02)
    monkeypatch.setattr(waits, "_LONGEST", 0.05)
    made: list[ScoreSender] = []

    def make(url: str, mode: Mode = "spill", limits: Limits | None = None) -> ScoreSender:
        place = Destination("langfuse", url, "pk-lf-local")
        made.append(
            ScoreSender(
                lambda: ScoreApi(url, "pk-lf-local", "sk-lf-local", 5.0),
                delay=0.0,
                mode=mode,
                root=root,
                destination=place,
                limits=limits,
            )
        )
        return made[-1]

    yield make
    for one in made:
        one.close()


def submit(sender: ScoreSender, *names: str) -> None:
    for number, name in enumerate(names):
        attributes: dict[str, Any] = {"gen_ai.evaluation.name": name, "gen_ai.evaluation.score.value": 0.5}
        sender.submit(attributes, "a" * 32, None, 1_760_000_000_000_000_000 + number)


def test_scores_wait_on_disk_while_langfuse_does_not_answer(sender: Make, root: Path) -> None:
    port = free_port()
    made = sender(f"http://127.0.0.1:{port}")
    submit(made, "a", "b")
    assert made.flush(20) == ScoreResult(spooled=2)
    with ScoreServer(port) as server:
        wait_for(lambda: len(server.scores()) == 2, "the next try")
        assert [score["name"] for score in server.scores()] == ["a", "b"]
        assert made.flush(10) == ScoreResult(delivered=2)


def test_the_next_process_sends_what_one_left(sender: Make, root: Path) -> None:
    port = free_port()
    first = sender(f"http://127.0.0.1:{port}")
    submit(first, "a", "b")
    assert first.finish(20) == ScoreResult(spooled=2)
    with ScoreServer(port) as server:
        second = sender(server.url)
        second.start_for_leftovers()
        wait_for(lambda: len(server.scores()) == 2, "what was left")
        wait_for(lambda: not list(root.glob("*/scores-*")), "the file to be gone")


def test_a_refused_score_on_disk_takes_no_other_with_it(sender: Make) -> None:
    port = free_port()
    made = sender(f"http://127.0.0.1:{port}")
    submit(made, "a", "poison", "b")
    made.flush(20)
    with ScoreServer(port) as server:

        def answer(body: Any) -> Answer:
            scores = body if isinstance(body, list) else [body]
            return Answer(400) if any(one["name"] == "poison" for one in scores) else Answer()

        server.answer = answer
        wait_for(lambda: made._outbox.waiting() == (0, 0), "the disk to be empty")
        assert made.flush(10) == ScoreResult(delivered=2, dropped=1)


def test_while_langfuse_hangs_scores_are_on_disk_after_the_checkpoint(sender: Make, root: Path) -> None:
    """A kill during the ten seconds of a request takes no more of them than a kill takes of spans."""
    with ScoreServer() as server:
        server.gate.clear()
        made = sender(server.url, limits=Limits(checkpoint=0.1))
        submit(made, "a", "b")
        wait_for(lambda: on_disk(root, "scores") == 2, "both on disk")
        assert not server.requests
        server.gate.set()
        assert made.flush(20) == ScoreResult(delivered=2)
        assert {score["name"] for score in server.scores()} == {"a", "b"}


def test_durable_has_scores_on_disk_when_they_are_submitted(sender: Make, root: Path) -> None:
    with ScoreServer() as server:
        made = sender(server.url, mode="durable", limits=Limits(checkpoint=3600.0))
        submit(made, "a", "b", "c")
        assert on_disk(root, "scores") + len(server.scores()) >= 3
        assert made.flush(20) == ScoreResult(delivered=3)
        wait_for(lambda: on_disk(root, "scores") == 0, "the disk to be empty")
