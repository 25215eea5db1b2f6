"""The parts of a replay: recorded messages, requests of each API, commands, scorers."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from otel_agents.langfuse.conversation import Conversation, Message, parse
from otel_agents.replay import requests, runners, scoring
from otel_agents.replay.command import command_runner, read_output
from otel_agents.replay.errors import ReplayError
from otel_agents.replay.runners import Result, result_of

SAID = Conversation(
    [
        Message("system", [{"type": "text", "content": "Be brief."}]),
        Message("user", [{"type": "text", "content": "Look it up"}]),
        Message(
            "assistant",
            [
                {"type": "reasoning", "content": "hm"},
                {"type": "tool_call", "id": "c1", "name": "lookup", "arguments": {"q": "x"}},
            ],
        ),
        Message("tool", [{"type": "tool_call_response", "id": "c1", "response": {"found": 1}}]),
    ]
)


@pytest.mark.parametrize(
    ("recorded", "prompt"),
    [
        ('[{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]', "hi"),
        ('[{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}]', "hi"),
        ('{"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}], "tools": []}', "hi"),
        ('{"role": "user", "content": "hi"}', "hi"),
        ('"hi"', "hi"),
        ("hi", "hi"),
        ("[not json", "[not json"),
        ('{"task": "hi"}', '{"task": "hi"}'),
        ("42", "42"),
    ],
)
def test_every_recorded_form_is_understood(recorded: str, prompt: str) -> None:
    found = parse(recorded)
    assert found is not None
    assert found.prompt == prompt


@pytest.mark.parametrize("recorded", [None, "", "  "])
def test_nothing_recorded(recorded: str | None) -> None:
    assert parse(recorded) is None


def test_an_answer_with_tool_calls_in_words() -> None:
    assert SAID.readable().splitlines() == ["Be brief.", "Look it up", 'lookup({"q": "x"})', '{"found": 1}']


def test_openai_chat() -> None:
    found = requests.openai_chat("m", SAID, {"max_tokens": 9, "stop_sequences": '["a"]', "top_k": 3})
    assert found == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Look it up"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "lookup", "arguments": '{"q": "x"}'},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": '{"found": 1}'},
        ],
        "max_completion_tokens": 9,
        "stop": ["a"],
    }
    older = requests.openai_chat("m", SAID, {"max_tokens": 9}, newest=False)
    assert (older["max_tokens"], "max_completion_tokens" in older) == (9, False)


def test_openai_responses() -> None:
    found = requests.openai_responses("m", SAID, {"max_tokens": 9})
    assert found["input"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Look it up"},
        {"type": "function_call", "call_id": "c1", "name": "lookup", "arguments": '{"q": "x"}'},
        {"type": "function_call_output", "call_id": "c1", "output": '{"found": 1}'},
    ]
    assert (found["max_output_tokens"], found["store"]) == (9, False)


def test_anthropic() -> None:
    found = requests.anthropic("m", SAID, {})
    assert found["system"] == "Be brief."
    assert found["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "Look it up"}]},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "c1", "name": "lookup", "input": {"q": "x"}}],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "c1", "content": '{"found": 1}'}],
        },
    ]


def test_pictures_by_address_are_sent_and_others_refused() -> None:
    linked = Conversation([Message("user", [{"type": "uri", "modality": "image", "uri": "http://x/y.png"}])])
    (message,) = requests.openai_chat("m", linked, {})["messages"]
    assert message["content"] == [{"type": "image_url", "image_url": {"url": "http://x/y.png"}}]
    blob = Conversation([Message("user", [{"type": "blob", "modality": "audio"}])])
    for make in (requests.openai_chat, requests.openai_responses, requests.anthropic):
        with pytest.raises(ReplayError, match=r"not text \(audio\), whose content was not recorded"):
            make("m", blob, {})


def go(command: str, prompt: str, **options: Any) -> Result:
    return result_of(asyncio.run(command_runner(command)(prompt, **options)))


def test_a_command_gets_the_prompt_as_one_word_or_on_standard_input() -> None:
    nasty = "a 'b' \"c\"; $(touch x)\n{model}"
    assert go("printf %s {prompt}", nasty).output == nasty
    assert go("cat", nasty).output == nasty
    assert go("echo {model} {prompt}", "p", model="m").output == "m p"


def test_a_command_that_fails() -> None:
    with pytest.raises(ReplayError, match="ended with status 3: oh no"):
        go("sh -c 'echo oh no >&2; exit 3'", "x")
    with pytest.raises(ReplayError, match="no command 'no-such-command'; install it"):
        go("no-such-command {prompt}", "x")


def test_a_command_that_hangs_is_ended_with_what_it_started(tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    command = f"sh -c 'sleep 60 & echo $! > {marker}; wait'"

    async def run() -> None:
        await asyncio.wait_for(command_runner(command)("x"), 2)

    with pytest.raises(TimeoutError):
        asyncio.run(run())
    pid = int(marker.read_text())
    state = Path(f"/proc/{pid}/stat")
    assert not state.exists() or state.read_text().split()[2] == "Z"
    assert pid != os.getpid()


def test_a_command_that_prints_without_end_is_ended_in_time() -> None:
    """What nobody reads any more must not keep it, and its output must not fill the memory."""

    async def run() -> None:
        await asyncio.wait_for(command_runner("yes")("x"), 0.5)

    started = time.monotonic()
    with pytest.raises(TimeoutError):
        asyncio.run(run())
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(
    ("printed", "result"),
    [
        ("plain\n", Result("plain")),
        ('{"result": "r", "total_cost_usd": 0.5, "usage": {"input": 1}}', Result("r", {"input": 1}, 0.5)),
        ('{"output": "o", "tokens": 7, "cost": 1, "model": "m"}', Result("o", 7, 1.0, "m")),
        ('{"answer": 1}', Result('{"answer": 1}')),
        ("{broken", Result("{broken")),
        ('{"output": "o", "cost": true, "tokens": true}', Result("o")),
    ],
)
def test_what_a_command_prints(printed: str, result: Result) -> None:
    assert read_output(printed) == result


def test_what_a_runner_may_return() -> None:
    class Own:
        output, tokens, cost = "o", 3, 0.1

    assert result_of(Own()) == Result("o", 3, 0.1)
    assert result_of({"output": "o"}) == Result("o")
    assert result_of("o") == Result("o")
    assert result_of(None) == Result("")


def test_a_runner_that_was_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runners, "_registered", {})

    async def run(prompt: str) -> str:
        return prompt.upper()

    assert runners.get("shout") is None
    runners.register("shout", run)
    assert runners.get("shout") is run
    assert "shout" in runners.names()


def test_scorers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_scorers.py").write_text(
        "async def later(prompt, output): return 0.5, 'half'\n"
        "def bad(prompt, output): return 'x'\n"
        "def nan(prompt, output): return float('nan')\n"
        "number = 3\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert scoring.grade(scoring.load("my_scorers:later"), "p", "o") == scoring.Grade(0.5, "half")
    with pytest.raises(ReplayError, match="the scorer failed: ValueError"):
        scoring.grade(scoring.load("my_scorers:bad"), "p", "o")
    with pytest.raises(ReplayError, match="the scorer said nan, which is no quality"):
        scoring.grade(scoring.load("my_scorers:nan"), "p", "o")
    for wrong in ("my_scorers:number", "my_scorers:nobody", "my_scorers", ":x"):
        with pytest.raises(ReplayError, match="--scorer"):
            scoring.load(wrong)
