"""Agents described in TOML files, found by the one registry that replays use as well."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from stand_in import printing, program

from otel_agents import cli_agents
from otel_agents.accounting import Usage
from otel_agents.cli_agents.declared import DeclarationError, make
from otel_agents.replay import runners
from otel_agents.replay.errors import ReplayError
from otel_agents.testing import AgentSpans

FILE = """
name = "mine"
command = ["mine", "--message", "{prompt}"]
model = ["--model", "{model}"]
session = ["--resume", "{session}"]
provider = "openai"
format = "jsonl"
exit_errors = {42 = "input"}
sum = ["tokens"]
join = ["output"]
tokens_exclude = ["cache_read"]

[map]
output = "message.text"
session_id = "session"
model = "model"
cost = "usage.cost"
error = "error.message"
tokens = {input = "usage.in", output = "usage.out", cache_read = "usage.cached"}

[map.tool]
when = {type = "tool"}
name = "tool"
id = "id"
arguments = "input"
output = "output"
"""


def file(tmp_path: Path, text: str = FILE) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


async def test_everything(programs: Path, tmp_path: Path, agent_spans: AgentSpans) -> None:
    lines: list[Any] = [
        {"session": "s-1", "model": "gpt-4o"},
        {"message": {"text": "one "}, "usage": {"in": 10, "out": 1, "cached": 5}},
        {"type": "tool", "tool": "ls", "id": 1, "input": {"path": "."}, "output": "a.py"},
        {"message": {"text": "two"}, "usage": {"in": "20", "out": 2, "cached": 0, "cost": 0.5}},
        {"type": "other"},
    ]
    printing(programs, "mine", "\n".join(map(json.dumps, lines)))
    result = await cli_agents.load(file(tmp_path)).run("x")
    assert result.output == "one two"
    assert result.session_id == "s-1"
    assert result.tokens == Usage(input=35, output=3, cache_read=5)
    assert result.cost == 0.5
    assert [(one.name, one.output) for one in result.tool_calls] == [("ls", "a.py")]
    assert result.skipped == {"event:other": 1}
    agent_spans.assert_tree("""
        invoke_agent mine
          chat gpt-4o
          execute_tool ls
    """)


async def test_words(programs: Path, tmp_path: Path, agent_spans: AgentSpans) -> None:
    program(
        programs,
        "mine",
        'import json, sys; print(json.dumps({"message": {"text": json.dumps(sys.argv[1:])}}))',
    )
    result = await cli_agents.load(file(tmp_path)).run(
        "do {model}", model="m", session="s", extra_args=["-x"]
    )
    assert json.loads(result.output) == ["--message", "do {model}", "--model", "m", "--resume", "s", "-x"]


async def test_text_from_standard_input(programs: Path, agent_spans: AgentSpans) -> None:
    program(programs, "cat2", "import sys; print(sys.stdin.read().upper())")
    definition = make({"name": "cat2", "command": ["cat2"]})
    assert (await cli_agents.CliAgent(definition).run("hello")).output == "HELLO"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("name = ", "nam = "), "'nam' is no key"),
        (('name = "mine"', "name = 1"), "name is missing"),
        (('format = "jsonl"', 'format = "xml"'), "format 'xml' is none of text, json, jsonl"),
        (('"--message", "{prompt}"]', "1]"), "command is a list of words"),
        (('session_id = "session"', 'sesion = "session"'), "map.sesion is nothing that is read"),
        (('when = {type = "tool"}', "whn = 1"), "map.tool takes"),
        (('["cache_read"]', '["cash"]'), "tokens_exclude is a list of"),
        (("{42 =", "{x ="), "exit_errors maps exit statuses"),
        (("[map]", "[map"), "is not valid TOML"),
    ],
)
def test_what_is_wrong_is_said(change: tuple[str, str], said: str, tmp_path: Path) -> None:
    assert change[0] in FILE
    with pytest.raises(DeclarationError, match=said.replace("(", r"\(")) as raised:
        cli_agents.load(file(tmp_path, FILE.replace(*change)))
    assert "mine.toml" in str(raised.value)
    assert "\n" not in str(raised.value)


class TestRegistry:
    def test_built_in(self) -> None:
        assert {"claude", "codex", "copilot", "gemini"} <= set(runners.names())
        assert runners.get("gemini") is not None
        assert runners.get("nobody") is None
        assert runners.registered("gemini") is None

    def test_declared(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from otel_agents import runtime
        from otel_agents.config import resolve

        settings = resolve(environ={"OTEL_AGENTS_CLI_AGENTS": str(file(tmp_path))}, dotenv=False)
        with runtime.override(runtime.Runtime(settings)):
            assert "mine" in runners.names()
            assert runners.get("mine") is not None
        settings = resolve(environ={"OTEL_AGENTS_CLI_AGENTS": "/no/such.toml"}, dotenv=False)
        with runtime.override(runtime.Runtime(settings)):
            assert "gemini" in runners.names()
            with pytest.raises(ReplayError, match=r"cannot read /no/such\.toml"):
                runners.get("gemini")

    async def test_a_failed_run_fails_the_replay(self, programs: Path, agent_spans: AgentSpans) -> None:
        printing(programs, "gemini", "", status=42, stderr="no")
        run = runners.get("gemini")
        assert run is not None
        with pytest.raises(ReplayError, match="status 42"):
            runners.result_of(await run("x"))

    async def test_a_run_is_a_result(self, programs: Path, agent_spans: AgentSpans) -> None:
        printing(programs, "gemini", json.dumps({"response": "yes", "stats": {"models": {}}}))
        run = runners.get("gemini")
        assert run is not None
        result = runners.result_of(await run("x"))
        assert (result.output, result.cost) == ("yes", None)
