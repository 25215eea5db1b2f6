"""Logfire and Pydantic AI: GenAI conventions, with a cost, contents and lists in forms of their own.

Read from spans recorded with logfire 5.2.0 (OpenAI) and pydantic-ai 2.68.0 (instrumentation versions 2
to 5), and from pydantic_ai/models/instrumented.py for version 1.
"""

from __future__ import annotations

from typing import Any, Final

from otel_agents import semconv as sc
from otel_agents.normalize.chat_messages import from_chat, from_events, text_message
from otel_agents.normalize.conditions import all_of, any_of, either, has, lacks, named, scope
from otel_agents.normalize.dialect import Dialect
from otel_agents.normalize.indexed import Tools
from otel_agents.normalize.record import Record
from otel_agents.normalize.rules import Copy, Make, Rewritten, Rule, Said, Say, Spend, parsed

_LOGFIRE: Final = "logfire 5.2.0, spans of OpenAI calls"
_PYDANTIC: Final = "pydantic-ai 2.68.0, spans of an agent with a tool"
_V1: Final = "pydantic-ai 1.0, pydantic_ai/models/instrumented.py (version=1); logfire 3 (events)"
_V3: Final = "logfire 1 to 3, logfire/_internal/integrations/llm_providers"
_STRING: Final = r'"(?:[^"\\]|\\.)*"'
_CALL = either(sc.OPERATION_NAME, *sorted(sc.INFERENCE_OPERATIONS))


def _events(record: Record, key: str) -> tuple[Any, Any]:
    found = parsed(record.attributes.get(key))
    if not isinstance(found, list):
        return None, None
    return from_events([(str(one.get("event.name")), one) for one in found if isinstance(one, dict)])


def _asked(record: Record) -> Any:
    """Messages of a request to OpenAI or Anthropic, as it was sent."""
    given = parsed(record.attributes.get("request_data"))
    if not isinstance(given, dict) or not isinstance(given.get("messages"), list):
        return None
    system = [{"role": "system", "content": given["system"]}] if given.get("system") else []
    return from_chat([*system, *given["messages"]], "user")


def _answered(record: Record) -> Any:
    told = parsed(record.attributes.get("response_data"))
    message = told.get("message") if isinstance(told, dict) else None
    if isinstance(message, dict):
        return from_chat([message], "assistant")
    text = told.get("combined_chunk_content") if isinstance(told, dict) else None
    return text_message(text, "assistant") if isinstance(text, str) and text else None


_RULES: Final[tuple[Rule, ...]] = (
    # Instrumentation versions 1 and 2 say no operation of what is no model call.
    Say(
        sc.OPERATION_NAME,
        sc.OP_INVOKE_AGENT,
        all_of(scope("pydantic-ai"), has("agent_name", "all_messages_events")),
        _V1,
    ),
    Say(sc.OPERATION_NAME, sc.OP_EXECUTE_TOOL, all_of(scope("pydantic-ai"), has(sc.TOOL_NAME)), _V1),
    Say(sc.OPERATION_NAME, sc.OP_INVOKE_WORKFLOW, all_of(scope("pydantic-ai"), named("running*")), _V1),
    Say(
        sc.OPERATION_NAME,
        sc.OP_CHAT,
        all_of(scope("logfire.openai", "logfire.anthropic"), has("request_data"), has(sc.REQUEST_MODEL)),
        _V3,
    ),
    # The same tokens once more; who sums up would count them twice.
    Spend(
        ("gen_ai.usage.",),
        _PYDANTIC,
        when=all_of(scope("pydantic-ai"), either(sc.OPERATION_NAME, sc.OP_INVOKE_AGENT)),
        always=True,
    ),
    Copy(sc.USAGE_COST, ("operation.cost",), _LOGFIRE, kind="number", when=_CALL),
    Copy(sc.RESPONSE_FINISH_REASONS, (sc.RESPONSE_FINISH_REASONS,), _LOGFIRE, kind="list", replaces=True),
    # Of a stream there are two: a span that knows no more than the request, and a log without duration
    # that has it all. One call is one observation: the first only shows how long it took.
    Say(
        sc.OPERATION_NAME,
        sc.OP_INVOKE_WORKFLOW,
        all_of(
            scope("logfire.*"),
            either(sc.OPERATION_NAME, sc.OP_CHAT),
            either("logfire.span_type", "span"),
            lacks(
                sc.USAGE_INPUT_TOKENS,
                sc.USAGE_OUTPUT_TOKENS,
                sc.OUTPUT_MESSAGES,
                sc.RESPONSE_ID,
                "logfire.level_num",
                "logfire.exception.fingerprint",
                sc.ERROR_TYPE,
            ),
        ),
        _LOGFIRE,
        replaces=True,
    ),
    # A tool's answer has it under "result".
    Rewritten(
        sc.INPUT_MESSAGES,
        sc.INPUT_MESSAGES,
        ((rf'("type":"tool_call_response",(?:"(?:id|name)":{_STRING},)*)"result":', '$1"response":'),),
        _PYDANTIC,
    ),
    Copy(sc.AGENT_NAME, ("agent_name",), _PYDANTIC),
    Copy(sc.TOOL_CALL_ARGUMENTS, ("tool_arguments",), _PYDANTIC, kind="text", spends=True),
    Copy(sc.TOOL_CALL_RESULT, ("tool_response",), _PYDANTIC, kind="text", spends=True),
    Rewritten(
        sc.INPUT_MESSAGES,
        "pydantic_ai.all_messages",
        ((rf'("type":"tool_call_response",(?:"(?:id|name)":{_STRING},)*)"result":', '$1"response":'),),
        _PYDANTIC,
        spends=True,
    ),
    Said(
        sc.OUTPUT_MESSAGES,
        ("final_result",),
        "assistant",
        _PYDANTIC,
        when=either(sc.OPERATION_NAME, sc.OP_INVOKE_AGENT),
    ),
    Tools(sc.TOOL_DEFINITIONS, _LOGFIRE),
    # Before there were messages: events, as one attribute.
    Make(sc.OUTPUT_MESSAGES, lambda record: _events(record, "events")[1], _V1, when=has("events")),
    Make(
        sc.INPUT_MESSAGES,
        lambda record: _events(record, "events")[0],
        _V1,
        when=has("events"),
        spends=("events",),
    ),
    Make(
        sc.INPUT_MESSAGES,
        lambda record: _events(record, "all_messages_events")[0],
        _V1,
        when=has("all_messages_events"),
        spends=("all_messages_events",),
    ),
    Make(sc.INPUT_MESSAGES, _asked, _V3, when=has("request_data")),
    Make(sc.OUTPUT_MESSAGES, _answered, _V3, when=has("response_data")),
    # Made for Logfire's own pages.
    Spend(("logfire.json_schema",), _LOGFIRE, when=has(sc.OPERATION_NAME)),
)

LOGFIRE: Final = Dialect(
    name="logfire",
    title="Logfire 5 and Pydantic AI 1 to 2",
    marks=any_of(scope("pydantic-ai", "logfire", "logfire.*"), has("logfire.msg")),
    rules=_RULES,
)
