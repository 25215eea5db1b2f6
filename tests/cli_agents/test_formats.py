# ruff: noqa: E501
"""What is read from each agent's output: the captures, and the documented shapes that are not in them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from stand_in import captured

from otel_agents.accounting import Usage
from otel_agents.cli_agents import definitions
from otel_agents.cli_agents.output import Output
from otel_agents.cli_agents.processes import Ended
from otel_agents.cli_agents.result import AgentResult


def read(agent: str, *output: Any, code: int = 0, stderr: str = "") -> AgentResult:
    """``output`` is text, or events."""
    text = "".join(one if isinstance(one, str) else json.dumps(one) + "\n" for one in output)
    reader = Output(definitions.BUILT_IN[agent], 1 << 20)
    for line in text.splitlines(keepends=True):
        reader.line(line)
    return reader.result(Ended(code=code, raw=text, stderr=stderr), 60.0)


class TestClaude:
    def test_capture(self) -> None:
        # Two calls of 10 tokens, 200 read from the cache and 100 written to it, 20 answered.
        result = read("claude", captured("claude-code"))
        assert result.output == "Done: hello"
        assert result.tokens == Usage(input=2 * (10 + 200 + 100), output=40, cache_read=400, cache_write=200)
        assert result.cost == pytest.approx(0.00153)
        assert result.session_id == "314647c5-9bfa-4858-9637-7777e98c7652"
        assert result.turns == 2
        assert result.model == "claude-sonnet-4-5"
        assert result.error is None
        assert result.skipped == {}

    def test_an_api_error_says_success(self) -> None:
        said = "API Error: 529 overloaded"
        event = {"type": "result", "subtype": "success", "is_error": True, "terminal_reason": "api_error",
                 "result": said, "session_id": "s", "api_error_status": 529, "num_turns": 1}  # fmt: skip
        result = read("claude", event, code=1)
        assert (result.error, result.error_type) == (said, "api_error")
        assert result.output == ""
        assert result.session_id == "s"

    def test_an_error_that_is_none(self) -> None:
        result = read(
            "claude", {"type": "result", "subtype": "error_odd", "is_error": False, "result": "fine"}
        )
        assert result.error is None
        assert result.output == "fine"

    def test_max_turns(self) -> None:
        event = {"type": "result", "subtype": "error_max_turns", "is_error": True,
                 "errors": ["Reached maximum number of turns (1)"], "num_turns": 2}  # fmt: skip
        result = read("claude", {"type": "assistant", "message": {"content": [{"type": "text", "text": "so far"}]}},
                      event, code=1)  # fmt: skip
        assert (result.error, result.error_type) == ("Reached maximum number of turns (1)", "max_turns")
        assert result.output == "so far"

    def test_sub_agents_count(self) -> None:
        """``usage`` is the main conversation's only; ``modelUsage`` and the cost have everything."""
        models = {
            "claude-sonnet-4-5": {
                "inputTokens": 10,
                "outputTokens": 20,
                "cacheReadInputTokens": 5,
                "costUSD": 0.2,
            },
            "claude-haiku-4-5": {"inputTokens": 100, "outputTokens": 50, "costUSD": 0.1},
        }
        result = read("claude", {"type": "result", "is_error": False, "result": "x", "total_cost_usd": 0.3,
                                 "usage": {"input_tokens": 10, "output_tokens": 20}, "modelUsage": models})  # fmt: skip
        assert result.tokens == Usage(input=115, output=70, cache_read=5)
        assert {name: one.cost for name, one in result.models.items()} == {
            "claude-sonnet-4-5": 0.2, "claude-haiku-4-5": 0.1,
        }  # fmt: skip
        assert result.model == "claude-haiku-4-5"

    def test_a_stream_with_tools(self) -> None:
        stream = [
            {"type": "system", "subtype": "init", "session_id": "s", "model": "claude-opus-4-5"},
            {"type": "assistant", "message": {"id": "m1", "model": "claude-opus-4-5", "content": [
                {"type": "tool_use", "id": "t1", "name": "Write", "input": {"file_path": "/r/a.py", "content": "x"}},
                {"type": "tool_use", "id": "t2", "name": "Bash", "input": {"command": "false"}},
                {"type": "tool_use", "id": "t3", "name": "Task", "input": {"prompt": "look"}},
            ]}},
            {"type": "assistant", "parent_tool_use_id": "t3", "message": {"content": [
                {"type": "text", "text": "a sub-agent's words"},
                {"type": "tool_use", "id": "t4", "name": "Read", "input": {"file_path": "/r/b.py"}}]}},
            {"type": "user", "message": {"content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": "ok"},
                {"type": "tool_result", "tool_use_id": "t2", "is_error": True, "content": [
                    {"type": "text", "text": "exit 1"}]}]}},
            {"type": "result", "is_error": False, "result": "done", "session_id": "s"},
        ]  # fmt: skip
        result = read("claude", *stream)
        assert [(one.name, one.error, one.finished, one.parent) for one in result.tool_calls] == [
            ("Write", None, True, None),
            ("Bash", "exit 1", True, None),
            ("Task", None, False, None),
            ("Read", None, False, "t3"),
        ]
        assert result.files_changed == ["/r/a.py"]
        assert result.output == "done"

    def test_killed_before_the_result(self) -> None:
        """Each block of an answer repeats the answer's usage."""
        usage = {"input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 7}
        message = {
            "id": "m1",
            "model": "claude-opus-4-5",
            "usage": usage,
            "content": [{"type": "text", "text": "a"}],
        }
        result = read("claude", {"type": "assistant", "message": message}, {"type": "assistant", "message": message},
                      '{"type":"result","is_err', code=-15)  # fmt: skip
        assert result.tokens == Usage(input=15, output=7, cache_read=5)
        assert result.output == "a"
        assert result.error_type == "exit_status"
        assert result.skipped == {"cut_json": 1}

    def test_numbers_as_text_and_missing_fields(self) -> None:
        result = read("claude", {"type": "result", "is_error": "false", "result": "x", "total_cost_usd": "0.5",
                                 "usage": {"input_tokens": "10", "output_tokens": None}, "num_turns": "3"})  # fmt: skip
        assert result.tokens == Usage(input=10)
        assert result.cost == 0.5
        assert result.turns == 3
        assert result.error is None

    def test_several_results_of_one_session_are_running_totals(self) -> None:
        def result_of(tokens: int, cost: float, session: str = "s") -> dict[str, Any]:
            return {"type": "result", "is_error": False, "result": "x", "session_id": session, "num_turns": 1,
                    "total_cost_usd": cost, "modelUsage": {"m": {"inputTokens": tokens, "costUSD": cost}}}  # fmt: skip

        grown = read("claude", result_of(10, 0.1), result_of(30, 0.3))
        assert (grown.tokens, grown.cost, grown.turns) == (Usage(input=30), 0.3, 2)
        apart = read("claude", result_of(10, 0.1), result_of(30, 0.3, "other"))
        assert (apart.tokens, apart.cost) == (Usage(input=40), pytest.approx(0.4))

    @pytest.mark.parametrize("indent", [None, 2])
    def test_a_list_of_all_messages(self, indent: int | None) -> None:
        """``--output-format json --verbose``."""
        events = [
            {"type": "system", "subtype": "init", "session_id": "s", "model": "claude-opus-4-5"},
            {"type": "assistant", "message": {"content": [{"type": "tool_use", "id": "t", "name": "Bash", "input": {}}]}},
            {"type": "result", "is_error": False, "result": "done", "usage": {"input_tokens": 3, "output_tokens": 4}},
        ]  # fmt: skip
        text = json.dumps(events, indent=indent) + "\n"
        result = read("claude", text)
        assert (result.output, result.tokens, result.session_id, result.skipped) == (
            "done",
            Usage(3, 4),
            "s",
            {},
        )
        assert [one.name for one in result.tool_calls] == ["Bash"]
        cut = read("claude", text[: text.index("done")], code=-15)
        assert [one.name for one in cut.tool_calls] == ["Bash"]
        assert cut.skipped == {"cut_json": 1}

    def test_a_limit_that_is_no_error(self) -> None:
        """Early versions said ``is_error: false`` there; what is missing is a result."""
        result = read("claude", {"type": "result", "subtype": "error_max_turns", "is_error": False, "num_turns": 2,
                                 "total_cost_usd": 0.01, "usage": {"input_tokens": 1, "output_tokens": 2}})  # fmt: skip
        assert (result.error, result.error_type) == ("error_max_turns", "max_turns")
        assert result.tokens == Usage(1, 2)

    def test_structured_output(self) -> None:
        result = read(
            "claude", {"type": "result", "is_error": False, "result": "", "structured_output": {"a": [1]}}
        )
        assert result.output == '{"a":[1]}'

    def test_an_api_error_without_a_reason(self) -> None:
        said = 'API Error: 401 {"type":"error"}'
        result = read(
            "claude", {"type": "result", "subtype": "success", "is_error": True, "result": said}, code=1
        )
        assert (result.error, result.error_type) == (said, "api_error")

    def test_unknown_events_are_named(self) -> None:
        result = read("claude", {"type": "new_thing"}, {"type": "new_thing"}, {"no": "type"},
                      {"type": "result", "is_error": False, "result": "x"})  # fmt: skip
        assert result.skipped == {"event:new_thing": 2, "event:untyped": 1}


class TestGemini:
    def test_capture(self) -> None:
        # Two calls of 100 tokens (40 of them cached), 20 answered and 5 thought.
        result = read("gemini", captured("gemini-cli"))
        assert result.output == "Done: hello"
        assert result.tokens == Usage(input=200, output=50, cache_read=80, reasoning=10)
        assert result.cost is None
        assert result.model == "gemini-fake"
        assert result.turns == 2
        assert [(one.name, one.duration) for one in result.tool_calls] == [("run_shell_command", 0.178)]
        assert result.skipped == {}

    def test_what_tools_sent_was_sent(self) -> None:
        tokens = {"prompt": 100, "candidates": 10, "cached": 30, "thoughts": 4, "tool": 6, "total": 120}
        result = read("gemini", {"response": "x", "stats": {"models": {"m": {"tokens": tokens}}}})
        assert result.tokens == Usage(input=106, output=14, cache_read=30, reasoning=4)

    def test_without_prompt(self) -> None:
        tokens = {"input": 70, "cached": 30, "candidates": 10}
        result = read("gemini", {"response": "x", "stats": {"models": {"m": {"tokens": tokens}}}})
        assert result.tokens == Usage(input=100, output=10, cache_read=30)

    def test_stream(self) -> None:
        stream = [
            {"type": "init", "session_id": "s", "model": "gemini-2.5-pro"},
            {"type": "message", "role": "user", "content": "hi"},
            {"type": "message", "role": "assistant", "content": "I ", "delta": True},
            {"type": "tool_use", "tool_name": "write_file", "tool_id": "1", "parameters": {"file_path": "a.py"}},
            {"type": "tool_result", "tool_id": "1", "status": "success", "output": ""},
            {"type": "tool_use", "tool_name": "replace", "tool_id": "2", "parameters": {"file_path": "b.py"}},
            {"type": "tool_result", "tool_id": "2", "status": "error", "error": {"type": "E", "message": "no match"}},
            {"type": "error", "severity": "warning", "message": "loop"},
            {"type": "message", "role": "assistant", "content": "did", "delta": True},
            {"type": "result", "status": "success", "stats": {
                "total_tokens": 160, "input_tokens": 100, "output_tokens": 50, "cached": 40, "input": 60,
                "duration_ms": 5, "tool_calls": 2}},
        ]  # fmt: skip
        result = read("gemini", *stream)
        assert result.output == "I did"
        assert result.session_id == "s"
        assert result.model == "gemini-2.5-pro"
        assert result.tokens == Usage(input=100, output=60, cache_read=40, reasoning=10)
        assert [(one.name, one.error) for one in result.tool_calls] == [
            ("write_file", None),
            ("replace", "no match"),
        ]
        assert result.files_changed == ["a.py"]
        assert result.error is None

    @pytest.mark.parametrize(
        ("error", "code", "kind"),
        [
            ({"type": "FatalTurnLimitedError", "message": "turns", "code": 53}, 53, "max_turns"),
            ({"type": "FatalInputError", "message": "input", "code": 42}, 42, "input"),
            ({"type": "ApiError", "message": "quota", "code": 429}, 1, "api_error"),
            ({"type": "Error", "message": "odd"}, 1, "agent_error"),
        ],
    )
    def test_errors(self, error: dict[str, Any], code: int, kind: str) -> None:
        result = read("gemini", json.dumps({"session_id": "s", "error": error}, indent=2), code=code)
        assert (result.error, result.error_type) == (error["message"], kind)

    def test_an_error_on_standard_error(self) -> None:
        said = json.dumps({"error": {"type": "FatalInputError", "message": "No input", "code": 42}}, indent=2)
        result = read("gemini", "", code=42, stderr=f"Loaded cached credentials.\n{said}\n")
        assert (result.error, result.error_type) == ("No input", "input")

    def test_a_bare_exit_status(self) -> None:
        result = read("gemini", "", code=53, stderr="limit")
        assert (result.error, result.error_type) == ("gemini ended with status 53: limit", "max_turns")


class TestCopilot:
    def test_capture(self) -> None:
        """Its key was one letter, which is masked in the names of fields and events, too."""
        result = read("copilot", captured("copilot-cli"))
        assert result.output == "Done: hello"
        assert result.tokens is None
        assert result.cost is None
        assert result.premium_requests == 0
        assert result.session_id == "26c48b27-fde4-41d5-95a2-0d2a85693166"
        assert result.turns == 2
        assert result.model == "gpt-4o"
        (call,) = result.tool_calls
        assert (call.name, call.id, call.finished, call.error) == ("bash", "call_1", True, None)
        assert call.arguments == {"command": "echo hi", "description": "say hi"}
        assert result.error is None
        assert result.skipped == {}

    def test_failures(self) -> None:
        stream = [
            {"type": "tool.execution_start", "data": {"toolCallId": "1", "toolName": "edit", "arguments": {}}},
            {"type": "tool.execution_complete", "data": {"toolCallId": "1", "success": False,
                                                         "error": {"message": "no such file", "code": "x"}}},
            {"type": "session.error", "data": {"errorType": "quota", "message": "over quota", "statusCode": 402}},
            {"type": "result", "sessionId": "s", "exitCode": 1, "usage": {"premiumRequests": "2.5"}},
        ]  # fmt: skip
        result = read("copilot", *stream, code=1)
        assert (result.error, result.error_type) == ("over quota", "api_error")
        assert result.premium_requests == 2.5
        assert result.tool_calls[0].error == "no such file"

    def test_changes_and_sub_agents(self) -> None:
        stream = [
            {"type": "assistant.message", "data": {"content": "main"}},
            {"type": "subagent.started", "data": {"agentName": "explore", "toolCallId": "1"}},
            {"type": "assistant.message", "data": {"content": "sub", "parentToolCallId": "1"}},
            {"type": "result", "exitCode": 0, "usage": {"codeChanges": {
                "linesAdded": 3, "linesRemoved": 1, "filesModified": ["a.py", "b.py", "a.py"]}}},
        ]  # fmt: skip
        result = read("copilot", *stream)
        assert result.output == "main"
        assert result.files_changed == ["a.py", "b.py"]
        assert (result.lines_added, result.lines_removed) == (3, 1)

    def test_usage_where_a_version_says_it(self) -> None:
        usage = {"type": "assistant.usage", "data": {"model": "gpt-5", "inputTokens": 10, "outputTokens": 2,
                                                     "cacheReadTokens": 4}}  # fmt: skip
        result = read("copilot", usage, usage, {"type": "result", "exitCode": 0})
        assert result.tokens == Usage(input=20, output=4, cache_read=8)


class TestCodex:
    def test_capture(self) -> None:
        result = read("codex", captured("codex"))
        assert result.output == "Done: hello"
        assert result.tokens == Usage(input=200, output=40, cache_read=80, reasoning=10)
        assert (result.cost, result.model) == (None, None)
        assert result.session_id == "01a20753-fee6-74e1-b6e0-cf6d7553638a"
        assert result.turns == 1
        (call,) = result.tool_calls
        assert (call.name, call.output, call.finished) == ("shell", "hi\n", True)
        assert result.error is None
        assert result.skipped == {}

    def test_usage_of_turns_is_that_of_the_thread_so_far(self) -> None:
        def turn(sent: int, produced: int) -> dict[str, Any]:
            return {"type": "turn.completed", "usage": {"input_tokens": sent, "output_tokens": produced}}

        started = {"type": "turn.started"}
        assert read("codex", started, turn(100, 10), started, turn(250, 30)).tokens == Usage(250, 30)
        # Not as such: the second is smaller, so each stands for itself.
        assert read("codex", started, turn(100, 10), started, turn(50, 30)).tokens == Usage(150, 40)
        assert read("codex", started, turn(100, 10), started, turn(250, 30)).turns == 2

    def test_items(self) -> None:
        done = "item.completed"
        stream = [
            {"type": done, "item": {"id": "1", "type": "file_change", "status": "completed",
                                    "changes": [{"path": "a.py", "kind": "update"}, {"path": "b.py", "kind": "add"}]}},
            {"type": done, "item": {"id": "2", "type": "file_change", "status": "failed",
                                    "changes": [{"path": "c.py", "kind": "add"}]}},
            {"type": "item.started", "item": {"id": "3", "type": "mcp_tool_call", "server": "s", "tool": "t"}},
            {"type": done, "item": {"id": "3", "type": "mcp_tool_call", "server": "s", "tool": "t",
                                    "error": {"message": "down"}, "status": "failed"}},
            {"type": done, "item": {"id": "4", "type": "command_execution", "command": "false", "exit_code": 2,
                                    "status": "failed", "aggregated_output": ""}},
            {"type": done, "item": {"id": "5", "type": "web_search", "query": "q"}},
            {"type": done, "item": {"id": "6", "type": "reasoning", "text": "hm"}},
            {"type": "item.started", "item": {"id": "7", "type": "brand_new", "x": 1}},
            {"type": "item.updated", "item": {"id": "8", "type": "todo_list", "items": []}},
        ]  # fmt: skip
        result = read("codex", *stream)
        assert [(one.name, one.error, one.finished) for one in result.tool_calls] == [
            ("apply_patch", None, True),
            ("apply_patch", "failed", True),
            ("s.t", "down", True),
            ("shell", "exit status 2", True),
            ("web_search", None, True),
            ("brand_new", None, False),
        ]
        assert result.files_changed == ["a.py", "b.py"]

    def test_events_of_2025(self) -> None:
        """Before 0.41: the protocol's own; a ``token_count`` is a call, unless it says the session's total."""

        def told(count: dict[str, Any], *more: dict[str, Any]) -> AgentResult:
            messages = [
                {"type": "session_configured", "session_id": "S"},
                {"type": "task_started", "model_context_window": 272000},
                {"type": "agent_reasoning", "text": "hm"},
                {"type": "exec_command_begin", "call_id": "c", "command": ["bash", "-lc", "ls"], "cwd": "/x"},
                {"type": "exec_command_output_delta", "call_id": "c", "chunk": "YQ=="},
                {"type": "exec_command_end", "call_id": "c", "stdout": "a\n", "stderr": "", "exit_code": 2,
                 "duration": {"secs": 1, "nanos": 500_000_000}},
                {"type": "patch_apply_begin", "call_id": "p", "changes": {"/x/a.py": {"add": {"content": "x"}}}},
                {"type": "patch_apply_end", "call_id": "p", "stdout": "ok", "stderr": "", "success": True},
                {"type": "mcp_tool_call_begin", "call_id": "m", "invocation": {"server": "s", "tool": "t", "arguments": {"a": 1}}},
                {"type": "mcp_tool_call_end", "call_id": "m", "result": {"Err": "gone"}},
                {"type": "stream_error", "message": "retrying"},
                {"type": "token_count", **count}, *({"type": "token_count", **one} for one in more),
                {"type": "agent_message", "message": "done"},
                {"type": "task_complete", "last_agent_message": "done"},
            ]  # fmt: skip
            return read("codex", {"workdir": "/x", "model": "gpt-5", "provider": "openai"}, {"prompt": "do"},
                        *({"id": "0", "msg": one} for one in messages))  # fmt: skip

        call = {
            "input_tokens": 50,
            "cached_input_tokens": 10,
            "output_tokens": 5,
            "reasoning_output_tokens": 2,
        }
        result = told(call, call)
        assert result.tokens == Usage(100, 10, 20, reasoning=4)
        assert (result.output, result.session_id, result.model, result.turns) == ("done", "S", "gpt-5", 1)
        assert (result.error, result.skipped, result.files_changed) == (None, {}, ["/x/a.py"])
        assert [(one.name, one.error, one.duration) for one in result.tool_calls] == [
            ("shell", "exit status 2", 1.5), ("apply_patch", None, None), ("s.t", "gone", None),
        ]  # fmt: skip
        so_far = [
            {"info": {"total_token_usage": {**call, "input_tokens": n}, "last_token_usage": call}}
            for n in (50, 90)
        ]
        assert told(*so_far).tokens == Usage(90, 5, 10, reasoning=2)
        assert told({"info": None}).tokens is None

    def test_the_first_name_of_threads(self) -> None:
        result = read("codex", {"type": "session.created", "session_id": "S"},
                      {"type": "item.completed", "item": {"id": "i", "item_type": "assistant_message", "text": "yo"}})  # fmt: skip
        assert (result.session_id, result.output, result.skipped) == ("S", "yo", {})

    def test_a_failed_turn(self) -> None:
        stream = [{"type": "error", "message": "stream disconnected"},
                  {"type": "turn.failed", "error": {"message": "401 Unauthorized"}}]  # fmt: skip
        result = read("codex", *stream, code=1)
        assert (result.error, result.error_type) == ("401 Unauthorized", "api_error")

    def test_an_error_that_the_next_attempt_repaired(self) -> None:
        stream = [{"type": "error", "message": "Reconnecting... 1/5"},
                  {"type": "item.completed", "item": {"id": "1", "type": "agent_message", "text": "done"}},
                  {"type": "turn.completed", "usage": {"input_tokens": 1, "output_tokens": 1}}]  # fmt: skip
        assert read("codex", *stream).error is None


@pytest.mark.parametrize("agent", ["claude", "gemini", "copilot", "codex"])
class TestBadInput:
    @pytest.mark.parametrize(
        "event",
        [
            {}, {"type": None}, {"type": []}, {"type": "result"}, {"type": "result", "usage": []},
            {"type": "result", "modelUsage": {"m": 5}, "usage": {"input_tokens": -1}},
            {"type": "result", "stats": {"models": []}, "status": 5}, {"type": "result", "stats": "x"},
            {"type": "assistant", "message": "text"}, {"type": "user", "message": {"content": [1, None]}},
            {"type": "assistant", "message": {"content": [{"type": "tool_use"}, {"type": "text"}]}},
            {"type": "tool_result"}, {"type": "tool.execution_complete", "data": []},
            {"type": "tool.execution_complete", "data": {"result": {"content": {"deep": [1]}}}},
            {"type": "item.completed"}, {"type": "item.completed", "item": {"type": "command_execution", "id": 5}},
            {"type": "turn.completed", "usage": {"input_tokens": 1e400}}, {"type": "error"},
            {"type": "result", "total_cost_usd": "NaN", "num_turns": True, "result": {"a": 1}},
            {"response": None, "stats": {"models": {"": {"tokens": {"prompt": "x"}}}}},
        ],
    )  # fmt: skip
    def test_odd_events(self, agent: str, event: dict[str, Any]) -> None:
        result = read(agent, event)
        assert isinstance(result.output, str)
        assert not any(name.startswith("unreadable") for name in result.skipped)

    def test_nothing(self, agent: str) -> None:
        result = read(agent, "")
        assert result.error_type == "no_answer"

    def test_text_only(self, agent: str) -> None:
        result = read(agent, "Please log in first.\n", code=1)
        assert result.error == f"{agent} ended with status 1: Please log in first."

    def test_a_huge_tool_output_is_bounded(self, agent: str) -> None:
        big = "x" * 900_000
        events = {
            "claude": [{"type": "assistant", "message": {"content": [{"type": "tool_use", "id": "1", "name": "T"}]}},
                       {"type": "user", "message": {"content": [{"type": "tool_result", "tool_use_id": "1",
                                                                 "content": big}]}}],
            "gemini": [{"type": "tool_use", "tool_name": "T", "tool_id": "1"},
                       {"type": "tool_result", "tool_id": "1", "status": "success", "output": big}],
            "copilot": [{"type": "tool.execution_start", "data": {"toolCallId": "1", "toolName": "T"}},
                        {"type": "tool.execution_complete", "data": {"toolCallId": "1", "success": True,
                                                                     "result": {"content": big}}}],
            "codex": [{"type": "item.completed", "item": {"id": "1", "type": "command_execution", "command": "c",
                                                          "aggregated_output": big, "exit_code": 0}}],
        }  # fmt: skip
        (call,) = read(agent, *events[agent]).tool_calls
        assert call.output is not None
        assert 1000 < len(call.output) < 20_000
