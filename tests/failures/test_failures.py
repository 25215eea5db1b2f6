"""``otel-agents failures``: which errors are failures, and what is told of each."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from recorded_spans import Recorder, ids

from otel_agents.local.server import Running

Command = Callable[..., int]
Out = pytest.CaptureFixture[str]

STACK = "Traceback (most recent call last):\n" + "".join(f'  File "a.py", line {n}\n' for n in range(40))


def listed(cli: Command, capsys: Out, *arguments: str) -> list[dict[str, object]]:
    assert cli("failures", "--format", "json", *arguments) == 0
    found: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return found


@pytest.fixture
def failed(record: Recorder) -> Recorder:
    """A task of claude's that failed in its model call, with all there is to tell of it."""
    task = {"task_id": "t1", "task_type": "coding"}
    agent = record.agent(
        "claude",
        "Write a parser",
        ago=600,
        seconds=30,
        error="all attempts failed",
        metadata={**task, "status": "error", "error_stacktrace": STACK},
        attributes={"error.type": "app.AgentError"},
    )
    record.chat(
        "claude-haiku-4-5",
        "Write a parser",
        provider="anthropic",
        parent=agent,
        ago=599,
        error="429 rate limited",
        metadata=task,
        attributes={"error.type": "rate_limit_error"},
    )
    for number, error in enumerate(("timeout", "429"), 1):
        body = {"task_id": "t1", "agent": "claude", "number": number, "status": "error", "error": error}
        record.event("attempt", body, parent=agent, ago=590 - number)
    for ago, state, count in ((900, "closed", 0), (700, "half_open", 2), (590, "open", 3), (10, "closed", 0)):
        record.event("circuit_breaker", {"agent": "claude", "state": state, "failure_count": count}, ago=ago)
    record.event("circuit_breaker", {"agent": "gemini", "state": "forced_open", "failure_count": 9}, ago=580)
    record.send()
    return record


def test_everything_about_a_failure(cli: Command, failed: Recorder, backend: Running, capsys: Out) -> None:
    (one,) = listed(cli, capsys)
    trace_id = one["trace_id"]
    assert one == {
        **one,
        "latency": 30.0,
        "agent": "claude",
        "name": "invoke_agent claude",
        "model": "claude-haiku-4-5",
        "task_id": "t1",
        "task_type": "coding",
        "error_type": "app.AgentError",
        "message": "all attempts failed",
        "cause": "chat claude-haiku-4-5: 429 rate limited",
        "stacktrace": STACK,
        "prompt": "Write a parser",
        "answer": None,
        "recovered": False,
        "url": f"{backend.url}/project/local/traces/{trace_id}",
    }
    assert one["attempts"] == [
        {"number": 1, "agent": "claude", "status": "error", "error": "timeout"},
        {"number": 2, "agent": "claude", "status": "error", "error": "429"},
    ]
    circuit = one["circuit"]
    assert isinstance(circuit, dict)
    assert (circuit["state"], circuit["failures"]) == ("open", 3), "the last change before it ended"


def test_the_list_for_people(cli: Command, failed: Recorder, capsys: Out) -> None:
    assert cli("failures") == 0
    out = capsys.readouterr().out
    assert "claude  coding\n" in out
    assert "  error     app.AgentError: all attempts failed\n" in out
    assert "  cause     chat claude-haiku-4-5: 429 rate limited\n" in out
    assert "  prompt    Write a parser\n  answer    none\n" in out
    assert "  attempts  2: claude timeout, claude 429\n" in out
    assert "  circuit   open since " in out
    assert out.rstrip().endswith('File "a.py", line 39')
    assert "line 2\n" not in out, "the end of a stack trace says most"
    cli("failures", "--format", "table")
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 2
    assert "app.AgentError: all attempts failed" in rows[1]


def test_an_error_that_others_got_over_is_recovered(cli: Command, record: Recorder, capsys: Out) -> None:
    whole = record.agent("orchestrator", "Do it", ago=300, seconds=50, output="done")
    worker = record.agent(
        "gemini", "Part of it", parent=whole, ago=290, error="quota", output="half an answer"
    )
    record.span("step", {"gen_ai.operation.name": "execute_tool"}, parent=worker, ago=289)
    record.chat("gemini-2.5-flash", parent=worker, ago=288, error="quota")
    record.send()
    (one,) = listed(cli, capsys)
    assert (one["agent"], one["recovered"], one["prompt"], one["answer"]) == (
        "gemini",
        True,
        "Part of it",
        "half an answer",
    )
    assert one["cause"] is None, "it says the same"


def test_a_failed_call_below_a_span_that_did_not_fail_belongs_to_the_failed_agent(
    cli: Command, record: Recorder, capsys: Out
) -> None:
    agent = record.agent("claude", "x", ago=100, seconds=10, error="no answer")
    tool = record.span("search", {"gen_ai.operation.name": "execute_tool"}, parent=agent, ago=99)
    record.chat("gpt-4o", parent=tool, ago=98, error="500")
    record.send()
    (one,) = listed(cli, capsys)
    assert (one["message"], one["cause"]) == ("no answer", "chat gpt-4o: 500")


def test_an_error_without_words_is_its_type_once(cli: Command, record: Recorder, capsys: Out) -> None:
    kind = "asyncio.exceptions.CancelledError"
    record.agent("claude", "x", ago=100, error=kind, metadata={"error_type": kind})
    record.send()
    assert cli("failures") == 0
    assert f"  error     {kind}\n" in capsys.readouterr().out


def test_a_task_that_only_says_so_and_a_call_without_an_agent(
    cli: Command, record: Recorder, capsys: Out
) -> None:
    record.agent("claude", "x", ago=50, metadata={"status": "error"}, output="nonsense")
    sends = [{"number": 1, "delay": 0.0, "http.response.status_code": 429, "error.type": "rate_limit_error"}]
    sends.append({"number": 2, "delay": 1.0, "http.response.status_code": 503})
    record.chat(
        "gpt-4o", "What is new?", ago=100, error="503", attributes={"otel_agents.attempt": json.dumps(sends)}
    )
    record.agent("claude", "went well", ago=30, metadata={"status": "success"})
    record.send()
    first, second = listed(cli, capsys)
    assert (first["agent"], first["message"], first["answer"]) == ("claude", None, "nonsense")
    assert (second["agent"], second["prompt"]) == (None, "What is new?")
    assert second["attempts"] == [
        {"number": 1, "agent": None, "status": None, "error": "rate_limit_error"},
        {"number": 2, "agent": None, "status": None, "error": "503"},
    ]


def test_filters_order_and_limit(cli: Command, record: Recorder, capsys: Out) -> None:
    for number in range(6):
        agent = ("claude", "gemini")[number % 2]
        kind = "coding" if number < 3 else "review"
        record.agent(agent, f"task {number}", ago=1000 - number, error="x", metadata={"task_type": kind})
    record.agent("claude", "long ago", ago=10 * 86400, error="x")
    record.send()
    assert [one["prompt"] for one in listed(cli, capsys)] == [f"task {n}" for n in (5, 4, 3, 2, 1, 0)]
    assert [one["prompt"] for one in listed(cli, capsys, "--limit", "2")] == ["task 5", "task 4"]
    assert [one["prompt"] for one in listed(cli, capsys, "--agent", "claude")] == [
        "task 4",
        "task 2",
        "task 0",
    ]
    found = listed(cli, capsys, "--agent", "claude", "--task-type", "review")
    assert [one["prompt"] for one in found] == ["task 4"]
    assert len(listed(cli, capsys, "--since", "30d")) == 7
    assert listed(cli, capsys, "--since", "10m") == []
    assert cli("failures", "--since", "10m") == 0
    assert capsys.readouterr().out.startswith("no failures since ")


def test_control_characters_do_not_reach_the_terminal(cli: Command, record: Recorder, capsys: Out) -> None:
    record.agent("claude", "x\x1b[2Jy", ago=5, error="bad \x1b]0;title\x07")
    record.send()
    cli("failures")
    assert "\x1b" not in capsys.readouterr().out


def test_without_content(cli: Command, record: Recorder, capsys: Out) -> None:
    agent = record.agent("claude", ago=5, error="x")
    record.send()
    (one,) = listed(cli, capsys)
    assert (one["prompt"], one["trace_id"], one["observation_id"]) == (None, *ids(agent))


@pytest.mark.parametrize(
    ("arguments", "says", "status"),
    [
        (("--since", "tomorrow"), "--since 'tomorrow' is no time; give a length such as 90m", 2),
        (("--since", "2999-01-01"), "--since '2999-01-01' is not in the past", 2),
        (("--format", "xml"), "--format 'xml' is not known; choose from list, table, json", 2),
        (("--limit", "0"), "greater than or equal to 1", 2),
    ],
)
def test_bad_options(cli: Command, capsys: Out, arguments: tuple[str, ...], says: str, status: int) -> None:
    assert cli("failures", *arguments) == status
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1


def test_wrong_keys_and_a_server_that_is_down(
    cli: Command, monkeypatch: pytest.MonkeyPatch, capsys: Out
) -> None:
    monkeypatch.setenv("LANGFUSE_SECRET_KEY", "sk-wrong")
    assert cli("failures") == 1
    assert "refuses the keys (status 401)" in capsys.readouterr().err
    monkeypatch.setenv("LANGFUSE_BASE_URL", "http://127.0.0.1:9")
    assert cli("failures") == 1
    assert "is unreachable (connection refused); check LANGFUSE_BASE_URL" in capsys.readouterr().err
