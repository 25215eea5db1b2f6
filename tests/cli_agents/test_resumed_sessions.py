"""Runs that continue a session count what they used themselves, whatever the agent sums up.

Codex' ``turn.completed`` is the thread's total (18 080, then 36 197 tokens for two messages); Claude Code
restores cost and ``modelUsage`` of the session since 2.1.277, not ``usage``.
"""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from stand_in import exporting, printing

from otel_agents.accounting import Usage
from otel_agents.cli_agents import claude, codex, definitions, sessions
from otel_agents.testing import AgentSpans

pytestmark = pytest.mark.agent_spans(cli_telemetry=False)


@pytest.fixture
def id() -> str:
    """A session that no other test knows."""
    return str(uuid.uuid4())


def lines(*events: Any) -> str:
    return "".join(json.dumps(one) + "\n" for one in events)


def codex_run(id: str, sent: int, cached: int, produced: int) -> str:
    usage = {"input_tokens": sent, "cached_input_tokens": cached, "output_tokens": produced}
    return lines(
        {"type": "thread.started", "thread_id": id},
        {"type": "turn.started"},
        {"type": "item.completed", "item": {"id": "item_0", "type": "agent_message", "text": "meow"}},
        {"type": "turn.completed", "usage": usage},
    )


def claude_run(id: str, own: tuple[int, int], cost: float, **models: tuple[int, int, float]) -> str:
    """``own`` and ``models``: tokens in and out (and dollars)."""
    return lines(
        {
            "type": "result", "subtype": "success", "is_error": False, "result": "ok", "session_id": id,
            "uuid": str(uuid.uuid4()), "num_turns": 1, "total_cost_usd": cost,
            "usage": {"input_tokens": own[0], "output_tokens": own[1]},
            "modelUsage": {
                f"claude-{name}-4-5": {"inputTokens": sent, "outputTokens": produced, "costUSD": dollars}
                for name, (sent, produced, dollars) in models.items()
            },
        }
    )  # fmt: skip


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def taken(path: Path) -> None:
    """A file is where a folder would have to be."""
    path.write_text("a file")


def counted(agent_spans: AgentSpans) -> tuple[float, float]:
    names = ("input_tokens", "output_tokens")
    sums = [agent_spans.metric(f"gen_ai.client.inference.usage.{name}").sum for name in names]
    return sums[0], sums[1]


class TestCodex:
    async def test_the_threads_total_is_not_counted_again(
        self, programs: Path, agent_spans: AgentSpans, id: str
    ) -> None:
        printing(programs, "codex", codex_run(id, 18_080, 3_000, 20))
        assert (await codex.run("meow", model="gpt-5")).tokens == Usage(18_080, 20, 3_000)
        printing(programs, "codex", codex_run(id, 36_197, 9_000, 35))
        again = await codex.run("what?", session=id, model="gpt-5")
        assert again.tokens == Usage(18_117, 15, 6_000)
        assert again.skipped == {}
        assert counted(agent_spans) == (36_197, 35)

    async def test_by_the_command_line(self, programs: Path, agent_spans: AgentSpans, id: str) -> None:
        printing(programs, "codex", codex_run(id, 100, 0, 10))
        await codex.run("x")
        printing(programs, "codex", codex_run(id, 300, 0, 30))
        result = await codex.run("y", extra_args=["resume", "--last"])
        assert result.tokens == Usage(200, 20)

    async def test_a_thread_that_is_not_known(self, programs: Path, agent_spans: AgentSpans, id: str) -> None:
        """Nobody said what this run used, and the total is what earlier ones have counted."""
        printing(programs, "codex", codex_run(id, 500, 0, 50))
        result = await codex.run("x", session=id)
        assert result.output == "meow"
        assert result.tokens is None
        assert result.skipped == {"totals_with_earlier_runs": 1}
        printing(programs, "codex", codex_run(id, 600, 0, 60))
        assert (await codex.run("x", session=id)).tokens == Usage(100, 10)

    @pytest.mark.agent_spans(cli_telemetry=True)
    async def test_its_telemetry_knows(self, programs: Path, agent_spans: AgentSpans) -> None:
        """The calls that arrived are this run's, though they are fewer than what the thread used."""
        file = exporting(programs, "codex", "codex")
        code = file.read_text()
        more = code.replace(
            'sys.stdout.write((captured / "stdout.txt").read_text())',
            'sys.stdout.write((captured / "stdout.txt").read_text().replace(\'"input_tokens":200\', '
            "'\"input_tokens\":9200').replace('01a20753', '01a20754'))",
        )
        assert more != code
        file.write_text(more)
        result = await codex.run("x", session="01a20754-fee6-74e1-b6e0-cf6d7553638a")
        assert result.telemetry
        assert result.tokens == Usage(200, 40, 80, reasoning=10)
        assert counted(agent_spans) == (200, 40)


class TestOnDisk:
    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Where sessions are remembered."""
        made = tmp_path / "home" / "agent-sessions"
        monkeypatch.setattr(sessions, "_folder", lambda: made)
        return made

    async def test_a_thread_of_another_process(
        self, programs: Path, folder: Path, agent_spans: AgentSpans, id: str
    ) -> None:
        printing(programs, "codex", codex_run(id, 500, 0, 50))
        await codex.run("x")
        sessions._sessions.clear()
        printing(programs, "codex", codex_run(id, 600, 0, 60))
        assert (await codex.run("x", session=id)).tokens == Usage(100, 10)
        [file] = files(folder)
        assert id not in file.name
        file.write_text("{")  # cut
        sessions._sessions.clear()
        printing(programs, "codex", codex_run(id, 700, 0, 70))
        assert (await codex.run("x", session=id)).tokens is None

    async def test_models_and_cost(
        self, programs: Path, folder: Path, agent_spans: AgentSpans, id: str
    ) -> None:
        printing(programs, "claude", claude_run(id, (100, 10), 0.3, opus=(100, 10, 0.3)))
        await claude.run("x")
        sessions._sessions.clear()
        printing(programs, "claude", claude_run(id, (20, 5), 0.36, opus=(120, 15, 0.36)))
        again = await claude.run("y", session=id)
        assert (again.tokens, again.cost) == (Usage(20, 5), pytest.approx(0.06))

    async def test_there_is_an_end_to_how_many_are_remembered(
        self, programs: Path, folder: Path, agent_spans: AgentSpans, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sessions, "_MAX_SESSIONS", 2)
        for name in ("a", "b", "c"):
            printing(programs, "codex", codex_run(name, 500, 0, 50))
            await codex.run("x")
        assert len(files(folder)) == 2

    async def test_a_folder_that_cannot_be_written(
        self, programs: Path, folder: Path, agent_spans: AgentSpans, id: str
    ) -> None:
        taken(folder.parent)
        printing(programs, "codex", codex_run(id, 500, 0, 50))
        assert (await codex.run("x")).tokens == Usage(500, 50)
        printing(programs, "codex", codex_run(id, 600, 0, 60))
        assert (await codex.run("x", session=id)).tokens == Usage(100, 10)


class TestClaude:
    async def test_restored_totals(self, programs: Path, agent_spans: AgentSpans, id: str) -> None:
        printing(programs, "claude", claude_run(id, (100, 10), 0.3, opus=(100, 10, 0.3)))
        await claude.run("x")
        printing(
            programs, "claude",
            claude_run(id, (20, 5), 0.36, opus=(120, 15, 0.35), haiku=(30, 3, 0.01)),
        )  # fmt: skip
        again = await claude.run("y", session=id)
        assert again.tokens == Usage(50, 8)
        assert again.cost == pytest.approx(0.06)
        assert {name: one.usage for name, one in again.models.items()} == {
            "claude-opus-4-5": Usage(20, 5),
            "claude-haiku-4-5": Usage(30, 3),
        }
        assert counted(agent_spans) == (150, 18)
        assert agent_spans.metric("otel_agents.cost").sum == pytest.approx(0.36)

    async def test_totals_that_begin_at_zero(self, programs: Path, agent_spans: AgentSpans, id: str) -> None:
        """Versions before 2.1.277: each run says its own, which may be more than the one before."""
        printing(programs, "claude", claude_run(id, (100, 10), 0.3, opus=(100, 10, 0.3)))
        await claude.run("x")
        printing(programs, "claude", claude_run(id, (150, 12), 0.4, opus=(150, 12, 0.4)))
        again = await claude.run("y", session=id)
        assert again.tokens == Usage(150, 12)
        assert again.cost == 0.4

    async def test_a_session_that_is_not_known(
        self, programs: Path, agent_spans: AgentSpans, id: str
    ) -> None:
        """Its own usage is what is certain; the price table knows the cost."""
        printing(programs, "claude", claude_run(id, (20, 5), 0.36, opus=(120, 15, 0.36)))
        result = await claude.run("x", session=id, model="claude-opus-4-5")
        assert result.tokens == Usage(20, 5)
        assert result.cost_estimated
        assert result.cost == pytest.approx((20 * 5 + 5 * 25) / 1e6)
        assert result.skipped == {"totals_with_earlier_runs": 1}

    async def test_not_known_and_all_its_own(self, programs: Path, agent_spans: AgentSpans, id: str) -> None:
        printing(programs, "claude", claude_run(id, (20, 5), 0.36, opus=(20, 5, 0.36)))
        result = await claude.run("x", session=id)
        assert (result.tokens, result.cost, result.skipped) == (Usage(20, 5), 0.36, {})


@pytest.mark.parametrize(
    ("agent", "words", "expected"),
    [
        ("claude", ["-p", "x"], None),
        ("claude", ["-p", "--resume", "s", "x"], "s"),
        ("claude", ["-p", "--resume=s", "x"], "s"),
        ("claude", ["-c", "-p", "x"], ""),
        ("claude", ["-r"], ""),
        ("codex", ["exec", "--json", "resume", "s", "x"], "s"),
        ("codex", ["exec", "resume", "--last", "x"], ""),
        ("codex", ["exec", "-c", "a=1", "resume"], None),
        ("gemini", ["--resume", "s", "-p", "x"], None),  # begins at zero
    ],
)
def test_which_session(agent: str, words: list[str], expected: str | None) -> None:
    assert definitions.BUILT_IN[agent].resumed(words) == expected
