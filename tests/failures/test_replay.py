"""``otel-agents replay``: recorded by the real SDKs, replayed by them, and what the new trace says."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from anthropic import Anthropic
from langfuse.api import LangfuseAPI
from modelserver import ModelServer
from modelserver import running as running_models
from openai import APIStatusError, OpenAI
from parts import wait_for
from recorded_spans import Recorder, ids
from stub_backend import StubBackend

import otel_agents
from otel_agents import setup
from otel_agents.local.server import Running

Command = Callable[..., int]
Out = pytest.CaptureFixture[str]


class Done(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


ALL = "core,basic,time,io,metadata,model,usage,prompt,metrics,trace_context"


def call_a_model(what: str, prompt: str) -> None:
    """One call as a user makes it, by an official SDK."""
    said: list[Any] = [{"role": "user", "content": prompt}]
    if what == "anthropic":
        with Anthropic(max_retries=0) as client:
            client.messages.create(
                model="claude-haiku-4-5",
                max_tokens=300,
                system="Be brief.",
                messages=said,
                extra_body={"temperature": 0.3},
            )
        return
    with OpenAI(max_retries=0) as openai:
        if what == "responses":
            openai.responses.create(model="gpt-4o-mini", instructions="Be brief.", input=prompt)
        elif what == "tools":
            call = {"id": "c1", "type": "function", "function": {"name": "lookup", "arguments": '{"q": "x"}'}}
            said += [
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "c1", "content": "found it"},
            ]
            openai.chat.completions.create(model="gpt-4o-mini", tools=[TOOL], messages=said)
        else:
            said.insert(0, {"role": "system", "content": "Be brief."})
            openai.chat.completions.create(
                model="gpt-4o-mini", temperature=0.3, max_tokens=300, stop=["END"], messages=said
            )


TOOL: Any = {
    "type": "function",
    "function": {
        "name": "lookup",
        "description": "Looks something up.",
        "parameters": {"type": "object", "properties": {"q": {"type": "string"}}},
    },
}


@pytest.fixture(scope="module")
def shared_models() -> Iterator[ModelServer]:
    with running_models(latency="none") as server:
        yield server


@pytest.fixture
def models(shared_models: ModelServer, monkeypatch: pytest.MonkeyPatch) -> ModelServer:
    """A model server that the SDKs find by their environment."""
    shared_models.reset()
    for name, value in {
        "OPENAI_BASE_URL": f"{shared_models.url}/v1",
        "OPENAI_API_KEY": "sk-test",
        "ANTHROPIC_BASE_URL": shared_models.url,
        "ANTHROPIC_API_KEY": "sk-test",
    }.items():
        monkeypatch.setenv(name, value)
    return shared_models


@pytest.fixture
def recorded(clean_globals: None, cli: Command, models: ModelServer) -> Iterator[Callable[..., str]]:
    """``recorded("openai")`` has an agent make one call, in direct mode, and answers the trace id."""

    def record(what: str, prompt: str = "Explain decorators", capture: str = "messages") -> str:
        otel_agents.configure(capture=capture, metrics_exporter="none", schedule_delay=0.05)
        with (
            otel_agents.context(
                metadata={"task_id": "t1", "task_type": "coding"}, prompt_name="p", prompt_version=4
            ),
            contextlib.suppress(APIStatusError),
            otel_agents.agent("helper") as run,
        ):
            call_a_model(what, prompt)
        assert otel_agents.flush(20).ok
        otel_agents.shutdown()
        return format(run.span.get_span_context().trace_id, "032x")

    yield record
    setup.uninstrument()


@pytest.fixture
def replay(cli: Command, capsys: Out) -> Callable[..., Done]:
    """``replay(trace_id, ...)`` in this process; OpenTelemetry's providers are there already then."""

    def run(*words: object) -> Done:
        capsys.readouterr()
        status = cli("replay", *words)
        printed = capsys.readouterr()
        return Done(status, printed.out, printed.err)

    return run


@pytest.fixture
def api(backend: Running) -> LangfuseAPI:
    return LangfuseAPI(base_url=backend.url, username=backend.public_key, password=backend.secret_key)


def observations(api: LangfuseAPI, trace_id: str) -> dict[str, Any]:
    rows = api.observations.get_many(trace_id=trace_id, fields=ALL, limit=100).data
    return {row.type: row for row in rows}


@pytest.mark.parametrize("what", ["openai", "anthropic", "responses", "tools"])
def test_a_call_is_made_again_as_it_was(
    recorded: Callable[..., str],
    replay: Callable[..., Done],
    api: LangfuseAPI,
    models: ModelServer,
    backend: Running,
    what: str,
) -> None:
    old = recorded(what)
    done = replay(old, "--format", "json")
    assert done.status == 0, done.err
    found = json.loads(done.out)
    before, after = found["recorded"], found["replay"]

    # the same request; what the server does not know of it, it would not bill
    sent = [json.loads(one.body) for one in models.requests if one.method == "POST"]
    assert len(sent) == 2
    if what == "openai":
        assert sent[1] == {
            **{k: v for k, v in sent[0].items() if k != "max_tokens"},
            "max_completion_tokens": 300,
            "stop": ["END"],
        }
    elif what == "anthropic":
        assert {**sent[1], "messages": None} == {**sent[0], "messages": None}
        assert sent[1]["messages"] == [
            {"role": "user", "content": [{"type": "text", "text": "Explain decorators"}]}
        ]
    elif what == "tools":
        assert sent[1]["messages"] == [
            {"role": "user", "content": "Explain decorators"},
            {"role": "assistant", "content": None, "tool_calls": sent[0]["messages"][1]["tool_calls"]},
            {"role": "tool", "tool_call_id": "c1", "content": "found it"},
        ]
        assert sent[1]["tools"] == sent[0]["tools"]
        assert "tools that were offered were not recorded" not in done.err
    ledger = models.ledger()
    one, two = ledger["records"]
    assert float(one["cost"]) > 0

    # both sides of the comparison are what the provider billed
    assert before["cost"] == pytest.approx(float(one["cost"]))
    assert after["cost"] == pytest.approx(float(two["cost"]))
    assert (before["tokens"], after["tokens"]) == (
        one["input"] + one["output"],
        two["input"] + two["output"],
    )
    assert (before["trace_id"], before["status"], after["status"]) == (old, "success", "success")
    assert before["agent"] == after["agent"] == "helper"
    assert 0 < after["latency"] < 5
    assert before["output"] == after["output"]
    assert (found["diff"], found["error"]) == ("", None)

    # the new trace is a task of its own that names the old one
    new = after["trace_id"]
    assert new != old
    assert found["url"] == f"{backend.url}/project/local/traces/{new}"
    rows = observations(api, new)
    assert set(rows) == {"AGENT", "GENERATION"}
    agent, call = rows["AGENT"], rows["GENERATION"]
    assert agent.is_root_observation
    assert agent.name == "invoke_agent helper"
    original = observations(api, old)["GENERATION"]
    assert agent.metadata["replay_of"] == call.metadata["replay_of"] == old
    assert agent.metadata["replay_of_observation"] == original.id
    assert (agent.metadata["replay_of_task"], agent.metadata["task_type"]) == ("t1", "coding")
    assert "task_id" not in agent.metadata, "else it would count as an attempt at the old task"
    assert agent.metadata["status"] == "success"
    assert agent.tags == ["replay"]
    assert (call.prompt_name, call.prompt_version) == ("p", 4)
    assert call.total_cost == pytest.approx(after["cost"])
    assert call.input == original.input


def test_the_command_as_a_process_that_sends_to_a_collector(
    recorded: Callable[..., str], keys: dict[str, str], models: ModelServer, tmp_path: Path
) -> None:
    old = recorded("openai")
    with StubBackend() as collector:
        done = subprocess.run(
            [Path(sys.executable).with_name("otel-agents"), "replay", old],
            cwd=tmp_path,
            env={**os.environ, **keys, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("\n") > 8
        spans = [
            span
            for request in collector._trace_requests()
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
    names = sorted(span.name for span in spans)
    assert names == ["chat gpt-4o-mini", "invoke_agent helper"], "reading the old trace makes no spans"
    (agent,) = [span for span in spans if span.name == "invoke_agent helper"]
    (link,) = agent.links
    assert link.trace_id.hex() == old
    assert agent.parent_span_id == b""


def test_another_model_and_a_scorer(
    recorded: Callable[..., str],
    replay: Callable[..., Done],
    api: LangfuseAPI,
    models: ModelServer,
    tmp_path: Path,
) -> None:
    models.script({"text": "one\ntwo\nthree"}, {"text": "one\n2\nthree"})
    old = recorded("openai")
    (tmp_path / "judges.py").write_text(
        "def score(prompt, output):\n"
        "    assert prompt == 'Explain decorators', prompt\n"
        "    return (0.9, 'has a digit') if '2' in output else 0.6\n"
    )
    done = replay(old, "--model", "claude-haiku-4-5", "--scorer", "judges:score")
    assert done.status == 0, done.err
    lines = done.out.splitlines()
    cells = {line.split()[0]: line.split()[1:] for line in lines[:8]}
    assert cells["model"][0].startswith("gpt-4o-mini")
    assert cells["model"][1].startswith("claude-haiku-4-5")
    assert cells["quality"] == ["0.600", "0.900", "+50%"]
    assert "--- recorded\n+++ replay\n" in done.out
    assert "-two\n+2\n" in done.out
    request = json.loads(models.requests[-1].body)
    assert request["system"] == "Be brief."
    assert (request["max_tokens"], request["temperature"], request["stop_sequences"]) == (300, 0.3, ["END"])
    new = lines[-1].rpartition("/")[2]
    (score,) = wait_for(
        lambda: api.scores.get_many(trace_id=new, name="quality", fields="core,details,subject").data, "score"
    )
    assert (score.value, score.comment) == (0.9, "has a digit")
    assert score.subject.id == observations(api, new)["AGENT"].id  # type: ignore[union-attr]


def test_a_failed_call_is_replayed_too(
    recorded: Callable[..., str], replay: Callable[..., Done], models: ModelServer
) -> None:
    models.fail_next(1, 400)
    old = recorded("openai")
    done = replay(old, "--format", "json")
    assert done.status == 0, done.err
    found = json.loads(done.out)
    assert (found["recorded"]["status"], found["recorded"]["cost"], found["recorded"]["output"]) == (
        "error",
        None,
        None,
    )
    assert found["replay"]["status"] == "success"
    assert found["diff"] is None


def test_a_replay_that_fails_is_on_record(
    recorded: Callable[..., str], replay: Callable[..., Done], models: ModelServer, api: LangfuseAPI
) -> None:
    old = recorded("openai")
    models.fail_next(1, 400)
    done = replay(old)
    assert done.status == 1
    assert "the replay failed: BadRequestError: " in done.out
    rows = observations(api, done.out.strip().rpartition("/")[2])
    assert (rows["AGENT"].level, rows["AGENT"].metadata["status"]) == ("ERROR", "error")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "OpenAI's SDK does not start: "),
        (("--model", "claude-haiku-4-5"), "Anthropic's SDK has no key; set ANTHROPIC_API_KEY"),
        (("--command", "no-such-program"), "no command 'no-such-program'; install it, or give its path"),
    ],
)
def test_what_cannot_start_leaves_no_trace(
    recorded: Callable[..., str],
    replay: Callable[..., Done],
    api: LangfuseAPI,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    says: str,
) -> None:
    old = recorded("openai")
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name)
    done = replay(old, *arguments)
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith(f"error: {says}"), done.err
    assert {row.trace_id for row in api.observations.get_many().data} == {old}


def test_a_budget_that_is_used_up_is_one_line(
    recorded: Callable[..., str], keys: dict[str, str], tmp_path: Path
) -> None:
    old = recorded("openai")
    budget = {"OTEL_AGENTS_BUDGET": "0.1/daily", "OTEL_AGENTS_BUDGET_ON_EXCEEDED": "block"}
    command = f"""{sys.executable} -c 'print("{{\\"output\\": \\"o\\", \\"cost\\": 0.5}}")'"""
    done = [
        subprocess.run(
            [Path(sys.executable).with_name("otel-agents"), "replay", old, "--command", command],
            cwd=tmp_path,
            env={**os.environ, **keys, **budget, "OTEL_AGENTS_HOME": str(tmp_path / "home")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        for _ in range(2)
    ]
    assert [one.returncode for one in done] == [0, 1], done[0].stderr
    assert "$0.5" in done[0].stdout
    assert done[1].stderr.splitlines()[-1] == (
        "error: budget 'daily' is used up: 0.5 of 0.1 USD daily; set OTEL_AGENTS_BUDGET higher, or wait for "
        "the next period"
    )


def test_a_replay_that_is_not_recorded_says_so(
    recorded: Callable[..., str], keys: dict[str, str], tmp_path: Path
) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("otel-agents"), "replay", recorded("openai"), "--command", "cat"],
        cwd=tmp_path,
        env={**os.environ, **keys, "OTEL_SDK_DISABLED": "true"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("\nnot recorded: telemetry is switched off (OTEL_SDK_DISABLED)\n")


def test_a_scorer_that_fails_costs_nobody_the_answer(
    recorded: Callable[..., str], replay: Callable[..., Done], models: ModelServer, tmp_path: Path
) -> None:
    models.script({"text": "good"}, {"text": "odd"})
    old = recorded("openai")
    (tmp_path / "moody.py").write_text("def score(prompt, output):\n    return {'good': 1.0}[output]\n")
    done = replay(old, "--scorer", "moody:score")
    assert done.status == 1
    assert "-good\n+odd\n" in done.out
    assert done.err == "error: the scorer failed: KeyError: 'odd'\n"


def test_by_a_command(
    recorded: Callable[..., str],
    replay: Callable[..., Done],
    models: ModelServer,
    api: LangfuseAPI,
    tmp_path: Path,
) -> None:
    old = recorded("openai", 'It\'s "quoted"; $HOME')
    (tmp_path / "cli.py").write_text(
        "import json, sys\n"
        "print(json.dumps({'result': f'{sys.argv[1]}!', 'total_cost_usd': 0.25,"
        " 'usage': {'input': 30, 'output': 12}}))\n"
    )
    line = f"{sys.executable} cli.py {{prompt}}"
    done = replay(old, "--command", line, "--agent", "claude", "--format", "json")
    assert done.status == 0, done.err
    after = json.loads(done.out)["replay"]
    assert (after["agent"], after["output"], after["cost"], after["tokens"]) == (
        "claude",
        'It\'s "quoted"; $HOME!',
        0.25,
        42,
    )
    rows = observations(api, after["trace_id"])
    assert rows["AGENT"].name == "invoke_agent claude"
    assert rows["GENERATION"].total_cost == 0.25
    assert rows["GENERATION"].usage_details == {"input": 30, "output": 12, "total": 42}
    assert len([one for one in models.requests if one.method == "POST"]) == 1, "no model was asked"


def test_by_a_registered_runner(
    recorded: Callable[..., str],
    replay: Callable[..., Done],
    tmp_path: Path,
    api: LangfuseAPI,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old = recorded("openai")
    info = tmp_path / "runners-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: runners\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[otel_agents.runners]\ngemini = my_runner:run\n")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_runner.py").write_text(
        "from openai import AsyncOpenAI\n"
        "async def run(prompt, *, model='gpt-4o-mini'):\n"
        "    async with AsyncOpenAI() as client:\n"
        "        answer = await client.chat.completions.create(\n"
        "            model=model, messages=[{'role': 'user', 'content': prompt}])\n"
        "    return {'output': answer.choices[0].message.content, 'tokens': 1, 'cost': 99.0}\n"
    )
    done = replay(old, "--agent", "gemini", "--format", "json")
    assert done.status == 0, done.err
    after = json.loads(done.out)["replay"]
    rows = api.observations.get_many(trace_id=after["trace_id"], fields=ALL).data
    assert sorted(row.type for row in rows) == ["AGENT", "GENERATION"], "its own call counts, not its word"
    assert after["cost"] == pytest.approx(sum(row.total_cost or 0 for row in rows))
    assert 0 < after["cost"] < 1
    assert replay(old, "--agent", "nobody").err.startswith(
        "error: no runner for 'nobody' (registered: claude, codex, copilot, gemini); "
        "give --command such as 'nobody -p {prompt}'"
    )


def test_dry_run_sends_nothing(
    recorded: Callable[..., str], replay: Callable[..., Done], models: ModelServer, backend: Running
) -> None:
    old = recorded("openai")
    done = replay(f"{backend.url}/project/local/traces/{old}?x=1", "--dry-run")
    assert done.status == 0, done.err
    found = json.loads(done.out)
    assert (found["replay_of"], found["agent"], found["provider"], found["api"]) == (
        old,
        "helper",
        "openai",
        "openai_chat",
    )
    assert found["request"]["messages"][1] == {"role": "user", "content": "Explain decorators"}
    by_command = json.loads(replay(old, "--command", "claude -p {prompt}", "--dry-run").out)
    assert by_command["command"] == ["claude", "-p", "Explain decorators"]
    assert len([one for one in models.requests if one.method == "POST"]) == 1
    assert len(backend.store.list_traces().items) == 1


def test_content_that_was_not_captured(recorded: Callable[..., str], replay: Callable[..., Done]) -> None:
    old = recorded("openai", capture="none")
    done = replay(old)
    assert done.status == 1
    assert done.out == ""
    assert "the input was not captured; record with OTEL_AGENTS_CAPTURE_CONTENT=messages" in done.err
    assert done.err.count("\n") == 1


def test_content_that_was_cut_or_redacted_is_noted(record: Recorder, cli: Command, capsys: Out) -> None:
    agent = record.agent("x", ago=5)
    call = record.chat(
        "gpt-4o-mini",
        "key [redacted]",
        parent=agent,
        attributes={"otel_agents.capture.truncated": True, "openai.api.type": "chat_completions"},
    )
    record.send()
    assert cli("replay", ids(call)[0], "--dry-run") == 0
    err = capsys.readouterr().err
    assert "what was recorded was cut" in err
    assert "were redacted, so the replay gets [redacted]" in err


def test_tools_that_were_recorded_are_offered_again(record: Recorder, cli: Command, capsys: Out) -> None:
    schema = {"type": "object", "properties": {"q": {"type": "string"}}}
    tool = {"type": "function", "name": "lookup", "description": "Looks up.", "parameters": schema}
    said = {"messages": [{"role": "user", "content": "hi"}], "tools": [tool]}
    span = record.chat(
        "claude-haiku-4-5",
        provider="anthropic",
        attributes={"langfuse.observation.input": json.dumps(said), "gen_ai.request.temperature": 0.5},
    )
    record.send()
    assert cli("replay", ids(span)[0], "--dry-run") == 0
    assert json.loads(capsys.readouterr().out)["request"] == {
        "model": "claude-haiku-4-5",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        "max_tokens": 4096,
        "temperature": 0.5,
        "tools": [{"name": "lookup", "description": "Looks up.", "input_schema": schema}],
    }
    assert cli("replay", ids(span)[0], "--dry-run", "--model", "gpt-4o-mini") == 0
    (offered,) = json.loads(capsys.readouterr().out)["request"]["tools"]
    assert offered == {
        "type": "function",
        "function": {"name": "lookup", "description": "Looks up.", "parameters": schema},
    }


def test_one_call_of_several(record: Recorder, cli: Command, capsys: Out) -> None:
    agent = record.agent("x", "the task", ago=50)
    first = record.chat("gpt-4o-mini", "one", parent=agent, ago=40)
    record.chat("gpt-4o", "two", parent=agent, ago=30)
    tool = record.span("t", {"gen_ai.operation.name": "execute_tool"}, parent=agent, ago=20)
    record.send()
    trace_id = ids(agent)[0]
    cli("replay", trace_id, "--dry-run")
    assert json.loads(capsys.readouterr().out)["request"]["model"] == "gpt-4o", "the last one"
    cli("replay", trace_id, "--dry-run", "--observation", ids(first)[1])
    assert json.loads(capsys.readouterr().out)["request"]["messages"] == [{"role": "user", "content": "one"}]
    assert cli("replay", trace_id, "--observation", ids(tool)[1]) == 1
    assert "is no model call (tool); name one that is" in capsys.readouterr().err
    assert cli("replay", trace_id, "--observation", "0" * 16) == 1
    assert "has no observation 0000" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says", "status"),
    [
        (("f" * 32,), "no trace ffffffffffffffffffffffffffffffff in http://127.0.0.1", 1),
        (("nonsense",), "'nonsense' is no trace id; it has 32 hexadecimal digits", 2),
        (("TRACE", "--provider", "gcp.gemini"), "no SDK is used for 'gcp.gemini'; give --provider openai", 1),
        (("TRACE", "--provider", "groq"), "set OPENAI_BASE_URL and OPENAI_API_KEY", 1),
        (("TRACE", "--command", "x '"), "no closing quotation; correct its quotes", 1),
        (("TRACE", "--command", ""), "--command is empty; write one such as 'claude -p {prompt}'", 1),
        (("TRACE", "--command", "no-such-program {prompt}"), "no command 'no-such-program'; install it", 1),
        (("TRACE", "--command", "x {prompt}", "--model", "m"), "--model needs a place in the command", 1),
        (("TRACE", "--scorer", "nomodule"), "is not of the form module:function", 1),
        (("TRACE", "--scorer", "no_such_module:f"), "cannot be loaded: No module named 'no_such_module'", 1),
        (("TRACE", "--format", "xml"), "--format 'xml' is not known", 2),
        (("EVENTS",), "holds only events", 1),
        (
            ("CALLLESS",),
            "has no model call, and no runner of 'x' is registered; give --agent or --command",
            1,
        ),
        (("GEMINI",), "has no model call; give --agent gemini to have that agent's runner do it", 1),
        (("GEMINI", "--agent", "gemini"), "the program of the agent 'gemini' is not on PATH; install it", 1),
    ],
)
def test_errors_are_one_line(
    record: Recorder,
    cli: Command,
    capsys: Out,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    says: str,
    status: int,
) -> None:
    traces = {
        "TRACE": record.chat("gpt-4o-mini", "x"),
        "EVENTS": record.event("circuit_breaker", {"agent": "x"}),
        "CALLLESS": record.agent("x", "do it"),
        "GEMINI": record.agent("gemini", "do it"),
    }
    record.send()
    monkeypatch.setenv("PATH", "/nowhere")
    words = [ids(traces[one])[0] if one in traces else one for one in arguments]
    assert cli("replay", *words) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert says in captured.err
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
