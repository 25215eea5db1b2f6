# ruff: noqa: E501, ASYNC110
"""Runs of stand-in programs: what is recorded, and what is left of processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from parts import wait_for
from stand_in import captured, printing, program

from otel_agents import agent, runtime
from otel_agents.cli_agents import claude, codex, copilot, gemini
from otel_agents.testing import AgentSpans

AGENTS = {"claude": claude, "gemini": gemini, "copilot": copilot, "codex": codex}


@pytest.mark.agent_spans(cli_telemetry=False)
class TestTrees:
    async def test_claude(self, programs: Path, agent_spans: AgentSpans) -> None:
        printing(programs, "claude", captured("claude-code"))
        result = await claude.run("say hello")
        assert result.ok
        assert result.output == "Done: hello"
        assert result.exit_code == 0
        assert result.duration > 0
        agent_spans.assert_tree("""
            invoke_agent claude
              chat claude-sonnet-4-5
        """)
        call = agent_spans.named("chat claude-sonnet-4-5").attributes
        assert call["gen_ai.usage.input_tokens"] == 620
        assert call["gen_ai.usage.output_tokens"] == 40
        assert call["gen_ai.usage.cache_read.input_tokens"] == 400
        assert call["gen_ai.usage.cache_write.input_tokens"] == 200
        assert call["gen_ai.usage.cost"] == pytest.approx(0.00153)
        assert call["gen_ai.provider.name"] == "anthropic"
        run = agent_spans.named("invoke_agent claude").attributes
        assert run["gen_ai.conversation.id"] == result.session_id
        assert run["otel_agents.metadata.turns"] == 2
        assert "say hello" in run["gen_ai.input.messages"]
        assert "Done: hello" in run["gen_ai.output.messages"]

    async def test_gemini(self, programs: Path, agent_spans: AgentSpans) -> None:
        printing(programs, "gemini", captured("gemini-cli"))
        await gemini.run("say hello")
        run = agent_spans.named("invoke_agent gemini")
        tool = agent_spans.named("execute_tool run_shell_command")  # of which only the duration is known
        for one in (tool, agent_spans.named("chat gemini-fake")):
            assert one.parent is not None
            assert run.context is not None
            assert one.parent.span_id == run.context.span_id
        assert tool.start_time is not None
        assert run.start_time is not None
        assert tool.start_time >= run.start_time
        call = agent_spans.named("chat gemini-fake").attributes
        assert (call["gen_ai.usage.input_tokens"], call["gen_ai.usage.output_tokens"]) == (200, 50)

    async def test_copilot_has_no_tokens_and_so_no_call(
        self, programs: Path, agent_spans: AgentSpans
    ) -> None:
        printing(programs, "copilot", captured("copilot-cli"))
        result = await copilot.run("say hello")
        assert result.premium_requests == 0
        agent_spans.assert_tree("""
            invoke_agent copilot
              execute_tool bash
        """)

    async def test_codex_with_a_model_has_a_price(self, programs: Path, agent_spans: AgentSpans) -> None:
        printing(programs, "codex", captured("codex"))
        result = await codex.run("say hello", model="gpt-5-codex")
        agent_spans.assert_tree("""
            invoke_agent codex
              chat gpt-5-codex
              warning
              execute_tool shell
        """)
        assert result.cost_estimated
        # 120 tokens at 1.25, 80 cached at 0.125, 40 answered at 10 dollars a million.
        assert result.cost == pytest.approx((120 * 1.25 + 80 * 0.125 + 40 * 10) / 1e6)

    async def test_failures_are_errors_of_the_span(self, programs: Path, agent_spans: AgentSpans) -> None:
        event = {"type": "result", "subtype": "success", "is_error": True, "result": "API Error: 500",
                 "terminal_reason": "api_error"}  # fmt: skip
        printing(programs, "claude", json.dumps(event), status=1)
        result = await claude.run("x")
        assert result.error == "API Error: 500"
        span = agent_spans.named("invoke_agent claude")
        assert span.attributes["error.type"] == "api_error"
        assert not span.status.is_ok

    async def test_what_was_skipped_is_said(self, programs: Path, agent_spans: AgentSpans) -> None:
        printing(programs, "codex", 'noise\n{"type":"odd.event"}\n{"type":"odd.event"}\n{"type":"turn.comp')
        result = await codex.run("x")
        assert result.skipped == {"text_between_events": 1, "event:odd.event": 2, "cut_json": 1}
        span = agent_spans.named("invoke_agent codex")
        assert span.attributes["otel_agents.cli_agents.skipped"] == (
            "cut_json", "event:odd.event x2", "text_between_events",
        )  # fmt: skip

    async def test_totals_count_once_in_what_is_around(self, programs: Path, agent_spans: AgentSpans) -> None:
        """Whoever wraps a run in a task sees that its usage has been counted."""
        printing(programs, "claude", captured("claude-code"))
        with agent("orchestrator") as run:
            await claude.run("x")
            counted = run.agent_run.counted  # type: ignore[union-attr]
        assert (counted.used, counted.tokens) == (1, 660)
        assert counted.cost == pytest.approx(0.00153)
        assert agent_spans.metric("gen_ai.client.inference.usage.input_tokens").sum == 620
        assert agent_spans.metric("otel_agents.cost").sum == pytest.approx(0.00153)

    async def test_many_tools_are_bounded(self, programs: Path, agent_spans: AgentSpans) -> None:
        lines = []
        for number in range(300):
            item = {"id": str(number), "type": "command_execution", "command": "c", "exit_code": 0}
            lines.append(json.dumps({"type": "item.completed", "item": item}))
        printing(programs, "codex", "\n".join(lines))
        result = await codex.run("x")
        assert len(result.tool_calls) == 300
        tools = [span for span in agent_spans if span.name == "execute_tool shell"]
        assert len(tools) == 200
        assert agent_spans.named("invoke_agent codex").attributes["otel_agents.cli_agents.left_out"] == 100

    def test_sync(self, programs: Path, agent_spans: AgentSpans) -> None:
        printing(programs, "claude", captured("claude-code"))
        assert claude.run_sync("x").output == "Done: hello"

    async def test_sync_inside_a_loop(self, programs: Path, agent_spans: AgentSpans) -> None:
        printing(programs, "claude", captured("claude-code"))
        with agent("outer"):
            assert claude.run_sync("x").output == "Done: hello"
        agent_spans.assert_tree("""
            invoke_agent outer
              invoke_agent claude
                chat claude-sonnet-4-5
        """)


ECHO = """
    import json, os, sys
    told = {"argv": sys.argv[1:], "cwd": os.getcwd(), "env": dict(os.environ), "stdin": sys.stdin.read()}
    print(json.dumps({"type": "result", "is_error": False, "result": json.dumps(told), "response": json.dumps(told)}))
    print(json.dumps({"type": "item.completed", "item": {"type": "agent_message", "text": json.dumps(told)}}))
    print(json.dumps({"type": "assistant.message", "data": {"content": json.dumps(told)}}))
    """


async def told(name: str, programs: Path, prompt: str = "do it", **options: Any) -> dict[str, Any]:
    """What the program was given."""
    program(programs, name, ECHO)
    result = await AGENTS[name].run(prompt, **options)
    found: dict[str, Any] = json.loads(result.output if name != "gemini" else _response(result.raw))
    return found


def _response(raw: str) -> str:
    found: str = json.loads(raw.splitlines()[0])["response"]
    return found


class TestWhatTheProgramGets:
    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("claude", ["-p", "--output-format", "stream-json", "--verbose", "--model", "m", "--resume", "s", "-x", "do it"]),
            ("gemini", ["--output-format", "stream-json", "--model", "m", "--resume", "s", "-x", "--prompt", "do it"]),
            ("copilot", ["--output-format", "json", "--model", "m", "--resume=s", "-x", "--prompt=do it"]),
            ("codex", ["exec", "--json", "--model", "m", "-x", "resume", "s", "do it"]),
        ],
    )  # fmt: skip
    async def test_words(self, name: str, words: list[str], programs: Path, agent_spans: AgentSpans) -> None:
        found = await told(name, programs, model="m", session="s", extra_args=["-x"], telemetry=False)
        assert found["argv"] == words
        assert found["stdin"] == ""

    @pytest.mark.parametrize("name", ["claude", "gemini", "codex"])
    @pytest.mark.parametrize("prompt", ["-rf", "x" * 200_000], ids=["like an option", "long"])
    async def test_prompts_that_are_no_arguments(
        self, name: str, prompt: str, programs: Path, agent_spans: AgentSpans
    ) -> None:
        found = await told(name, programs, prompt)
        assert found["stdin"] == prompt
        assert prompt not in found["argv"]

    async def test_folder(self, programs: Path, tmp_path: Path, agent_spans: AgentSpans) -> None:
        assert (await told("claude", programs, cwd=tmp_path))["cwd"] == str(tmp_path)

    @pytest.mark.parametrize("name", list(AGENTS))
    async def test_our_own_settings_stay_here(
        self, name: str, programs: Path, agent_spans: AgentSpans, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Copilot takes only ``true`` for the variable, the conventions never take that."""
        monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "span_only")
        monkeypatch.setenv("OTEL_SERVICE_NAME", "app")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=secret")
        env = (await told(name, programs))["env"]
        assert env.get("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT") in (None, "true")
        if name != "copilot":
            assert "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT" not in env
        assert "OTEL_SERVICE_NAME" not in env
        assert "secret" not in str(env.get("OTEL_EXPORTER_OTLP_HEADERS"))

    async def test_variables_of_the_caller_win(self, programs: Path, agent_spans: AgentSpans) -> None:
        env = (await told("claude", programs, env={"OTEL_SERVICE_NAME": "mine", "X": "1"}))["env"]
        assert (env["OTEL_SERVICE_NAME"], env["X"]) == ("mine", "1")

    async def test_the_trace_goes_on(self, programs: Path, agent_spans: AgentSpans) -> None:
        env = (await told("claude", programs))["env"]
        span = agent_spans.named("invoke_agent claude").context
        assert env["TRACEPARENT"] == f"00-{span.trace_id:032x}-{span.span_id:016x}-01"


HANGS = """
    import os, signal, subprocess, sys, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], process_group=0)
    open(sys.argv[-1], "w").write(f"{os.getpid()} {child.pid} {other.pid}")
    print('{"type":"thread.started","thread_id":"t"}', flush=True)
    time.sleep(600)
    """


def running(file: Path) -> list[int]:
    """Which of the processes in the file are still there."""
    found = []
    for pid in map(int, file.read_text().split()):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state not in "ZX":
            found.append(pid)
    return found


class TestEnds:
    async def test_timeout_ends_all_of_it(
        self, programs: Path, tmp_path: Path, agent_spans: AgentSpans, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also what ignores SIGTERM, and what is in a process group of its own."""
        monkeypatch.setattr("otel_agents.cli_agents.processes.GRACE", 0.3)
        program(programs, "codex", HANGS)
        pids = tmp_path / "pids"
        result = await codex.run(str(pids), timeout=1.5)
        assert result.error == "codex did not end within 1.5 s"
        assert result.error_type == "timeout"
        assert result.session_id == "t"
        assert len(pids.read_text().split()) == 3
        wait_for(lambda: not running(pids), "the end of all processes", timeout=5)
        assert agent_spans.named("invoke_agent codex").attributes["error.type"] == "timeout"

    async def test_cancelling_ends_all_of_it(
        self, programs: Path, tmp_path: Path, agent_spans: AgentSpans, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        program(programs, "codex", HANGS)
        pids = tmp_path / "pids"
        task = asyncio.create_task(codex.run(str(pids)))
        while not (pids.exists() and len(pids.read_text().split()) == 3):
            await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        wait_for(lambda: not running(pids), "the end of all processes", timeout=10)
        assert (
            agent_spans.named("invoke_agent codex").attributes["error.type"]
            == "asyncio.exceptions.CancelledError"
        )

    def test_sigterm_ends_all_of_it(self, programs: Path, tmp_path: Path) -> None:
        """The app dies by it, and agents are in sessions of their own, where nobody else would reach them."""
        program(programs, "codex", HANGS)
        pids = tmp_path / "pids"
        code = f"""
import otel_agents
from otel_agents.cli_agents import codex
otel_agents.configure()
codex.run_sync({str(pids)!r}, telemetry=False)
"""
        foreign = ("OTEL_", "LANGFUSE_")
        environment = {key: value for key, value in os.environ.items() if not key.startswith(foreign)} | {
            "OTEL_AGENTS_DOTENV": "off",
            "OTEL_AGENTS_HOME": str(tmp_path / "home"),
            "OTEL_AGENTS_SPOOL_DIR": str(tmp_path / "spool"),
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
        }
        app = subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: pids.exists() and len(pids.read_text().split()) == 3, "the agent", timeout=20)
            app.send_signal(signal.SIGTERM)
            assert app.wait(20) == -signal.SIGTERM
            wait_for(lambda: not running(pids), "the end of all processes", timeout=5)
        finally:
            app.kill()

    async def test_what_goes_on_in_the_background_holds_nobody_up(
        self, programs: Path, agent_spans: AgentSpans
    ) -> None:
        program(
            programs,
            "claude",
            """
            import subprocess, sys
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(20)"])
            print('{"type":"result","is_error":false,"result":"done"}', flush=True)
            """,
        )
        started = time.monotonic()
        result = await claude.run("x", timeout=15)
        assert result.output == "done"
        assert result.error is None
        assert time.monotonic() - started < 10

    async def test_no_such_program(self, agent_spans: AgentSpans) -> None:
        result = await claude.using("no-such-agent").run("x")
        assert result.error == "there is no command 'no-such-agent'; install it, or put it on PATH"
        assert result.error_type == "not_found"

    async def test_no_such_folder(self, programs: Path, agent_spans: AgentSpans) -> None:
        printing(programs, "claude", "")
        result = await claude.run("x", cwd="/no/such/folder")
        assert result.error == "there is no folder '/no/such/folder'; give another cwd"

    async def test_killed(self, programs: Path, agent_spans: AgentSpans) -> None:
        program(programs, "claude", "import os; os.kill(os.getpid(), 9)")
        result = await claude.run("x")
        assert (result.exit_code, result.error_type) == (-9, "exit_status")


class TestOutput:
    async def test_it_is_bounded(self, programs: Path, agent_spans: AgentSpans) -> None:
        program(
            programs,
            "claude",
            """
            for number in range(3000):
                print('{"type":"system","n":%d,"x":"%s"}' % (number, "x" * 100))
            print("y" * 500_000)
            print('{"type":"result","is_error":false,"result":"done"}')
            """,
        )
        result = await claude.run("x", max_output=20_000)
        assert result.output == "done"
        assert len(result.raw) < 21_000
        assert result.raw.startswith('{"type":"system","n":0')
        assert result.raw.endswith('"result":"done"}\n')
        assert result.skipped == {"too_long_line": 1}

    async def test_what_a_too_long_line_was_about(self, programs: Path, agent_spans: AgentSpans) -> None:
        program(
            programs,
            "claude",
            """
            call = '{"type":"tool_use","id":"t","name":"Bash","input":{}}'
            print('{"type":"assistant","message":{"id":"m","content":[%s]}}' % call)
            print('{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"t","content":"%s"}]}}' % ("y" * 500_000))
            print('{"type":"result","is_error":false,"result":"done"}')
            """,
        )
        result = await claude.run("x", max_output=100_000)
        assert result.skipped == {"too_long_line": 1}
        assert [(one.name, one.finished) for one in result.tool_calls] == [("Bash", True)]

    async def test_bytes_that_are_no_text(self, programs: Path, agent_spans: AgentSpans) -> None:
        program(
            programs,
            "codex",
            r"""
            import sys
            sys.stdout.buffer.write(b'{"type":"item.completed","item":{"type":"agent_message","text":"a\xff\xfeb"}}\n')
            sys.stderr.buffer.write(b"\xff\xfe warning\n")
            """,
        )
        result = await codex.run("x")
        assert result.output == "a��b"
        assert result.skipped == {"not_utf8": 1}
        assert "warning" in result.stderr

    async def test_progress_is_seen_while_it_runs(
        self, programs: Path, tmp_path: Path, agent_spans: AgentSpans
    ) -> None:
        program(
            programs,
            "codex",
            """
            import os, sys, time
            print('{"type":"item.completed","item":{"id":"1","type":"command_execution","command":"c"}}', flush=True)
            while not os.path.exists(sys.argv[-1]):
                time.sleep(0.02)
            """,
        )
        go = tmp_path / "go"
        task = asyncio.create_task(codex.run(str(go), telemetry=False))
        while not [span for span in agent_spans if span.name == "execute_tool shell"]:
            assert not task.done()
            await asyncio.sleep(0.05)
        go.touch()
        await task

    async def test_capture_is_respected(self, programs: Path, agent_spans: AgentSpans) -> None:
        runtime.current().settings = _with(runtime.current().settings, capture="none")
        item = {
            "id": "1",
            "type": "command_execution",
            "command": "secret-c",
            "aggregated_output": "secret-o",
        }
        printing(programs, "codex", json.dumps({"type": "item.completed", "item": item}))
        await codex.run("secret-p")
        assert "secret" not in json.dumps(agent_spans.snapshot(), default=str)


def _with(settings: Any, **changes: Any) -> Any:
    from dataclasses import replace

    return replace(settings, **changes)
