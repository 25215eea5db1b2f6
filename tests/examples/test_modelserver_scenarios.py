"""What goes wrong on request, and what it costs."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import anthropic as anthropic_sdk
import httpx
import openai as openai_sdk
import pytest
from anthropic import Anthropic
from modelserver import ModelServer, running
from modelserver.scenario import SCENARIOS, UnknownScenario
from openai import OpenAI
from parts import wait_for

HELLO: Any = [{"role": "user", "content": "Hello there"}]
EXAMPLES = Path(__file__).parents[2] / "examples"


def ask(openai: OpenAI, scenario: str, **more: Any) -> Any:
    reply = openai.chat.completions.create(
        model="gpt-4o", messages=HELLO, extra_headers={"x-scenario": scenario}, **more
    )
    return list(reply) if more.get("stream") else reply


def ask_claude(anthropic: Anthropic, scenario: str, **more: Any) -> Any:
    reply = anthropic.messages.create(
        model="claude-sonnet-5-5",
        max_tokens=100,
        messages=HELLO,
        extra_headers={"x-scenario": scenario},
        **more,
    )
    return list(reply) if more.get("stream") else reply


def test_every_scenario_is_documented() -> None:
    readme = (EXAMPLES / "modelserver" / "README.md").read_text(encoding="utf-8")
    rows = [line for line in readme.splitlines() if line.startswith("| `")]
    assert rows == [f"| `{name}` | {meaning} |" for name, meaning in sorted(SCENARIOS.items())]


@pytest.mark.parametrize("scenario", ["gzip", "crlf", "bytes:1", "bytes:7,gzip", "slow:0.01"])
def test_odd_but_legal_answers_are_understood(openai: OpenAI, anthropic: Anthropic, scenario: str) -> None:
    usage: Any = {"stream": True, "stream_options": {"include_usage": True}}
    assert ask(openai, scenario).usage == ask(openai, "ok").usage
    assert ask(openai, scenario, **usage)[-1].usage == ask(openai, "ok").usage
    assert ask_claude(anthropic, scenario).content == ask_claude(anthropic, "ok").content
    assert len(ask_claude(anthropic, scenario, stream=True)) == len(ask_claude(anthropic, "ok", stream=True))


def test_a_cut_stream_is_billed_for_what_was_sent(models: ModelServer, openai: OpenAI) -> None:
    ask(openai, "ok", stream=True)
    with pytest.raises(openai_sdk.APIConnectionError):
        ask(openai, "cut", stream=True)
    ledger = wait_for(lambda: (got := models.ledger())["calls"] == 2 and got, "the cut call's bill")
    whole, cut = ledger["records"]
    assert (cut["partial"], cut["reported"]) == (True, False)
    assert cut["input"] == whole["input"]
    assert 0 < cut["output"] < whole["output"]
    assert ledger["partial"]["output"] == cut["output"]


def test_a_stream_that_the_client_leaves_is_billed_for_what_was_sent(
    models: ModelServer, anthropic: Anthropic
) -> None:
    stream = anthropic.messages.create(
        model="claude-sonnet-5-5",
        max_tokens=100,
        messages=HELLO,
        stream=True,
        extra_headers={"x-scenario": "slow:0.3"},
    )
    for event in stream:
        if event.type == "content_block_delta":
            break
    stream.close()
    ledger = wait_for(lambda: (got := models.ledger())["calls"] == 1 and got, "the bill")
    assert ledger["partial"]["calls"] == 1
    assert 4 <= ledger["output"] < 15


def test_a_truncated_stream_ends_without_an_error(models: ModelServer, openai: OpenAI) -> None:
    chunks = ask(openai, "truncate", stream=True)
    assert all(not chunk.choices[0].finish_reason for chunk in chunks)
    assert models.ledger()["partial"]["calls"] == 1


@pytest.mark.parametrize("scenario", ["malformed", "truncate"])
def test_a_broken_body_is_billed_in_full_but_unreported(
    models: ModelServer, openai: OpenAI, scenario: str
) -> None:
    with pytest.raises(ValueError, match=r"char \d+"):
        ask(openai, scenario)
    ledger = models.ledger()
    assert (ledger["output"], ledger["unreported"]["output"], ledger["partial"]["calls"]) == (15, 15, 0)


def test_a_broken_event_does_not_parse(openai: OpenAI, anthropic: Anthropic) -> None:
    with pytest.raises(ValueError, match=r"char \d+"):
        ask(openai, "malformed", stream=True)
    with pytest.raises(ValueError, match=r"char \d+"):
        ask_claude(anthropic, "malformed", stream=True)


def test_an_error_in_the_middle_of_a_stream(
    models: ModelServer, openai: OpenAI, anthropic: Anthropic
) -> None:
    with pytest.raises(openai_sdk.APIError, match="The server had an error"):
        ask(openai, "stream_error", stream=True)
    with pytest.raises(anthropic_sdk.APIStatusError, match="Overloaded"):
        ask_claude(anthropic, "stream_error", stream=True)
    assert models.ledger()["partial"]["calls"] == 2


def test_connections_that_close_or_hang_are_not_billed(models: ModelServer, openai: OpenAI) -> None:
    with pytest.raises(openai_sdk.APIConnectionError):
        ask(openai, "drop")
    with pytest.raises(openai_sdk.APITimeoutError):
        ask(openai, "hang:20", timeout=0.05)
    assert models.ledger()["errors"] == {"dropped": 2}
    assert models.ledger()["calls"] == 0


def test_a_web_page_instead_of_an_answer(models: ModelServer, openai: OpenAI) -> None:
    assert "<h1>" in ask(openai, "html")
    with pytest.raises(openai_sdk.InternalServerError) as caught:
        ask(openai, "html:502")
    assert "Sign in" in caught.value.response.text
    assert models.ledger()["calls"] == 0


def test_unusual_answers(openai: OpenAI, anthropic: Anthropic) -> None:
    assert ask(openai, "refusal").choices[0].message.refusal == "I can't help with that."
    assert ask(openai, "content_filter").choices[0].finish_reason == "content_filter"
    assert ask(openai, "empty").choices[0].message.content == ""
    assert ask(openai, "tool").choices[0].message.tool_calls[0].function.name == "lookup"
    assert ask(openai, "no_usage").usage is None
    assert ask(openai, "text:a, b").choices[0].message.content == "a, b"
    assert ask_claude(anthropic, "refusal").stop_reason == "refusal"
    assert ask_claude(anthropic, "length").stop_reason == "max_tokens"
    assert ask_claude(anthropic, "empty").content == []
    assert [block.type for block in ask_claude(anthropic, "thinking").content] == ["thinking", "text"]


def test_scripted_steps_are_taken_in_order_by_path(
    models: ModelServer, openai: OpenAI, anthropic: Anthropic
) -> None:
    exact = {"input": 2000, "output": 90, "cache_read": 1024, "reasoning": 64}
    models.script({"text": "first", "usage": exact}, "429", path="/v1/chat")
    models.script({"tool_calls": [{"name": "f", "arguments": {"x": 1}}]}, path="/v1/messages")
    assert ask_claude(anthropic, "").content[0].input == {"x": 1}
    first = ask(openai, "")
    assert first.choices[0].message.content == "first"
    assert first.usage.prompt_tokens_details.cached_tokens == 1024
    with pytest.raises(openai_sdk.RateLimitError):
        ask(openai, "")
    assert ask(openai, "").choices[0].finish_reason == "stop"
    record = models.ledger()["records"][1]
    assert {name: record[name] for name in exact} == exact


def test_unknown_scenarios_are_refused_by_name(models: ModelServer) -> None:
    with pytest.raises(UnknownScenario, match="'boom'"):
        models.script("boom")
    reply = httpx.post(f"{models.url}/script", json={"steps": ["boom"]})
    assert (reply.status_code, "boom" in reply.json()["error"]) == (400, True)


def test_planned_faults_are_the_same_in_every_run() -> None:
    def outcome() -> list[str]:
        with running(latency="none", faults=True) as server:
            seen = []
            for number in range(16):
                with OpenAI(base_url=f"{server.url}/v1", api_key="k", max_retries=0) as client:
                    messages: Any = [{"role": "user", "content": f"Review of file{number}.py"}]
                    try:
                        client.chat.completions.create(model="gpt-4o", messages=messages)
                        seen.append("ok")
                    except openai_sdk.APIStatusError as error:
                        seen.append(str(error.status_code))
            return seen

    first = outcome()
    assert {"ok", "429", "500"} == set(first)
    assert outcome() == first


def test_requests_are_remembered_as_they_arrived(models: ModelServer, openai: OpenAI) -> None:
    openai.chat.completions.create(model="gpt-4o", messages=HELLO, extra_headers={"x-mark": "here"})
    (received,) = models.requests
    assert received.path == "/v1/chat/completions"
    assert received.headers["x-mark"] == "here"
    assert b"Hello there" in received.body


def test_the_program_serves_and_says_when_it_cannot(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "modelserver"), "--latency", "none"]
    server = subprocess.Popen([*command, "--port", "0"], stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    try:
        assert server.stdout is not None
        url = server.stdout.readline().split()[-1]
        assert httpx.get(f"{url}/ledger?records=0").json()["calls"] == 0
        assert httpx.post(f"{url}/ledger/reset").json() == {"status": "ok"}
        port = url.rpartition(":")[2]
        second = subprocess.run([*command, "--port", port], capture_output=True, text=True, timeout=30)
        assert second.returncode == 1
        assert second.stderr.count("\n") == 1
        assert "try --port 0" in second.stderr
    finally:
        server.terminate()
        assert server.wait(10) is not None


def test_latency_is_felt() -> None:
    from modelserver.delivery import Latency

    with (
        running(latency=Latency(first=0.2, chunk=0)) as server,
        OpenAI(base_url=f"{server.url}/v1", api_key="k") as client,
    ):
        started = time.monotonic()
        client.chat.completions.create(model="gpt-4o", messages=HELLO)
        assert time.monotonic() - started >= 0.13
