"""Claude Code: spans of its own, with counts that exclude the cache.

Read from the telemetry of Claude Code 2.1.330 (``CLAUDE_CODE_ENHANCED_TELEMETRY_BETA``) and its page
"Monitoring" (2.1.240). Waiting for permission and hooks stay out: only what has an operation goes on to
Langfuse. A tool's execution is a step, since a sub-agent's calls and tools are below it.
"""

from __future__ import annotations

from typing import Final

from otel_agents import semconv as sc
from otel_agents.normalize.conditions import all_of, any_of, either, has, named, scope
from otel_agents.normalize.dialect import Dialect
from otel_agents.normalize.rules import Copy, Rule, Said, Say, Spend, Sum

_SEEN: Final = "claude-code 2.1.330"
_CALL: Final = named("claude_code.llm_request")
_RUN: Final = named("claude_code.interaction")
_TOOL: Final = named("claude_code.tool")
#: What sub-agents and summaries hang below: without it they would hang in the air.
_STEP: Final = named("claude_code.tool.execution", "claude_code.compaction")
_SPAWN: Final = named("claude_code.subagent.spawn")

_RULES: Final[tuple[Rule, ...]] = (
    Say(sc.OPERATION_NAME, sc.OP_CHAT, _CALL, _SEEN),
    Say(sc.OPERATION_NAME, sc.OP_INVOKE_AGENT, any_of(_RUN, _SPAWN), _SEEN),
    Say(sc.OPERATION_NAME, sc.OP_EXECUTE_TOOL, _TOOL, _SEEN),
    Say(sc.OPERATION_NAME, "step", _STEP, _SEEN),
    Copy(sc.PROVIDER_NAME, ("gen_ai.system",), _SEEN),
    Say(sc.PROVIDER_NAME, "anthropic", _CALL, _SEEN),
    Copy(sc.REQUEST_MODEL, ("model",), _SEEN, when=_CALL),
    # The conventions' input includes the cache.
    Sum(
        sc.USAGE_INPUT_TOKENS,
        ("input_tokens", "cache_read_tokens", "cache_creation_tokens"),
        ("input_tokens",),
        _SEEN,
        when=_CALL,
    ),
    Copy(sc.USAGE_OUTPUT_TOKENS, ("output_tokens",), _SEEN, kind="integer", when=_CALL),
    Copy(sc.USAGE_CACHE_READ, ("cache_read_tokens",), _SEEN, kind="integer", when=_CALL),
    Copy(sc.USAGE_CACHE_WRITE, ("cache_creation_tokens",), _SEEN, kind="integer", when=_CALL),
    Spend(
        ("input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens"),
        _SEEN,
        needs=sc.USAGE_INPUT_TOKENS,
    ),
    Copy(sc.RESPONSE_TIME_TO_FIRST_CHUNK, ("ttft_ms",), _SEEN, kind="seconds", when=_CALL, spends=True),
    Copy(sc.RESPONSE_FINISH_REASONS, ("stop_reason",), _SEEN, kind="list", when=_CALL),
    Copy(sc.RESPONSE_ID, ("request_id",), _SEEN, when=_CALL),
    Copy(sc.CONVERSATION_ID, (sc.SESSION_ID,), _SEEN),
    Copy(
        sc.ERROR_TYPE,
        ("error_class", "status_code"),
        _SEEN,
        kind="text",
        when=any_of(either("success", False), either("success", "false"), has("error_class")),
    ),
    Copy(sc.AGENT_NAME, ("agent.name", "agent_type", "subagent_type"), _SEEN, when=_SPAWN),
    Say(sc.AGENT_NAME, "claude", any_of(_RUN, _CALL, _TOOL), _SEEN),
    Copy(sc.TOOL_NAME, ("tool_name",), _SEEN, when=_TOOL),
    Copy(sc.TOOL_CALL_ID, ("tool_use_id",), _SEEN, when=_TOOL),
    Copy(
        sc.TOOL_CALL_ARGUMENTS,
        ("tool_input", "full_command", "file_path"),
        f"{_SEEN}, with OTEL_LOG_TOOL_DETAILS",
        kind="text",
        when=_TOOL,
        spends=True,
    ),
    Spend(("model",), _SEEN, needs=sc.REQUEST_MODEL, when=_CALL),
    Spend(("tool_name",), _SEEN, needs=sc.TOOL_NAME, when=_TOOL),
    Spend(("tool_use_id",), _SEEN, needs=sc.TOOL_CALL_ID, when=_TOOL),
    Said(sc.INPUT_MESSAGES, ("user_prompt",), "user", f"{_SEEN}, with OTEL_LOG_USER_PROMPTS", when=_RUN),
)

CLAUDE_CODE: Final = Dialect(
    name="claude_code",
    title="Claude Code 2.1",
    marks=all_of(scope("com.anthropic.claude_code*"), named("claude_code.*")),
    rules=_RULES,
)
