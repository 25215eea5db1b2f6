"""OpenLLMetry (Traceloop): ``traceloop.*``, ``llm.*``, and messages in ``gen_ai.prompt.N.*``.

Read from opentelemetry-semantic-conventions-ai 0.4.13 to 0.5 and opentelemetry-instrumentation-openai
0.40 (numbered attributes) and 0.62.4 (the conventions' messages).
"""

from __future__ import annotations

from typing import Final

from otel_agents import semconv as sc
from otel_agents.normalize.conditions import any_of, either, has, lacks, scope
from otel_agents.normalize.dialect import Dialect
from otel_agents.normalize.indexed import CUT, Items, Messages
from otel_agents.normalize.rules import Copy, Prefixed, Rule, Said, Say, Spend

_NAMES: Final = "opentelemetry-semantic-conventions-ai 0.5 (opentelemetry/semconv_ai/__init__.py)"
_NUMBERED: Final = "opentelemetry-instrumentation-openai 0.40 (shared/chat_wrappers.py)"
_FIRST: Final = "opentelemetry-semantic-conventions-ai 0.0.20 to 0.3"
_DECORATORS: Final = "traceloop-sdk 0.62.4 (traceloop/sdk/decorators/base.py)"
_KIND: Final = "traceloop.span.kind"
_PROPERTIES: Final = "traceloop.association.properties."

_MESSAGE: Final = {
    "role": ".role",
    "content": ".content",
    "call_id": ".tool_call_id",
    "calls": (".tool_calls", ".id", ".name", ".arguments"),
}

_RULES: Final[tuple[Rule, ...]] = (
    Copy(
        sc.OPERATION_NAME,
        (_KIND,),
        _DECORATORS,
        values={
            "workflow": sc.OP_INVOKE_WORKFLOW,
            "task": sc.OP_INVOKE_WORKFLOW,
            "agent": sc.OP_INVOKE_AGENT,
            "tool": sc.OP_EXECUTE_TOOL,
        },
        only=True,
    ),
    Copy(
        sc.OPERATION_NAME,
        ("llm.request.type",),
        _NAMES,
        values={
            "chat": sc.OP_CHAT,
            "completion": sc.OP_TEXT_COMPLETION,
            "embedding": sc.OP_EMBEDDINGS,
            "rerank": sc.OP_RETRIEVAL,
        },
        only=True,
    ),
    Copy(sc.AGENT_NAME, ("traceloop.entity.name",), _DECORATORS, when=either(_KIND, "agent")),
    Copy(sc.TOOL_NAME, ("traceloop.entity.name",), _DECORATORS, when=either(_KIND, "tool")),
    Copy(
        sc.TOOL_CALL_ARGUMENTS,
        ("traceloop.entity.input",),
        _DECORATORS,
        kind="text",
        when=either(_KIND, "tool"),
        spends=True,
    ),
    Copy(
        sc.TOOL_CALL_RESULT,
        ("traceloop.entity.output",),
        _DECORATORS,
        kind="text",
        when=either(_KIND, "tool"),
        spends=True,
    ),
    # A framework is nobody's provider.
    Spend(
        ("gen_ai.system",),
        "opentelemetry-instrumentation-langchain 0.40, -llamaindex 0.40",
        when=either("gen_ai.system", "Langchain", "LlamaIndex"),
        always=True,
    ),
    # Model calls, in the names before they moved under gen_ai.
    Copy(sc.REQUEST_MODEL, ("llm.request.model",), _NAMES),
    Copy(sc.RESPONSE_MODEL, ("llm.response.model",), _NAMES),
    Copy("gen_ai.system", ("llm.vendor",), _NAMES),
    Copy(
        "gen_ai.request.max_tokens",
        ("llm.request.max_tokens", "gen_ai.request.max_completion_tokens"),
        _NAMES,
        kind="integer",
    ),
    Copy("gen_ai.request.temperature", ("llm.temperature", "llm.request.temperature"), _NAMES, kind="number"),
    Copy("gen_ai.request.top_p", ("llm.top_p", "llm.request.top_p"), _NAMES, kind="number"),
    Copy("gen_ai.request.top_k", ("llm.top_k",), _NAMES, kind="integer"),
    Copy("gen_ai.request.frequency_penalty", ("llm.frequency_penalty",), _NAMES, kind="number"),
    Copy("gen_ai.request.presence_penalty", ("llm.presence_penalty",), _NAMES, kind="number"),
    Copy("gen_ai.request.choice.count", ("gen_ai.request.n",), _NAMES, kind="integer"),
    Copy(
        "gen_ai.request.reasoning.level",
        ("gen_ai.request.reasoning_effort", "llm.request.reasoning_effort"),
        _NAMES,
    ),
    Say(
        sc.REQUEST_STREAM,
        True,
        any_of(either("gen_ai.is_streaming", True), either("llm.is_streaming", True)),
        _NAMES,
    ),
    Copy(
        sc.USAGE_INPUT_TOKENS,
        ("gen_ai.usage.prompt_tokens", "llm.usage.prompt_tokens"),
        _NAMES,
        kind="integer",
    ),
    Copy(
        sc.USAGE_OUTPUT_TOKENS,
        ("gen_ai.usage.completion_tokens", "llm.usage.completion_tokens"),
        _NAMES,
        kind="integer",
    ),
    Copy(sc.USAGE_TOTAL_TOKENS, ("llm.usage.total_tokens",), _NAMES, kind="integer"),
    Copy(sc.USAGE_REASONING, ("llm.usage.reasoning_tokens",), _NAMES, kind="integer"),
    Copy(
        sc.RESPONSE_FINISH_REASONS,
        (
            "gen_ai.completion.0.finish_reason",
            "llm.completions.0.finish_reason",
            "gen_ai.response.finish_reason",
            "llm.response.finish_reason",
            "gen_ai.response.stop_reason",
            "llm.response.stop_reason",
        ),
        _NAMES,
        kind="list",
    ),
    Messages(sc.INPUT_MESSAGES, "gen_ai.prompt", _NUMBERED, **_MESSAGE),  # type: ignore[arg-type]
    Messages(
        sc.OUTPUT_MESSAGES,
        "gen_ai.completion",
        _NUMBERED,
        default="assistant",
        finish=".finish_reason",
        cap=2,
        cap_calls=4,
        **_MESSAGE,  # type: ignore[arg-type]
    ),
    # Their names before they moved under gen_ai.
    Messages(sc.INPUT_MESSAGES, "llm.prompts", _FIRST, **_MESSAGE),  # type: ignore[arg-type]
    Messages(
        sc.OUTPUT_MESSAGES,
        "llm.completions",
        _FIRST,
        default="assistant",
        finish=".finish_reason",
        cap=2,
        **_MESSAGE,  # type: ignore[arg-type]
    ),
    Items(
        sc.TOOL_DEFINITIONS,
        "llm.request.functions",
        _NUMBERED,
        probe=".name",
        fields=(("name", ".name"), ("description", ".description"), ("parameters", ".parameters")),
        structured=("parameters",),
        constant=(("type", "function"),),
    ),
    Spend(("gen_ai.completion.",), _NUMBERED, needs=sc.OUTPUT_MESSAGES, when=lacks(CUT)),
    Said(
        sc.INPUT_MESSAGES,
        ("traceloop.entity.input",),
        "user",
        _DECORATORS,
        when=lacks(sc.TOOL_CALL_ARGUMENTS),
    ),
    Said(
        sc.OUTPUT_MESSAGES,
        ("traceloop.entity.output",),
        "assistant",
        _DECORATORS,
        when=lacks(sc.TOOL_CALL_RESULT),
    ),
    Copy(sc.PROMPT_NAME, ("traceloop.prompt.key",), _NAMES),
    Copy(sc.PROMPT_VERSION, ("traceloop.prompt.version",), _NAMES),
    # set_association_properties({...}): the names that people use for users and sessions, then the rest.
    Copy(
        sc.USER_ID,
        (f"{_PROPERTIES}user_id", f"{_PROPERTIES}userId", "llm.user", "gen_ai.user"),
        _DECORATORS,
        kind="text",
    ),
    Copy(
        sc.SESSION_ID,
        (
            f"{_PROPERTIES}session_id",
            f"{_PROPERTIES}sessionId",
            f"{_PROPERTIES}chat_id",
            f"{_PROPERTIES}conversation_id",
        ),
        _DECORATORS,
        kind="text",
    ),
    Prefixed(_PROPERTIES, sc.METADATA_PREFIX, _DECORATORS),
)

OPENLLMETRY: Final = Dialect(
    name="openllmetry",
    title="OpenLLMetry 0.40 to 0.62 (opentelemetry-instrumentation-* of Traceloop, traceloop-sdk)",
    marks=any_of(
        has(
            _KIND,
            "llm.request.type",
            "gen_ai.is_streaming",
            "llm.is_streaming",
            "gen_ai.prompt.0.content",
            "gen_ai.prompt.0.role",
            "gen_ai.completion.0.content",
            "gen_ai.completion.0.role",
            "llm.usage.total_tokens",
            "llm.vendor",
        ),
        scope("traceloop.tracer"),
    ),
    rules=_RULES,
)
