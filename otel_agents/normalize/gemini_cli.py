"""Gemini CLI: the conventions' attributes with operations and messages of its own.

Read from the telemetry of gemini-cli 0.61.0 (``packages/core/src/telemetry``). Its headless runs make a
trace of every step; only ``gen_ai.conversation.id`` says that they belong together. Its spans
have input and output of a call; what was cached and thought is in log records that name no span.
"""

from __future__ import annotations

from typing import Final

from otel_agents import semconv as sc
from otel_agents.normalize.conditions import either, scope
from otel_agents.normalize.dialect import Dialect
from otel_agents.normalize.rules import Copy, Fields, Rewritten, Rule, Say, Spend

_SEEN: Final = "gemini-cli 0.61.0"
_CALL: Final = either(sc.OPERATION_NAME, sc.OP_GENERATE_CONTENT)
_TOOL: Final = either(sc.OPERATION_NAME, sc.OP_EXECUTE_TOOL)
_MESSAGES: Final = (
    (r'"role":\s*"model"', '"role":"assistant"'),
    (r'\{"text":', '{"type":"text","content":'),
)

_RULES: Final[tuple[Rule, ...]] = (
    Copy(
        sc.OPERATION_NAME,
        (sc.OPERATION_NAME,),
        f"{_SEEN}, telemetry/constants.ts",
        values={
            "llm_call": sc.OP_GENERATE_CONTENT,
            "tool_call": sc.OP_EXECUTE_TOOL,
            "agent_call": sc.OP_INVOKE_AGENT,
            "user_prompt": sc.OP_INVOKE_AGENT,
        },
        only=True,
        replaces=True,
    ),
    Say(sc.PROVIDER_NAME, "gcp.gemini", _CALL, _SEEN),
    Copy(sc.TOOL_CALL_ID, ("gen_ai.tool.call_id",), _SEEN, spends=True),
    Copy(sc.SESSION_ID, (sc.CONVERSATION_ID,), _SEEN),
    # What a tool was given and answered stands where a call's messages are.
    Fields(
        sc.INPUT_MESSAGES, ((sc.TOOL_CALL_ARGUMENTS, ("args",), "text"),), f"{_SEEN}, tool_call", when=_TOOL
    ),
    Copy(sc.TOOL_CALL_RESULT, (sc.OUTPUT_MESSAGES,), f"{_SEEN}, tool_call", kind="text", when=_TOOL),
    Spend((sc.INPUT_MESSAGES, sc.OUTPUT_MESSAGES), f"{_SEEN}, tool_call", when=_TOOL, always=True),
    # The id of the session, and no prompt template.
    Spend((sc.PROMPT_NAME,), _SEEN, always=True),
    Rewritten(sc.INPUT_MESSAGES, sc.INPUT_MESSAGES, _MESSAGES, _SEEN, when=_CALL),
    Rewritten(sc.OUTPUT_MESSAGES, sc.OUTPUT_MESSAGES, _MESSAGES, _SEEN, when=_CALL),
)

GEMINI_CLI: Final = Dialect(
    name="gemini_cli",
    title="Gemini CLI 0.61",
    marks=scope("gemini-cli"),
    rules=_RULES,
)
