"""Codex: what is useful of the spans of a Rust program, some five hundred for one turn.

Read from the telemetry of codex 0.169.0. A turn, its model calls and its tools get operations; so do the
few spans between them, as steps, or what is below would hang in the air. All others have none and go no
further than the filter.
"""

from __future__ import annotations

from typing import Final

from otel_agents import semconv as sc
from otel_agents.normalize.conditions import all_of, any_of, either, has, named, scope
from otel_agents.normalize.dialect import Dialect
from otel_agents.normalize.rules import Copy, Rule, Say, Spend

_SEEN: Final = "codex 0.169.0"
#: What is between a turn and its calls.
STEPS: Final = (
    "turn/start", "op.dispatch.turn_input", "op.dispatch.user_input", "op.dispatch.user_turn",
    "codex.turn_input", "session_task.run", "run_turn", "run_sampling_request",
    "try_run_sampling_request", "receiving_stream", "handle_output_item_done",
    "handle_tool_call_with_source",
)  # fmt: skip
_TURN: Final = named("session_task.turn")
#: One of the many spans of this name is made when the answer is complete, and has the usage.
_CALL: Final = all_of(named("handle_responses"), has(sc.USAGE_INPUT_TOKENS))
_TOOL: Final = has("codex.tool.phase")
_STEP: Final = any_of(named(*STEPS), all_of(named("handle_responses"), either("from", "output_item_done")))

_RULES: Final[tuple[Rule, ...]] = (
    Say(sc.OPERATION_NAME, sc.OP_INVOKE_AGENT, _TURN, _SEEN),
    Say(sc.OPERATION_NAME, sc.OP_CHAT, _CALL, _SEEN),
    Say(sc.OPERATION_NAME, sc.OP_EXECUTE_TOOL, _TOOL, _SEEN),
    Say(sc.OPERATION_NAME, "step", _STEP, _SEEN),
    Say(sc.AGENT_NAME, "codex", any_of(_TURN, _CALL, _TOOL), _SEEN),
    Say(sc.PROVIDER_NAME, "openai", any_of(_TURN, _CALL), _SEEN),
    Copy(sc.REQUEST_MODEL, ("model",), _SEEN, when=any_of(_TURN, _CALL)),
    Copy(sc.USAGE_REASONING, ("codex.usage.reasoning_output_tokens",), _SEEN, kind="integer", when=_CALL),
    Copy(sc.TOOL_NAME, ("tool_name",), _SEEN, when=_TOOL),
    Copy(sc.TOOL_CALL_ID, ("call_id",), _SEEN, when=_TOOL),
    Copy(sc.CONVERSATION_ID, ("conversation.id",), _SEEN),
    Copy(sc.CONVERSATION_ID, ("thread.id",), _SEEN, when=_TURN),
    Copy(sc.SESSION_ID, (sc.CONVERSATION_ID,), _SEEN),
    Spend(("call_id",), _SEEN, needs=sc.TOOL_CALL_ID, when=_TOOL),
    Spend(("tool_name",), _SEEN, needs=sc.TOOL_NAME, when=_TOOL),
    Spend(("conversation.id",), _SEEN, needs=sc.CONVERSATION_ID),
)

CODEX: Final = Dialect(
    name="codex",
    title="Codex 0.169",
    marks=scope("codex*"),
    rules=_RULES,
)
